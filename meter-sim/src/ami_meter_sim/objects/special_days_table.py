"""Special days table (class 11): the days on which calendar and schedule do something of their own."""

from typing import ClassVar

from ami_dlms import data
from ami_dlms.data import Data
from ami_dlms.enums import ActionResult
from ami_meter_sim.objects.activity_calendar import calendars
from ami_meter_sim.objects.calendars import SPECIAL_DAY
from ami_meter_sim.objects.cosem_object import ActionRefused
from ami_meter_sim.objects.kept_object import KeptObject, parameter
from ami_meter_sim.objects.shapes import UINT16, Array
from ami_meter_sim.objects.special_days import SPECIAL_DAYS_TABLE


class SpecialDaysTable(KeptObject):
    """An entry that is inserted replaces the one of the same index; what is changed counts from now on."""

    __slots__ = ()

    class_id, version = SPECIAL_DAYS_TABLE, 0
    initial: ClassVar = {"entries": data.array()}
    writable: ClassVar = {"entries": Array(SPECIAL_DAY)}
    methods: ClassVar = {
        "insert": lambda self, value: self._insert(parameter(value, SPECIAL_DAY)),
        "delete": lambda self, value: self._delete(parameter(value, UINT16)),
    }

    def change(self, name: str, value: Data) -> None:
        """The calendar's past stays what it was."""
        for one in calendars(self.device):
            one.settle()
        super().change(name, value)

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
