"""The engines that the contract suites run against: each is opened on a store that outlives it."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from reported import ignore

from ami_hes.engine import CommandJob, EmbeddedEngine, Engine, ReplyJob
from ami_hes.engine.memory_events import MemoryEvents
from ami_hes.engine.memory_queue import MemoryDelivery, MemoryQueue
from ami_hes.outbox import Outbox
from ami_hes.store import Database, SqlDeliveries, SqlResults
from ami_process.environment import Environment
from ami_process.events import Emit
from ami_process.store.places import Place


@dataclass(frozen=True)
class Opened:
    """An engine and the store beside it."""

    engine: Engine
    results: SqlResults
    listen: Callable[[str, Callable[[str, bytes], None]], None]
    """Have something called with the id and the body of each event of a subject."""


@asynccontextmanager
async def embedded(store: Place, emit: Emit = ignore, look_every_s: float = 3600.0) -> AsyncIterator[Opened]:
    async with Database(store) as database:
        results = SqlResults(database)
        age = timedelta(days=7)
        engine = EmbeddedEngine(
            results,
            SqlDeliveries(database),
            Environment(emit=emit),
            reply_age=age,
            look_every_s=look_every_s,
        )
        await engine.open()
        yield Opened(engine, results, engine.events.listen)


def die_after(owner: type, method: str, of: Callable[..., bool] = lambda *_: True) -> None:
    """Kill this process when the method has done its work; `of` chooses among its calls by their arguments."""
    original = getattr(owner, method)

    async def and_then_die(*args: Any, **options: Any) -> Any:
        done = await original(*args, **options)
        if of(*args):
            os.kill(os.getpid(), signal.SIGKILL)
        return done

    setattr(owner, method, and_then_die)


def _of(kind: type) -> Callable[..., bool]:
    return lambda _, jobs: isinstance(jobs[0], kind)


STEPS: dict[str, Callable[[], None]] = {
    "accepted": lambda: die_after(SqlResults, "accept"),
    "put": lambda: die_after(MemoryQueue, "put", _of(CommandJob)),
    "about to act": lambda: die_after(SqlResults, "attempt"),
    "saved": lambda: die_after(SqlResults, "save"),
    "answered": lambda: die_after(SqlResults, "answer"),
    "announced": lambda: die_after(MemoryEvents, "publish"),
    "reply put": lambda: die_after(MemoryQueue, "put", _of(ReplyJob)),
    "command done": lambda: die_after(MemoryDelivery, "done", lambda delivery: isinstance(delivery.job, CommandJob)),
    "posted": lambda: die_after(Outbox, "post"),
    "replied": lambda: die_after(SqlResults, "replied"),
    "reply done": lambda: die_after(MemoryDelivery, "done", lambda delivery: isinstance(delivery.job, ReplyJob)),
}
"""The steps of a request, in their order, and how the embedded engine's process is made to die right behind each."""

OpenEngine = Callable[..., AbstractAsyncContextManager[Opened]]
"""Opens one on a store. `emit`: its sink; `look_every_s`: how often it looks for an answer that nothing has announced."""
ENGINES: dict[str, OpenEngine] = {"embedded": embedded}
