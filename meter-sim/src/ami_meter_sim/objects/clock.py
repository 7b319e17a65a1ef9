"""Clock (class 8): the meter's time, settable, with its deviation; no daylight saving.

Times that a client writes may leave out the deviation: the meter's own stands in. Daylight saving is disabled and can't be
enabled, and the attributes say so.
"""

from datetime import datetime, timedelta
from typing import ClassVar

from ami_dlms.data import Data
from ami_dlms.datetimes import CosemDateTime
from ami_dlms.enums import ActionResult, DataAccessResult, DataTag
from ami_dlms.errors import DecodeError, LocalError
from ami_meter_sim.objects.cosem_object import ActionRefused, CosemObject, Refused, integer_in
from ami_meter_sim.objects.device import Device
from ami_packs.model import ObjectDescription

CLOCK_BASE_INTERNAL_CRYSTAL = 1
SHIFT_S = range(-900, 901)
QUARTER_S = 900
MINUTE_S = 60
YEARS = range(2000, 2100)
"""What the clock can show, as the two digits of most displays."""


class Clock(CosemObject):
    """`_preset` is what preset_adjusting_time left for adjust_to_preset_time. A new time zone moves what is shown, not the moment."""

    __slots__ = ("_device", "_preset")

    class_id, version = 8, 0
    reads: ClassVar = {
        "time": lambda self, _: self._device.clock.date_time.encode(),
        "time_zone": lambda self, _: self._device.clock.time_zone_minutes,
        "status": lambda self, _: self._device.clock.date_time.clock_status or 0,
        "daylight_savings_begin": lambda self, _: CosemDateTime().encode(),
        "daylight_savings_end": lambda self, _: CosemDateTime().encode(),
        "daylight_savings_deviation": lambda self, _: 0,
        "daylight_savings_enabled": lambda self, _: False,
        "clock_base": lambda self, _: CLOCK_BASE_INTERNAL_CRYSTAL,
    }
    writes: ClassVar = {
        "time": lambda self, value: self._set(self._moment(value)),
        "time_zone": lambda self, value: self._set_time_zone(value),
    }
    methods: ClassVar = {
        "adjust_to_quarter": lambda self, _: self._round_to(QUARTER_S),
        "adjust_to_measuring_period": lambda self, _: self._round_to(self._measuring_period_s()),
        "adjust_to_minute": lambda self, _: self._round_to(MINUTE_S),
        "adjust_to_preset_time": lambda self, _: self._adjust_to_preset_time(),
        "preset_adjusting_time": lambda self, parameters: self._preset_adjusting_time(parameters),
        "shift_time": lambda self, parameters: self._shift_time(parameters),
    }

    def __init__(self, described: ObjectDescription, device: Device) -> None:
        super().__init__(described)
        self._device = device
        self._preset: tuple[datetime, datetime, datetime] | None = None

    def _set(self, wanted: datetime) -> None:
        self._device.clock.set_time(wanted)
        self._device.clock_changed()

    def _set_time_zone(self, value: Data) -> None:
        self._device.clock.time_zone_minutes = integer_in(value, DataTag.LONG, range(-720, 721))
        self._device.clock_changed()

    def _moment(self, value: Data) -> datetime:
        try:
            if value.tag == DataTag.OCTET_STRING and isinstance(value.value, bytes):
                value = Data(DataTag.DATE_TIME, CosemDateTime.decode(value.value))
            if not isinstance(value.value, CosemDateTime):
                raise Refused(DataAccessResult.TYPE_UNMATCHED)
            moment = value.value.to_datetime(self._device.clock.time_zone_minutes)
        except (DecodeError, LocalError):
            raise Refused(DataAccessResult.TYPE_UNMATCHED) from None
        if moment.year not in YEARS:
            raise Refused(DataAccessResult.OTHER_REASON)
        return moment

    def _round_to(self, step_s: int) -> None:
        local = self._device.clock.time
        midnight = local.replace(hour=0, minute=0, second=0, microsecond=0)
        steps = round((local - midnight).total_seconds() / step_s)
        self._set(midnight + timedelta(seconds=steps * step_s))

    def _measuring_period_s(self) -> int:
        periods = [one.capture_period for one in self._device.model.profiles if one.capture_period]
        return min(periods, default=QUARTER_S)

    def _preset_adjusting_time(self, parameters: Data | None) -> None:
        parts = parameters.value if parameters is not None and parameters.tag == DataTag.STRUCTURE else None
        if not isinstance(parts, tuple) or len(parts) != 3:
            raise ActionRefused(ActionResult.TYPE_UNMATCHED)
        try:
            preset, start, end = (self._moment(part) for part in parts)
        except Refused:
            raise ActionRefused(ActionResult.TYPE_UNMATCHED) from None
        self._preset = preset, start, end

    def _adjust_to_preset_time(self) -> None:
        if self._preset is None:
            raise ActionRefused(ActionResult.TEMPORARY_FAILURE)
        preset, start, end = self._preset
        if not start <= self._device.clock.time <= end:
            raise ActionRefused(ActionResult.TEMPORARY_FAILURE)
        self._set(preset)

    def _shift_time(self, parameters: Data | None) -> None:
        shift = parameters.value if parameters is not None and parameters.tag == DataTag.LONG else None
        if not isinstance(shift, int) or shift not in SHIFT_S:
            raise ActionRefused(ActionResult.TYPE_UNMATCHED)
        self._set(self._device.clock.time + timedelta(seconds=shift))
