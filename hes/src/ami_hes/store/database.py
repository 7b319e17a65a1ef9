"""The way to the database: one function is one transaction, run beside the event loop.

SQLAlchemy Core, called in a thread of its own: a transaction costs one hop, however many statements it has, and needs
no second driver stack. SQLite commits survive the loss of power (`synchronous=FULL`): an accepted request that is
forgotten, or an invocation counter that is used twice, can't be repaired afterwards.

A store can be unavailable for a while: locked by another program, on a full disk. What may still be refused then is
refused (`transaction` raises StoreUnavailable); what has already happened is retried until the store takes it (`record`).
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from sqlite3 import Connection as SqliteConnection
from typing import Self, TypeVar

import structlog
from sqlalchemy import Connection, create_engine, event
from sqlalchemy.exc import DatabaseError, OperationalError

from ami_hes.store.ports import StoreUnavailable
from ami_hes.store.tables import heartbeat, metadata
from ami_process.ownership import make_private

T = TypeVar("T")

FIRST_RETRY_S = 0.1
LONGEST_RETRY_S = 5.0

log = structlog.get_logger()


class StoreUnusable(Exception):
    """The file can't be used as a store; the text says which and why."""


class Database:
    """Runs transactions one after the other; open with `async with`, which raises StoreUnavailable or StoreUnusable."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._available = True
        self._engine = create_engine(f"sqlite:///{path}")
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="store")
        event.listen(self._engine, "connect", _prepare_sqlite)
        event.listen(self._engine, "begin", _begin_immediately)

    async def __aenter__(self) -> Self:
        try:
            make_private(self._path)
            await self.transaction(metadata.create_all)
        except OSError as problem:
            raise StoreUnusable(f"the store {self._path} can't be opened: {problem.strerror}") from None
        except DatabaseError as problem:
            raise StoreUnusable(f"{self._path} can't be used as a store: {problem.orig}") from None
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.get_running_loop().run_in_executor(self._thread, self._engine.dispose)
        self._thread.shutdown()

    async def transaction(self, work: Callable[[Connection], T]) -> T:
        """What `work` returns, once it is committed; if it raises, nothing has happened. Raises StoreUnavailable."""
        try:
            done = await asyncio.get_running_loop().run_in_executor(self._thread, self._transact, work)
        except OperationalError as problem:
            self._note(available=False, reason=str(problem.orig))
            raise StoreUnavailable(f"the store can't be written now: {problem.orig}") from None
        self._note(available=True)
        return done

    async def record(self, work: Callable[[Connection], T]) -> T:
        """The same for what has already happened and can't be refused any more: retried until the store takes it."""
        pause_s = FIRST_RETRY_S
        while True:
            try:
                return await self.transaction(work)
            except StoreUnavailable:
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, LONGEST_RETRY_S)

    async def check(self) -> None:
        """Write one row; StoreUnavailable when the store does not take it."""
        await self.transaction(_beat)

    def _transact(self, work: Callable[[Connection], T]) -> T:
        with self._engine.begin() as connection:
            return work(connection)

    def _note(self, *, available: bool, reason: str | None = None) -> None:
        """Say it once when the store goes, and once when it is back."""
        if available == self._available:
            return
        self._available = available
        if available:
            log.info("store_available", store=str(self._path))
        else:
            log.error("store_unavailable", store=str(self._path), reason=reason)


def _beat(connection: Connection) -> None:
    connection.execute(heartbeat.delete())
    connection.execute(heartbeat.insert())


def _prepare_sqlite(connection: SqliteConnection, _: object) -> None:
    connection.isolation_level = None  # transactions are begun below, not guessed by the driver
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=5000"):
        connection.execute(f"PRAGMA {pragma}").close()


def _begin_immediately(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")
