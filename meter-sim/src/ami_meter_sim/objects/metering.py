"""The metrology of a meter: its house's closed form, less what did not flow, by tariffs and phases, at one second or at many.

Strategy: energy up to t is F(t) less the sum of F(end) - F(begin) over all interruptions before t; inside one it stays what it was at
its beginning. A tariff's energy is the sum over the intervals in which it was in force. So every register is a function of time, and what two
of its values differ by is what flowed between, whatever happened. One second is plain integers, many are numpy; both agree.
"""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from enum import Enum
from functools import cached_property
from math import isqrt
from typing import TYPE_CHECKING, Any

import numpy as np

from ami_meter_sim.load.network import frequency_mhz, voltage_mv, with_lost
from ami_meter_sim.load.noise import Integers
from ami_meter_sim.objects.activity_calendar import tariff_changes
from ami_meter_sim.objects.conditions import Condition, conditions
from ami_meter_sim.objects.memory import Kind
from ami_meter_sim.objects.timeline import (
    FOR_EVER,
    ClockSetting,
    Intervals,
    clock_settings,
    instant_of,
    second_of,
    shown,
    without_flow,
)

if TYPE_CHECKING:
    from ami_meter_sim.objects.device import Device

Seconds = int | Integers
POWER_WINDOW_S = 60
"""An instantaneous power is the mean of the last minute, and 0 while nothing flows."""
TARIFFS_SINCE = second_of(datetime(2026, 1, 1, tzinfo=UTC))
"""Energy before this belongs to tariff 1, on every meter."""
EXPORT_TANGENT_PERMILLE = 60
PERMILLE = 1000
PHASES = range(3)
UNDERVOLTAGE = Condition.UNDERVOLTAGE_L1, Condition.UNDERVOLTAGE_L2, Condition.UNDERVOLTAGE_L3
OVERVOLTAGE = Condition.OVERVOLTAGE_L1, Condition.OVERVOLTAGE_L2, Condition.OVERVOLTAGE_L3
VOLTAGE_MISSING = Condition.VOLTAGE_MISSING_L1, Condition.VOLTAGE_MISSING_L2, Condition.VOLTAGE_MISSING_L3
UNDERVOLTAGE_PERCENT, OVERVOLTAGE_PERCENT = 85, 112


class Flow(Enum):
    """The two directions of active energy."""

    IMPORT = "import"
    EXPORT = "export"


class Metering:
    """One meter as it is now; made when somebody asks, and dropped with the answer. `seconds` is one second or an array of them."""

    def __init__(self, device: "Device") -> None:
        self._device = device
        self.house = device.house
        self.three_phases = device.three_phases

    def energy_ws(self, flow: Flow, seconds: Seconds) -> Any:
        """What has flowed up to then, in watt-seconds, with what the register showed when it was installed."""
        row = self._device.row
        shown_less = row.lost_import_ws if flow is Flow.IMPORT else row.lost_export_ws
        if isinstance(seconds, int):
            return self._delivered(lambda second: self._flowed(flow, second), seconds) - shown_less
        return _delivered_each(lambda many: self._flowed_each(flow, many), self._interruptions, seconds) - shown_less

    def tariff_ws(self, flow: Flow, tariff: int, seconds: Seconds) -> Any:
        """The part of it in one tariff."""
        many = np.atleast_1d(np.asarray(seconds, np.int64))
        since, tariffs = self._tariffs
        totals = self.energy_ws(flow, since[1:])
        steps = np.diff(totals, prepend=0) * (tariffs[:-1] == tariff)
        before = np.concatenate(([0], np.cumsum(steps)))
        base = np.concatenate(([0], totals))
        number = np.searchsorted(since, many, "right") - 1
        energies = before[number] + (tariffs[number] == tariff) * (self.energy_ws(flow, many) - base[number])
        return int(energies[0]) if isinstance(seconds, int) else energies

    def phase_ws(self, flow: Flow, phase: int, seconds: Seconds) -> Any:
        """The part of it on one phase; the three add up to the whole."""
        total = self.energy_ws(flow, seconds)
        if not self.three_phases:
            return total if phase == 0 else 0 * total
        shares = self.house.phase_permille
        upto, before = sum(shares[: phase + 1]), sum(shares[:phase])
        return total * upto // PERMILLE - total * before // PERMILLE

    def quadrant_vars(self, quadrant: int, seconds: Seconds) -> Any:
        """Reactive energy in var-seconds; of an import in quadrant 1 or 4, of an export in 2."""
        tangent = self.house.tangent_permille
        if quadrant in (1, 4):
            part = max(tangent if quadrant == 1 else -tangent, 0)
            return self.energy_ws(Flow.IMPORT, seconds) * part // PERMILLE
        exported = self.energy_ws(Flow.EXPORT, seconds)
        return exported * EXPORT_TANGENT_PERMILLE // PERMILLE if quadrant == 2 else 0 * exported

    def apparent_vas(self, flow: Flow, seconds: Seconds) -> Any:
        """Apparent energy in volt-ampere-seconds."""
        tangent = self.house.tangent_permille if flow is Flow.IMPORT else EXPORT_TANGENT_PERMILLE
        return self.energy_ws(flow, seconds) * isqrt(PERMILLE * PERMILLE + tangent * tangent) // PERMILLE

    def power_factor_permille(self, seconds: Seconds) -> Any:
        """Of the import."""
        tangent = self.house.tangent_permille
        return PERMILLE * PERMILLE // isqrt(PERMILLE * PERMILLE + tangent * tangent) + 0 * seconds

    def flows(self, seconds: Seconds) -> Any:
        """1 while there is power and the switch is closed, else 0."""
        flowing = 1 - self._interruptions.cover(np.atleast_1d(np.asarray(seconds, np.int64)))
        return int(flowing[0]) if isinstance(seconds, int) else flowing

    def phase_power_w(self, phase: int, seconds: Seconds) -> Any:
        """Import less export of one phase."""
        return self.flows(seconds) * sum(
            sign
            * (self.phase_ws(flow, phase, seconds) - self.phase_ws(flow, phase, seconds - POWER_WINDOW_S))
            // POWER_WINDOW_S
            for flow, sign in ((Flow.IMPORT, 1), (Flow.EXPORT, -1))
        )

    def voltage_mv(self, phase: int, seconds: Seconds) -> Any:
        """Between one phase and neutral; conditions of the meter count now, and for nobody who looks back."""
        connection = self._device.connection
        phases = PHASES if self.three_phases else PHASES[:1]
        if phase not in phases:
            return 0 * seconds
        if isinstance(seconds, int):
            found = conditions(self._device)
            powers = tuple([self.phase_power_w(one, seconds) for one in phases])
            there = tuple([voltage_mv(connection, one, seconds, powers[one]) for one in phases])
            return with_lost(_disturbed(there, found), powers, _missing(found), Condition.NEUTRAL_MISSING in found)[
                phase
            ]
        return voltage_mv(connection, phase, seconds, self.phase_power_w(phase, seconds))

    def current_ma(self, phase: int, seconds: Seconds) -> Any:
        """Of one phase, without its direction."""
        tangent = self.house.tangent_permille
        voltage = self.voltage_mv(phase, seconds)
        apparent = abs(self.phase_power_w(phase, seconds)) * isqrt(PERMILLE * PERMILLE + tangent * tangent)
        lowest = max(voltage, 1) if isinstance(voltage, int) else np.maximum(voltage, 1)
        return (voltage > 0) * apparent * 1_000 // lowest

    def shown(self, seconds: Seconds) -> Any:
        """What the meter's clock shows then, as seconds since 1970 in UTC."""
        return shown(self._clock, seconds)

    def frequency_mhz(self, seconds: Seconds) -> Any:
        """Of the grid."""
        return frequency_mhz(seconds)

    @cached_property
    def _clock(self) -> tuple[ClockSetting, ...]:
        return clock_settings(self._device)

    @cached_property
    def _interruptions(self) -> Intervals:
        return without_flow(self._device)

    @cached_property
    def _tariffs(self) -> tuple[Integers, Integers]:
        """From when which tariff is in force; the first entry is since ever."""
        now = self._device.clock.at
        begin = instant_of(TARIFFS_SINCE)
        by_calendar = tariff_changes(self._device, begin, now) if begin < now else []
        changes = [(second_of(one.at), one.tariff) for one in by_calendar]
        if not changes:
            changes = [(second_of(one.at), one.number) for one in self._device.history.records(Kind.TARIFF)]
        since, tariffs = zip((-FOR_EVER, 1), *changes, strict=True)
        return np.array(since, np.int64), np.array(tariffs, np.int64)

    @property
    def tariff(self) -> int:
        """The one in force."""
        return int(self._tariffs[1][-1])

    @cached_property
    def _loads(self) -> tuple[tuple[int, int], ...]:
        """(second, watts) from which on something flows in addition."""
        return tuple([(second_of(one.at), one.number) for one in self._device.history.records(Kind.LOAD)])

    def _flowed(self, flow: Flow, second: int) -> int:
        flowed = self.house.import_ws(second) if flow is Flow.IMPORT else self.house.export_ws(second)
        return flowed + sum(watts * int(span) for watts, span in self._added(flow, second))

    def _flowed_each(self, flow: Flow, seconds: Integers) -> Integers:
        flowed = self.house.imports_ws(seconds) if flow is Flow.IMPORT else self.house.exports_ws(seconds)
        for watts, span in self._added(flow, seconds):
            flowed = flowed + watts * span
        return flowed

    def _added(self, flow: Flow, seconds: Seconds) -> Iterator[tuple[int, Any]]:
        """The additional powers in one direction, and how long each has lasted up to then."""
        for number, (since, watts) in enumerate(self._loads):
            until = self._loads[number + 1][0] if number + 1 < len(self._loads) else FOR_EVER
            power = max(watts if flow is Flow.IMPORT else -watts, 0)
            yield power, np.clip(seconds - since, 0, until - since)

    def _delivered(self, flowed: Callable[[int], int], second: int) -> int:
        lost = 0
        for begin, end in zip(*map(Integers.tolist, self._interruptions), strict=True):
            if begin >= second:
                break
            lost += flowed(min(end, second)) - flowed(begin)
        return flowed(second) - lost


def _disturbed(voltages: tuple[int, ...], found: frozenset[Condition]) -> tuple[int, ...]:
    """Voltages as far as conditions of the meter raise or lower them."""
    changes = tuple(
        UNDERVOLTAGE_PERCENT if under in found else OVERVOLTAGE_PERCENT if over in found else 100
        for under, over in zip(UNDERVOLTAGE, OVERVOLTAGE, strict=True)
    )
    return tuple(one * percent // 100 for one, percent in zip(voltages, changes, strict=False))


def _missing(found: frozenset[Condition]) -> frozenset[int]:
    return frozenset(phase for phase, one in enumerate(VOLTAGE_MISSING) if one in found)


def _delivered_each(flowed: Callable[[Integers], Integers], interruptions: Intervals, seconds: Integers) -> Integers:
    begins, ends = interruptions
    if not len(begins):
        return flowed(seconds)
    at_begins = flowed(begins)
    over = ends < FOR_EVER
    lost = np.concatenate(([0], np.cumsum(flowed(ends[over]) - at_begins[over])))
    number = np.searchsorted(ends, seconds, "right")
    current = np.minimum(number, len(begins) - 1)
    inside = (number < len(begins)) & (begins[current] <= seconds)
    delivered: Integers = np.where(inside, at_begins[current], flowed(seconds)) - lost[number]
    return delivered
