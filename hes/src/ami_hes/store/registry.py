"""The registry of meters in the database: read whole at the start, changed in one transaction each time."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from sys import intern
from typing import TypeVar

from sqlalchemy import Connection, bindparam, delete, insert, select

from ami_hes.store.database import Database
from ami_hes.store.registry_port import RegistryChange, Sealed, StoredMeter, StoredRegistry, StoredSource
from ami_hes.store.tables import meter_keys, meter_sources, meters

T = TypeVar("T")
AT_ONCE = 10_000
"""Rows of a statement, so that what the driver holds of a large change is bounded."""
_DROP = delete(meters).where(meters.c.mrid == bindparam("of_meter"))


class SqlRegistry:
    """The RegistryStore port."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def load(self) -> StoredRegistry:
        return await self._database.transaction(_load)

    async def change(self, change: RegistryChange) -> None:
        await self._database.settled(lambda connection: _change(connection, change))


def _load(connection: Connection) -> StoredRegistry:
    keys: dict[str, list[Sealed]] = defaultdict(list)
    query = select(meter_keys.c.mrid, meter_keys.c.purpose, meter_keys.c.key_id, meter_keys.c.sealed)
    for mrid, purpose, key_id, octets in connection.execute(query.order_by(meter_keys.c.purpose)):
        keys[mrid].append(Sealed(intern(purpose), intern(key_id), octets))
    found = [
        StoredMeter(mrid, name, intern(source), entry, tuple(keys.pop(mrid, ())))
        for mrid, name, source, entry in connection.execute(
            select(meters.c.mrid, meters.c.name, meters.c.source, meters.c.entry).order_by(meters.c.name)
        )
    ]
    sources = connection.execute(select(meter_sources.c.name, meter_sources.c.key_id, meter_sources.c.sealed))
    return StoredRegistry(
        found, [StoredSource(name, Sealed("digest", key_id, octets)) for name, key_id, octets in sources]
    )


def _change(connection: Connection, change: RegistryChange) -> None:
    """What goes and what changes is dropped first: names may pass from one meter to another."""
    dropped = ({"of_meter": mrid} for mrid in (*change.removed, *(meter.mrid for meter in change.meters)))
    for part in _parts(dropped):
        connection.execute(_DROP, part)
    for changed in _parts(change.meters):
        connection.execute(insert(meters), [_meter(meter) for meter in changed])
    for keys in _parts(_keys(change.meters)):
        connection.execute(insert(meter_keys), keys)
    if change.sources is not None:
        connection.execute(delete(meter_sources))
        for source in change.sources:
            values = {"name": source.name, "key_id": source.digest.key_id, "sealed": source.digest.octets}
            connection.execute(insert(meter_sources).values(values))


def _meter(meter: StoredMeter) -> dict[str, str]:
    return {"mrid": meter.mrid, "name": meter.name, "source": meter.source, "entry": meter.entry}


def _keys(changed: Sequence[StoredMeter]) -> Iterator[dict[str, object]]:
    for meter in changed:
        for key in meter.keys:
            yield {"mrid": meter.mrid, "purpose": key.purpose, "key_id": key.key_id, "sealed": key.octets}


def _parts(rows: Iterable[T]) -> Iterator[list[T]]:
    rest = iter(rows)
    while part := list(islice(rest, AT_ONCE)):
        yield part
