"""Activity calendar (class 20): the active calendar, the passive one, and the moment at which one replaces the other.

Strategy: tariffs follow from the calendar whenever somebody asks (`tariff_timeline`), and only a calendar whose scripts do more than
tariffs wakes the meter at its times. So that the past stays what it was, whatever replaces the calendar or its special days first writes
down which tariffs were in force until then; settings and rules of the clock are in the history.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, ClassVar, NamedTuple

import numpy as np

from ami_dlms import data
from ami_dlms.data import Data
from ami_dlms.datetimes import CosemDateTime
from ami_dlms.errors import LocalError
from ami_dlms.obis import Obis
from ami_meter_sim.clock import ClockStateInMemory, MeterClock
from ami_meter_sim.load.noise import Integers
from ami_meter_sim.objects.base import ClockRules, base_of, records_after_base
from ami_meter_sim.objects.calendars import DAYS, NAME, SEASONS, WEEKS, Calendar, Script, SpecialDays, calendar
from ami_meter_sim.objects.clock import moment_of
from ami_meter_sim.objects.kept_object import FIRST_OWN
from ami_meter_sim.objects.memory import RecordKind
from ami_meter_sim.objects.recording import record
from ami_meter_sim.objects.script_table import TARIFFS, WRITE, ScriptTable
from ami_meter_sim.objects.shapes import date_time_octets
from ami_meter_sim.objects.special_days import special_days
from ami_meter_sim.objects.timed import TimedObject
from ami_meter_sim.objects.timeline import FOR_EVER, ClockSetting, clock_settings, instant_of, reached, second_of
from ami_packs.event_list import Occurrence

if TYPE_CHECKING:
    from ami_meter_sim.objects.device import Device

NEVER = data.octet_string(CosemDateTime().encode())
PARTS = ("season_profile", "week_profile_table", "day_profile_table")
SETTLED = FIRST_OWN - 1
"""Which tariffs the calendars of the past have called for, and until which second: packed as `CHANGE`."""
CHANGE = np.dtype([("second", ">u4"), ("tariff", ">u2")])
TARIFFS_SINCE = second_of(datetime(2026, 1, 1, tzinfo=UTC))
"""Energy before this belongs to tariff 1, on every meter."""
LOOK_AHEAD = timedelta(days=32)
"""A calendar that calls for nothing in so long is looked at again then."""
REGISTER_ACTIVATION, DATA = 6, 1


class TariffChange(NamedTuple):
    """From this instant (UTC, the process's time) on this tariff counts."""

    at: datetime
    tariff: int


class TariffTimeline(NamedTuple):
    """From these seconds on these tariffs are called for, in order of time."""

    seconds: Integers
    tariffs: Integers


NOTHING = TariffTimeline(np.zeros(0, np.int64), np.zeros(0, np.int64))


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
            self.settle()
        super().write(attribute_id, value)
        if name.endswith("_passive"):
            record(self.device, Occurrence.CALENDAR_WRITTEN)
        elif name.endswith("_active"):
            self._apply()
        elif (at := self._activation()) is not None and at <= self.device.clock.at:
            self.activate()

    def activate(self) -> None:
        """The passive calendar is copied to the active one."""
        self.settle()
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

    def settle(self) -> None:
        """Write down which tariffs were in force until now: what comes counts from now on alone."""
        now = second_of(self.device.clock.at)
        changes = self.called_for(now)
        packed = np.zeros(len(changes.seconds), CHANGE)
        packed["second"], packed["tariff"] = changes
        until = data.double_long_unsigned(now)
        self.remember(SETTLED, data.structure(until, data.octet_string(packed.tobytes())))

    def called_for(self, until: int) -> TariffTimeline:
        """What this calendar and those before it have called for up to a second, or a little after it."""
        kept, base = self.remembered(SETTLED), base_of(self.device)
        since, settled = TARIFFS_SINCE, NOTHING
        if kept is not None:
            since, packed = (part.value for part in kept.value)
            changes = np.frombuffer(packed, CHANGE)
            settled = TariffTimeline(changes["second"].astype(np.int64), changes["tariff"].astype(np.int64))
        pieces = [settled]
        if since < until:
            pieces += _called_for(self.active, special_days(self.device), _spans(self.device, since, until))
        seconds, tariffs = (np.concatenate(one) for one in zip(*pieces, strict=True))
        later = slice(None) if base is None else seconds > base.second
        return TariffTimeline(seconds[later], tariffs[later])

    @property
    def active(self) -> Calendar:
        """What the active calendar says."""
        return calendar(*(self.sound(f"{part}_active") for part in PARTS))

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


def calendars(device: "Device") -> Iterator[ActivityCalendar]:
    """Those that a meter has."""
    for key in device.model.objects:
        found = device.find(*key) if key[0] == ActivityCalendar.class_id else None
        if isinstance(found, ActivityCalendar):
            yield found


def tariff_timeline(device: "Device", until: int) -> TariffTimeline:
    """Every change of the tariff up to a second, the first one whatever was in force before; without a calendar those by hand.

    A tariff that was switched by hand, by a script that a client executed, counts until the calendar calls for the next one.
    """
    found = next(calendars(device), None)
    called = NOTHING if found is None else found.called_for(until)
    by_hand = [(second_of(one.at), one.number) for one in records_after_base(device, RecordKind.TARIFF)]
    if not by_hand:
        return called
    seconds, tariffs = np.array(by_hand, np.int64).T
    seconds, tariffs = np.concatenate((called.seconds, seconds)), np.concatenate((called.tariffs, tariffs))
    order = np.argsort(seconds, kind="stable")
    return TariffTimeline(seconds[order], tariffs[order])


def tariff_changes(device: "Device", since: datetime, until: datetime) -> list[TariffChange]:
    """The tariff in force at `since`, then every change up to `until`; nothing for a meter without a calendar."""
    if next(calendars(device), None) is None:
        return []
    seconds, tariffs = tariff_timeline(device, second_of(until))
    first, last = second_of(since), second_of(until)
    changes = [
        TariffChange(instant_of(max(second, first)), tariff)
        for number, (second, tariff) in enumerate(zip(seconds.tolist(), tariffs.tolist(), strict=True))
        if second <= last and (second > first or number + 1 == np.searchsorted(seconds, first, "right"))
    ]
    return [one for number, one in enumerate(changes) if number == 0 or changes[number - 1].tariff != one.tariff]


def _spans(device: "Device", since: int, until: int) -> Iterator[tuple[int, int, MeterClock]]:
    """From one second up to another in pieces with one setting and one set of rules of the clock each, ends included once."""
    settings = clock_settings(device)
    for number, setting in enumerate(settings):
        begin = max(since, setting.since)
        end = settings[number + 1].since if number + 1 < len(settings) else until + 1
        if begin < min(end, until + 1):
            yield begin, min(end, until + 1), setting.clock


def _called_for(
    active: Calendar, special: SpecialDays, spans: Iterator[tuple[int, int, MeterClock]]
) -> Iterator[TariffTimeline]:
    """What a calendar calls for in these spans, and at the begin of each what should be in force there."""
    for begin, end, clock in spans:
        first, last = (clock.local(clock.shown(instant_of(second))) for second in (begin, end))
        script = active.in_force(first, special)
        if script is not None and script.table == TARIFFS:
            yield TariffTimeline(np.array([begin]), np.array([script.selector]))
        rules = ClockRules.of(clock)
        for year in range((first - timedelta(days=1)).year, (last + timedelta(days=1)).year + 1):
            shown, tariffs = _calls_of_year(active, special, rules, year)
            at = reached(ClockSetting(-FOR_EVER, clock), shown)
            chosen = slice(*np.searchsorted(at, (begin + 1, end)))
            yield TariffTimeline(at[chosen], tariffs[chosen])


@lru_cache(maxsize=512)
def _calls_of_year(active: Calendar, special: SpecialDays, rules: ClockRules, year: int) -> TariffTimeline:
    """What a clock with these rules shows (UTC) when the calendar calls for tariffs in a year of local time; shared by all meters."""
    clock = MeterClock(datetime(year, 1, 1, tzinfo=UTC), ClockStateInMemory(0, 0, rules[0]), rules[1])
    local = active.changes(datetime(year - 1, 12, 31, 23, 59, 59), datetime(year, 12, 31, 23, 59, 59), special)
    calls = sorted((second_of(clock.utc_of(moment)), one.selector) for moment, one in local if one.table == TARIFFS)
    if not calls:
        return NOTHING
    seconds, tariffs = np.array(calls, np.int64).T
    return TariffTimeline(np.ascontiguousarray(seconds), np.ascontiguousarray(tariffs))
