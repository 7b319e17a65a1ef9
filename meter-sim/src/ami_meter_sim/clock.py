"""The meter's own clock: the machine's time plus an offset that SET and the clock's methods move.

Strategy: nobody in the meter asks the operating system for the time. `at` is the instant (aware, UTC) that everything
now being handled belongs to; the meter moves it, backwards too when it catches up on captures that were due.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone

from ami_dlms.datetimes import CosemDateTime


@dataclass(slots=True)
class MeterClock:
    """Local time = `at` + `offset_s`, shown with the deviation `time_zone_minutes` (local to UTC, so UTC+1 is -60)."""

    at: datetime
    offset_s: int = 0
    time_zone_minutes: int = 0

    @property
    def time(self) -> datetime:
        """What the meter believes it is, in its time zone."""
        zone = timezone(timedelta(minutes=-self.time_zone_minutes))
        return (self.at + timedelta(seconds=self.offset_s)).astimezone(zone)

    @property
    def date_time(self) -> CosemDateTime:
        """The same as COSEM date-time."""
        return CosemDateTime.from_datetime(self.time)

    def set_time(self, wanted: datetime) -> None:
        """Let the clock show `wanted` (aware) now."""
        self.offset_s = round((wanted - self.at).total_seconds())

    def real_instant(self, meter_time: datetime) -> datetime:
        """The instant at which the clock, as it is set now, shows `meter_time`."""
        return (meter_time - timedelta(seconds=self.offset_s)).astimezone(UTC)
