"""Function control (class 122) and status mapping (class 63): which functions of a meter are on, and what a status word means.

Strategy: a function is a name with the objects that belong to it. While it is off, its objects do nothing by themselves; what they show
and what a client orders is as before.
"""

from functools import lru_cache
from typing import TYPE_CHECKING, ClassVar

from ami_dlms import data
from ami_dlms.data import Data
from ami_dlms.enums import ActionResult
from ami_dlms.obis import Obis
from ami_meter_sim.objects.cosem_object import ActionRefused
from ami_meter_sim.objects.kept_object import KeptObject, parameter
from ami_meter_sim.objects.shapes import LOGICAL_NAME, UINT16, AnyOf, Array, Octets, Structure, boolean, plain
from ami_packs.model import Model

if TYPE_CHECKING:
    from ami_meter_sim.objects.device import Device

MOST = 32
NAME = Octets(most=32)
STATUS = Array(Structure(NAME, boolean), MOST)
FUNCTION = Structure(NAME, Array(Structure(UINT16, LOGICAL_NAME), MOST))


class FunctionControl(KeptObject):
    """A function that is added is on."""

    __slots__ = ()

    class_id, version = 122, 0
    initial: ClassVar = {"activation_status": data.array(), "function_list": data.array()}
    writable: ClassVar = {"activation_status": STATUS, "function_list": Array(FUNCTION, MOST)}
    methods: ClassVar = {
        "set_function_status": lambda self, value: self._set(parameter(value, STATUS)),
        "add_function": lambda self, value: self._add(parameter(value, FUNCTION)),
        "remove_function": lambda self, value: self._remove(parameter(value, FUNCTION)),
    }

    def switched_off(self) -> frozenset[tuple[int, Obis]]:
        """The objects of all functions that are off."""
        off = {one.value[0] for one in self.elements("activation_status") if not one.value[1].value}
        functions = [one.value for one in self.elements("function_list")]
        objects = [part.value for name, listed in functions if name in off for part in listed.value]
        return frozenset((class_id.value, Obis(name.value)) for class_id, name in objects)

    def _set(self, wanted: Data) -> None:
        """All of them, or none if one is not known."""
        status = {one.value[0]: one.value[1] for one in self.elements("activation_status")}
        changes = {one.value[0]: one.value[1] for one in wanted.value}
        if not changes.keys() <= status.keys():
            raise ActionRefused(ActionResult.OTHER_REASON)
        self._change_status(status | changes)

    def _add(self, function: Data) -> None:
        name = function.value[0]
        others = [one for one in self.elements("function_list") if one.value[0] != name]
        if len(others) >= MOST:
            raise ActionRefused(ActionResult.OTHER_REASON)
        self.change("function_list", data.array(*others, function))
        status = {one.value[0]: one.value[1] for one in self.elements("activation_status")}
        self._change_status({name: data.boolean(True)} | status)

    def _remove(self, function: Data) -> None:
        name = function.value[0]
        others = [one for one in self.elements("function_list") if one.value[0] != name]
        if len(others) == len(self.elements("function_list")):
            raise ActionRefused(ActionResult.OTHER_REASON)
        self.change("function_list", data.array(*others))
        self._change_status(
            {one.value[0]: one.value[1] for one in self.elements("activation_status") if one.value[0] != name}
        )

    def _change_status(self, status: dict[Data, Data]) -> None:
        self.change("activation_status", data.array(*(data.structure(name, on) for name, on in status.items())))


class StatusMapping(KeptObject):
    """status_word is what the model says, or what was written; mapping_table says which table its bits refer to."""

    __slots__ = ()

    class_id, version = 63, 0
    initial: ClassVar = {
        "status_word": data.bit_string(()),
        "mapping_table": data.structure(data.long_unsigned(0), data.long_unsigned(0)),
    }
    writable: ClassVar = {
        "status_word": plain,
        "mapping_table": Structure(UINT16, AnyOf(UINT16, Array(UINT16))),
    }


NOTHING: frozenset[tuple[int, Obis]] = frozenset()


@lru_cache(maxsize=256)
def _controls(model: Model) -> tuple[tuple[int, Obis], ...]:
    return tuple(key for key in model.objects if key[0] == FunctionControl.class_id)


def switched_off(device: "Device") -> frozenset[tuple[int, Obis]]:
    """The objects of a meter that do nothing by themselves, because their function is off."""
    keys = _controls(device.model)
    if not keys:
        return NOTHING
    controls = [device.find(*key) for key in keys]
    return frozenset().union(*(one.switched_off() for one in controls if isinstance(one, FunctionControl)))
