"""Dates and times of which parts may be "not specified": which days and times of day they mean (IEC 62056-6-2, clause 4.1.6).

Strategy: pure functions over naive local time. A day of week beside a day of month means the first such weekday on or after that
day; beside "last day" or "second last day" the last or second last such weekday of the month.
"""

from collections.abc import Iterator
from datetime import date, datetime, time, timedelta

from ami_dlms.datetimes import LAST_DAY_OF_MONTH, SECOND_LAST_DAY_OF_MONTH, CosemDate, CosemTime

DAY = timedelta(days=1)
WEEK = timedelta(days=7)
HORIZON = timedelta(days=8 * 366)
"""A date that does not come within so long, a leap year being left out at most once, never comes."""


def matches(pattern: CosemDate, day: date) -> bool:
    """Whether this day is one of those that the pattern means."""
    if pattern.day_of_week is not None and pattern.day_of_week != day.isoweekday():
        return False
    if pattern.day is None:
        return _of_month(pattern, day)
    if pattern.day_of_week is None:
        return _of_month(pattern, day) and _day_of_month(pattern.day, day)
    if pattern.day in (LAST_DAY_OF_MONTH, SECOND_LAST_DAY_OF_MONTH):
        weeks = _weeks_left(day)
        return _of_month(pattern, day) and weeks == (0 if pattern.day == LAST_DAY_OF_MONTH else 1)
    return any(_of_month(pattern, one) and one.day == pattern.day for one in _week_before(day))


def _of_month(pattern: CosemDate, day: date) -> bool:
    return pattern.year in (None, day.year) and pattern.month in (None, day.month)


def _day_of_month(wanted: int, day: date) -> bool:
    if wanted == LAST_DAY_OF_MONTH:
        return (day + DAY).month != day.month
    if wanted == SECOND_LAST_DAY_OF_MONTH:
        return (day + 2 * DAY).month != day.month and (day + DAY).month == day.month
    return wanted == day.day


def _weeks_left(day: date) -> int:
    """How often this day's weekday still comes in its month."""
    last = (day.replace(day=28) + timedelta(days=4)).replace(day=1) - DAY
    return (last.day - day.day) // 7


def _week_before(day: date) -> Iterator[date]:
    return (day - days * DAY for days in range(7))


def days_of_year(pattern: CosemDate, year: int) -> Iterator[date]:
    """The days of a year that the pattern means, in order."""
    day = date(year, 1, 1)
    while day.year == year:
        if matches(pattern, day):
            yield day
        day += DAY


def next_moment(days: CosemDate, times: CosemTime, after: datetime) -> datetime | None:
    """The first local time after `after` (naive) on such a day at such a time; None when there is none in eight years."""
    day, end = after.date(), after.date() + HORIZON
    from_second = _second_of_day(after) + 1
    while day < end:
        if matches(days, day):
            second = next_second(times, from_second)
            if second is not None:
                return datetime.combine(day, time()) + timedelta(seconds=second)
        day, from_second = _next_candidate(days, day), 0
    return None


def _second_of_day(moment: datetime) -> int:
    return moment.hour * 3600 + moment.minute * 60 + moment.second


def _next_candidate(days: CosemDate, day: date) -> date:
    """The next day, but months that can't match are left out; a weekday after a month's end may lie in the next month."""
    following = day + DAY
    if days.month is None or days.day_of_week is not None or following.month == days.month:
        return following
    return (following.replace(day=28) + timedelta(days=4)).replace(day=1) if following.day == 1 else following


def next_second(times: CosemTime, from_second: int) -> int | None:
    """The first second of the day, from `from_second` on, that such a time means; None when the day has none left."""
    for hour in _candidates(times.hour, from_second // 3600, 24):
        for minute in _candidates(times.minute, max(from_second - hour * 3600, 0) // 60, 60):
            for second in _candidates(times.second, max(from_second - hour * 3600 - minute * 60, 0), 60):
                return hour * 3600 + minute * 60 + second
    return None


def _candidates(wanted: int | None, first: int, end: int) -> range:
    if wanted is None:
        return range(first, end)
    return range(wanted, wanted + 1) if first <= wanted < end else range(0)
