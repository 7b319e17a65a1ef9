"""Special days table (class 11): the days on which calendar and schedule do something of their own."""

from typing import TYPE_CHECKING, ClassVar

from ami_dlms import data
from ami_dlms.data import Data
from ami_dlms.datetimes import CosemDate
from ami_dlms.enums import ActionResult
from ami_meter_sim.objects.calendars import SPECIAL_DAY, SpecialDays
from ami_meter_sim.objects.cosem_object import ActionRefused
from ami_meter_sim.objects.kept_object import KeptObject, parameter
from ami_meter_sim.objects.shapes import UINT16, Array

if TYPE_CHECKING:
    from ami_meter_sim.objects.device import Device


class SpecialDaysTable(KeptObject):
    """An entry that is inserted replaces the one of the same index."""

    __slots__ = ()

    class_id, version = 11, 0
    initial: ClassVar = {"entries": data.array()}
    writable: ClassVar = {"entries": Array(SPECIAL_DAY)}
    methods: ClassVar = {
        "insert": lambda self, value: self._insert(parameter(value, SPECIAL_DAY)),
        "delete": lambda self, value: self._delete(parameter(value, UINT16)),
    }

    @property
    def special_days(self) -> SpecialDays:
        """Date and day_id of every entry, the lowest index first."""
        entries = sorted(self.elements("entries"), key=lambda one: one.value[0].value)
        return tuple((CosemDate.decode(one.value[1].value), one.value[2].value) for one in entries)

    def _without(self, index: Data) -> list[Data]:
        return [one for one in self.elements("entries") if one.value[0] != index]

    def _insert(self, entry: Data) -> None:
        entries = data.array(*self._without(entry.value[0]), entry)
        if not self.writable["entries"](entries):
            raise ActionRefused(ActionResult.OTHER_REASON)
        self.change("entries", entries)

    def _delete(self, index: Data) -> None:
        others = self._without(index)
        if len(others) == len(self.elements("entries")):
            raise ActionRefused(ActionResult.OTHER_REASON)
        self.change("entries", data.array(*others))


def special_days(device: "Device") -> SpecialDays:
    """The special days of a meter: those of all its tables."""
    tables = [device.find(*key) for key in device.model.objects if key[0] == SpecialDaysTable.class_id]
    return tuple(one for table in tables if isinstance(table, SpecialDaysTable) for one in table.special_days)
