"""Data (class 1), Register (class 3), Extended register (class 4), Demand register (class 5): values that a model gives names.

Strategy: `NAMED` are the values of the meter's own, and `quantities.QUANTITIES` what it measures. A measured value is a function of
time, here at the instant that the meter's clock shows, in a profile at many instants. A reset leaves a record, and from there on the register
shows what came after it. The invocation counter object shows the last counter of the management client that the meter has
accepted, that is the lowest one it still accepts minus one: a client goes on with the shown value plus one.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np

from ami_dlms import data
from ami_dlms.data import Data
from ami_dlms.enums import DataAccessResult, DataTag
from ami_dlms.security import ReceiveCounter
from ami_meter_sim.load.noise import Integers
from ami_meter_sim.objects.base import base_of, records_after_base
from ami_meter_sim.objects.billing import billing_count
from ami_meter_sim.objects.cells import date_times
from ami_meter_sim.objects.cosem_object import ITSELF, SIMPLE_TYPES, AccessRefused, CosemObject, Options, ReadContext
from ami_meter_sim.objects.demand import NEXT_PERIOD, Demand
from ami_meter_sim.objects.device import Device
from ami_meter_sim.objects.image_transfer import active_firmware
from ami_meter_sim.objects.memory import Record, RecordKind
from ami_meter_sim.objects.metering import Seconds
from ami_meter_sim.objects.profile_status import running_status
from ami_meter_sim.objects.quantities import ENERGIES, NO_UNIT, QUANTITIES, MeasuredQuantity
from ami_meter_sim.objects.timeline import resets, second_of
from ami_packs.model import ObjectDescription

STATUS_VALID = 0
FINE_OCTETS = 8
"""Of what a quantity was when its register was reset, in the record of that."""
VALUE = 2
KEPT = ("", "event_code")
"""Values that may lie among what the meter keeps."""


def _last_accepted(counter: ReceiveCounter | None) -> Data:
    lowest = 1 if counter is None else counter.lowest_acceptable
    return data.double_long_unsigned(max(lowest - 1, 0))


def _power_failures(device: Device) -> int:
    base = base_of(device)
    return (0 if base is None else base.power_failures) + len(records_after_base(device, RecordKind.POWER_DOWN))


NAMED: dict[str, tuple[str, Callable[[Device], Data]]] = {
    "logical_device_name": (
        "16 octets that name it",
        lambda device: data.octet_string(device.identity.logical_device_name),
    ),
    "device_id": ("its number", lambda device: data.octet_string(device.identity.device_id)),
    "system_title": ("8 octets", lambda device: data.octet_string(device.identity.system_title or b"")),
    "invocation_counter": (
        "the last one accepted of the management client",
        lambda device: _last_accepted(device.receive_counter),
    ),
    "second_invocation_counter": (
        "the last one accepted under the keys of the second security setup",
        lambda device: _last_accepted(device.second_receive_counter),
    ),
    "event_code": ("the last event", lambda device: data.unsigned(device.event_code)),
    "profile_status": (
        "status of the running capture period: 0x80 power down, 0x20 clock adjusted, 0x08 daylight saving, 0x02 clock invalid",
        lambda device: data.unsigned(running_status(device)),
    ),
    "firmware": ("identifier of the firmware that runs", lambda device: data.octet_string(active_firmware(device))),
    "active_tariff": ("number of the tariff in force", lambda device: data.unsigned(device.metering.tariff)),
    "power_failures": (
        "how often power went",
        lambda device: data.double_long_unsigned(_power_failures(device)),
    ),
    "billing_periods": (
        "how many billing periods have ended",
        lambda device: data.double_long_unsigned(billing_count(device, second_of(device.clock.at))),
    ),
}
"""Values that are not measured: what each is, and where it comes from."""
VALUES = (*NAMED, *QUANTITIES)
"""All names that a model may put behind an object."""


class DataObject(CosemObject):
    """Data. `type` is the type of a measured value, the quantity's own if it is empty; `roll_over` where it begins again at 0.

    `over_s`: not the sum but what came in the latest period of so many seconds that has ended. `filter`: of an alarm register or a status
    word the object with its filter, where that is not the one beside it.
    """

    __slots__ = ("_device", "quantity")

    class_id, version = 1, 0
    reads: ClassVar = {"value": lambda self, _: self._value()}
    writes: ClassVar = {"value": lambda self, value: self._write(value)}
    options: ClassVar[Options] = {"type": "", "roll_over": 0, "over_s": 0, "filter": ""}

    def __init__(self, described: ObjectDescription, device: Device) -> None:
        super().__init__(described)
        self._device = device
        self.quantity: MeasuredQuantity | None = QUANTITIES.get(described.value)

    def read(self, attribute_id: int, context: ReadContext = ITSELF) -> Data:
        """What was written counts over what the model says; the last event of a log over that of all logs."""
        if attribute_id == VALUE and self.described.value in KEPT and context.selection is None:
            kept = self._device.kept.get(self.class_id, self.described.obis, VALUE)
            if kept is not None:
                return kept
        return super().read(attribute_id, context)

    @property
    def tag(self) -> DataTag:
        """The type of the measured value."""
        chosen: str = self.option("type")
        return SIMPLE_TYPES[chosen] if chosen else _quantity(self).tag

    def measured(self, seconds: Seconds) -> Any:
        """What it shows at one second, or at each of an array: of a measured value only."""
        quantity, over_s = _quantity(self), self.option("over_s")
        if over_s:
            end = seconds // over_s * over_s
            metering = self._device.metering
            fine = quantity.fine(metering, end) - quantity.fine(metering, end - over_s)
            return quantity.shown(fine, self.described.scaler, self.tag)
        fine = quantity.fine(self._device.metering, seconds) - self._since_reset(seconds)
        return quantity.shown(fine, self.described.scaler, self.tag, self.option("roll_over"))

    def _value(self) -> Data:
        if self.quantity is None:
            if not self.described.value:
                raise AccessRefused(DataAccessResult.OBJECT_UNAVAILABLE)
            found, chosen = NAMED[self.described.value][1](self._device), self.option("type")
            return Data(SIMPLE_TYPES[chosen], found.value) if chosen else found
        return Data(self.tag, self.measured(second_of(self._device.clock.at)))

    def _write(self, value: Data) -> None:
        before = self.described.attributes.get(VALUE)
        if self.described.value:
            raise AccessRefused(DataAccessResult.READ_WRITE_DENIED)
        if before is not None and before.tag is not value.tag:
            raise AccessRefused(DataAccessResult.TYPE_UNMATCHED)
        self._device.kept.put(self.class_id, self.described.obis, VALUE, value)

    def _since_reset(self, seconds: Seconds) -> Any:
        """What it would show without the resets before; what is no sum over time has none."""
        found = resets(self._device, self.described.obis) if _quantity(self).unit in ENERGIES else []
        if not found:
            return 0
        at = np.array([second_of(one.at) for one in found], np.int64)
        computed = _quantity(self).fine(self._device.metering, at).tolist()
        held = [_held(one, value) for one, value in zip(found, computed, strict=True)]
        fine = np.array([0, *held], np.int64)
        if isinstance(seconds, int):
            return int(fine[np.searchsorted(at, seconds, "right")])
        return fine[np.searchsorted(at, seconds, "left")]


def _quantity(one: DataObject) -> MeasuredQuantity:
    if one.quantity is None:
        raise TypeError(f"{one.described.obis} measures nothing")
    return one.quantity


def _held(reset: Record, computed: int) -> int:
    """What the quantity was when the register was reset."""
    return int.from_bytes(reset.detail, "big", signed=True) if len(reset.detail) == FINE_OCTETS else computed


def _scaler_unit(described: ObjectDescription) -> Data:
    """The unit is the quantity's where the model has none."""
    known = QUANTITIES.get(described.value)
    unit = known.unit if known is not None and described.unit == NO_UNIT else described.unit
    return data.structure(data.integer(described.scaler), data.enum(unit))


class Register(DataObject):
    """A value with a scaler_unit. Its reset sets an energy to 0; powers, voltages and the like know of none."""

    __slots__ = ()

    class_id, version = 3, 0
    reads: ClassVar = {**DataObject.reads, "scaler_unit": lambda self, _: _scaler_unit(self.described)}
    methods: ClassVar = {"reset": lambda self, _: self._reset()}

    def _reset(self) -> None:
        device, described = self._device, self.described
        now, held, fine = second_of(device.clock.at), 0, b""
        if self.quantity is not None:
            held = self.measured(now)
            fine = int(self.quantity.fine(device.metering, now)).to_bytes(FINE_OCTETS, "big", signed=True)
        device.history.happened(Record(device.clock.at, RecordKind.RESET, described.obis, held, fine))


class ExtendedRegister(Register):
    """The maximum of an average power since the last end of a billing period or reset, and the end of the period in which it was.

    `period_s` and `periods`: the average is over `periods` periods and moves on after each (more than one: sliding). Of a quantity that is
    no power it is a register with the time of its last change, which is now.
    """

    __slots__ = ()

    class_id, version = 4, 0
    reads: ClassVar = {
        **Register.reads,
        "status": lambda self, _: data.unsigned(STATUS_VALID),
        "capture_time": lambda self, _: self._capture_time(second_of(self._device.clock.at)),
    }
    options: ClassVar[Options] = {**DataObject.options, "period_s": 900, "periods": 1}

    @property
    def demand(self) -> Demand | None:
        """How its averages are formed; None of a quantity that is no power."""
        quantity = _quantity(self)
        if quantity.energy is None:
            return None
        return Demand(
            self._device, self.described.obis, quantity.energy, self.option("period_s"), self.option("periods")
        )

    def measured(self, seconds: Seconds) -> Any:
        """As `DataObject`; of a power its maximum so far."""
        demand = self.demand
        if demand is None:
            return super().measured(seconds)
        fine = demand.maximum(seconds).ws if isinstance(seconds, int) else demand.maxima(seconds)[0]
        return _mean(_quantity(self), fine, demand.window_s, self.described.scaler, self.tag)

    def capture_times(self, seconds: Integers) -> list[bytes]:
        """As attribute 5 shows them at each of these seconds."""
        demand, captured_at = self.demand, _quantity(self).captured_at
        if captured_at is not None:
            return self.shown_at(captured_at(self._device.metering, seconds))
        return self.shown_at(seconds if demand is None else demand.maxima(seconds)[1])

    def shown_at(self, ends: Integers) -> list[bytes]:
        """What the clock showed at these ends of periods; of the one that a base holds, what it showed before that."""
        shown = [bytes(row) for row in date_times(self._device, ends)[0]]
        base = base_of(self._device)
        held = None if base is None else base.highest.get(self.described.obis)
        if held is None:
            return shown
        return [held.shown if end == held.end else one for end, one in zip(ends.tolist(), shown, strict=True)]

    def _capture_time(self, second: int) -> bytes:
        demand, captured_at = self.demand, _quantity(self).captured_at
        end = second if demand is None else demand.maximum(second).end
        end = end if captured_at is None else captured_at(self._device.metering, second)
        return self.shown_at(np.array([end], np.int64))[0]


class DemandRegister(CosemObject):
    """Averages of a power over `number_of_periods` periods, moved on after each; `value` names the power.

    `period_s` and `periods` are the model's. `next_period` ends the running period now, and all that follow begin from here.
    """

    __slots__ = ("_device",)

    class_id, version = 5, 0
    reads: ClassVar = {
        "current_average_value": lambda self, _: self._average(self._demand.current(self._now)),
        "last_average_value": lambda self, _: self._average(self._demand.last(self._now).ws),
        "scaler_unit": lambda self, _: _scaler_unit(self.described),
        "status": lambda self, _: data.unsigned(STATUS_VALID),
        "capture_time": lambda self, _: self._shown(self._demand.last(self._now).end),
        "start_time_current": lambda self, _: self._shown(self._demand.running_since(self._now)),
        "period": lambda self, _: self.option("period_s"),
        "number_of_periods": lambda self, _: self.option("periods"),
    }
    methods: ClassVar = {
        "reset": lambda self, _: self._restart(b""),
        "next_period": lambda self, _: self._restart(NEXT_PERIOD),
    }
    options: ClassVar[Options] = {"type": "", "period_s": 900, "periods": 1}

    def __init__(self, described: ObjectDescription, device: Device) -> None:
        super().__init__(described)
        self._device = device

    @property
    def _now(self) -> int:
        return second_of(self._device.clock.at)

    @property
    def _demand(self) -> Demand:
        energy = QUANTITIES[self.described.value].energy
        if energy is None:
            raise TypeError(f"{self.described.value} is no power")
        return Demand(self._device, self.described.obis, energy, self.option("period_s"), self.option("periods"))

    def _average(self, energy_ws: int) -> Data:
        chosen: str = self.option("type")
        quantity = QUANTITIES[self.described.value]
        tag = SIMPLE_TYPES[chosen] if chosen else quantity.tag
        return Data(tag, _mean(quantity, energy_ws, self._demand.window_s, self.described.scaler, tag))

    def _shown(self, second: int) -> bytes:
        return bytes(date_times(self._device, np.array([second], np.int64))[0][0])

    def _restart(self, detail: bytes) -> None:
        device = self._device
        device.history.happened(Record(device.clock.at, RecordKind.RESET, self.described.obis, detail=detail))


def _mean(quantity: MeasuredQuantity, energy_ws: Any, window_s: int, scaler: int, tag: DataTag) -> Any:
    """The energy of a window, or of each, as the mean power that a register shows."""
    return replace(quantity, denominator=window_s).shown(energy_ws, scaler, tag)
