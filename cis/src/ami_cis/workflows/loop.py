"""The demo loop: disconnect all meters, connect them again, and count what was confirmed; with registers read before and after."""

import statistics
from collections import deque
from dataclasses import dataclass

from ami_cim.reading_type_names import name_of
from ami_cis import events
from ami_cis.reading_types import unit_of
from ami_cis.request_size import MOST_ASKED
from ami_cis.store import KeptReading
from ami_cis.workflows.controls import Controls
from ami_cis.workflows.orders import CONNECT, DISCONNECT, Order, Target
from ami_cis.workflows.readings import Readings, ReadOrder
from ami_process.environment import Environment

REPLY_TIMES_KEPT = 10_000
MOST_SHOWN = 50
"""Values of one reading that are reported."""


@dataclass(frozen=True, slots=True)
class LoopPlan:
    """The demo loop: a disconnect every `period_s`, the connect `connect_after_s` later; 0 cycles means for ever."""

    period_s: float
    connect_after_s: float
    cycles: int
    targets: tuple[Target, ...]
    asynchronous: bool
    reading_types: tuple[str, ...] = ()
    """Codes of what is read before and after each control; none: nothing is read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopSummary:
    """What a loop has achieved; a command is one request for all meters, confirmed if all of them confirmed."""

    cycles: int
    commands: int
    confirmed: int
    failed: int
    median_ms: float | None


class DemoLoop:
    """Disconnects and connects all meters, one cycle after another; an overrun delays the next cycle, it does not stack up."""

    def __init__(self, controls: Controls, readings: Readings, plan: LoopPlan, environment: Environment) -> None:
        self._controls = controls
        self._readings = readings
        self._plan = plan
        self._environment = environment
        self._cycles = 0
        self._confirmed = 0
        self._failed = 0
        self._reply_times: deque[float] = deque(maxlen=REPLY_TIMES_KEPT)

    async def run(self) -> None:
        """Run to the last cycle, or until cancelled; the summary holds at any time."""
        while True:
            begun = self._environment.monotonic()
            await self._read()
            await self._command(DISCONNECT)
            await self._read()
            await self._sleep_until(begun + self._plan.connect_after_s)
            await self._command(CONNECT)
            await self._read()
            self._cycles += 1
            if self._cycles == self._plan.cycles:
                return
            await self._sleep_until(begun + self._plan.period_s)

    def summary(self) -> LoopSummary:
        """The figures so far."""
        return LoopSummary(
            cycles=self._cycles,
            commands=self._confirmed + self._failed,
            confirmed=self._confirmed,
            failed=self._failed,
            median_ms=round(statistics.median(self._reply_times), 3) if self._reply_times else None,
        )

    async def _command(self, code: str) -> None:
        order = Order(code=code, targets=self._plan.targets, asynchronous=self._plan.asynchronous)
        outcome = await self._controls.run(order)
        if outcome.result is not None:
            self._reply_times.append(outcome.ms)
        if outcome.confirmed:
            self._confirmed += 1
        else:
            self._failed += 1

    async def _read(self) -> None:
        """What is read between a disconnect and the connect counts for both."""
        plan = self._plan
        if not plan.reading_types:
            return
        for first in range(0, len(plan.targets), MOST_ASKED):
            await self._read_some(plan.targets[first : first + MOST_ASKED])

    async def _read_some(self, targets: tuple[Target, ...]) -> None:
        plan = self._plan
        order = ReadOrder(targets=targets, reading_types=plan.reading_types, asynchronous=plan.asynchronous)
        read = await self._readings.run(order)
        shown = [_shown(one) for one in read.readings[:MOST_SHOWN]]
        more = len(read.readings) - len(shown)
        self._environment.emit(events.RegistersRead(message_id=read.outcome.message_id, registers=shown, more=more))

    async def _sleep_until(self, due: float) -> None:
        await self._environment.sleep(max(0.0, due - self._environment.monotonic()))


def _shown(one: KeptReading) -> events.RegisterValue:
    name, unit = name_of(one.reading_type), unit_of(one.reading_type)
    return events.RegisterValue(meter=one.meter, name=name, value=one.value, unit=unit, qualities=list(one.qualities))
