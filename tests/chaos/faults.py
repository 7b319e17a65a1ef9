"""What is done to the system, kind by kind; each returns when it is over and the processes are up, and `table` says how often which is drawn."""

from __future__ import annotations

import asyncio
import random
import signal
import sqlite3
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from ami_process.store.places import Place, engine_of
from chaos.points.table import AT, FRONTS, HES, LISTENERS, POINTS, SCALED_POINTS, WORKERS, Point
from chaos.processes import Service
from chaos.site import Site

KILL, KILL_BOTH, KILL_AT_POINT = "kill -9", "kill -9 of two", "kill -9 at a point"
STOP, FULL, LOCKED, CLOCK, CUT, SLOW = "SIGSTOP", "full disk", "locked store", "clock jump", "cut lines", "slow lines"
DATABASE, STREAMS = "database restart", "streams lost"
KILLS = {KILL: 3, KILL_BOTH: 1, KILL_AT_POINT: 4}
OTHERS = {STOP: 2, FULL: 2, LOCKED: 2, CLOCK: 2, CUT: 2, SLOW: 1}
ON_A_SERVER = OTHERS | {DATABASE: 3}
"""Where HES and CIS have their stores in one; a full disk is the meters' alone then."""
ON_SEVERAL = {STOP: 2, LOCKED: 2, CLOCK: 1, CUT: 2, SLOW: 1, DATABASE: 2, STREAMS: 3}
"""Where several processes are the head-end. Their clocks are one: of the system, those of CIS and meters jump."""
SYSTEM = (*FRONTS, *WORKERS, *LISTENERS)
SHORT_S, LONG_S = 0.05, 0.6
POINT_S = 5.0
"""How long a process may live on without coming to its point; then it is killed where it is."""
JUMPS_S = (-7_200.0, -90.0, 90.0, 3_600.0, 7_200.0)


class Step(NamedTuple):
    """One of a run, drawn beforehand from its seed: so the same seed does the same to the same processes, whatever their pace."""

    number: int
    kind: str
    victims: tuple[str, ...]
    seconds: float
    """Under load before it, or for how long."""
    point: Point | None = None
    passes: int = 1
    clock_s: float = 0.0
    meter: int = 0

    @property
    def is_kill(self) -> bool:
        return self.kind in KILLS

    def describe(self) -> str:
        more = (
            f" {self.point.name!r} pass {self.passes}"
            if self.point
            else f" {self.clock_s:+g} s"
            if self.clock_s
            else ""
        )
        return f"{self.kind} {' and '.join(self.victims)}{more}"


def plan(kills: int, seed: int, *, server: bool = False, several: bool = False) -> list[Step]:
    """So many kills, each point as often as any other, and another fault after every third. `server`: the stores are in one; `several`: so many processes are the head-end."""
    dice, others = random.Random(seed), ON_SEVERAL if several else ON_A_SERVER if server else OTHERS
    draw = _step_of_several if several else _step
    every = SCALED_POINTS if several else POINTS
    points: list[Point] = []
    steps: list[Step] = []
    for number in range(kills):
        if not points:
            points = dice.sample(every, len(every))
        kind = _drawn(dice, KILLS)
        steps.append(draw(dice, len(steps) + 1, kind, points.pop() if kind == KILL_AT_POINT else None))
        if number % 3 == 2:
            other = draw(dice, len(steps) + 1, _drawn(dice, others), None)
            steps.append(other._replace(victims=("meters",)) if server and other.kind == FULL else other)
    return steps


def _drawn(dice: random.Random, table: dict[str, int]) -> str:
    return dice.choices(list(table), list(table.values()))[0]


def _step(dice: random.Random, number: int, kind: str, point: Point | None) -> Step:
    seconds = dice.uniform(SHORT_S, LONG_S)
    names = ["hes", "hes", "cis", "meters"]
    victims = tuple(dice.sample(["hes", "cis", "meters"], 2)) if kind == KILL_BOTH else (dice.choice(names),)
    if kind == LOCKED:
        victims = (dice.choice(("hes", "cis")),)
    if kind == DATABASE:
        victims = ("database",)
    if kind in (CUT, SLOW):
        victims = ("lines",)
    if point is not None:
        victims = (NAMES[point.process],)
    return Step(
        number,
        kind,
        victims,
        seconds,
        point,
        dice.randint(1, 3),
        dice.choice(JUMPS_S) if kind == CLOCK else 0.0,
        dice.randrange(1_000),
    )


def _step_of_several(dice: random.Random, number: int, kind: str, point: Point | None) -> Step:
    step = _step(dice, number, kind, point)
    victims = step.victims
    if kind in (KILL, KILL_BOTH):
        victims = tuple(dice.sample([*SYSTEM, "nats", "database", "cis", "meters"], len(victims)))
    elif kind == STOP:
        victims = (dice.choice([*SYSTEM, "cis", "meters"]),)
    elif kind == CLOCK:
        victims = (dice.choice(["cis", "meters"]),)
    elif kind == STREAMS:
        victims = ("nats",)
    elif point is not None and point.process == HES:
        victims = (dice.choice(AT[point.name]),)
    return step._replace(victims=victims)


NAMES = {"ami_hes": "hes", "ami_cis": "cis", "ami_meter_sim": "meters"}


@dataclass
class Done:
    """What came of a step: whether a point was reached, and seconds from the start of a process to its being ready."""

    reached: bool = True
    ready_s: float | None = None


async def carry_out(step: Step, site: Site) -> Done:
    """Do it, and wait until all processes serve again."""
    await asyncio.sleep(step.seconds if step.is_kill else SHORT_S)
    return await DOES[step.kind](step, site)


async def _kill(step: Step, site: Site) -> Done:
    for name in step.victims:
        await site.kill(name)
    return Done(ready_s=await site.start(*step.victims))


async def _kill_at_point(step: Step, site: Site) -> Done:
    victim, point = site.services[step.victims[0]], step.point
    assert point is not None
    if point.at_start:
        victim.kill()
    victim.order(point=point.name, passes=1 if point.rare else step.passes)
    if point.at_start:
        victim.start()
    reached = await victim.dies(POINT_S)
    if not reached:
        victim.kill()
    return Done(reached, await site.start(victim.name))


async def _stop(step: Step, site: Site) -> Done:
    victim = site.services[step.victims[0]]
    victim.send(signal.SIGSTOP)
    try:
        await asyncio.sleep(2 * step.seconds)
    finally:
        victim.send(signal.SIGCONT)
    return Done()


async def _full(step: Step, site: Site) -> Done:
    with site.services[step.victims[0]].cannot_write():
        await asyncio.sleep(2 * step.seconds)
    return Done()


async def _database(step: Step, site: Site) -> Done:
    """The server dies at once, and is there again after a while."""
    assert site.server is not None
    await asyncio.to_thread(site.server.stop)
    await asyncio.sleep(step.seconds)
    await asyncio.to_thread(site.server.start)
    await site.all_healthy()
    return Done()


async def _streams(step: Step, site: Site) -> Done:
    """NATS dies with its disk, and is there again after a while, empty."""
    assert site.broker is not None
    await asyncio.to_thread(site.broker.forget)
    await asyncio.sleep(step.seconds)
    await asyncio.to_thread(site.broker.start)
    await site.all_healthy()
    return Done()


async def _locked(step: Step, site: Site) -> Done:
    with locked(site.stores[step.victims[0]]):
        await asyncio.sleep(2 * step.seconds)
    return Done()


@contextmanager
def locked(place: Place) -> Iterator[None]:
    """Somebody else writes into the store and takes their time."""
    if isinstance(place, Path):
        with closing(sqlite3.connect(place, isolation_level=None, timeout=30)) as store:
            store.execute("BEGIN IMMEDIATE")
            yield
            store.execute("ROLLBACK")
        return
    engine = engine_of(place)
    with engine.begin() as connection:
        connection.exec_driver_sql("LOCK TABLE requests IN ACCESS EXCLUSIVE MODE")
        yield
    engine.dispose()


async def _clock(step: Step, site: Site) -> Done:
    """There it stays until the next jump; a second one in the same direction goes back."""
    victim: Service = site.services[step.victims[0]]
    victim.order(clock_s=0.0 if victim.clock_s else step.clock_s)
    await asyncio.sleep(step.seconds)
    return Done()


async def _cut(step: Step, site: Site) -> Done:
    """Now at some meters and at a push, and for a while in the middle of the frames of all."""
    for relay in site.relays[:: 1 + step.meter % 3]:
        relay.cut()
    await _for_a_while(step, site, {"fault": "cut", "after": 20 + step.meter % 400, "probability": 0.3})
    return Done()


async def _slow(step: Step, site: Site) -> Done:
    await _for_a_while(step, site, {"fault": "bandwidth", "octets_per_s": 2_000})
    return Done()


async def _for_a_while(step: Step, site: Site, rule: dict[str, object]) -> None:
    await site.simulator("POST", "faults", rule | {"seed": step.meter})
    await asyncio.sleep(2 * step.seconds)
    await site.simulator("DELETE", "faults")


DOES: dict[str, Callable[[Step, Site], Awaitable[Done]]] = {
    KILL: _kill,
    KILL_BOTH: _kill,
    KILL_AT_POINT: _kill_at_point,
    STOP: _stop,
    FULL: _full,
    LOCKED: _locked,
    DATABASE: _database,
    STREAMS: _streams,
    CLOCK: _clock,
    CUT: _cut,
    SLOW: _slow,
}
