"""Register activation (class 6): which registers count, by masks; the tariff in force is the mask that is active.

Strategy: mask number n, counted from 1, is tariff n, and the registers of a tariff are quantities of their own. Writing active_mask, as the scripts of
a tariff do, leaves a record, and the energies by tariffs follow from those records and from the activity calendar.
"""

from typing import ClassVar

from ami_dlms import data
from ami_dlms.data import Data
from ami_dlms.enums import ActionResult, DataAccessResult
from ami_meter_sim.objects.cosem_object import AccessRefused, ActionRefused
from ami_meter_sim.objects.kept_object import KeptObject, parameter
from ami_meter_sim.objects.memory import Record, RecordKind
from ami_meter_sim.objects.shapes import LOGICAL_NAME, UINT8, UINT16, Array, Octets, Structure

MASK_NAME = Octets(most=32)
REGISTER = Structure(UINT16, LOGICAL_NAME)
MASK = Structure(MASK_NAME, Array(UINT8, 64))


class RegisterActivation(KeptObject):
    """active_mask is what the tariff in force calls for; without a mask of that number it is what was written last."""

    __slots__ = ()

    class_id, version = 6, 0
    initial: ClassVar = {
        "register_assignment": data.array(),
        "mask_list": data.array(),
        "active_mask": data.octet_string(b""),
    }
    writable: ClassVar = {"register_assignment": Array(REGISTER, 64), "mask_list": Array(MASK, 64)}
    writes: ClassVar = {"active_mask": lambda self, value: self._activate(value)}
    methods: ClassVar = {
        "add_register": lambda self, value: self._add("register_assignment", parameter(value, REGISTER)),
        "add_mask": lambda self, value: self._add_mask(parameter(value, MASK)),
        "delete_mask": lambda self, value: self._delete_mask(parameter(value, MASK_NAME)),
    }

    def value(self, name: str) -> Data:
        """As `KeptObject`."""
        if name == "active_mask":
            masks, tariff = self.elements("mask_list"), self.device.metering.tariff
            if 0 < tariff <= len(masks):
                found: Data = masks[tariff - 1].value[0]
                return found
        return super().value(name)

    def _activate(self, wanted: Data) -> None:
        if not MASK_NAME(wanted):
            raise AccessRefused(DataAccessResult.TYPE_UNMATCHED)
        names = [mask.value[0] for mask in self.elements("mask_list")]
        if wanted not in names:
            raise AccessRefused(DataAccessResult.OTHER_REASON)
        device = self.device
        self.change("active_mask", wanted)
        device.history.happened(
            Record(device.clock.at, RecordKind.TARIFF, self.described.obis, names.index(wanted) + 1)
        )

    def _add(self, name: str, element: Data) -> None:
        self._replace(name, [*self.elements(name), element])

    def _add_mask(self, mask: Data) -> None:
        """A mask of the same name is replaced where it is."""
        masks = list(self.elements("mask_list"))
        same = [number for number, one in enumerate(masks) if one.value[0] == mask.value[0]]
        if same:
            masks[same[0]] = mask
        else:
            masks.append(mask)
        self._replace("mask_list", masks)

    def _delete_mask(self, name: Data) -> None:
        masks = self.elements("mask_list")
        others = [one for one in masks if one.value[0] != name]
        if len(others) == len(masks):
            raise ActionRefused(ActionResult.OTHER_REASON)
        self._replace("mask_list", others)

    def _replace(self, name: str, elements: list[Data]) -> None:
        whole = data.array(*elements)
        if not self.writable[name](whole):
            raise ActionRefused(ActionResult.OTHER_REASON)
        self.change(name, whole)
