"""When billing periods ended: by the schedule of the model, by its script, or by a hand.

Strategy: a schedule whose script ends a billing period wakes no meter. Its times are a function of the clock, as the ends of capture periods are, and
only what a client or a hand ends is a record. A schedule that is written first writes down when it was due until then. What a meter without power
has missed is missed.
"""

from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from ami_dlms import data
from ami_dlms.data import Data
from ami_dlms.datetimes import CosemDate, CosemTime
from ami_dlms.obis import Obis
from ami_meter_sim.clock import ClockStateInMemory, MeterClock
from ami_meter_sim.clock.wildcards import days_of_year
from ami_meter_sim.load.noise import Integers
from ami_meter_sim.objects.activity_calendar import TARIFFS_SINCE
from ami_meter_sim.objects.base import ClockRules, base_of, records_after_base
from ami_meter_sim.objects.kept_object import FIRST_OWN, KeptObject
from ami_meter_sim.objects.memory import Record, RecordKind
from ami_meter_sim.objects.periods import Lattice, ends_between
from ami_meter_sim.objects.script_table import END_OF_BILLING, ScriptTable
from ami_meter_sim.objects.timeline import instant_of, second_of, without_power

if TYPE_CHECKING:
    from ami_meter_sim.objects.device import Device

SINGLE_ACTION_SCHEDULE, EXECUTED_SCRIPT = 22, 2
SETTLED = FIRST_OWN
"""Until which second the times of a schedule are records."""
SETTLED_PERIODS_S = 3 * 366 * 86_400
"""How far back a schedule that is written writes its times down."""


def billing_schedule(device: "Device") -> KeptObject | None:
    """The schedule that the model has for the ends of billing periods."""
    for class_id, obis in device.model.objects:
        found = device.find(class_id, obis) if class_id == SINGLE_ACTION_SCHEDULE else None
        if (
            isinstance(found, KeptObject)
            and _table_of(found.described.attributes.get(EXECUTED_SCRIPT)) == END_OF_BILLING
        ):
            return found
    return None


def is_computed(schedule: KeptObject) -> bool:
    """Whether all that it does is to end billing periods, at times that are few enough to be computed."""
    table, selector = (part.value for part in schedule.sound("executed_script").value)
    found = schedule.device.find(ScriptTable.class_id, Obis(table))
    only = isinstance(found, ScriptTable) and found.only_ends_billing(selector)
    return only and all(map(_at_one_time, schedule.elements("execution_time")))


def _table_of(script: Data | None) -> Obis | None:
    return None if script is None else Obis(script.value[0].value)


def _at_one_time(entry: Data) -> bool:
    at = CosemTime.decode(entry.value[0].value)
    return None not in (at.hour, at.minute, at.second)


def scheduled_between(device: "Device", after: int, until: int) -> Integers:
    """When the schedule ended billing periods in after < second <= until, as far as that is no record and there was power."""
    schedule = billing_schedule(device)
    if schedule is None or not is_computed(schedule):
        return np.zeros(0, np.int64)
    settled = schedule.remembered(SETTLED)
    base = base_of(device)
    after = max(after, 0 if settled is None else settled.value, 0 if base is None else base.second)
    if after >= until:
        return np.zeros(0, np.int64)
    ends = ends_between(device, _lattice(schedule.sound("execution_time")), after, until)
    return ends[~without_power(device).cover(ends)]


def billing_ends(device: "Device", after: int, until: int) -> Integers:
    """The same, with what a client or a hand has ended."""
    billed = [second_of(one.at) for one in records_after_base(device, RecordKind.BILLING)]
    by_hand = [one for one in billed if after < one <= until]
    return np.unique(np.concatenate((scheduled_between(device, after, until), np.array(by_hand, np.int64))))


def billing_count(device: "Device", until: int) -> int:
    """How many billing periods have ended; those of the schedule since the beginning of 2026."""
    base = base_of(device)
    before = 0 if base is None else base.billing_periods
    billed = sum(second_of(one.at) <= until for one in records_after_base(device, RecordKind.BILLING))
    return before + billed + len(scheduled_between(device, TARIFFS_SINCE, until))


def settle_schedule(schedule: KeptObject) -> None:
    """Write down when it was due until now: what is written to it counts from now on."""
    device = schedule.device
    now = second_of(device.clock.at)
    for second in scheduled_between(device, now - SETTLED_PERIODS_S, now).tolist():
        device.history.happened(Record(instant_of(second), RecordKind.BILLING, schedule.described.obis))
    schedule.remember(SETTLED, data.double_long_unsigned(now))


def _lattice(entries: Data) -> Lattice:
    def between(clock: MeterClock, low: int, high: int) -> Integers:
        years = range(instant_of(low).year - 1, instant_of(high).year + 2)
        found = np.concatenate([_of_year(entries, ClockRules.of(clock), year) for year in years])
        chosen: Integers = found[(low < found) & (found <= high)]
        return chosen

    return between


@lru_cache(maxsize=1024)
def _of_year(entries: Data, rules: ClockRules, year: int) -> Integers:
    """What a clock with these rules shows (UTC) at the times of a schedule in a year of local time."""
    clock = MeterClock(
        datetime(year, 1, 1, tzinfo=UTC), ClockStateInMemory(0, 0, rules.time_zone_minutes), rules.daylight_saving
    )
    found = set()
    for entry in entries.value:
        at, on = CosemTime.decode(entry.value[0].value), CosemDate.decode(entry.value[1].value)
        for day in days_of_year(on, year):
            local = datetime(day.year, day.month, day.day, at.hour or 0, at.minute or 0, at.second or 0)
            found.add(second_of(clock.utc_of(local)))
    return np.array(sorted(found), np.int64)
