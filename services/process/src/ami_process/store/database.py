"""The way to a store: one function is one transaction, run beside the event loop.

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
from typing import Self, TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import OperationalError

from ami_process.store.errors import StoreUnavailable
from ami_process.store.events import StoreMigrated
from ami_process.store.opening import ready_store
from ami_process.store.schema import Schema
from ami_process.store.sqlite import sqlite_engine

T = TypeVar("T")

FIRST_RETRY_S = 0.1
LONGEST_RETRY_S = 5.0


def _unreported(_: str | None) -> None:
    pass


class Database:
    """Runs transactions one after the other; open with `async with`, which raises StoreUnavailable or StoreUnusable.

    `changed` is called once when the store goes, with the reason, and once when it is back, with None.
    """

    def __init__(
        self,
        path: Path,
        schema: Schema,
        *,
        changed: Callable[[str | None], None] = _unreported,
    ) -> None:
        self.migrated: StoreMigrated | None = None
        """The upgrade that was made when the store was opened."""
        self._path = path
        self._schema = schema
        self._changed = changed
        self._available = True
        self._engine = sqlite_engine(path)
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="store")
        self._heartbeat = schema.tables.tables["heartbeat"]

    async def __aenter__(self) -> Self:
        self.migrated = await self._in_thread(lambda: ready_store(self._path, self._schema))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._in_thread(self._engine.dispose)
        self._thread.shutdown()

    async def transaction(self, work: Callable[[Connection], T]) -> T:
        """What `work` returns, once it is committed; if it raises, nothing has happened. Raises StoreUnavailable."""
        try:
            done = await self._in_thread(lambda: self._transact(work))
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
        await self.transaction(self._beat)

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _transact(self, work: Callable[[Connection], T]) -> T:
        with self._engine.begin() as connection:
            return work(connection)

    def _beat(self, connection: Connection) -> None:
        connection.execute(self._heartbeat.delete())
        connection.execute(self._heartbeat.insert())

    def _note(self, *, available: bool, reason: str | None = None) -> None:
        if available != self._available:
            self._available = available
            self._changed(None if available else reason)
