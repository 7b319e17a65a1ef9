"""Daylight saving of a meter's clock: when it begins and ends in a year, and whether it is in force (class 8, attributes 5 to 8).

Strategy: the rules are values and everything is a function of them; the changes of a year are found once and shared by all
meters with the same rules. Begin is given in normal time and end in daylight saving time, as the standard has it, unless the value
has a deviation of its own.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple

from ami_dlms.datetimes import CosemDate, CosemDateTime
from ami_meter_sim.clock.wildcards import days_of_year


@dataclass(frozen=True, slots=True)
class DaylightSaving:
    """`begin` and `end` may have wildcards; `deviation_minutes` is what daylight saving adds to local time."""

    begin: CosemDateTime
    end: CosemDateTime
    deviation_minutes: int
    enabled: bool


NEVER = DaylightSaving(CosemDateTime(), CosemDateTime(), 0, False)


class Change(NamedTuple):
    """Daylight saving begins or ends at this instant (UTC)."""

    at: datetime
    active: bool


@lru_cache(maxsize=4096)
def changes(rules: DaylightSaving, time_zone_minutes: int, year: int) -> tuple[Change, ...]:
    """The changes of one year of local time, in order; none if the rules do not say when."""
    if not rules.enabled:
        return ()
    begin = _instant(rules.begin, time_zone_minutes, year)
    end = _instant(rules.end, time_zone_minutes - rules.deviation_minutes, year)
    found = [Change(at, active) for at, active in ((begin, True), (end, False)) if at is not None]
    return tuple(sorted(found))


def _instant(wanted: CosemDateTime, deviation_minutes: int, year: int) -> datetime | None:
    if wanted.month is None or (wanted.day is None and wanted.day_of_week is None):
        return None
    days = CosemDate(wanted.year, wanted.month, wanted.day, wanted.day_of_week)
    day = next(days_of_year(days, year), None)
    if day is None:
        return None
    minutes = deviation_minutes if wanted.deviation_minutes is None else wanted.deviation_minutes
    local = datetime(day.year, day.month, day.day, tzinfo=UTC)
    return local + timedelta(hours=wanted.hour or 0, minutes=(wanted.minute or 0) + minutes, seconds=wanted.second or 0)


def is_active(rules: DaylightSaving, time_zone_minutes: int, at: datetime) -> bool:
    """Whether daylight saving is in force at an instant of the clock (UTC)."""
    for year in (at.year + 1, at.year, at.year - 1):
        for change in reversed(changes(rules, time_zone_minutes, year)):
            if change.at <= at:
                return change.active
    return False


def next_change(rules: DaylightSaving, time_zone_minutes: int, after: datetime) -> Change | None:
    """The first change after an instant of the clock (UTC); None when there is none within a year."""
    for year in (after.year - 1, after.year, after.year + 1):
        for change in changes(rules, time_zone_minutes, year):
            if change.at > after:
                return change
    return None
