"""The civil calendar that the standard load profiles follow: Central European Time, weekdays, seasons, public holidays.

Strategy: plain arithmetic, because the tables of the load have to be the same on every machine, whatever time zone data it has.
"""

from datetime import UTC, date, datetime, timedelta

WINTER, SUMMER, TRANSITION = range(3)
WORKDAY, SATURDAY, SUNDAY = range(3)

_FIXED_HOLIDAYS = {(1, 1), (5, 1), (10, 3), (12, 25), (12, 26)}
_EASTER_HOLIDAYS = (-2, 1, 39, 50)
"""Days after Easter Sunday: Good Friday, Easter Monday, Ascension Day, Whit Monday."""
_LIKE_SATURDAYS = {(12, 24), (12, 31)}


def summer_time(year: int) -> tuple[datetime, datetime]:
    """Begin and end of summer time in the European Union: the last Sundays of March and October at 01:00 UTC."""
    begin, end = (datetime(year, month, 31, 1, tzinfo=UTC) for month in (3, 10))
    return begin - timedelta(days=begin.isoweekday() % 7), end - timedelta(days=end.isoweekday() % 7)


def season(day: date) -> int:
    """WINTER 1 November to 20 March, SUMMER 15 May to 14 September, TRANSITION between them."""
    place = (day.month, day.day)
    if place >= (11, 1) or place <= (3, 20):
        return WINTER
    return SUMMER if (5, 15) <= place <= (9, 14) else TRANSITION


def kind_of_day(day: date) -> int:
    """WORKDAY, SATURDAY or SUNDAY; public holidays count as Sundays, 24 and 31 December as Saturdays."""
    place = (day.month, day.day)
    if day.isoweekday() == 7 or place in _FIXED_HOLIDAYS or (day - easter(day.year)).days in _EASTER_HOLIDAYS:
        return SUNDAY
    return SATURDAY if day.isoweekday() == 6 or place in _LIKE_SATURDAYS else WORKDAY


def easter(year: int) -> date:
    """Easter Sunday, by the rule of Gauss for the years 1900 to 2099."""
    moon = (19 * (year % 19) + 24) % 30
    sunday = (2 * (year % 4) + 4 * (year % 7) + 6 * moon + 5) % 7
    days = moon + sunday
    if days == 35 or (days == 34 and moon == 28 and year % 19 > 10):
        days -= 7
    return date(year, 3, 22) + timedelta(days=days)
