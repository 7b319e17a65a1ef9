"""Limiter (class 71): opens the switch when a value stays above its threshold for too long, with an emergency threshold for groups.

Strategy: the value is looked at once per `SAMPLE_S`, as a register monitor does, and when a duration ends. Since when it has been above or
below is kept, so the limiter is a function of (state, from, to) and goes on after a restart. A threshold of 0 limits nothing.
"""

from datetime import UTC, datetime, timedelta
from typing import ClassVar

from ami_dlms import data
from ami_dlms.data import Data
from ami_dlms.datetimes import CosemDateTime
from ami_dlms.errors import LocalError
from ami_meter_sim.objects.clock import moment_of
from ami_meter_sim.objects.kept_object import FIRST_OWN
from ami_meter_sim.objects.monitoring import NOTHING, monitored, next_sample
from ami_meter_sim.objects.recording import record
from ami_meter_sim.objects.script_table import NOTHING as NO_SCRIPT
from ami_meter_sim.objects.script_table import run_script
from ami_meter_sim.objects.shapes import (
    SCRIPT,
    UINT16,
    UINT32,
    VALUE_DEFINITION,
    Array,
    Structure,
    date_time_octets,
    number,
)
from ami_meter_sim.objects.timed import TimedObject
from ami_packs.event_list import Occurrence

OVER_SINCE, UNDER_SINCE, TRIPPED, IN_EMERGENCY = FIRST_OWN, FIRST_OWN - 1, FIRST_OWN - 2, FIRST_OWN - 3
"""Since when the value is above or below, in seconds since the epoch; whether the script for above has run; whether the emergency
threshold was in force when the limiter looked last."""
NO_PROFILE = data.structure(
    data.long_unsigned(0), data.octet_string(CosemDateTime().encode()), data.double_long_unsigned(0)
)
THRESHOLDS = ("threshold_normal", "threshold_emergency")


class Limiter(TimedObject):
    """The emergency profile is in force from its activation time for its duration, if its id is in the list of groups."""

    __slots__ = ()

    class_id, version = 71, 0
    initial: ClassVar = {
        "monitored_value": NOTHING,
        "threshold_normal": data.double_long_unsigned(0),
        "threshold_emergency": data.double_long_unsigned(0),
        "min_over_threshold_duration": data.double_long_unsigned(0),
        "min_under_threshold_duration": data.double_long_unsigned(0),
        "emergency_profile": NO_PROFILE,
        "emergency_profile_group_id_list": data.array(),
        "actions": data.structure(NO_SCRIPT, NO_SCRIPT),
    }
    writable: ClassVar = {
        "monitored_value": VALUE_DEFINITION,
        "threshold_normal": number,
        "threshold_emergency": number,
        "min_over_threshold_duration": UINT32,
        "min_under_threshold_duration": UINT32,
        "emergency_profile": Structure(UINT16, date_time_octets, UINT32),
        "emergency_profile_group_id_list": Array(UINT16, 64),
        "actions": Structure(SCRIPT, SCRIPT),
    }
    reads: ClassVar = {
        "threshold_active": lambda self, _: self.threshold(self.device.clock.at),
        "emergency_profile_active": lambda self, _: self.in_emergency(self.device.clock.at),
    }

    def write(self, attribute_id: int, value: Data) -> None:
        """A threshold that was changed has an event of its own; what is above the new one counts from now on."""
        super().write(attribute_id, value)
        if self._names.get(attribute_id) in THRESHOLDS:
            record(self.device, Occurrence.LIMITER_CHANGED)
        self._look(self.device.clock.at)

    def threshold(self, at: datetime) -> Data:
        """The threshold in force at an instant."""
        return self.sound(THRESHOLDS[self.in_emergency(at)])

    def in_emergency(self, at: datetime) -> bool:
        """Whether the emergency profile is in force at an instant."""
        span = self._emergency()
        return span is not None and span[0] <= at < span[1]

    def next_due(self, after: datetime) -> datetime | None:
        """The next look, the end of a duration, or an end of the emergency profile."""
        due = list(self._emergency() or ())
        if self._limits(after):
            due += [next_sample(after), *self._ends()]
        return min((one for one in due if one > after), default=None)

    def advance(self, at: datetime) -> bool:
        """Look, and run the script of a duration that is over."""
        emergency = self.in_emergency(at)
        if emergency != (self.remembered(IN_EMERGENCY) is not None):
            self.remember(IN_EMERGENCY, data.boolean(True) if emergency else None)
            record(self.device, Occurrence.EMERGENCY_ON if emergency else Occurrence.EMERGENCY_OFF)
        self._look(at)
        over, under = self._since(OVER_SINCE), self._since(UNDER_SINCE)
        tripped = self.remembered(TRIPPED) is not None
        if not tripped and over is not None and at >= over + self._duration("min_over_threshold_duration"):
            self._act(Occurrence.LIMITER_EXCEEDED, data.boolean(True), action=0)
            return True
        if tripped and under is not None and at >= under + self._duration("min_under_threshold_duration"):
            self._act(Occurrence.LIMITER_OK, None, action=1)
            return True
        return False

    def _act(self, occurrence: Occurrence, tripped: Data | None, action: int) -> None:
        self.remember(TRIPPED, tripped)
        record(self.device, occurrence)
        run_script(self.device, self.elements("actions")[action], locally=True)

    def _look(self, at: datetime) -> None:
        """Note since when the value is above or below the threshold in force."""
        value = monitored(self.device, self.sound("monitored_value"))
        if value is None or not self._limits(at):
            sides = (False, False)
        else:
            above = value > self.threshold(at).value
            sides = (above, not above)
        for own, holds in zip((OVER_SINCE, UNDER_SINCE), sides, strict=True):
            if not holds:
                self.remember(own, None)
            elif self.remembered(own) is None:
                self.remember(own, data.double_long_unsigned(int(at.timestamp())))

    def _limits(self, at: datetime) -> bool:
        limited = bool(self.threshold(at).value) or self.remembered(TRIPPED) is not None
        return limited and bool(self.elements("monitored_value")[0].value)

    def _ends(self) -> list[datetime]:
        """When the durations that run now are over."""
        over, under = self._since(OVER_SINCE), self._since(UNDER_SINCE)
        ends = [] if over is None else [over + self._duration("min_over_threshold_duration")]
        return ends if under is None else [*ends, under + self._duration("min_under_threshold_duration")]

    def _duration(self, name: str) -> timedelta:
        return timedelta(seconds=self.sound(name).value)

    def _since(self, own: int) -> datetime | None:
        kept = self.remembered(own)
        return None if kept is None else datetime.fromtimestamp(kept.value, UTC)

    def _emergency(self) -> tuple[datetime, datetime] | None:
        """From when to when the emergency profile is in force; None if it is not meant for this meter."""
        group, activation, duration = (part.value for part in self.elements("emergency_profile"))
        if group not in [one.value for one in self.elements("emergency_profile_group_id_list")]:
            return None
        clock = self.device.clock
        try:
            start = clock.real_instant(moment_of(CosemDateTime.decode(activation), clock))
        except LocalError:
            return None
        return start, start + timedelta(seconds=min(duration, 10**9))
