"""The way to the database: one function is one transaction, run beside the event loop.

SQLAlchemy Core, called in a thread of its own: a transaction costs one hop, however many statements it has, and needs
no second driver stack. SQLite commits survive the loss of power (`synchronous=FULL`): an accepted request that is
forgotten, or an invocation counter that is used twice, can't be repaired afterwards.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from sqlite3 import Connection as SqliteConnection
from typing import Self, TypeVar

from sqlalchemy import Connection, create_engine, event

from hes.store.tables import metadata

T = TypeVar("T")


class Database:
    """Runs transactions one after the other; open with `async with`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._engine = create_engine(f"sqlite:///{path}")
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="store")
        event.listen(self._engine, "connect", _prepare_sqlite)
        event.listen(self._engine, "begin", _begin_immediately)

    async def __aenter__(self) -> Self:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        await self.transaction(metadata.create_all)
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.get_running_loop().run_in_executor(self._thread, self._engine.dispose)
        self._thread.shutdown()

    async def transaction(self, work: Callable[[Connection], T]) -> T:
        """What `work` returns, once it is committed; if it raises, nothing has happened."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._transact, work)

    def _transact(self, work: Callable[[Connection], T]) -> T:
        with self._engine.begin() as connection:
            return work(connection)


def _prepare_sqlite(connection: SqliteConnection, _: object) -> None:
    connection.isolation_level = None  # transactions are begun below, not guessed by the driver
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=5000"):
        connection.execute(f"PRAGMA {pragma}").close()


def _begin_immediately(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")
