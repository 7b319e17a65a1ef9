"""What an activity calendar says, as a value: which script is in force at a local time, by season, week, day and special day.

Strategy: pure functions of the three arrays of class 20 and the entries of class 11; a calendar is decoded once and shared by all
meters that have the same.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from typing import NamedTuple

from ami_dlms.data import Data
from ami_dlms.datetimes import CosemDate, CosemDateTime, CosemTime
from ami_meter_sim.clock.wildcards import days_of_year, matches
from ami_meter_sim.objects.shapes import (
    LOGICAL_NAME,
    UINT8,
    UINT16,
    Array,
    Octets,
    Structure,
    date_octets,
    date_time_octets,
    time_octets,
)

DAY = timedelta(days=1)
DAYS_BACK = 8
"""How long a day profile without entries may last until no script is in force."""
MOST = 64
DAYS_OF_WEEK = 7
NAME = Octets(most=32)

SEASONS = Array(Structure(NAME, date_time_octets, NAME), MOST)
WEEKS = Array(Structure(NAME, *(UINT8,) * DAYS_OF_WEEK), MOST)
DAYS = Array(Structure(UINT8, Array(Structure(time_octets, LOGICAL_NAME, UINT16), MOST)), MOST)
SPECIAL_DAY = Structure(UINT16, date_octets, UINT8)


class Script(NamedTuple):
    """A script that a calendar calls for."""

    table: bytes
    selector: int


class Season(NamedTuple):
    """From its start on, in any year that the start matches, a week profile counts."""

    start: CosemDateTime
    week: bytes


SpecialDays = tuple[tuple[CosemDate, int], ...]
"""Dates, with wildcards, and the day_id that counts on them."""


@dataclass(frozen=True, slots=True, eq=False)
class Calendar:
    """Shared by all meters that have the same. Seasons, weeks (seven day_ids each) and days (second of the day and script, in order)."""

    seasons: tuple[Season, ...]
    weeks: Mapping[bytes, tuple[int, ...]]
    days: Mapping[int, tuple[tuple[int, Script], ...]]

    def week_of(self, day: date) -> tuple[int, ...] | None:
        """The week profile on a day: that of the season that started last; without seasons, the first there is."""
        if not self.seasons:
            return next(iter(self.weeks.values()), None)
        starts = [(start, one.week) for one in self.seasons if (start := _started(one.start, day)) is not None]
        return self.weeks.get(max(starts)[1]) if starts else None

    def schedule_of(self, day: date, special: SpecialDays) -> tuple[tuple[int, Script], ...]:
        """What the day has; a special day beats the week."""
        day_id = special_day(special, day)
        if day_id is None:
            week = self.week_of(day)
            day_id = None if week is None else week[day.weekday()]
        return () if day_id is None else self.days.get(day_id, ())

    def in_force(self, local: datetime, special: SpecialDays) -> Script | None:
        """The script that counts at a local time (naive): the one that was called for last."""
        second = local.hour * 3600 + local.minute * 60 + local.second
        for back in range(DAYS_BACK):
            past = [
                one for start, one in self.schedule_of(local.date() - back * DAY, special) if start <= second or back
            ]
            if past:
                return past[-1]
        return None

    def changes(self, since: datetime, until: datetime, special: SpecialDays) -> Iterator[tuple[datetime, Script]]:
        """Every local time (naive) with since < time <= until at which a script is called for, in order."""
        day = since.date()
        while day <= until.date():
            midnight = datetime.combine(day, time())
            for second, script in self.schedule_of(day, special):
                moment = midnight + timedelta(seconds=second)
                if since < moment <= until:
                    yield moment, script
            day += DAY


@lru_cache(maxsize=4096)
def _starts(start: CosemDateTime, year: int) -> tuple[date, ...]:
    return tuple(days_of_year(CosemDate(start.year, start.month, start.day, start.day_of_week), year))


def _started(start: CosemDateTime, day: date) -> date | None:
    """When a season started last before or on a day."""
    starts = [one for year in (day.year, day.year - 1) for one in _starts(start, year) if one <= day]
    return max(starts, default=None)


def special_day(special: SpecialDays, day: date) -> int | None:
    """The day_id of a special day; None for an ordinary one."""
    return next((day_id for pattern, day_id in special if matches(pattern, day)), None)


@lru_cache(maxsize=1024)
def calendar(seasons: Data, weeks: Data, days: Data) -> Calendar:
    """What the three arrays of a calendar say."""
    return Calendar(
        tuple(Season(CosemDateTime.decode(one.value[1].value), one.value[2].value) for one in seasons.value),
        {one.value[0].value: tuple(part.value for part in one.value[1:]) for one in weeks.value},
        {one.value[0].value: _schedule(one.value[1].value) for one in days.value},
    )


def _schedule(entries: Sequence[Data]) -> tuple[tuple[int, Script], ...]:
    found = []
    for entry in entries:
        start, table, selector = (part.value for part in entry.value)
        at = CosemTime.decode(start)
        found.append(((at.hour or 0) * 3600 + (at.minute or 0) * 60 + (at.second or 0), Script(table, selector)))
    return tuple(sorted(found))
