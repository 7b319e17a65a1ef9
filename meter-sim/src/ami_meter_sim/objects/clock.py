"""Clock (class 8): the meter's time, settable, with its deviation, daylight saving and drift.

Times that a client writes may leave out the deviation: the meter's own, of the daylight saving that is in force, is used instead. A clock
that is set leaves two events, one with the old time and one with the new one.
"""

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, ClassVar
from weakref import WeakKeyDictionary

from ami_dlms import data
from ami_dlms.data import Data
from ami_dlms.datetimes import CosemDateTime
from ami_dlms.enums import ActionResult, DataAccessResult, DataTag
from ami_dlms.errors import DecodeError, LocalError
from ami_dlms.obis import Obis
from ami_meter_sim.clock import MeterClock
from ami_meter_sim.clock.daylight_saving import DaylightSaving
from ami_meter_sim.objects import timed
from ami_meter_sim.objects.base import ClockRules
from ami_meter_sim.objects.cosem_object import AccessRefused, ActionRefused, Options, integer_in
from ami_meter_sim.objects.kept_object import FIRST_OWN
from ami_meter_sim.objects.memory import Record, RecordKind
from ami_meter_sim.objects.recording import record
from ami_meter_sim.objects.shapes import Number, boolean, date_time_octets
from ami_meter_sim.objects.timed import TimedObject
from ami_meter_sim.population.row import Row
from ami_packs.event_list import Occurrence
from ami_packs.model import Model

if TYPE_CHECKING:
    from ami_meter_sim.objects.device import Device

CLOCK_BASE_INTERNAL_CRYSTAL = 1
SHIFT_S = range(-900, 901)
QUARTER_S = 900
MINUTE_S = 60
YEARS = range(2000, 2100)
"""What the clock can show, as the two digits of most displays."""
CLOCK = Obis.parse("0-0:1.0.0")
PRESET = FIRST_OWN
"""What preset_adjusting_time left for adjust_to_preset_time: three moments in seconds since the epoch."""
QUALITY = FIRST_OWN - 1
"""Status bits that the meter has set itself: 0x01 invalid, 0x02 doubtful; gone when the clock is set."""
INVALID = 0x01
NEVER = data.octet_string(CosemDateTime().encode())


class Clock(TimedObject):
    """A new time zone or daylight saving moves what is shown, not the moment. `drift_ppm`: what its crystal gains."""

    __slots__ = ()

    class_id, version = 8, 0
    initial: ClassVar = {
        "daylight_savings_begin": NEVER,
        "daylight_savings_end": NEVER,
        "daylight_savings_deviation": data.integer(0),
        "daylight_savings_enabled": data.boolean(False),
    }
    writable: ClassVar = {
        "daylight_savings_begin": date_time_octets,
        "daylight_savings_end": date_time_octets,
        "daylight_savings_deviation": Number(DataTag.INTEGER, range(-120, 121)),
        "daylight_savings_enabled": boolean,
    }
    reads: ClassVar = {
        "time": lambda self, _: self.device.clock.date_time.encode(),
        "time_zone": lambda self, _: self.device.clock.time_zone_minutes,
        "status": lambda self, _: self.device.clock.status,
        "clock_base": lambda self, _: CLOCK_BASE_INTERNAL_CRYSTAL,
    }
    writes: ClassVar = {
        "time": lambda self, value: self._set(self._moment(value)),
        "time_zone": lambda self, value: self._set_time_zone(value),
    }
    options: ClassVar[Options] = {"drift_ppm": 0}
    methods: ClassVar = {
        "adjust_to_quarter": lambda self, _: self._round_to(QUARTER_S),
        "adjust_to_measuring_period": lambda self, _: self._round_to(self._measuring_period_s()),
        "adjust_to_minute": lambda self, _: self._round_to(MINUTE_S),
        "adjust_to_preset_time": lambda self, _: self._adjust_to_preset_time(),
        "preset_adjusting_time": lambda self, parameters: self._preset_adjusting_time(parameters),
        "shift_time": lambda self, parameters: self._shift_time(parameters),
    }

    def next_due(self, after: datetime) -> datetime | None:
        """The next change of daylight saving, where the model has an event for it."""
        clock = self.device.clock
        if not self.device.model.events.of(Occurrence.DAYLIGHT_SAVING_CHANGED):
            return None
        change = clock.next_change(clock.shown(after))
        return None if change is None else clock.real_instant(change.at)

    def advance(self, at: datetime) -> bool:
        """Log that local time has changed."""
        record(self.device, Occurrence.DAYLIGHT_SAVING_CHANGED)
        return True

    def change(self, name: str, value: Data) -> None:
        """A rule of daylight saving counts from now on."""
        before = ClockRules.of(self.device.clock)
        super().change(name, value)
        self.device.clock.daylight_saving = daylight_saving(self)
        self._ruled(before)

    def _set(self, wanted: datetime) -> None:
        device = self.device
        before = device.clock.utc
        record(device, Occurrence.CLOCK_ADJUSTED_OLD)
        device.clock.set_time(wanted)
        self.remember(QUALITY, None)
        device.history.happened(Record(device.clock.at, RecordKind.CLOCK, number=device.clock.offset_s))
        device.clock_changed()
        record(device, Occurrence.CLOCK_ADJUSTED_NEW)
        timed.clock_moved(device, before)

    def _set_time_zone(self, value: Data) -> None:
        before = ClockRules.of(self.device.clock)
        self.device.clock.time_zone_minutes = integer_in(value, DataTag.LONG, range(-720, 721))
        self._ruled(before)

    def _ruled(self, before: ClockRules) -> None:
        note_rules(self.device, before)
        self.device.clock_changed()

    def _moment(self, value: Data) -> datetime:
        try:
            if value.tag == DataTag.OCTET_STRING and isinstance(value.value, bytes):
                value = Data(DataTag.DATE_TIME, CosemDateTime.decode(value.value))
            if not isinstance(value.value, CosemDateTime):
                raise AccessRefused(DataAccessResult.TYPE_UNMATCHED)
            moment = moment_of(value.value, self.device.clock)
        except (DecodeError, LocalError):
            raise AccessRefused(DataAccessResult.TYPE_UNMATCHED) from None
        if moment.year not in YEARS:
            raise AccessRefused(DataAccessResult.OTHER_REASON)
        return moment

    def _round_to(self, step_s: int) -> None:
        local = self.device.clock.time
        midnight = local.replace(hour=0, minute=0, second=0, microsecond=0)
        steps = round((local - midnight).total_seconds() / step_s)
        self._set(midnight + timedelta(seconds=steps * step_s))

    def _measuring_period_s(self) -> int:
        periods = [one.capture_period for one in self.device.model.profiles if one.capture_period]
        return min(periods, default=QUARTER_S)

    def _preset_adjusting_time(self, parameters: Data | None) -> None:
        parts = parameters.value if parameters is not None and parameters.tag == DataTag.STRUCTURE else None
        if not isinstance(parts, tuple) or len(parts) != 3:
            raise ActionRefused(ActionResult.TYPE_UNMATCHED)
        try:
            moments = [self._moment(part) for part in parts]
        except AccessRefused:
            raise ActionRefused(ActionResult.TYPE_UNMATCHED) from None
        self.remember(PRESET, data.structure(*(data.double_long_unsigned(int(one.timestamp())) for one in moments)))

    def _adjust_to_preset_time(self) -> None:
        kept = self.remembered(PRESET)
        if kept is None:
            raise ActionRefused(ActionResult.TEMPORARY_FAILURE)
        preset, start, end = (datetime.fromtimestamp(one.value, UTC) for one in kept.value)
        if not start <= self.device.clock.utc <= end:
            raise ActionRefused(ActionResult.TEMPORARY_FAILURE)
        self._set(preset)

    def _shift_time(self, parameters: Data | None) -> None:
        shift = parameters.value if parameters is not None and parameters.tag == DataTag.LONG else None
        if not isinstance(shift, int) or shift not in SHIFT_S:
            raise ActionRefused(ActionResult.TYPE_UNMATCHED)
        self._set(self.device.clock.time + timedelta(seconds=shift))


def note_rules(device: "Device", before: ClockRules) -> None:
    """Time zone or daylight saving are others from now on, and were `before` until now."""
    if before != ClockRules.of(device.clock):
        device.history.happened(Record(device.clock.at, RecordKind.CLOCK_RULES, detail=before.encode()))


def moment_of(value: CosemDateTime, clock: MeterClock) -> datetime:
    """The moment (UTC) that a client means; without a deviation of its own it is local time of this clock.

    LocalError when it is no single moment.
    """
    if value.deviation_minutes is not None:
        return value.to_datetime()
    return clock.utc_of(value.to_datetime(0).replace(tzinfo=None))


RULES = tuple(f"daylight_savings_{name}" for name in ("begin", "end", "deviation", "enabled"))


def daylight_saving(clock: Clock) -> DaylightSaving:
    """The rules that a clock object has."""
    return _rules(*(clock.value(name) for name in RULES))


@lru_cache(1024)
def _rules(*values: Data) -> DaylightSaving:
    begin, end, deviation, enabled = (
        Clock.sounded(name, value).value for name, value in zip(RULES, values, strict=True)
    )
    return DaylightSaving(CosemDateTime.decode(begin), CosemDateTime.decode(end), deviation, enabled)


def start_clock(device: "Device") -> None:
    """Give the clock of a meter that is being made the rules, the drift and the status of its clock object."""
    if (Clock.class_id, CLOCK) not in device.model.objects:
        return
    clock, unchanged = device.clock, device.kept.empty
    if unchanged and (known := _OF_MODELS.get(device.model)) is not None:
        clock.daylight_saving, clock.drift_ppm = known
        return
    found = device.find(Clock.class_id, CLOCK)
    if isinstance(found, Clock):
        quality = found.remembered(QUALITY)
        clock.daylight_saving, clock.drift_ppm = daylight_saving(found), found.option("drift_ppm")
        clock.quality = 0 if quality is None else quality.value
        if unchanged:
            _OF_MODELS[device.model] = clock.daylight_saving, clock.drift_ppm


def clock_of_row(model: Model, row: Row, at: datetime) -> MeterClock | None:
    """The clock of a meter whose clock object is as its model has it; None until a meter of this model was made."""
    if (Clock.class_id, CLOCK) not in model.objects:
        return MeterClock(at, row)
    known = _OF_MODELS.get(model)
    return None if known is None else MeterClock(at, row, *known)


_OF_MODELS: WeakKeyDictionary[Model, tuple[DaylightSaving, int]] = WeakKeyDictionary()
"""Rules and drift of meters in which nothing has been changed, as nearly all are: those of their model."""


def invalidate(device: "Device") -> None:
    """The clock has lost its time: what it shows is invalid until it is set."""
    found = device.find(Clock.class_id, CLOCK)
    if isinstance(found, Clock):
        device.clock.quality |= INVALID
        found.remember(QUALITY, data.unsigned(device.clock.quality))
    device.history.happened(Record(device.clock.at, RecordKind.CLOCK_INVALID))
    record(device, Occurrence.CLOCK_INVALID)
