"""When the clock of a meter passes the ends of periods: quarter hours, hours, days, months, over sets, drift and daylight saving.

Strategy: arrays of whole seconds. A period shorter than a day is counted in the normal time of the meter's time zone, days and months begin at local
midnight. A clock that is set forward leaves ends out, and one that is set back passes the same ends again.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from ami_meter_sim.clock import MeterClock
from ami_meter_sim.clock.daylight_saving import changes
from ami_meter_sim.load.noise import Integers
from ami_meter_sim.load.table import DAY_S
from ami_meter_sim.objects.base import ClockRules
from ami_meter_sim.objects.timeline import FOR_EVER, ClockSetting, clock_settings, instant_of, reached

if TYPE_CHECKING:
    from ami_meter_sim.objects.device import Device

MINUTE_S = 60
DAYS_OF_MONTH = 31
COLUMNS_KEPT = 16
"""Columns of local times that are remembered."""

Lattice = Callable[[MeterClock, int, int], Integers]
"""What a clock shows at the ends of periods, in UTC, in low < shown <= high."""


def every(period_s: int) -> Lattice:
    """Ends of periods of that number of seconds; of whole days at local midnight."""
    if period_s % DAY_S:
        return lambda clock, low, high: _multiples(clock, period_s, low, high)
    return lambda clock, low, high: _midnights(clock, period_s // DAY_S, low, high)


def monthly(clock: MeterClock, low: int, high: int) -> Integers:
    """Local midnight of the first of each month; as `Lattice`."""
    days = np.array([low - DAY_S * DAYS_OF_MONTH, high + DAY_S], "datetime64[s]").astype("datetime64[M]")
    firsts = np.arange(days[0], days[1] + 1).astype("datetime64[D]").astype(np.int64)
    return _between(_shown_at_midnight(clock, firsts), low, high)


def ends_between(device: "Device", lattice: Lattice, after: int, until: int) -> Integers:
    """The seconds in after < second <= until at which the meter's clock passes the end of a period, in order of time."""
    settings = clock_settings(device)
    pieces: list[Integers] = [np.zeros(0, np.int64)]
    for number, setting in enumerate(settings):
        following = settings[number + 1].since if number + 1 < len(settings) else FOR_EVER
        begin, end = max(after, setting.since), min(until, following)
        if begin < end:
            low, high = (int(setting.clock.shown(instant_of(second)).timestamp()) for second in (begin, end))
            pieces.append(_between(reached(setting, lattice(setting.clock, low - 1, high)), begin, end))
    return np.concatenate(pieces)


def local(clock: MeterClock, shown: Integers) -> tuple[Integers, Integers]:
    """Seconds that are added to UTC for local time, and whether daylight saving is in force, when the clock shows these seconds."""
    return _local(ClockRules.of(clock), shown.tobytes())


@lru_cache(COLUMNS_KEPT)
def _local(rules: ClockRules, shown: bytes) -> tuple[Integers, Integers]:
    """Of clocks with these rules: meters whose rows of the same time are read have it in common."""
    saving = saves_daylight(rules, np.frombuffer(shown, np.int64))
    ahead: Integers = (saving * rules.daylight_saving.deviation_minutes - rules.time_zone_minutes) * MINUTE_S
    for one in (ahead, saving):
        one.setflags(write=False)
    return ahead, saving


def local_at(settings: tuple[ClockSetting, ...], seconds: Integers, utc: Integers) -> tuple[Integers, Integers]:
    """The same for the rows of these seconds, when the clock showed `utc`: each by the rules that were in force then."""
    if len({ClockRules.of(one.clock) for one in settings}) == 1:
        return local(settings[0].clock, utc)
    numbers = np.searchsorted(np.array([one.since for one in settings]), seconds, "left") - 1
    ahead, saving = np.zeros(len(utc), np.int64), np.zeros(len(utc), np.int64)
    for number in np.unique(numbers):
        chosen = numbers == number
        ahead[chosen], saving[chosen] = local(settings[number].clock, utc[chosen])
    return ahead, saving


def saves_daylight(clock: MeterClock | ClockRules, shown: Integers) -> Integers:
    """1 where daylight saving is in force when the clock shows these seconds (UTC), else 0."""
    rules = clock.daylight_saving
    if not rules.enabled or not len(shown):
        return np.zeros(len(shown), np.int64)
    years = range(instant_of(int(shown.min())).year - 1, instant_of(int(shown.max())).year + 2)
    found = [one for year in years for one in changes(rules, clock.time_zone_minutes, year)]
    at = np.array([int(one.at.timestamp()) for one in found], np.int64)
    active = np.array([0, *(int(one.active) for one in found)], np.int64)
    saving: Integers = active[np.searchsorted(at, shown, "right")]
    return saving


def _multiples(clock: MeterClock, period_s: int, low: int, high: int) -> Integers:
    normal = -clock.time_zone_minutes * MINUTE_S
    return _lattice((low + normal) // period_s + 1, (high + normal) // period_s, period_s, normal)


@lru_cache(COLUMNS_KEPT)
def _lattice(first: int, last: int, period_s: int, normal: int) -> Integers:
    """Between the same ends of periods it is the same for all meters."""
    seconds: Integers = np.arange(first, last + 1, dtype=np.int64) * period_s - normal
    seconds.setflags(write=False)
    return seconds


def _midnights(clock: MeterClock, every_days: int, low: int, high: int) -> Integers:
    first, last = low // DAY_S // every_days - 1, (high // DAY_S + 1) // every_days + 1
    days = np.arange(first, last + 1, dtype=np.int64) * every_days
    return _between(_shown_at_midnight(clock, days), low, high)


def _shown_at_midnight(clock: MeterClock, days: Integers) -> Integers:
    """In UTC, at the begin of these local days."""
    normal = days * DAY_S + clock.time_zone_minutes * MINUTE_S
    saved = clock.daylight_saving.deviation_minutes * MINUTE_S
    shown: Integers = normal - saves_daylight(clock, normal - saved) * saved
    return shown


def _between(seconds: Integers, low: int, high: int) -> Integers:
    """Those in low < second <= high, of seconds in order."""
    first, end = np.searchsorted(seconds, (low, high), "right")
    return seconds[first:end]
