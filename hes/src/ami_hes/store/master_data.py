"""Usage points, and changes of master data that wait to be handed on, in the database: the UsagePoints and MasterDataChanges ports."""

from collections.abc import Collection, Sequence
from functools import partial

from sqlalchemy import Connection, Delete, delete, func, insert, select

from ami_hes.store.database import Database
from ami_hes.store.master_data_port import KeyTaken, NotedChange, StoredUsagePoint, WaitingChange
from ami_hes.store.tables import master_data_changes, usage_point_keys, usage_points

_COLUMNS = (usage_points.c.point_id, usage_points.c.name, usage_points.c.document)
_HANDED_ON_AT_ONCE = 500


def note(connection: Connection, noted: Sequence[NotedChange]) -> None:
    """In the transaction of the change itself, so that none is told that was not kept, and none kept that is not told."""
    if noted:
        connection.execute(insert(master_data_changes), [one._asdict() for one in noted])


class SqlMasterDataChanges:
    """The MasterDataChanges port."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def waiting(self, limit: int) -> list[WaitingChange]:
        query = select(master_data_changes).order_by(master_data_changes.c.number).limit(limit)

        def work(connection: Connection) -> list[WaitingChange]:
            return [WaitingChange(row[0], NotedChange(*row[1:])) for row in connection.execute(query)]

        return await self._database.transaction(work)

    async def handed_on(self, numbers: Sequence[int]) -> None:
        for start in range(0, len(numbers), _HANDED_ON_AT_ONCE):
            part = numbers[start : start + _HANDED_ON_AT_ONCE]
            this = delete(master_data_changes).where(master_data_changes.c.number.in_(part))
            await self._database.transaction(partial(_executed, this=this))


class SqlUsagePoints:
    """The UsagePoints port."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(self, keys: Collection[str]) -> list[StoredUsagePoint]:
        theirs = select(usage_point_keys.c.point_id).where(usage_point_keys.c.key.in_(keys))
        query = select(*_COLUMNS).where(usage_points.c.point_id.in_(theirs)).order_by(usage_points.c.name)
        return await self._database.transaction(lambda c: [StoredUsagePoint(*row) for row in c.execute(query)])

    async def page(self, offset: int, limit: int) -> list[StoredUsagePoint]:
        ordered = select(*_COLUMNS).order_by(usage_points.c.name, usage_points.c.point_id)
        query = ordered.offset(offset).limit(limit)
        return await self._database.transaction(lambda c: [StoredUsagePoint(*row) for row in c.execute(query)])

    async def keys(self) -> list[str]:
        return await self._database.transaction(lambda c: list(c.execute(select(usage_point_keys.c.key)).scalars()))

    async def count(self) -> int:
        query = select(func.count()).select_from(usage_points)
        return await self._database.transaction(lambda c: int(c.execute(query).scalar_one()))

    async def put(self, point: StoredUsagePoint, keys: Collection[str], noted: Sequence[NotedChange]) -> None:
        await self._database.transaction(lambda c: _put(c, point, keys, noted))

    async def remove(self, point_id: str, noted: Sequence[NotedChange]) -> None:
        await self._database.transaction(lambda c: _remove(c, point_id, noted))


def _executed(connection: Connection, this: Delete) -> None:
    connection.execute(this)


def _put(connection: Connection, point: StoredUsagePoint, keys: Collection[str], noted: Sequence[NotedChange]) -> None:
    others = select(usage_point_keys.c.key).where(
        usage_point_keys.c.key.in_(keys), usage_point_keys.c.point_id != point.point_id
    )
    if taken := connection.execute(others).scalars().first():
        raise KeyTaken(taken)
    connection.execute(delete(usage_points).where(usage_points.c.point_id == point.point_id))
    connection.execute(insert(usage_points).values(point._asdict()))
    connection.execute(insert(usage_point_keys), [{"key": key, "point_id": point.point_id} for key in keys])
    note(connection, noted)


def _remove(connection: Connection, point_id: str, noted: Sequence[NotedChange]) -> None:
    connection.execute(delete(usage_points).where(usage_points.c.point_id == point_id))
    note(connection, noted)
