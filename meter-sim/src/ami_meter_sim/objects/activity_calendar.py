"""Activity calendar (class 20): the active calendar, the passive one, and the moment at which one replaces the other.

Strategy: tariffs follow from the calendar whenever somebody asks (`tariff_changes`), and only a calendar whose scripts do more than
tariffs wakes the meter at its times. So that the past stays what it was, the calendars that were active before are kept with the instant
at which each ended. A time zone, special days or rules of daylight saving that are written count for the past as well.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from ami_dlms import data
from ami_dlms.data import Data
from ami_dlms.datetimes import CosemDateTime
from ami_dlms.errors import LocalError
from ami_dlms.obis import Obis
from ami_meter_sim.clock import MeterClock
from ami_meter_sim.objects.calendars import DAYS, NAME, SEASONS, WEEKS, Calendar, Script, SpecialDays, calendar
from ami_meter_sim.objects.clock import moment_of
from ami_meter_sim.objects.kept_object import FIRST_OWN
from ami_meter_sim.objects.memory import Kind
from ami_meter_sim.objects.recording import record
from ami_meter_sim.objects.script_table import TARIFFS, WRITE, ScriptTable
from ami_meter_sim.objects.shapes import date_time_octets
from ami_meter_sim.objects.special_days import special_days
from ami_meter_sim.objects.timed import TimedObject
from ami_packs.event_list import Occurrence

if TYPE_CHECKING:
    from ami_meter_sim.objects.device import Device

NEVER = data.octet_string(CosemDateTime().encode())
PARTS = ("season_profile", "week_profile_table", "day_profile_table")
FORMER = FIRST_OWN
"""The calendars that were active until an instant, the newest last, each with its three arrays encoded."""
MOST_FORMER = 4
LOOK_AHEAD = timedelta(days=32)
"""A calendar that calls for nothing in so long is looked at again then."""
REGISTER_ACTIVATION, DATA = 6, 1


class TariffChange(NamedTuple):
    """From this instant (UTC, the process's time) on this tariff counts."""

    at: datetime
    tariff: int


class ActivityCalendar(TimedObject):
    """Whatever is written of the active calendar, or replaces it, counts at once."""

    __slots__ = ()

    class_id, version = 20, 0
    initial: ClassVar = {
        "calendar_name_active": data.octet_string(b""),
        "season_profile_active": data.array(),
        "week_profile_table_active": data.array(),
        "day_profile_table_active": data.array(),
        "calendar_name_passive": data.octet_string(b""),
        "season_profile_passive": data.array(),
        "week_profile_table_passive": data.array(),
        "day_profile_table_passive": data.array(),
        "activate_passive_calendar_time": NEVER,
    }
    writable: ClassVar = {
        "calendar_name_active": NAME,
        "season_profile_active": SEASONS,
        "week_profile_table_active": WEEKS,
        "day_profile_table_active": DAYS,
        "calendar_name_passive": NAME,
        "season_profile_passive": SEASONS,
        "week_profile_table_passive": WEEKS,
        "day_profile_table_passive": DAYS,
        "activate_passive_calendar_time": date_time_octets,
    }
    methods: ClassVar = {"activate_passive_calendar": lambda self, _: self.activate()}

    def write(self, attribute_id: int, value: Data) -> None:
        """A moment in the past activates the passive calendar at once."""
        name = self._names.get(attribute_id, "")
        if name.endswith("_active"):
            self._keep_former()
        super().write(attribute_id, value)
        if name.endswith("_passive"):
            record(self.device, Occurrence.CALENDAR_WRITTEN)
        elif name.endswith("_active"):
            self._apply()
        elif (at := self._activation()) is not None and at <= self.device.clock.at:
            self.activate()

    def activate(self) -> None:
        """The passive calendar is copied to the active one."""
        self._keep_former()
        for part in ("calendar_name", *PARTS):
            self.change(f"{part}_active", self.value(f"{part}_passive"))
        self.change("activate_passive_calendar_time", NEVER)
        record(self.device, Occurrence.CALENDAR_ACTIVATED)
        self._apply()

    def next_due(self, after: datetime) -> datetime | None:
        """The activation of the passive calendar, or the next script that does more than a tariff."""
        due = [self._activation(), None if self._only_tariffs() else self._next_script(after)]
        return min((one for one in due if one is not None and one > after), default=None)

    def advance(self, at: datetime) -> bool:
        """Activate the passive calendar, and run what the calendar calls for now."""
        if self._activation() == at:
            self.activate()
        else:
            self._apply()
        return True

    def clock_moved(self, before: datetime) -> None:
        """What should be in force by the new time is executed at once."""
        self._apply()

    def powered_up(self, off_since: datetime) -> None:
        """What should be in force now is executed at once."""
        self._apply()

    def calendars(self) -> Iterator[tuple[datetime | None, Calendar]]:
        """The calendars of the past, each with the instant at which it ended, and the active one with None."""
        for former in () if (kept := self.remembered(FORMER)) is None else kept.value:
            until, *parts = former.value
            arrays = [data.decode(one.value) for one in parts]
            yield datetime.fromtimestamp(until.value, UTC), calendar(*arrays)
        yield None, self.active

    @property
    def active(self) -> Calendar:
        """What the active calendar says."""
        return calendar(*(self.sound(f"{part}_active") for part in PARTS))

    def _keep_former(self) -> None:
        ended = data.double_long_unsigned(int(self.device.clock.at.timestamp()))
        parts = [data.octet_string(data.encode(self.sound(f"{part}_active"))) for part in PARTS]
        kept = self.remembered(FORMER)
        former = (*(() if kept is None else kept.value), data.structure(ended, *parts))
        self.remember(FORMER, data.array(*former[-MOST_FORMER:]))

    def _activation(self) -> datetime | None:
        """The instant at which the passive calendar becomes active; None for never."""
        clock = self.device.clock
        try:
            wanted = CosemDateTime.decode(self.sound("activate_passive_calendar_time").value)
            return clock.real_instant(moment_of(wanted, clock))
        except LocalError:
            return None

    def _next_script(self, after: datetime) -> datetime | None:
        clock = self.device.clock
        since = clock.local(clock.shown(after))
        for local, _ in self.active.changes(since - timedelta(hours=2), since + LOOK_AHEAD, special_days(self.device)):
            at = clock.real_instant(clock.utc_of(local))
            if at > after:
                return at
        return after + LOOK_AHEAD

    def _apply(self) -> None:
        """Run the script that should be in force."""
        clock = self.device.clock
        script = self.active.in_force(clock.local(clock.utc), special_days(self.device))
        if script is None or (script.table == TARIFFS and self._only_tariffs()):
            return
        table = self.device.find(ScriptTable.class_id, Obis(script.table))
        if isinstance(table, ScriptTable):
            table.run(script.selector)

    def _only_tariffs(self) -> bool:
        """Whether all that the calendar calls for is computed by who asks for it."""
        scripts = {script for schedule in self.active.days.values() for _, script in schedule}
        return all(one.table == TARIFFS and _sets_tariff(self.device, one) for one in scripts)


def _sets_tariff(device: "Device", script: Script) -> bool:
    table = device.find(ScriptTable.class_id, TARIFFS)
    actions = table.actions(script.selector) if isinstance(table, ScriptTable) else None
    return all(
        action.value[0].value == WRITE and action.value[1].value in (REGISTER_ACTIVATION, DATA)
        for action in actions or ()
    )


def tariff_changes(device: "Device", since: datetime, until: datetime) -> list[TariffChange]:
    """The tariff in force at `since`, then every change up to `until`; nothing for a meter without a calendar.

    Each calendar counts until it was replaced, and each setting of the clock until it was set again. A tariff that was switched by
    hand, by a script that a client executed, counts until the calendar calls for the next one.
    """
    found = next((one for key in device.model.objects if key[0] == 20 and (one := device.find(*key)) is not None), None)
    if not isinstance(found, ActivityCalendar):
        return []
    changes: list[TariffChange] = []
    special = special_days(device)
    for start, end, clock, valid in _spans(device, found, since, until):
        changes += _within(valid, clock, special, start, end)
    by_hand = [TariffChange(one.at, one.number) for one in device.history.records(Kind.TARIFF, since, until)]
    return _without_repetition(sorted((*changes, *by_hand), key=lambda change: change.at))


def _spans(
    device: "Device", found: ActivityCalendar, since: datetime, until: datetime
) -> Iterator[tuple[datetime, datetime, MeterClock, Calendar]]:
    """From `since` to `until` in pieces with one calendar and one setting of the clock each."""
    clocks = list(_clocks(device))
    for ends, one in found.calendars():
        end = until if ends is None else min(ends, until)
        while since < end:
            clock, valid_until = next((c, u) for c, u in clocks if u is None or u > since)
            piece = end if valid_until is None else min(end, valid_until)
            yield since, piece, clock, one
            since = piece


def _clocks(device: "Device") -> Iterator[tuple[MeterClock, datetime | None]]:
    """The clock as it was set, each time with the instant at which that ended."""
    now = device.clock
    settings = device.history.records(Kind.CLOCK)
    offset, set_at = 0, None
    for one in settings:
        yield now.as_it_was_set(offset, set_at), one.at
        offset, set_at = one.number, one.at
    yield now, None


def _within(
    one: Calendar, clock: MeterClock, special: SpecialDays, start: datetime, end: datetime
) -> Iterator[TariffChange]:
    local = clock.local(clock.shown(start))
    first = one.in_force(local, special)
    if first is not None and first.table == TARIFFS:
        yield TariffChange(start, first.selector)
    for moment, script in one.changes(local, clock.local(clock.shown(end)) + timedelta(hours=2), special):
        at = clock.real_instant(clock.utc_of(moment))
        if start < at < end and script.table == TARIFFS:
            yield TariffChange(at, script.selector)


def _without_repetition(changes: list[TariffChange]) -> list[TariffChange]:
    return [one for number, one in enumerate(changes) if number == 0 or changes[number - 1].tariff != one.tariff]
