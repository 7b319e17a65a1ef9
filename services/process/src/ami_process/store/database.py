"""The way to a store: one function is one transaction, run beside the event loop.

SQLAlchemy Core, called in a thread of its own: a transaction costs one hop, however many statements it has, and needs
no second driver stack. Commits survive the loss of power (SQLite: `synchronous=FULL`, PostgreSQL: `synchronous_commit`): an
accepted request that is forgotten, or an invocation counter that is used twice, can't be repaired afterwards.

A store can be unavailable for a while: locked by another program, on a full disk, on a server that restarts. What may still be
refused then is refused (`transaction` raises StoreUnavailable); what has already happened is retried until the store takes it
(`record`). A store that another process has taken meanwhile (StoreUnusable) ends whatever is done inside `watched`.
"""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Self, TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from ami_process.store.errors import (
    FOR_A_WHILE,
    GivenUp,
    StoreInDoubt,
    StoreUnavailable,
    StoreUnusable,
    is_given_up,
    problems_of,
    reason_of,
)
from ami_process.store.events import StoreMigrated
from ami_process.store.opening import ready_store
from ami_process.store.places import Place, engine_of
from ami_process.store.schema import Schema

T = TypeVar("T")

FIRST_RETRY_S = 0.1
LONGEST_RETRY_S = 5.0
MOST_RETRIES = 50
"""Of a transaction that the server gives up for the sake of another one, which it thereby commits."""
LONGEST_STANDING_BACK_S = 0.05
"""Before such a retry, from the second one on, for a time that is drawn: many that want the same rows do not meet again and again."""


def _unreported(_: str | None) -> None:
    pass


class Database:
    """Runs transactions one after the other; open with `async with`, which raises StoreUnavailable or StoreUnusable.

    `changed` is called once when the store goes, with the reason, and once when it is back, with None.
    """

    def __init__(
        self,
        place: Place,
        schema: Schema,
        *,
        changed: Callable[[str | None], None] = _unreported,
    ) -> None:
        self.migrated: StoreMigrated | None = None
        """The upgrade that was made when the store was opened."""
        self.place = place
        self._schema = schema
        self._changed = changed
        self._available = True
        self._taken = asyncio.Event()
        self._refusal: StoreUnusable | None = None
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="store")
        self._heartbeat = schema.tables.tables["heartbeat"]

    async def __aenter__(self) -> Self:
        with problems_of(self.place):
            self._engine = engine_of(self.place)
            self.migrated = await self._in_thread(lambda: ready_store(self.place, self._schema))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._in_thread(self._engine.dispose)
        self._thread.shutdown()

    async def transaction(self, work: Callable[[Connection], T]) -> T:
        """What `work` returns, once it is committed; if it raises, nothing has happened, but for StoreInDoubt.

        Raises StoreUnavailable, and StoreUnusable from when another process has taken the store.
        """
        try:
            done = await self._in_thread(lambda: self._transact(work))
        except (*FOR_A_WHILE, StoreUnavailable) as problem:
            self._note(available=False, reason=reason_of(problem))
            kind = StoreInDoubt if isinstance(problem, StoreInDoubt) else StoreUnavailable
            raise kind(f"the store can't be written now: {reason_of(problem)}") from None
        except StoreUnusable as refusal:
            self._refusal = refusal
            self._taken.set()
            raise
        self._note(available=True)
        return done

    async def settled(self, work: Callable[[Connection], T]) -> T:
        """As `transaction`, for what may not be in doubt: then it is done once more, which `work` has to bear.

        Raises StoreUnavailable only where nothing was stored.
        """
        try:
            return await self.transaction(work)
        except StoreInDoubt:
            return await self.record(work)

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

    @asynccontextmanager
    async def watched(self) -> AsyncIterator[None]:
        """Whatever is done inside ends with StoreUnusable once another process has taken the store."""
        problem: BaseException | None = None
        try:
            async with asyncio.TaskGroup() as group:
                watching = group.create_task(self._until_taken())
                yield
                watching.cancel()
        except BaseExceptionGroup as ended:  # what was done inside has failed by itself, or was ended
            problem = self._refusal or ended.exceptions[0]
        if problem is not None:
            raise problem

    async def _until_taken(self) -> None:
        await self._taken.wait()
        raise self._refusal or StoreUnusable("it was taken")

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _transact(self, work: Callable[[Connection], T]) -> T:
        """Where processes share the store, what the server gives up for the sake of another's transaction is done once more."""
        for retry in range(MOST_RETRIES):
            try:
                return self._once(work)
            except GivenUp:
                pass
            except DBAPIError as problem:
                if not is_given_up(problem):
                    raise
            time.sleep(random.uniform(0, min(LONGEST_STANDING_BACK_S, retry / 1000)))  # noqa: S311 (keeps nothing secret)
        return self._once(work)

    def _once(self, work: Callable[[Connection], T]) -> T:
        with self._engine.connect() as connection, connection.begin() as transaction:
            done = work(connection)
            try:
                transaction.commit()
            except FOR_A_WHILE as problem:
                if isinstance(self.place, Path) or is_given_up(problem):  # then it is taken back for certain
                    raise
                raise StoreInDoubt(reason_of(problem)) from None
            return done

    def _beat(self, connection: Connection) -> None:
        connection.execute(self._heartbeat.delete())
        connection.execute(self._heartbeat.insert())

    def _note(self, *, available: bool, reason: str | None = None) -> None:
        if available != self._available:
            self._available = available
            self._changed(None if available else reason)
