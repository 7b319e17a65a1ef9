"""The metrology of a meter: its house's closed form, less what did not flow, by tariffs and phases, at one second or at many.

Strategy: energy up to t is F(t) less the sum of F(end) - F(begin) over all interruptions before t; inside one it stays what it was at
its beginning; where phases were lost, that holds for each phase, and the whole is their sum. A tariff's energy is the sum over the intervals in which it was in force. So every register is a function of time, and what two
of its values differ by is what flowed between, whatever happened. One second is plain integers, many are numpy; both agree.
"""

from bisect import bisect_right
from enum import Enum
from functools import cached_property
from math import isqrt
from typing import TYPE_CHECKING, Any

import numpy as np

from ami_meter_sim.load.houses import House
from ami_meter_sim.load.network import frequency_mhz, voltage_mv, with_lost
from ami_meter_sim.load.noise import Integers
from ami_meter_sim.objects.activity_calendar import tariff_timeline
from ami_meter_sim.objects.base import base_of, records_after_base
from ami_meter_sim.objects.conditions import OVERVOLTAGE, UNDERVOLTAGE, VOLTAGE_MISSING, Condition, conditions_of
from ami_meter_sim.objects.interruptions import Interruptions, Masks, Stopped, Totals, condition_masks, stopped
from ami_meter_sim.objects.mbus_client import gas_litres, sub_meter_captures
from ami_meter_sim.objects.memory import RecordKind
from ami_meter_sim.objects.timeline import FOR_EVER, ClockSetting, clock_settings, second_of, shown

if TYPE_CHECKING:
    from ami_meter_sim.objects.device import Device

Seconds = int | Integers
POWER_WINDOW_S = 60
"""An instantaneous power is the mean of the last minute, and 0 while nothing flows."""
EXPORT_TANGENT_PERMILLE = 60
PERMILLE = 1000
PHASES = range(3)
ONE_PHASE = range(1)
TARIFFS = range(1, 5)
UNDERVOLTAGE_PERCENT, OVERVOLTAGE_PERCENT = 85, 112


class Flow(Enum):
    """The two directions of active energy."""

    IMPORT = "import"
    EXPORT = "export"


FLOWS = tuple(Flow)
FEW_SECONDS = 25
SECONDS_REMEMBERED = 64


class Flowed:
    """What a house has taken and given up to single seconds: registers that are read together ask for the same ones."""

    __slots__ = ("_exports", "_house", "_imports")

    def __init__(self) -> None:
        self._house: House | None = None
        self._imports: dict[int, int] = {}
        self._exports: dict[int, int] = {}

    def at(self, house: House, flow: Flow, second: int) -> int:
        """Up to a second, in watt-seconds. Of another house nothing is remembered."""
        if house is not self._house:
            self._house, self._imports, self._exports = house, {}, {}
        of_flow = self._imports if flow is Flow.IMPORT else self._exports
        found = of_flow.get(second)
        if found is None:
            if len(of_flow) >= SECONDS_REMEMBERED:
                of_flow.clear()
            found = of_flow[second] = house.import_ws(second) if flow is Flow.IMPORT else house.export_ws(second)
        return found


class Metering:
    """One meter as it is now; made when somebody asks, and dropped with the answer. `seconds` is one second or an array of them."""

    def __init__(self, device: "Device") -> None:
        self._device = device
        self.house = device.house
        self.three_phases = device.three_phases
        self._phases = PHASES if self.three_phases else ONE_PHASE
        self._base = base_of(device)
        self._when_stopped: Stopped | None = None

    def energy_ws(self, flow: Flow, seconds: Seconds) -> Any:
        """What has flowed up to then, in watt-seconds, with what the register showed when it was installed."""
        if not self._phases_missing:
            return self._energy(flow, None, seconds)
        return sum(self._energy(flow, phase, seconds) for phase in self._phases)

    def tariff_ws(self, flow: Flow, tariff: int, seconds: Seconds) -> Any:
        """The part of it in one tariff."""
        many = np.atleast_1d(np.asarray(seconds, np.int64))
        since, tariffs = self._tariffs
        totals = self._tariff_totals(flow, since[1:])
        first, counted = self._tariffs_begin(flow, tariff)
        steps = np.diff(totals, prepend=first) * (tariffs[:-1] == tariff)
        before = np.concatenate(([0], np.cumsum(steps)))
        base = np.concatenate(([first], totals))
        number = np.searchsorted(since, many, "right") - 1
        energies = counted + before[number] + (tariffs[number] == tariff) * (self.energy_ws(flow, many) - base[number])
        return int(energies[0]) if isinstance(seconds, int) else energies

    def phase_ws(self, flow: Flow, phase: int, seconds: Seconds) -> Any:
        """The part of it on one phase; the three add up to the whole."""
        return self._energy(flow, phase, seconds) if phase in self._phases else 0 * seconds

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

    def flows(self, seconds: Seconds, phase: int | None = None) -> Any:
        """1 while something can flow, on one phase or on any, else 0."""
        found = self._stopped.get(phase, self._stopped[None])
        if isinstance(seconds, int):
            return 1 - found.covers(seconds)
        return 1 - found.intervals.cover_before(seconds)

    def phase_power_w(self, phase: int, seconds: Seconds) -> Any:
        """Import less export of one phase."""
        return self.flows(seconds, phase) * sum(
            sign
            * (self.phase_ws(flow, phase, seconds) - self.phase_ws(flow, phase, seconds - POWER_WINDOW_S))
            // POWER_WINDOW_S
            for flow, sign in ((Flow.IMPORT, 1), (Flow.EXPORT, -1))
        )

    def voltage_mv(self, phase: int, seconds: Seconds) -> Any:
        """Between one phase and neutral, by the conditions that were there at each second."""
        if phase not in self._phases:
            return 0 * seconds
        masks = self._masks.at(seconds)
        if isinstance(seconds, int):
            return self._voltages(seconds, int(masks[0]))[phase]
        found = np.zeros(len(seconds), np.int64)
        for mask in np.unique(masks):
            chosen = masks == mask
            found[chosen] = self._voltages(seconds[chosen], int(mask))[phase]
        return found

    def _voltages(self, seconds: Seconds, mask: int) -> tuple[Any, ...]:
        found, phases = conditions_of(mask), self._phases
        powers = tuple([self.phase_power_w(one, seconds) for one in phases])
        there = tuple([voltage_mv(self._device.connection, one, seconds, powers[one]) for one in phases])
        return with_lost(_disturbed(there, found), powers, _missing(found), Condition.NEUTRAL_MISSING in found)

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

    def sub_meter_captures(self, seconds: Seconds) -> Any:
        """When the gas meter behind the M-Bus client was captured last."""
        return sub_meter_captures(self._device, seconds)

    def sub_meter_litres(self, seconds: Seconds) -> Any:
        """What it showed then; 0 without one."""
        captured = self.sub_meter_captures(seconds)
        return (captured > 0) * gas_litres(self._device.identity.name, captured)

    def gas_litres(self, seconds: Seconds) -> Any:
        """What a gas meter of this household shows then."""
        return gas_litres(self._device.identity.name, seconds)

    def frequency_mhz(self, seconds: Seconds) -> Any:
        """Of the grid."""
        return frequency_mhz(seconds)

    @cached_property
    def _clock(self) -> tuple[ClockSetting, ...]:
        return clock_settings(self._device)

    @property
    def _stopped(self) -> Stopped:
        if self._when_stopped is None:
            self._when_stopped = stopped(self._device, self._phases)
        return self._when_stopped

    @cached_property
    def _masks(self) -> Masks:
        return condition_masks(self._device)

    @property
    def _phases_missing(self) -> bool:
        return len(self._stopped) > 1

    @cached_property
    def _tariffs(self) -> tuple[Integers, Integers]:
        """From when which tariff is in force; the first entry is since ever."""
        since, tariffs = tariff_timeline(self._device, second_of(self._device.clock.at))
        first = 1 if self._base is None else self._base.tariff
        return np.concatenate(([-FOR_EVER], since)), np.concatenate(([first], tariffs))

    def _tariff_totals(self, flow: Flow, changes: Integers) -> Integers:
        """The energy at each change of the tariff: hundreds a year, so they are computed once for a live meter."""
        version, found = self._device.history.version, self._device.totals.get(flow.value)
        if found is None or found.version != version or not np.array_equal(found.seconds, changes):
            found = Totals(version, changes, self.energy_ws(flow, changes))
            self._device.totals[flow.value] = found
        return found.energies

    def _tariffs_begin(self, flow: Flow, tariff: int) -> tuple[int, int]:
        """The energy that is divided among tariffs already, and the part of it in this one."""
        base = self._base
        if base is None or tariff not in TARIFFS:
            return 0, 0
        place = FLOWS.index(flow)
        return sum(base.phases_ws[len(PHASES) * place :][: len(PHASES)]), base.tariffs_ws[
            len(TARIFFS) * place + tariff - 1
        ]

    @property
    def tariff(self) -> int:
        """The one in force."""
        return int(self._tariffs[1][-1])

    @cached_property
    def _loads(self) -> tuple[tuple[int, int], ...]:
        """(second, watts) from which on something flows in addition."""
        loads = [(second_of(one.at), one.number) for one in records_after_base(self._device, RecordKind.LOAD)]
        return tuple(loads if self._base is None else [(self._base.second, self._base.watts), *loads])

    def _energy(self, flow: Flow, phase: int | None, seconds: Seconds) -> Any:
        """Of one phase, or of all that are interrupted as one."""
        lost = self._stopped.get(phase, self._stopped[None])
        base, many = self._base, not isinstance(seconds, int)
        if base is None:
            return self._delivered(flow, phase, lost, seconds) - self._shown_less(flow, phase)
        later = np.maximum(seconds, base.second) if many else max(seconds, base.second)
        since = self._delivered(flow, phase, lost, base.second)
        place = len(PHASES) * FLOWS.index(flow)
        phases = base.phases_ws[place : place + len(PHASES)]
        held = sum(phases) if phase is None else phases[phase]
        return held + self._delivered(flow, phase, lost, later) - since

    def _shown_less(self, flow: Flow, phase: int | None) -> Any:
        row = self._device.row
        return self._part(phase, row.lost_import_ws if flow is Flow.IMPORT else row.lost_export_ws)

    def _part(self, phase: int | None, total: Any) -> Any:
        """What of a total is on a phase; the parts add up to the total."""
        if phase is None or not self.three_phases:
            return total
        shares = self.house.phase_permille
        upto, before = sum(shares[: phase + 1]), sum(shares[:phase])
        return total * upto // PERMILLE - total * before // PERMILLE

    def _flowed(self, flow: Flow, phase: int | None, seconds: Seconds) -> Any:
        """What would have flowed without any interruption."""
        house = self.house
        flowed: Any
        if isinstance(seconds, int):
            flowed = self._device.flowed.at(house, flow, seconds)
        else:
            flowed = house.imports_ws(seconds) if flow is Flow.IMPORT else house.exports_ws(seconds)
        return self._part(phase, flowed + self.added_ws(flow, seconds))

    def _flowed_at(self, flow: Flow, phase: int | None, seconds: Integers) -> Integers:
        """The same at each of these seconds; one by one where they are few, which is 30 times faster for a single one."""
        if len(seconds) > FEW_SECONDS:
            many: Integers = self._flowed(flow, phase, seconds)
            return many
        return np.array([self._flowed(flow, phase, second) for second in seconds.tolist()], np.int64)

    def added_ws(self, flow: Flow, seconds: Seconds) -> Any:
        """Energy in one direction of the loads that were switched on in addition to those of the house, watt-seconds."""
        added: Any = 0 if self._base is None else self._base.added_ws[FLOWS.index(flow)]
        if not self._loads:
            return added
        for number, (since, watts) in enumerate(self._loads):
            until = self._loads[number + 1][0] if number + 1 < len(self._loads) else FOR_EVER
            power = max(watts if flow is Flow.IMPORT else -watts, 0)
            if not power:
                continue
            if isinstance(seconds, int):
                added += power * min(max(seconds - since, 0), until - since)
            else:
                added = added + power * np.clip(seconds - since, 0, until - since)
        return added

    def _delivered(self, flow: Flow, phase: int | None, interruptions: Interruptions, seconds: Seconds) -> Any:
        """What has flowed since ever, less what flowed in the interruptions before; inside one it stays what it was at its begin."""
        if not interruptions.begins:
            return self._flowed(flow, phase, seconds)
        few = len(interruptions.begins) <= FEW_SECONDS
        if few and isinstance(seconds, int):
            return self._delivered_at(flow, phase, interruptions, seconds)
        if few:
            at_begins, lost = (np.array(one, np.int64) for one in self._lost_numbers(flow, phase, interruptions))
        else:
            at_begins, lost = interruptions.lost(flow.value, phase, lambda many: self._flowed_at(flow, phase, many))
        begins, ends = interruptions.intervals
        number = np.searchsorted(ends, seconds, "right")
        current = np.minimum(number, len(begins) - 1)
        inside = (number < len(begins)) & (begins[current] <= seconds)
        if isinstance(seconds, int):
            flowed = int(at_begins[current]) if inside else self._flowed(flow, phase, seconds)
            return int(flowed) - int(lost[number])
        return np.where(inside, at_begins[current], self._flowed(flow, phase, seconds)) - lost[number]

    def _lost_numbers(self, flow: Flow, phase: int | None, interruptions: Interruptions) -> tuple[list[int], list[int]]:
        return interruptions.lost_numbers(flow.value, phase, lambda one: int(self._flowed(flow, phase, one)))

    def _delivered_at(self, flow: Flow, phase: int | None, interruptions: Interruptions, second: int) -> int:
        """The same at one second, after few interruptions."""
        at_begins, lost = self._lost_numbers(flow, phase, interruptions)
        number = bisect_right(interruptions.ends, second)
        if number < len(at_begins) and interruptions.begins[number] <= second:
            return at_begins[number] - lost[number]
        return int(self._flowed(flow, phase, second)) - lost[number]


def _disturbed(voltages: tuple[Any, ...], found: frozenset[Condition]) -> tuple[Any, ...]:
    """Voltages as far as conditions of the meter raise or lower them."""
    changes = tuple(
        UNDERVOLTAGE_PERCENT if under in found else OVERVOLTAGE_PERCENT if over in found else 100
        for under, over in zip(UNDERVOLTAGE, OVERVOLTAGE, strict=True)
    )
    return tuple(one * percent // 100 for one, percent in zip(voltages, changes, strict=False))


def _missing(found: frozenset[Condition]) -> frozenset[int]:
    return frozenset(phase for phase, one in enumerate(VOLTAGE_MISSING) if one in found)
