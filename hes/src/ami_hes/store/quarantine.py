"""Callers in quarantine in the database: the QuarantineStore port, one row per name."""

from collections.abc import Sequence
from dataclasses import asdict

from sqlalchemy import Connection, bindparam, delete, insert, select

from ami_hes.store.database import Database
from ami_hes.store.quarantine_port import StoredCaller
from ami_hes.store.tables import quarantine

_DROP = delete(quarantine).where(quarantine.c.name == bindparam("of_name"))


class SqlQuarantine:
    """The QuarantineStore port."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def load(self) -> list[StoredCaller]:
        query = select(quarantine).order_by(quarantine.c.last_seen_at, quarantine.c.name)
        return await self._database.transaction(
            lambda connection: [StoredCaller(**row._mapping) for row in connection.execute(query)]
        )

    async def keep(self, callers: Sequence[StoredCaller], forgotten: Sequence[str]) -> None:
        await self._database.settled(lambda connection: _keep(connection, callers, forgotten))


def _keep(connection: Connection, callers: Sequence[StoredCaller], forgotten: Sequence[str]) -> None:
    gone = [{"of_name": name} for name in (*forgotten, *(one.name for one in callers))]
    if gone:
        connection.execute(_DROP, gone)
    if callers:
        connection.execute(insert(quarantine), [asdict(one) for one in callers])
