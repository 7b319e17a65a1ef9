"""When energy did not flow on a phase, and how much that was: outages, an open switch, lost phases, a lost neutral.

Strategy: made from the history once, and used by the live meter until there is another record. A load takes its power whatever the voltage is, so the
loss of the neutral alone moves voltages and currents of three phases and no energy; a single phase without neutral is an open circuit.
"""

from bisect import bisect_right
from collections.abc import Callable, Mapping
from itertools import accumulate
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from ami_meter_sim.load.noise import Integers
from ami_meter_sim.objects.base import base_of, records_after_base
from ami_meter_sim.objects.conditions import CONDITION_BITS, VOLTAGE_MISSING, Condition
from ami_meter_sim.objects.memory import RecordKind
from ami_meter_sim.objects.timeline import (
    FOR_EVER,
    Intervals,
    intervals_of,
    second_of,
    union,
    without_flow,
    without_power,
)

if TYPE_CHECKING:
    from ami_meter_sim.objects.device import Device


class Lost(NamedTuple):
    """What would have flowed up to the begin of each interruption, and what was lost in all of those before: one more than there are."""

    at_begins: Integers
    before: Integers


class Interruptions:
    """`intervals` in which nothing flows; what was lost in them is computed once for each flow and phase."""

    def __init__(self, intervals: Intervals) -> None:
        self.intervals = intervals
        self.begins: list[int] = intervals.begins.tolist()
        self.ends: list[int] = intervals.ends.tolist()
        self._lost: dict[tuple[str, int | None], Lost] = {}
        self._numbers: dict[tuple[str, int | None], tuple[list[int], list[int]]] = {}

    def covers(self, second: int) -> bool:
        """Whether one second lies inside one of them."""
        number = bisect_right(self.begins, second) - 1
        return number >= 0 and second < self.ends[number]

    def lost_numbers(self, flow: str, phase: int | None, flowed: Callable[[int], int]) -> tuple[list[int], list[int]]:
        """As `lost`, in plain numbers, with `flowed` for one second: where there are few, arrays cost more than what they hold."""
        found = self._numbers.get((flow, phase))
        if found is None:
            at_begins = [flowed(second) for second in self.begins]
            at_ends = [flowed(second) for second in self.ends if second < FOR_EVER]
            steps = [end - begin for begin, end in zip(at_begins, at_ends, strict=False)]
            found = self._numbers[flow, phase] = at_begins, list(accumulate(steps, initial=0))
        return found

    def lost(self, flow: str, phase: int | None, flowed: Callable[[Integers], Integers]) -> Lost:
        """`flowed`: what would have flowed up to each of these seconds, in watt-seconds."""
        found = self._lost.get((flow, phase))
        if found is None:
            begins, ends = self.intervals
            over = ends < FOR_EVER
            at_begins, at_ends = flowed(begins), flowed(ends[over])
            found = Lost(at_begins, np.concatenate(([0], np.cumsum(at_ends - at_begins[over]))))
            self._lost[flow, phase] = found
        return found


class Totals(NamedTuple):
    """What had flowed at these seconds, by this version of the history."""

    version: int
    seconds: Integers
    energies: Integers


class Masks(NamedTuple):
    """From when on which conditions were there, a bit for each; the first entry is since ever."""

    since: Integers
    bits: Integers

    def at(self, seconds: "int | Integers") -> Integers:
        """Those of one second, or of the rows that were captured at many."""
        side: Literal["right", "left"] = "right" if isinstance(seconds, int) else "left"
        found: Integers = self.bits[np.searchsorted(self.since, np.atleast_1d(seconds), side) - 1]
        return found


Stopped = Mapping[int | None, Interruptions]
BESIDE_POWER = (RecordKind.SWITCH, RecordKind.CONDITIONS)
"""What ends a flow beside power that goes."""


def stopped(device: "Device", phases: range) -> Stopped:
    """Of all phases together (None), and of each one where they differ."""
    version = device.history.version
    if device.stopped is None or device.stopped[0] != version:
        device.stopped = version, _stopped(device, phases)
    return device.stopped[1]


def condition_masks(device: "Device") -> Masks:
    """Of the network at the meter."""
    base = base_of(device)
    first = (-FOR_EVER, 0 if base is None else base.conditions)
    changes = [(second_of(one.at), one.number) for one in records_after_base(device, RecordKind.CONDITIONS)]
    since, bits = zip(first, *changes, strict=True)
    return Masks(np.array(since, np.int64), np.array(bits, np.int64))


def _stopped(device: "Device", phases: range) -> Stopped:
    history = device.history
    if base_of(device) is None and not any(history.records(kind) for kind in BESIDE_POWER):
        return {None: Interruptions(without_power(device))}  # as of most meters: only power went
    together = without_flow(device)
    masks = condition_masks(device)
    missing = [_while_there(masks, _ends_flow(phase, phases)) for phase in phases]
    if len(phases) == 1:
        return {None: Interruptions(union(together, missing[0]))}
    if not any(len(one.begins) for one in missing):
        return {None: Interruptions(together)}
    return {None: Interruptions(together)} | {phase: Interruptions(union(together, missing[phase])) for phase in phases}


def _ends_flow(phase: int, phases: range) -> int:
    """The bits of the conditions without which nothing flows on a phase."""
    neutral = CONDITION_BITS[Condition.NEUTRAL_MISSING] if len(phases) == 1 else 0
    return CONDITION_BITS[VOLTAGE_MISSING[phase]] | neutral


def _while_there(masks: Masks, wanted: int) -> Intervals:
    since, bits = masks.since.tolist(), masks.bits.tolist()
    return intervals_of((second, bool(mask & wanted)) for second, mask in zip(since, bits, strict=True))
