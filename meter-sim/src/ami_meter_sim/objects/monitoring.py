"""Register monitor (class 21) and parameter monitor (class 65): what the meter does when a value crosses a threshold or is written.

Strategy: a monitor acts on crossing only. Values that change by themselves, registers, are looked at once per `SAMPLE_S` of the
process's time, at instants that do not depend on when somebody asks; values that are set are looked at when they are set. On which
side of its thresholds a value was last is kept; a threshold that is written while the value is beyond it does not act.
"""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, ClassVar

from ami_dlms import data
from ami_dlms.data import Data
from ami_dlms.datetimes import CosemDateTime
from ami_dlms.enums import DataTag
from ami_dlms.obis import Obis
from ami_meter_sim.objects.cosem_object import AccessRefused
from ami_meter_sim.objects.kept_object import FIRST_OWN, KeptObject, parameter
from ami_meter_sim.objects.script_table import run_script
from ami_meter_sim.objects.shapes import SCRIPT, VALUE_DEFINITION, Array, Structure, number
from ami_meter_sim.objects.timed import TimedObject

if TYPE_CHECKING:
    from ami_meter_sim.objects.device import Device

SAMPLE_S = 60
REGISTERS = (3, 4, 5)
"""Classes whose values change by themselves."""
NOTHING = data.structure(data.long_unsigned(0), data.octet_string(bytes(6)), data.integer(0))
ABOVE = FIRST_OWN
"""One bit for each threshold, set while the value is above it."""
MOST = 32


class RegisterMonitor(TimedObject):
    """thresholds have the type and scaler of the monitored value; actions are as many and in the same order."""

    __slots__ = ()

    class_id, version = 21, 0
    initial: ClassVar = {"thresholds": data.array(), "monitored_value": NOTHING, "actions": data.array()}
    writable: ClassVar = {
        "thresholds": Array(number, MOST),
        "monitored_value": VALUE_DEFINITION,
        "actions": Array(Structure(SCRIPT, SCRIPT), MOST),
    }

    def change(self, name: str, value: Data) -> None:
        """The value's side of a new threshold is where it is now."""
        super().change(name, value)
        if name != "actions":
            self.remember(ABOVE, self._sides())

    def next_due(self, after: datetime) -> datetime | None:
        """The next look at a register; None for values that only change when they are set."""
        watched = self.elements("monitored_value")[0].value in REGISTERS and self.elements("thresholds")
        return next_sample(after) if watched else None

    def advance(self, at: datetime) -> bool:
        """Look, and run the scripts of what was crossed."""
        now = self._sides()
        before = self.remembered(ABOVE)
        if now is None or now == before:
            return False
        self.remember(ABOVE, now)
        was = (False,) * len(now.value) if before is None else before.value
        for (up, down), is_above, was_above in zip(self._actions(), now.value, was, strict=False):
            if is_above != was_above:
                run_script(self.device, up if is_above else down, locally=True)
        return True

    def watches(self, class_id: int, obis: Obis) -> bool:
        """Whether its value is of this object."""
        watched, name, _ = (part.value for part in self.elements("monitored_value"))
        return bool(watched == class_id and name == obis)

    def _sides(self) -> Data | None:
        value = monitored(self.device, self.sound("monitored_value"))
        if value is None:
            return None
        return data.bit_string(tuple([value > one.value for one in self.elements("thresholds")]))

    def _actions(self) -> list[tuple[Data, Data]]:
        return [(one.value[0], one.value[1]) for one in self.elements("actions")]


class ParameterMonitor(KeptObject):
    """changed_parameter is the last write of a listed attribute; capture_time, when it was."""

    __slots__ = ()

    class_id, version = 65, 0
    initial: ClassVar = {
        "changed_parameter": data.structure(*NOTHING.value, data.null()),
        "capture_time": data.octet_string(CosemDateTime().encode()),
        "parameter_list": data.array(),
    }
    writable: ClassVar = {"parameter_list": Array(VALUE_DEFINITION, MOST)}
    methods: ClassVar = {
        "add_parameter": lambda self, value: self._put(parameter(value, VALUE_DEFINITION), there=True),
        "delete_parameter": lambda self, value: self._put(parameter(value, VALUE_DEFINITION), there=False),
    }

    def written(self, definition: Data, value: Data) -> None:
        """An attribute was written: remember it if it is listed."""
        if definition in self.elements("parameter_list"):
            self.change("changed_parameter", data.structure(*definition.value, value))
            self.change("capture_time", data.octet_string(self.device.clock.date_time.encode()))

    def _put(self, definition: Data, there: bool) -> None:
        others = [one for one in self.elements("parameter_list") if one != definition]
        kept = [*others, definition][-MOST:] if there else others
        self.change("parameter_list", data.array(*kept))


def next_sample(after: datetime) -> datetime:
    """The next instant at which values that change by themselves are looked at."""
    return datetime.fromtimestamp((int(after.timestamp()) // SAMPLE_S + 1) * SAMPLE_S, UTC)


def monitored(device: "Device", definition: Data) -> int | None:
    """The number that an attribute has now; None if there is no such number."""
    class_id, obis, attribute_id = (part.value for part in definition.value)
    found = device.find(class_id, Obis(obis))
    try:
        value = None if found is None else found.read(attribute_id)
    except AccessRefused:
        return None
    if value is None or value.tag is DataTag.BOOLEAN or not isinstance(value.value, int):
        return None
    return value.value


def value_changed(device: "Device", class_id: int, obis: Obis) -> None:
    """Let the register monitors of an object look at it."""
    for one in _objects(device, RegisterMonitor.class_id):
        if isinstance(one, RegisterMonitor) and one.watches(class_id, obis):
            one.advance(device.clock.at)


def written(device: "Device", class_id: int, obis: Obis, attribute_id: int, value: Data) -> None:
    """An attribute was written: both kinds of monitors may have to do with it."""
    definition = data.structure(data.long_unsigned(class_id), data.octet_string(obis), data.integer(attribute_id))
    for one in _objects(device, ParameterMonitor.class_id):
        if isinstance(one, ParameterMonitor):
            one.written(definition, value)
    value_changed(device, class_id, obis)


def _objects(device: "Device", class_id: int) -> list[object]:
    return [device.find(*key) for key in device.model.objects if key[0] == class_id]
