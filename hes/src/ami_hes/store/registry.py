"""The registry of meters in the database: read whole at the start, changed in one transaction each time."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from sys import intern
from typing import TypeVar

from sqlalchemy import Column, Connection, Table, bindparam, delete, insert, select

from ami_hes.store.database import Database
from ami_hes.store.master_data import note
from ami_hes.store.registry_port import RegistryChange, Sealed, StoredMeter, StoredRegistry, StoredSource
from ami_hes.store.tables import changed_keys, meter_keys, meter_sources, meters
from ami_process.store.group_commit import GroupCommit

T = TypeVar("T")
AT_ONCE = 10_000
"""Rows of a statement, so that what the driver holds of a large change is bounded."""
ASKED_AT_ONCE = 500
"""Values that a statement compares with."""
_METERS = select(meters.c.mrid, meters.c.name, meters.c.source, meters.c.entry)
_DROP = delete(meters).where(meters.c.mrid == bindparam("of_meter"))
_DROP_CHANGED = delete(changed_keys).where(changed_keys.c.mrid == bindparam("of_meter"))


class SqlRegistry:
    """The RegistryStore port."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._looks: GroupCommit[_Look] = GroupCommit(database, _look_at)

    async def load(self) -> StoredRegistry:
        return await self._database.transaction(_load)

    async def find(self, mrid: str) -> tuple[StoredMeter | None, tuple[Sealed, ...]]:
        """Sessions that begin at once share their queries: with several workers each of them looks here first."""
        await self._looks.add(look := _Look(mrid))
        return look.meter, look.changed

    async def some(self, mrids: Collection[str]) -> StoredRegistry:
        return await self._database.transaction(lambda c: _some(c, meters.c.mrid, mrids))

    async def named(self, names: Collection[str]) -> StoredRegistry:
        return await self._database.transaction(lambda c: _some(c, meters.c.name, names))

    async def key_ids(self) -> set[str]:
        return await self._database.transaction(_key_ids)

    async def change(self, change: RegistryChange) -> None:
        await self._database.settled(lambda connection: _change(connection, change))


def _load(connection: Connection) -> StoredRegistry:
    keys = _sealed(connection, meter_keys)
    found = [
        StoredMeter(mrid, name, intern(source), entry, tuple(keys.pop(mrid, ())))
        for mrid, name, source, entry in connection.execute(_METERS.order_by(meters.c.name))
    ]
    sources = connection.execute(select(meter_sources.c.name, meter_sources.c.key_id, meter_sources.c.sealed))
    return StoredRegistry(
        found,
        [StoredSource(name, Sealed("digest", key_id, octets)) for name, key_id, octets in sources],
        {mrid: tuple(changed) for mrid, changed in _sealed(connection, changed_keys).items()},
    )


@dataclass(slots=True, eq=False)
class _Look:
    """At one meter, and what was found."""

    mrid: str
    meter: StoredMeter | None = None
    changed: tuple[Sealed, ...] = ()


def _look_at(connection: Connection, looks: Sequence[_Look]) -> None:
    for part in _parts({look.mrid for look in looks}, ASKED_AT_ONCE):
        rows = {row.mrid: row for row in connection.execute(_METERS.where(meters.c.mrid.in_(part)))}
        keys = _sealed(connection, meter_keys, part)
        changed, within = _sealed(connection, changed_keys, part), set(part)
        for look in (one for one in looks if one.mrid in within):
            look.changed = tuple(changed.get(look.mrid, ()))
            row = rows.get(look.mrid)
            look.meter = None if row is None else StoredMeter(*row, tuple(keys.get(look.mrid, ())))


def _some(connection: Connection, column: Column[str], values: Collection[str]) -> StoredRegistry:
    found: list[StoredMeter] = []
    changed: dict[str, tuple[Sealed, ...]] = {}
    for part in _parts(values, ASKED_AT_ONCE):
        rows = connection.execute(_METERS.where(column.in_(part))).all()
        mrids = [row.mrid for row in rows]
        keys = _sealed(connection, meter_keys, mrids)
        found += [
            StoredMeter(row.mrid, row.name, intern(row.source), row.entry, tuple(keys.pop(row.mrid, ())))
            for row in rows
        ]
        changed |= {mrid: tuple(one) for mrid, one in _sealed(connection, changed_keys, mrids).items()}
    return StoredRegistry(found, (), changed)


def _key_ids(connection: Connection) -> set[str]:
    ids = (select(table.c.key_id).distinct() for table in (meter_keys, changed_keys, meter_sources))
    return {one for query in ids for one in connection.execute(query).scalars()}


def _sealed(connection: Connection, table: Table, mrids: Collection[str] | None = None) -> dict[str, list[Sealed]]:
    """By mRID, each meter's by their purpose; of all meters, or of these."""
    keys: dict[str, list[Sealed]] = defaultdict(list)
    query = select(table.c.mrid, table.c.purpose, table.c.key_id, table.c.sealed).order_by(table.c.purpose)
    if mrids is not None:
        query = query.where(table.c.mrid.in_(mrids))
    for mrid, purpose, key_id, octets in connection.execute(query):
        keys[mrid].append(Sealed(intern(purpose), intern(key_id), octets))
    return keys


def _change(connection: Connection, change: RegistryChange) -> None:
    """What goes and what changes is dropped first: names may pass from one meter to another."""
    dropped = ({"of_meter": mrid} for mrid in (*change.removed, *(meter.mrid for meter in change.meters)))
    for part in _parts(dropped):
        connection.execute(_DROP, part)
    for changed in _parts(change.meters):
        connection.execute(insert(meters), [_meter(meter) for meter in changed])
    for keys in _parts(_keys((meter.mrid, meter.keys) for meter in change.meters)):
        connection.execute(insert(meter_keys), keys)
    for part in _parts({"of_meter": mrid} for mrid in change.changed_keys):
        connection.execute(_DROP_CHANGED, part)
    for keys in _parts(_keys(change.changed_keys.items())):
        connection.execute(insert(changed_keys), keys)
    note(connection, change.noted)
    if change.sources is not None:
        connection.execute(delete(meter_sources))
        for source in change.sources:
            values = {"name": source.name, "key_id": source.digest.key_id, "sealed": source.digest.octets}
            connection.execute(insert(meter_sources).values(values))


def _meter(meter: StoredMeter) -> dict[str, str]:
    return {"mrid": meter.mrid, "name": meter.name, "source": meter.source, "entry": meter.entry}


def _keys(of_meters: Iterable[tuple[str, Sequence[Sealed]]]) -> Iterator[dict[str, object]]:
    for mrid, keys in of_meters:
        for key in keys:
            yield {"mrid": mrid, "purpose": key.purpose, "key_id": key.key_id, "sealed": key.octets}


def _parts(rows: Iterable[T], size: int = AT_ONCE) -> Iterator[list[T]]:
    rest = iter(rows)
    while part := list(islice(rest, size)):
        yield part
