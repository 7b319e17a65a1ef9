"""Power that goes from many meters and comes back to them, each at its moment, by the clock of the process.

Strategy: one task for all of them. What is due is done in portions between which connections are served, with one write a portion, and
only what is on disk is reported, from which last gasps follow. Where nothing can be kept, nothing changes.
"""

import asyncio
from collections.abc import Iterable
from heapq import heappop, heappush
from itertools import count

from ami_meter_sim import events
from ami_meter_sim.fleet import PORTION_S, Fleet
from ami_meter_sim.meter.simulated_meter import Meter
from ami_meter_sim.population.journal import StateUnusable

Change = tuple[float, int, str, bool]
"""When, in seconds of the process's clock, in which order, the name of the meter, and whether power comes back."""


class Outages:
    """The changes of power that are still to come."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._due: list[Change] = []
        self._numbers = count()
        self._sooner = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def want(self, moments: Iterable[tuple[str, float]], on: bool) -> None:
        """Power goes from meters of these names, or comes back to them, after a number of seconds."""
        now = self._fleet.environment.monotonic()
        for name, seconds in moments:
            heappush(self._due, (now + seconds, next(self._numbers), name, on))
        self._sooner.set()
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run())
            self._task.add_done_callback(_said)

    async def end(self) -> None:
        """Nothing that is still to come happens."""
        self._due.clear()
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _run(self) -> None:
        while self._due:
            self._sooner.clear()
            with self._fleet.environment.clock.hold():
                while self._due and self._due[0][0] <= self._fleet.environment.monotonic():
                    self._portion()
                    await asyncio.sleep(0)  # the turn of others
            if self._due:
                await self._until_due()

    async def _until_due(self) -> None:
        """Until the first of them, or one that was wanted meanwhile."""
        environment = self._fleet.environment
        left_s = max(self._due[0][0] - environment.monotonic(), 0.0)
        waits = [asyncio.ensure_future(environment.sleep(left_s)), asyncio.ensure_future(self._sooner.wait())]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in waits:
                one.cancel()

    def _portion(self) -> None:
        """What is due, as far as time allows; on disk with one write, and reported then."""
        environment, changed = self._fleet.environment, list[tuple[Meter, bool]]()
        try:
            self._fleet.make_room()
            ends = environment.perf_counter() + PORTION_S
            while (due := self._next(environment.monotonic())) is not None:
                _, _, name, on = due
                if (meter := self._changed(name, on)) is not None:
                    changed.append((meter, on))
                if environment.perf_counter() >= ends:
                    break
            self._fleet.write()
        except StateUnusable as problem:
            self._give_up(str(problem))
            return
        for meter, on in changed:
            self._fleet.report((events.PowerBack if on else events.PowerLost)(meter=meter.name))

    def _next(self, now: float) -> Change | None:
        return heappop(self._due) if self._due and self._due[0][0] <= now else None

    def _changed(self, name: str, on: bool) -> Meter | None:
        """The meter, if its power has changed; one that can't be made is reported, and the others go on."""
        environment = self._fleet.environment
        try:
            meter = self._fleet.find(name)
            if meter is None or meter.powered is on:
                return None
            (meter.get_power_back if on else meter.lose_power)(environment.now())
        except StateUnusable as problem:
            environment.emit(events.StateError(meter=name, reason=str(problem)))
            return None
        return meter

    def _give_up(self, reason: str) -> None:
        """Nothing can be kept: what is due now does not happen."""
        environment = self._fleet.environment
        environment.emit(events.StateError(reason=reason))
        while (due := self._next(environment.monotonic())) is not None:
            environment.emit(events.StateError(meter=due[2], reason=reason))


def _said(task: asyncio.Task[None]) -> None:
    """An unexpected error is left to the handler of the event loop."""
    if not task.cancelled():
        task.result()
