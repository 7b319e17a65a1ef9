"""Times that a person gives without an offset are those of the deployment's time zone; an hour that a clock has twice, or never, is refused."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo


class NoSuchTime(ValueError):
    """The clocks of the zone show this time twice or never; the text says so, and what to do."""


def at_home(moment: datetime, zone: ZoneInfo) -> datetime:
    """The moment in the zone; one without an offset is a time of that zone. Raises NoSuchTime."""
    try:
        return _at_home(moment, zone)
    except OverflowError:
        shown = moment.isoformat(sep=" ", timespec="minutes")
        where = "UTC" if zone.key == "UTC" else f"{zone.key} or in UTC"
        raise NoSuchTime(f"{shown} is before the year 1 or after 9999 in {where}") from None


def _at_home(moment: datetime, zone: ZoneInfo) -> datetime:
    if moment.tzinfo is not None:
        return moment.astimezone(zone)
    shown = moment.isoformat(sep=" ", timespec="minutes")
    first, second = (moment.replace(tzinfo=zone, fold=fold) for fold in (0, 1))
    if first.astimezone(UTC).astimezone(zone).replace(tzinfo=None, fold=0) != moment:
        raise NoSuchTime(f"the clocks of {zone.key} never show {shown}: they are put forward over it")
    if first.utcoffset() != second.utcoffset():
        offsets = " and ".join(f"{one:%z}" for one in (first, second))
        raise NoSuchTime(f"the clocks of {zone.key} show {shown} twice: say which by its offset, {offsets}")
    return first
