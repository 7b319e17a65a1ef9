"""What has changed of master data, for who follows it: meters, links and usage points, as they are noted with the change; pure (docs/adr/0032).

A meter has changed for others if what CIM says of it is another: keys and how it is reached beside its address are the head-end's own.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from uuid import UUID

from ami_cim.identity import mrid_key
from ami_hes.master_data.device_entries import asset_of
from ami_hes.meters.meter_index import Table
from ami_hes.store import NotedChange

METER, LINK, USAGE_POINT = "meter", "link", "usage-point"
MakeChange = Callable[[str, str, Mapping[str, object]], Sequence[NotedChange]]
"""Of a subject, a verb of events and a document: what is to be noted, which is nothing where nobody is told."""


def no_change(_: str, __: str, ___: Mapping[str, object]) -> Sequence[NotedChange]:
    """Where nobody is told."""
    return ()


def making(new_uuid: Callable[[], UUID]) -> MakeChange:
    """Makes changes with ids of their own."""

    def make(subject: str, verb: str, document: Mapping[str, object]) -> Sequence[NotedChange]:
        return [NotedChange(str(new_uuid()), subject, verb, json.dumps(document))]

    return make


def describing(make: MakeChange) -> Callable[[Table | None, Table | None], Sequence[NotedChange]]:
    """Of an entry as it was and as it is."""

    def describe(before: Table | None, after: Table | None) -> Sequence[NotedChange]:
        return [one for subject, verb, table in _changes(before, after) for one in make(subject, verb, _shown(table))]

    return describe


def _changes(before: Table | None, after: Table | None) -> Iterator[tuple[str, str, Table]]:
    """A link ends before its meter goes, and begins after it has come."""
    was, now = _keys(before), _keys(after)
    if before is not None and was and was.isdisjoint(now):
        yield LINK, "closed", before
    if before is None and after is not None:
        yield METER, "created", after
    elif after is None and before is not None:
        yield METER, "deleted", before
    elif before is not None and after is not None and asset_of(before) != asset_of(after):
        yield METER, "changed", after
    if after is not None and now and now.isdisjoint(was):
        yield LINK, "created", after


def _keys(table: Table | None) -> set[str]:
    return set() if table is None else set(map(mrid_key, table.get("usage_points", ())))


def _shown(table: Table) -> Mapping[str, object]:
    """What is told of an entry, and no more."""
    told = ("mrid", "name", "device_id", "identification", "address", "logical_device_name", "usage_points", "tags")
    return {field: table[field] for field in told if field in table}
