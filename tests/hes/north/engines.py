"""The engines that the contract suites run against: each is opened on a store that outlives it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from dying_engine import die, dying
from reported import ignore

from ami_hes.engine import EmbeddedEngine, Engine, GroupOf, MakeEngine, Meterless
from ami_hes.engine.ports import never_meterless, no_group
from ami_hes.outbox import Outbox
from ami_hes.store import Database, SqlDeliveries, SqlKeptMessages, SqlResults
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
async def embedded(
    store: Place,
    emit: Emit = ignore,
    look_every_s: float = 3600.0,
    group_of: GroupOf = no_group,
    meterless: Meterless = never_meterless,
) -> AsyncIterator[Opened]:
    async with Database(store) as database:
        results = SqlResults(database)
        age = timedelta(days=7)
        engine = EmbeddedEngine(
            results,
            SqlDeliveries(database),
            Environment(emit=emit),
            reply_age=age,
            look_every_s=look_every_s,
            group_of=group_of,
            meterless=meterless,
        )
        await engine.open()
        await engine.recover()
        yield Opened(engine, results, engine.events.listen)


def die_after(owner: type, method: str) -> None:
    """Kill this process when the method has done its work."""
    original = getattr(owner, method)

    async def and_then_die(*args: Any, **options: Any) -> Any:
        done = await original(*args, **options)
        die()
        return done

    setattr(owner, method, and_then_die)


MAKE: dict[str, MakeEngine] = {"embedded": EmbeddedEngine}
"""How the composition root makes each engine."""

STEPS = {
    "accepted": (SqlResults, "accept"),
    "message kept": (SqlKeptMessages, "keep"),
    "put": ("commands", "put"),
    "about to act": (SqlResults, "attempt"),
    "saved": (SqlResults, "save"),
    "answered": (SqlResults, "answer"),
    "announced": ("events", "publish"),
    "reply put": ("replies", "put"),
    "command done": ("commands", "done"),
    "posted": (Outbox, "post"),
    "part taken": (SqlResults, "part_taken"),
    "replied": (SqlResults, "replied"),
    "reply done": ("replies", "done"),
}
"""The steps of a request, in their order: a call of a port of the engine, or of a class of the HES, that has just ended."""


def dying_behind(step: str, make: MakeEngine) -> MakeEngine:
    """An engine like this one in a process that is made to die right behind the step."""
    owner, call = STEPS[step]
    if isinstance(owner, str):
        return dying(make, owner, call)
    die_after(owner, call)
    return make


OpenEngine = Callable[..., AbstractAsyncContextManager[Opened]]
"""Opens one on a store. `emit`: its sink; `look_every_s`: how often it looks for an answer that nothing has announced;
`group_of`: by which groups commands are taken; `meterless`: which need no meter."""
ENGINES: dict[str, OpenEngine] = {"embedded": embedded}
