"""Data (class 1) and Register (class 3): one value each, found by the name that the model gives it.

Strategy: `VALUES` is the list of all values that a model can put behind an OBIS code; a new one is a line here. The
invocation counter object shows the last counter of the management client that the meter has accepted, that is the lowest
one it still accepts minus one: a client goes on with the shown value plus one.
"""

from collections.abc import Callable
from typing import ClassVar

from ami_dlms import data
from ami_dlms.data import Data
from ami_meter_sim.objects.cosem_object import CosemObject
from ami_meter_sim.objects.device import Device
from ami_packs.model import ObjectDescription

REGISTER_LIMIT = 2**32
"""A register of type double-long-unsigned rolls over here, as the display of a meter does."""


def _invocation_counter(device: Device) -> Data:
    counter = device.receive_counter
    lowest = 1 if counter is None else counter.lowest_acceptable
    return data.double_long_unsigned(max(lowest - 1, 0))


VALUES: dict[str, Callable[[Device], Data]] = {
    "logical_device_name": lambda device: data.octet_string(device.identity.logical_device_name),
    "device_id": lambda device: data.octet_string(device.identity.device_id),
    "system_title": lambda device: data.octet_string(device.identity.system_title or b""),
    "invocation_counter": _invocation_counter,
    "event_code": lambda device: data.unsigned(device.event_code),
    "profile_status": lambda device: data.unsigned(device.profile_status),
    "import_energy_wh": lambda device: data.double_long_unsigned(device.energy.import_wh % REGISTER_LIMIT),
    "export_energy_wh": lambda device: data.double_long_unsigned(device.energy.export_wh % REGISTER_LIMIT),
    "import_power_w": lambda device: data.double_long_unsigned(device.import_power_w),
    "export_power_w": lambda device: data.double_long_unsigned(device.export_power_w),
}


class DataObject(CosemObject):
    """Data."""

    __slots__ = ("_device", "_value")

    class_id, version = 1, 0
    reads: ClassVar = {"value": lambda self, _: self._value(self._device)}

    def __init__(self, described: ObjectDescription, device: Device) -> None:
        super().__init__(described)
        self._device = device
        self._value = VALUES[described.value]


def _scaler_unit(described: ObjectDescription) -> Data:
    return data.structure(data.integer(described.scaler), data.enum(described.unit))


class Register(DataObject):
    """A value with a scaler_unit. No reset: the model gives nobody the right to it."""

    __slots__ = ()

    class_id, version = 3, 0
    reads: ClassVar = {**DataObject.reads, "scaler_unit": lambda self, _: _scaler_unit(self.described)}
