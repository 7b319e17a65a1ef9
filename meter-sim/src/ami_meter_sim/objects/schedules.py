"""Schedule (class 10) and single action schedule (class 22): scripts that run at times of the meter's clock.

Strategy: when an entry is due next is a function of the clock and the entry. Two scripts at one moment run in the order of their selectors.
What a clock that is set forward, or a meter without power, has missed is run afterwards by a schedule if that is inside the
entry's validity window, and not at all by a single action schedule; a clock that is set backwards makes both run again.
"""

from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from typing import ClassVar, NamedTuple

from ami_dlms import data
from ami_dlms.data import Data
from ami_dlms.datetimes import CosemDate, CosemTime
from ami_dlms.enums import ActionResult, DataTag
from ami_meter_sim.clock import MeterClock
from ami_meter_sim.clock.wildcards import next_moment, next_second
from ami_meter_sim.objects.billing import billing_schedule, is_computed, settle_schedule
from ami_meter_sim.objects.calendars import SpecialDays, special_day
from ami_meter_sim.objects.cosem_object import ActionRefused
from ami_meter_sim.objects.kept_object import parameter
from ami_meter_sim.objects.script_table import NOTHING, run_script
from ami_meter_sim.objects.shapes import (
    LOGICAL_NAME,
    SCRIPT,
    UINT16,
    Array,
    Bits,
    Number,
    Structure,
    boolean,
    date_octets,
    time_octets,
)
from ami_meter_sim.objects.special_days import special_days
from ami_meter_sim.objects.timed import TimedObject

DAY = timedelta(days=1)
ANY_TIME = 0xFFFF
"""A validity window without end."""
MOST_CAUGHT_UP = timedelta(days=366)
LOOK_AHEAD_DAYS = 400
MOST_ENTRIES = 64
SINGLE_DATE_TYPES = range(1, 6)

INDEX = Number(DataTag.LONG_UNSIGNED, range(1, 10_000))
ENTRY = Structure(
    INDEX,
    boolean,
    LOGICAL_NAME,
    UINT16,
    time_octets,
    UINT16,
    Bits(7),
    Bits(),
    date_octets,
    date_octets,
)


def look_back(clock: MeterClock) -> timedelta:
    """How far behind a local time one may lie that comes after it: local time goes back when daylight saving ends."""
    return timedelta(minutes=abs(clock.daylight_saving.deviation_minutes), seconds=1)


class DecodedEntry(NamedTuple):
    """One entry of a schedule, decoded."""

    number: int
    enabled: bool
    script: Data
    switch_time: CosemTime
    window: int
    weekdays: tuple[bool, ...]
    special: tuple[bool, ...]
    begin: CosemDate
    end: CosemDate

    def runs_on(self, day: date, special: SpecialDays) -> bool:
        """Whether it is meant for a day: on special days by their day_id, the first bit being 0, else by the weekday."""
        if not self.enabled or not _from(self.begin, day) or not _until(self.end, day):
            return False
        day_id = special_day(special, day)
        bits, number = (self.weekdays, day.weekday()) if day_id is None else (self.special, day_id)
        return number < len(bits) and bits[number]

    def moment_on(self, day: date) -> datetime | None:
        """Its local time (naive) on a day."""
        second = next_second(self.switch_time, 0)
        return None if second is None else datetime.combine(day, time()) + timedelta(seconds=second)


def _entry(value: Data) -> DecodedEntry:
    index, enabled, table, selector, at, window, weekdays, special, begin, end = value.value
    return DecodedEntry(
        index.value,
        enabled.value,
        data.structure(table, selector),
        CosemTime.decode(at.value),
        window.value,
        weekdays.value,
        special.value,
        CosemDate.decode(begin.value),
        CosemDate.decode(end.value),
    )


def _parts(limit: CosemDate, day: date) -> list[tuple[int, int]]:
    """The parts of a limit that are specified, each beside the day's."""
    pairs = ((limit.year, day.year), (limit.month, day.month), (limit.day, day.day))
    return [(wanted, there) for wanted, there in pairs if wanted is not None]


def _from(begin: CosemDate, day: date) -> bool:
    parts = _parts(begin, day)
    return [wanted for wanted, _ in parts] <= [there for _, there in parts]


def _until(end: CosemDate, day: date) -> bool:
    parts = _parts(end, day)
    return [there for _, there in parts] <= [wanted for wanted, _ in parts]


class Schedule(TimedObject):
    """An entry that is inserted replaces the one of the same index."""

    __slots__ = ()

    class_id, version = 10, 0
    initial: ClassVar = {"entries": data.array()}
    writable: ClassVar = {"entries": Array(ENTRY, MOST_ENTRIES)}
    methods: ClassVar = {
        "enable_disable": lambda self, value: self._enable_disable(parameter(value, Structure(*(UINT16,) * 4))),
        "insert": lambda self, value: self._insert(parameter(value, ENTRY)),
        "delete": lambda self, value: self._delete(parameter(value, Structure(UINT16, UINT16))),
    }

    def next_due(self, after: datetime) -> datetime | None:
        """The next moment of any entry."""
        entries = [one for one in self._entries() if one.enabled]
        if not entries:
            return None
        clock = self.device.clock
        since = clock.local(clock.shown(after))
        for local, _ in self._moments(entries, since - look_back(clock), LOOK_AHEAD_DAYS):
            at = clock.real_instant(clock.utc_of(local))
            if at > after:
                return at
        return None

    def advance(self, at: datetime) -> bool:
        """Run the scripts of this moment."""
        clock = self.device.clock
        local = clock.local(clock.utc).replace(microsecond=0)
        for moment, entry in self._moments(self._entries(), local - look_back(clock), 1):
            if clock.real_instant(clock.utc_of(moment)) == at:
                run_script(self.device, entry.script)
        return True

    def clock_moved(self, before: datetime) -> None:
        """Run what the clock was set over, inside its validity window."""
        clock = self.device.clock
        self._catch_up(clock.local(before), clock.local(clock.utc))

    def powered_up(self, off_since: datetime) -> None:
        """Run what was missed without power, inside its validity window."""
        clock = self.device.clock
        self._catch_up(clock.local(clock.shown(off_since)), clock.local(clock.utc))

    def _catch_up(self, since: datetime, now: datetime) -> None:
        since = max(since, now - MOST_CAUGHT_UP)
        latest: dict[int, tuple[datetime, DecodedEntry]] = {}
        for moment, entry in self._moments(self._entries(), since, (now - since).days + 1 if now > since else 0):
            valid = entry.window == ANY_TIME or now - moment <= timedelta(minutes=entry.window)
            if moment <= now and valid:
                latest[entry.number] = moment, entry
        for _, entry in sorted(latest.values(), key=lambda one: (one[0], one[1].script.value[1].value)):
            run_script(self.device, entry.script)

    def _entries(self) -> list[DecodedEntry]:
        return [_entry(one) for one in self.elements("entries")]

    def _moments(
        self, entries: list[DecodedEntry], since: datetime, days: int
    ) -> Iterator[tuple[datetime, DecodedEntry]]:
        """The local times of entries after `since`, over this number of days, in order."""
        special = special_days(self.device)
        for number in range(days + 1):
            day = since.date() + number * DAY
            due = [(moment, one) for one in entries if one.runs_on(day, special) and (moment := one.moment_on(day))]
            for moment, one in sorted(due, key=lambda pair: (pair[0], pair[1].script.value[1].value)):
                if moment > since:
                    yield moment, one

    def _enable_disable(self, wanted: Data) -> None:
        first_off, last_off, first_on, last_on = (part.value for part in wanted.value)
        entries = []
        for entry in self.elements("entries"):
            index = entry.value[0].value
            enabled = entry.value[1]
            if first_off <= index <= last_off:
                enabled = data.boolean(False)
            if first_on <= index <= last_on:
                enabled = data.boolean(True)
            entries.append(data.structure(entry.value[0], enabled, *entry.value[2:]))
        self.change("entries", data.array(*entries))

    def _insert(self, entry: Data) -> None:
        others = [one for one in self.elements("entries") if one.value[0] != entry.value[0]]
        if len(others) >= MOST_ENTRIES:
            raise ActionRefused(ActionResult.OTHER_REASON)
        self.change("entries", data.array(*sorted((*others, entry), key=lambda one: one.value[0].value)))

    def _delete(self, wanted: Data) -> None:
        first, last = (part.value for part in wanted.value)
        entries = self.elements("entries")
        self.change("entries", data.array(*(one for one in entries if not first <= one.value[0].value <= last)))


class SingleActionSchedule(TimedObject):
    """The types 1 to 5 say how many entries there are and whether they have wildcards; whatever is written runs as it says."""

    __slots__ = ()

    class_id, version = 22, 0
    initial: ClassVar = {"executed_script": NOTHING, "type": data.enum(1), "execution_time": data.array()}
    writable: ClassVar = {
        "executed_script": SCRIPT,
        "type": Number(DataTag.ENUM, SINGLE_DATE_TYPES),
        "execution_time": Array(Structure(time_octets, date_octets), MOST_ENTRIES),
    }

    def change(self, name: str, value: Data) -> None:
        """The billing periods that it has ended stay."""
        if billing_schedule(self.device) is self:
            settle_schedule(self)
        super().change(name, value)

    def next_due(self, after: datetime) -> datetime | None:
        """The next of its times; None where what it does then follows from the time alone."""
        return None if is_computed(self) else self.next_time(after)

    def next_time(self, after: datetime) -> datetime | None:
        """The next of its times."""
        clock = self.device.clock
        since = clock.local(clock.shown(after))
        due = [
            at for at in (self._next(one, since, after) for one in self.elements("execution_time")) if at is not None
        ]
        return min(due, default=None)

    def advance(self, at: datetime) -> bool:
        """Run the script."""
        return run_script(self.device, self.sound("executed_script"))

    def executions(self, since: datetime, until: datetime) -> Iterator[datetime]:
        """Every instant after `since` and up to `until` at which the script is due, as the clock is set now."""
        while (at := self.next_time(since)) is not None and at <= until:
            yield at
            since = at

    def _next(self, entry: Data, since: datetime, after: datetime) -> datetime | None:
        clock = self.device.clock
        at_time, on_date = CosemTime.decode(entry.value[0].value), CosemDate.decode(entry.value[1].value)
        local: datetime | None = since - look_back(clock)
        while local is not None and (local := next_moment(on_date, at_time, local)) is not None:
            at = clock.real_instant(clock.utc_of(local))
            if at > after:
                return at
        return None
