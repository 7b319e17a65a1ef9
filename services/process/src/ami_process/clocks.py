"""The clocks that a process can live by: the machine's, the machine's but faster, and one that stops until it is stepped.

A clock has three readings: `now` (aware, UTC), `monotonic` (seconds that never go back) and `sleep`. `rate` says how many of
its seconds pass in one second of the machine's clock, by which sockets go on living whatever the clock of the process is.

The sleep of a stepped clock begins with the call and not with the await: whoever wraps it in a task is known before that task
has its first round, so a step that comes in between wakes it too. Who has more to do than some rounds of the event loop holds it there
meanwhile (`hold`), so that what follows happens at the same time; the other clocks can't be held.
"""

import asyncio
import time
from collections.abc import Awaitable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from heapq import heapify, heappop, heappush
from itertools import count
from typing import Protocol

ROUNDS = 10
"""Rounds of the event loop that what has woken up gets before the clock of a stepped process moves on."""
MOST_AT_ONCE = timedelta(days=31)


class Clock(Protocol):
    """One of them."""

    @property
    def mode(self) -> str: ...

    @property
    def rate(self) -> float: ...

    def now(self) -> datetime: ...

    def monotonic(self) -> float: ...

    def sleep(self, seconds: float) -> Awaitable[None]: ...

    def hold(self) -> AbstractContextManager[None]: ...


class ClockError(Exception):
    """The clock can't be moved like that; the text says why."""


class RealClock:
    """The machine's."""

    mode = "real"
    rate = 1.0

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def hold(self) -> AbstractContextManager[None]:
        return nullcontext()


@dataclass(frozen=True, slots=True)
class ScaledClock:
    """Agrees with the machine's at `start_at` and is `rate` times as fast, so processes with the same two values agree too."""

    start_at: datetime
    rate: float

    @property
    def mode(self) -> str:
        return "scaled"

    def now(self) -> datetime:
        return self.start_at + (datetime.now(UTC) - self.start_at) * self.rate

    def monotonic(self) -> float:
        return time.monotonic() * self.rate

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds / self.rate)

    def hold(self) -> AbstractContextManager[None]:
        return nullcontext()


class SteppedClock:
    """Shows one moment until `advance_to` moves it on; who sleeps wakes up when the clock has come to its time."""

    mode = "stepped"
    rate = 1.0

    def __init__(self, start_at: datetime) -> None:
        self._start_at = self._now = start_at
        self._sleepers: list[tuple[datetime, int, asyncio.Future[None]]] = []
        self._numbers = count()
        self._gone = 0
        self._holders = 0
        self._moving = asyncio.Lock()

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return (self._now - self._start_at).total_seconds()

    def sleep(self, seconds: float) -> asyncio.Future[None]:
        """Done when the clock has come to that time; no time at all is one round of the event loop."""
        loop = asyncio.get_running_loop()
        awake: asyncio.Future[None] = loop.create_future()
        if seconds <= 0:
            loop.call_soon(_wake, awake)
            return awake
        # a fraction of the resolution is no sleep of no time: who waits for the rest of it would wait for ever
        length = timedelta(seconds=seconds) or timedelta.resolution
        heappush(self._sleepers, (self._now + length, next(self._numbers), awake))
        awake.add_done_callback(self._ended)
        return awake

    @contextmanager
    def hold(self) -> Iterator[None]:
        """While this lasts the clock does not move on. Never around what waits for the clock, or for the network."""
        self._holders += 1
        try:
            yield
        finally:
            self._holders -= 1

    @property
    def next_due_at(self) -> datetime | None:
        """When the first of the sleepers wakes up."""
        while self._sleepers and self._sleepers[0][2].done():
            heappop(self._sleepers)
        return self._sleepers[0][0] if self._sleepers else None

    async def advance_to(self, moment: datetime) -> None:
        """Move on; who sleeps is woken on the way, each at its own time. Raises ClockError for the past and for leaps.

        What wakes up gets a few rounds of the event loop before the clock moves on, and as many as it wants while it holds the clock.
        What needs the network takes longer: then the caller that steps the clock takes smaller steps, and looks between them at what it
        waits for.
        """
        async with self._moving:
            if moment < self._now:
                raise ClockError(f"the clock is at {self._now.isoformat()}, and never goes back")
            if moment - self._now > MOST_AT_ONCE:
                raise ClockError(f"a step has {MOST_AT_ONCE.days} days at most")
            while (due_at := self.next_due_at) is not None and due_at <= moment:
                self._now = max(self._now, due_at)
                heappop(self._sleepers)[2].set_result(None)
                await self._settled()
            self._now = moment.astimezone(UTC)
            await self._settled()

    async def _settled(self) -> None:
        """So many rounds of the event loop, one after the other, in which nobody has held the clock."""
        calm = 0
        while calm < ROUNDS:
            await asyncio.sleep(0)
            calm = 0 if self._holders else calm + 1

    def _ended(self, awake: asyncio.Future[None]) -> None:
        """Clean up now and then, so that sleepers that are cancelled do not pile up while the clock is stopped."""
        self._gone += awake.cancelled()
        if self._gone > len(self._sleepers) // 2:
            self._sleepers = [one for one in self._sleepers if not one[2].done()]
            heapify(self._sleepers)
            self._gone = 0


def _wake(awake: asyncio.Future[None]) -> None:
    if not awake.done():
        awake.set_result(None)
