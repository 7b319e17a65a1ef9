"""Tariff change: the passive calendar (class 20, 0-0:13.0.0) is written and activated, at once or at a time; special days with it (M-147)."""

from ami_cim.control_parameters import Day, Season, SpecialDay, TimeOfUse, Week
from ami_dlms.cosem.descriptors import MethodDescriptor
from ami_dlms.data import Data, array, integer, long_unsigned, octet_string, structure, unsigned
from ami_dlms.datetimes import CosemDate, CosemDateTime, CosemTime
from ami_dlms.obis import Obis
from ami_mapping.recipes.moments import deviation_of, local_octets
from ami_mapping.recipes.steps import Now, Recipe, attribute, invoke, needed, read, unsuitable
from ami_mapping.recipes.written import shows, write_all

ACTIVE = tuple(attribute(20, "0-0:13.0.0", number) for number in (2, 3, 4, 5))
PASSIVE = tuple(attribute(20, "0-0:13.0.0", number) for number in (6, 7, 8, 9))
ACTIVATION = attribute(20, "0-0:13.0.0", 10)
ACTIVATE = MethodDescriptor(20, ACTIVATION.instance_id, 1)
SPECIAL_DAYS = attribute(11, "0-0:11.0.0", 2)
TARIFF_SCRIPTS = Obis.parse("0-0:10.0.100")
"""The script table of tariffication, whose selectors are the rates."""


def tariff_change(parameters: TimeOfUse, now: Now) -> Recipe:
    """What is written is proved before it is activated; a calendar for later is proved by the time at which it will be."""
    _check(parameters)
    calendar = _calendar(parameters)
    needed((yield from read(PASSIVE[0]))[0], PASSIVE[0])
    wanted = dict(zip(PASSIVE, calendar, strict=True))
    if parameters.special_days:
        wanted[SPECIAL_DAYS] = array(*map(_special_day, range(1, 1000), parameters.special_days))
    later = None
    if parameters.activate_at is not None and parameters.activate_at > now():
        later = octet_string(local_octets(parameters.activate_at, (yield from deviation_of())))
    verdict = yield from write_all(wanted)
    if not verdict.ok:
        return verdict
    if later is not None:
        return (yield from write_all({ACTIVATION: later}))
    yield from invoke(ACTIVATE, integer(0))
    return (yield from shows(dict(zip(ACTIVE, calendar, strict=True))))


def _check(parameters: TimeOfUse) -> None:
    """A week or a day that is named and not there leaves the meter without a rate."""
    weeks, days = {one.name for one in parameters.weeks}, {one.day_id for one in parameters.days}
    named = {number for week in parameters.weeks for number in _numbers(week)}
    named |= {one.day_id for one in parameters.special_days}
    lacking = [*sorted({one.week for one in parameters.seasons} - weeks), *map(str, sorted(named - days))]
    if lacking:
        raise unsuitable(f"TimeOfUse names weeks or days that it does not have: {', '.join(lacking)}")


def _calendar(parameters: TimeOfUse) -> tuple[Data, ...]:
    """Name, seasons, weeks and days, as attributes 2 to 5 and 6 to 9 have them."""
    return (
        octet_string(parameters.name.encode()),
        array(*map(_season, parameters.seasons)),
        array(*map(_week, parameters.weeks)),
        array(*map(_day, parameters.days)),
    )


def _season(one: Season) -> Data:
    month, day = _month_and_day(one.start)
    start = CosemDateTime(month=month, day=day, hour=0, minute=0, second=0, hundredths=0)
    return structure(octet_string(one.name.encode()), octet_string(start.encode()), octet_string(one.week.encode()))


def _week(one: Week) -> Data:
    return structure(octet_string(one.name.encode()), *map(unsigned, _numbers(one)))


def _numbers(one: Week) -> tuple[int, ...]:
    return (one.monday, one.tuesday, one.wednesday, one.thursday, one.friday, one.saturday, one.sunday)


def _day(one: Day) -> Data:
    periods = [
        structure(
            octet_string(_time(each.start).encode()),
            octet_string(bytes(TARIFF_SCRIPTS)),
            long_unsigned(each.rate),
        )
        for each in sorted(one.periods, key=lambda each: each.start)
    ]
    return structure(unsigned(one.day_id), array(*periods))


def _time(text: str) -> CosemTime:
    hour, minute = map(int, text.split(":"))
    return CosemTime(hour, minute, 0, 0)


def _special_day(index: int, one: SpecialDay) -> Data:
    month, day = _month_and_day(one.date)
    return structure(long_unsigned(index), octet_string(CosemDate(month=month, day=day).encode()), unsigned(one.day_id))


def _month_and_day(text: str) -> tuple[int, int]:
    """Of an xs:gMonthDay, --MM-DD."""
    month, day = text.removeprefix("--").split("-")
    return int(month), int(day)
