"""All that comes from outside of a program beside its sockets and files: time, chance, and the sink of its events.

One `Environment` is made where the process begins and handed to its parts, which read no other clock and throw no other dice;
with another one a run is deterministic, and with a clock that is stepped a day takes no longer than its work.

There are two times. `now`, `monotonic` and `sleep` are the clock of the process, by which it keeps its periods, ages and
promises. What waits for a socket lives by `real_time`, `real_timer` and `real_sleep`, the machine's clock, whatever the other one does,
because the other end of a socket does.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from os import urandom
from typing import Self
from uuid import UUID, uuid4

from ami_process.clocks import Clock, RealClock, ScaledClock, SteppedClock
from ami_process.events import Emit
from ami_process.settings import ClockMode, ClockSettings

REAL: Clock = RealClock()


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """What a process gives its parts; the defaults are the real ones.

    `rate`: how many seconds of `now` pass in a second of the machine's clock. `perf_counter`: seconds of the machine's, to
    measure how long work has taken.
    """

    emit: Emit
    clock: Clock = REAL
    now: Callable[[], datetime] = REAL.now
    monotonic: Callable[[], float] = REAL.monotonic
    sleep: Callable[[float], Awaitable[None]] = REAL.sleep
    rate: float = 1.0
    perf_counter: Callable[[], float] = time.perf_counter
    random_bytes: Callable[[int], bytes] = urandom
    new_uuid: Callable[[], UUID] = uuid4

    def by(self, clock: Clock) -> Self:
        """The same with another clock."""
        return replace(self, clock=clock, now=clock.now, monotonic=clock.monotonic, sleep=clock.sleep, rate=clock.rate)

    def after_real(self, seconds: float | timedelta) -> datetime:
        """Which moment it will be after so much of the machine's time."""
        real = seconds if isinstance(seconds, timedelta) else timedelta(seconds=seconds)
        return self.now() + real * self.rate

    def real_seconds_until(self, moment: datetime) -> float:
        """How long that takes by the machine's clock; negative for what is past."""
        return (moment - self.now()).total_seconds() / self.rate


def clock_of(settings: ClockSettings) -> Clock:
    """The clock that the settings describe."""
    if settings.start_at is None or settings.mode is ClockMode.REAL:
        return REAL
    if settings.mode is ClockMode.SCALED:
        return ScaledClock(settings.start_at, settings.rate)
    return SteppedClock(settings.start_at)


def real_time() -> float:
    """Seconds of the event loop's clock, as `asyncio.timeout_at` takes them."""
    return asyncio.get_running_loop().time()


def real_timer(until: float, ring: Callable[[], None]) -> asyncio.TimerHandle:
    """Have it called at a time of `real_time`, unless it is cancelled before."""
    return asyncio.get_running_loop().call_at(until, ring)


async def real_sleep(seconds: float) -> None:
    """A pause between two looks at a socket, a file or a store that others have a hand in."""
    await asyncio.sleep(seconds)
