"""Sags and swells of the network become events of the meter: when each begins and when it is over, on every phase that there is.

Strategy: they follow from the feeder and the time, as the voltages do, so the meter looks up the next one and wakes for it. The list of a feeder
and a month is found once and shared by its meters.
"""

from collections.abc import Iterator
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING

from ami_meter_sim.load.network import NORMAL, VoltageDisturbance, disturbances
from ami_meter_sim.objects.conditions import OVERVOLTAGE, SIGNS, UNDERVOLTAGE, VOLTAGE_MISSING, Condition, conditions
from ami_meter_sim.objects.recording import DATA, PROFILE_GENERIC, record
from ami_meter_sim.objects.timeline import instant_of, second_of
from ami_packs.model import Model

if TYPE_CHECKING:
    from ami_meter_sim.objects.device import Device

MONTH_S = 30 * 86_400
LONGEST_S = 10
"""No sag or swell takes longer."""


@lru_cache(maxsize=256)
def logs_disturbances(model: Model) -> bool:
    """Whether a model has a log or an alarm for them."""
    return any(
        (PROFILE_GENERIC, event.log) in model.objects
        or (event.alarm is not None and (DATA, event.alarm.register) in model.objects)
        for condition in (UNDERVOLTAGE[0], OVERVOLTAGE[0])
        for event in model.events.of(SIGNS[condition].begins)
    )


class VoltageSupervision:
    """Of a meter that logs them; a phase that is lost, or whose voltage is wrong for another reason, has none of its own."""

    def __init__(self, device: "Device") -> None:
        self._device = device

    def next_due(self, after: datetime) -> datetime | None:
        """The next begin or end of one; where there is none this month, the begin of the next one."""
        second = second_of(after)
        for one in self._after(second):
            for at in (one.start, one.start + one.duration_s):
                if at > second:
                    return instant_of(at)
        return instant_of((second // MONTH_S + 1) * MONTH_S)

    def advance(self, at: datetime) -> bool:
        """Log what begins or ends now."""
        second = second_of(at)
        for one in self._after(second - 1):
            if second in (one.start, one.start + one.duration_s):
                self._log(one, begins=second == one.start)
        return False

    def clock_moved(self, before: datetime) -> None:
        """The network does not go by the meter's clock."""

    def powered_up(self, off_since: datetime) -> None:
        """What was without power is not known."""

    def _log(self, one: VoltageDisturbance, *, begins: bool) -> None:
        phases = range(3 if self._device.three_phases else 1)
        there = conditions(self._device)
        for phase in phases:
            if there & {UNDERVOLTAGE[phase], OVERVOLTAGE[phase], VOLTAGE_MISSING[phase]}:
                continue
            sign = SIGNS[_condition(one, phase)]
            occurrence = sign.begins if begins else sign.ends
            if occurrence is not None:
                record(self._device, occurrence)

    def _after(self, second: int) -> Iterator[VoltageDisturbance]:
        """Those of the month of the next second that are not over at this one."""
        first = (second - LONGEST_S) // MONTH_S
        for month in range(first, (second + 1) // MONTH_S + 1):
            for one in _of_month(self._device.connection.feeder, month):
                if one.start + one.duration_s > second:
                    yield one


def _condition(one: VoltageDisturbance, phase: int) -> Condition:
    return (UNDERVOLTAGE if one.permille < NORMAL else OVERVOLTAGE)[phase]


@lru_cache(maxsize=16_384)
def _of_month(feeder: int, month: int) -> tuple[VoltageDisturbance, ...]:
    return tuple(disturbances(feeder, month * MONTH_S, (month + 1) * MONTH_S))
