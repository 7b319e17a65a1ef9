"""The meter's own clock: the machine's time plus an offset that SET and the clock's methods move, plus what its crystal gains.

Strategy: no part of a meter asks the operating system for the time. `at` is the instant (aware, UTC) that everything
now being handled belongs to; the meter moves it, backwards too when it catches up on captures that were due.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from typing import Protocol

from ami_dlms.datetimes import DAYLIGHT_SAVING_ACTIVE, CosemDateTime
from ami_meter_sim.clock.daylight_saving import NEVER, Change, DaylightSaving, is_active, next_change

PPM = 1_000_000
MICROSECOND = timedelta(microseconds=1)


class ClockState(Protocol):
    """What of a clock outlives its process. `clock_set_at`: when it was set last, in seconds since the epoch, 0 for never."""

    clock_offset_s: int
    clock_set_at: int
    time_zone_min: int


@dataclass(slots=True)
class ClockStateInMemory:
    """Lost with the process."""

    clock_offset_s: int = 0
    clock_set_at: int = 0
    time_zone_min: int = 0


@dataclass(slots=True)
class MeterClock:
    """Local time = `at` + `offset_s` + drift, shown with the deviation from it to UTC (UTC+1 is -60).

    `time_zone_minutes` is the deviation of normal time. The drift grows by `drift_ppm` from the second on at which the clock was set
    last. `quality` are status bits that the meter has set itself: 0x01 invalid, 0x02 doubtful.
    """

    at: datetime
    state: ClockState = field(default_factory=ClockStateInMemory)
    daylight_saving: DaylightSaving = NEVER
    drift_ppm: int = 0
    quality: int = 0

    @property
    def offset_s(self) -> int:
        return self.state.clock_offset_s

    @property
    def time_zone_minutes(self) -> int:
        return self.state.time_zone_min

    @time_zone_minutes.setter
    def time_zone_minutes(self, minutes: int) -> None:
        self.state.time_zone_min = minutes

    @property
    def set_at(self) -> datetime:
        """When it was set last."""
        return datetime.fromtimestamp(self.state.clock_set_at, UTC)

    def as_it_was_set(
        self, offset_s: int, set_at: int, time_zone_minutes: int, daylight_saving: DaylightSaving
    ) -> "MeterClock":
        """The same clock with another setting and other rules, of the past; `set_at` in seconds since the epoch."""
        state = ClockStateInMemory(offset_s, set_at, time_zone_minutes)
        return MeterClock(self.at, state, daylight_saving, self.drift_ppm)

    @property
    def utc(self) -> datetime:
        """What the meter believes it is, in UTC."""
        return self.shown(self.at)

    @property
    def time(self) -> datetime:
        """What the meter believes it is, in its time zone, daylight saving included."""
        utc = self.utc
        return utc.astimezone(timezone(timedelta(minutes=-self.deviation_minutes(utc))))

    @property
    def date_time(self) -> CosemDateTime:
        """The same as COSEM date-time, with the clock's status."""
        return CosemDateTime.from_datetime(self.time, self.status)

    @property
    def status(self) -> int:
        """clock_status: what the meter knows of its own quality, and bit 0x80 in daylight saving time."""
        return self.quality | (DAYLIGHT_SAVING_ACTIVE if self._saves_daylight(self.utc) else 0)

    def shown(self, at: datetime) -> datetime:
        """What the clock, as it is set now, shows at an instant, in UTC."""
        if self.drift_ppm:
            at += MICROSECOND * ((at - self.set_at) // MICROSECOND * self.drift_ppm // PPM)
        return at + timedelta(seconds=self.offset_s)

    def deviation_minutes(self, utc: datetime) -> int:
        """From local time to UTC when the clock shows `utc`."""
        saved = self.daylight_saving.deviation_minutes if self._saves_daylight(utc) else 0
        return self.time_zone_minutes - saved

    def local(self, utc: datetime) -> datetime:
        """The local time (naive) of what the clock shows."""
        return (utc - timedelta(minutes=self.deviation_minutes(utc))).replace(tzinfo=None)

    def utc_of(self, local: datetime) -> datetime:
        """What the clock shows in UTC at a local time (naive).

        A local time that comes twice is its first one; one that daylight saving leaves out is the moment of the change.
        """
        normal = local.replace(tzinfo=UTC) + timedelta(minutes=self.time_zone_minutes)
        saving = normal - timedelta(minutes=self.daylight_saving.deviation_minutes)
        for utc in sorted((normal, saving)):
            if self.local(utc) == local:
                return utc
        change = self.next_change(min(normal, saving))
        return normal if change is None else change.at

    def next_change(self, after: datetime) -> Change | None:
        """The next beginning or end of daylight saving after what the clock shows (UTC)."""
        return next_change(self.daylight_saving, self.time_zone_minutes, after)

    def set_time(self, wanted: datetime) -> None:
        """Let the clock show `wanted` (aware) now; a clock that was set is neither invalid nor doubtful."""
        self.state.clock_set_at = int(self.at.timestamp())
        self.state.clock_offset_s = 0
        self.state.clock_offset_s = round((wanted - self.utc).total_seconds())
        self.quality = 0

    def real_instant(self, meter_time: datetime) -> datetime:
        """The instant at which the clock, as it is set now, shows `meter_time` (aware)."""
        instant = (meter_time - timedelta(seconds=self.offset_s)).astimezone(UTC)
        if self.drift_ppm:
            shown = (instant - self.set_at) // MICROSECOND
            instant = self.set_at + MICROSECOND * -(-shown * PPM // (PPM + self.drift_ppm))
        return instant

    def _saves_daylight(self, utc: datetime) -> bool:
        return self.daylight_saving.enabled and is_active(self.daylight_saving, self.time_zone_minutes, utc)
