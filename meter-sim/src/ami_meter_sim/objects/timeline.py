"""What happened to a meter, as seconds: when nothing flowed, when it had no power, how its clock was set.

Strategy: read from the history, and the base that it begins with, whenever registers or profiles are computed, and never kept: they are the
only truth. Seconds are whole; what happened within a second happened at its beginning, but after the rows of profiles were captured.
"""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ami_dlms.obis import Obis
from ami_meter_sim.clock import PPM, MeterClock
from ami_meter_sim.load.noise import Integers
from ami_meter_sim.objects.base import ClockRules, base_of, records_after_base
from ami_meter_sim.objects.memory import Record, RecordKind
from ami_meter_sim.objects.switch import ControlState

if TYPE_CHECKING:
    from ami_meter_sim.objects.device import Device

Flags = np.typing.NDArray[np.bool_]
FOR_EVER = 1 << 40
"""A second after every other."""


class Intervals(NamedTuple):
    """Disjoint intervals [begins, ends) in order; the last one may be open, and ends at FOR_EVER then."""

    begins: Integers
    ends: Integers

    def cover(self, seconds: Integers) -> Flags:
        """Which seconds lie inside one of them."""
        if not len(self.begins):
            return np.zeros(len(seconds), np.bool_)
        number = np.searchsorted(self.begins, seconds, "right") - 1
        covered: Flags = (number >= 0) & (seconds < self.ends[number])
        return covered

    def cover_before(self, seconds: Integers) -> Flags:
        """Which seconds end inside one of them."""
        return self.cover(seconds - 1)


class ClockSetting(NamedTuple):
    """The clock as it was set from `since` on; the first one since ever."""

    since: int
    clock: MeterClock


def without_power(device: "Device") -> Intervals:
    """When the meter had no power."""
    return intervals_of((second, not powered) for second, powered in _powered(device))


def without_flow(device: "Device") -> Intervals:
    """When nothing flowed: no power, or the switch open."""
    switched = [
        (second_of(one.at), False, one.number == ControlState.CONNECTED)
        for one in records_after_base(device, RecordKind.SWITCH)
    ]
    base = base_of(device)
    if base is not None:
        switched.insert(0, (base.second, False, base.control_state == ControlState.CONNECTED))
    powered = closed = True
    states: list[tuple[int, bool]] = []
    changes = [(second, True, state) for second, state in _powered(device)] + switched
    for second, of_power, state in sorted(changes, key=lambda change: change[0]):
        powered, closed = (state, closed) if of_power else (powered, state)
        states.append((second, not (powered and closed)))
    return intervals_of(iter(states))


def clock_invalid(device: "Device") -> Intervals:
    """When the clock had lost its time: from then on until it was set."""
    base = base_of(device)
    states = [] if base is None or not base.clock_invalid else [(base.second, True)]
    for kind in (RecordKind.CLOCK_INVALID, RecordKind.CLOCK):
        states += [(second_of(one.at), kind is RecordKind.CLOCK_INVALID) for one in records_after_base(device, kind)]
    return intervals_of(iter(sorted(states, key=lambda state: state[0])))


def clock_settings(device: "Device") -> tuple[ClockSetting, ...]:
    """Every setting of the clock and of its rules, the oldest first; the last one is how it is now."""
    clock, base = device.clock, base_of(device)
    records = sorted(
        (*records_after_base(device, RecordKind.CLOCK), *records_after_base(device, RecordKind.CLOCK_RULES)),
        key=lambda one: one.at,
    )
    if not records:
        return (ClockSetting(-FOR_EVER, clock),)
    found: list[ClockSetting] = []
    since, offset, set_at = (-FOR_EVER, 0, 0) if base is None else (-FOR_EVER, base.clock_offset_s, base.clock_set_at)
    for one, rules in zip(records, _rules_before(records, ClockRules.of(clock)), strict=True):
        found.append(ClockSetting(since, clock.as_it_was_set(offset, set_at, *rules)))
        since = second_of(one.at)
        if one.kind is RecordKind.CLOCK:
            offset, set_at = one.number, since
    return (*found, ClockSetting(since, clock))


def _rules_before(records: list[Record], now: ClockRules) -> list[ClockRules]:
    """The rules that were in force until each of these records."""
    found = []
    for one in reversed(records):
        now = ClockRules.decode(one.detail) if one.kind is RecordKind.CLOCK_RULES else now
        found.append(now)
    return found[::-1]


def shown(settings: tuple[ClockSetting, ...], seconds: Any) -> Any:
    """What the clock shows at one second or at many, as seconds since 1970 in UTC.

    At the very second at which it was set: after that, and in an array, which is of ends of periods, before that.
    """
    if len(settings) == 1:  # as of most clocks: never set
        offset, set_at, ppm = _linear(settings[0].clock)
        return seconds + offset + (seconds - set_at) * ppm // PPM if ppm else seconds + offset
    since = np.array([one.since for one in settings])
    rules = np.array([_linear(one.clock) for one in settings], np.int64)
    number = np.searchsorted(since, seconds, "right" if isinstance(seconds, int) else "left") - 1
    offset, set_at, ppm = rules[number].T
    found = seconds + offset + (seconds - set_at) * ppm // PPM
    return int(found) if isinstance(seconds, int) else found


def reached(setting: ClockSetting, shown: Integers) -> Integers:
    """The first second at which the clock, set like this, shows at least so much."""
    offset, set_at, ppm = _linear(setting.clock)
    undrifted: Integers = shown - offset
    return undrifted if not ppm else set_at - (undrifted - set_at) * PPM // -(PPM + ppm)


def _linear(clock: MeterClock) -> tuple[int, int, int]:
    return clock.offset_s, second_of(clock.set_at), clock.drift_ppm


def resets(device: "Device", source: Obis) -> list[Record]:
    """The resets of a register or profile, the oldest first."""
    return list(device.history.records(RecordKind.RESET, source=source))


def second_of(at: datetime) -> int:
    """Seconds since the epoch, whole."""
    return int(at.timestamp() // 1)


def instant_of(second: int) -> datetime:
    """And back."""
    return datetime.fromtimestamp(second, UTC)


def union(one: Intervals, other: Intervals) -> Intervals:
    """What lies in either."""
    if not len(other.begins):
        return one
    steps: Counter[int] = Counter()
    for intervals in (one, other):
        steps.update(Counter(intervals.begins.tolist()))
        steps.subtract(Counter(intervals.ends.tolist()))
    inside = 0
    states: list[tuple[int, bool]] = []
    for second in sorted(steps):
        inside += steps[second]
        states.append((second, inside > 0))
    return intervals_of(one for one in states if one[0] < FOR_EVER)


def _powered(device: "Device") -> Iterator[tuple[int, bool]]:
    """Whether there is power from a second on, at first since ever. What went and came within a second counts for nothing, in whatever order it is kept."""
    steps: dict[int, int] = {}
    for kind, step in ((RecordKind.POWER_DOWN, -1), (RecordKind.POWER_UP, 1)):
        for one in records_after_base(device, kind):
            second = second_of(one.at)
            steps[second] = steps.get(second, 0) + step
    base = base_of(device)
    if base is not None:
        yield base.second, base.powered
    for second in sorted(steps):
        if steps[second]:
            powered = steps[second] > 0
            yield second, powered


def intervals_of(states: Iterator[tuple[int, bool]]) -> Intervals:
    """From (second, inside from here on) in order; what has no length is left out."""
    begins: list[int] = []
    ends: list[int] = []
    begin: int | None = None
    for second, inside in states:
        if inside and begin is None:
            begin = second
        elif not inside and begin is not None:
            if second > begin:
                begins.append(begin)
                ends.append(second)
            begin = None
    if begin is not None:
        begins.append(begin)
        ends.append(FOR_EVER)
    return Intervals(np.array(begins, np.int64), np.array(ends, np.int64))
