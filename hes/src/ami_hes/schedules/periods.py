"""When a schedule is due, and which time it then collects: days and hours of a time zone.

A day is the day of the zone and has 23, 24 or 25 hours, so 92, 96 or 100 quarters. A local time that a change of the clocks skips is as
long after the one before it as it would have been; of one that comes twice the first counts.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from ami_hes.enums import Every

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Recurrence:
    """Every day at a local time, for the day before; or every hour, a number of minutes after its start, for the hour before."""

    every: Every
    at: time
    """Without a zone; of an hour only the minutes count."""
    zone: ZoneInfo

    def next_due(self, after: datetime) -> datetime:
        """The first moment after this one; UTC."""
        if self.every is Every.HOUR:
            due = self._hour_of(after) + timedelta(minutes=self.at.minute)
            return due if due > after else due + HOUR
        day = after.astimezone(self.zone).date() - DAY
        while (due := self._at(day, self.at)) <= after:
            day += DAY
        return due

    def last_due(self, until: datetime, due: datetime) -> datetime:
        """The last moment that is not after `until`, from a moment on that is due."""
        while (following := self.next_due(due)) <= until:
            due = following
        return due

    def period(self, due: datetime) -> tuple[datetime, datetime]:
        """From when to when is collected at a moment that is due; UTC."""
        if self.every is Every.HOUR:
            end = self._hour_of(due)
            return end - HOUR, end
        day = due.astimezone(self.zone).date()
        return self._at(day - DAY, time()), self._at(day, time())

    def _at(self, day: date, at: time) -> datetime:
        return datetime.combine(day, at, self.zone).astimezone(UTC)

    def _hour_of(self, moment: datetime) -> datetime:
        """The start of its hour; zones differ from UTC by halves and quarters of an hour, too."""
        local = moment.astimezone(self.zone)
        past = timedelta(minutes=local.minute, seconds=local.second, microseconds=local.microsecond)
        return (moment - past).astimezone(UTC)
