"""The special days of a meter, as calendar and schedule ask for them: what its tables of class 11 say."""

from functools import lru_cache
from typing import TYPE_CHECKING

from ami_dlms.data import Data
from ami_dlms.datetimes import CosemDate
from ami_meter_sim.objects.calendars import SpecialDays
from ami_meter_sim.objects.kept_object import KeptObject

if TYPE_CHECKING:
    from ami_meter_sim.objects.device import Device

SPECIAL_DAYS_TABLE = 11


def special_days(device: "Device") -> SpecialDays:
    """Date and day_id of every entry, the lowest index of the first table first."""
    tables = [device.find(*key) for key in device.model.objects if key[0] == SPECIAL_DAYS_TABLE]
    return tuple(one for table in tables if isinstance(table, KeptObject) for one in _decoded(table.sound("entries")))


@lru_cache(maxsize=1024)
def _decoded(entries: Data) -> SpecialDays:
    ordered = sorted(entries.value, key=lambda one: one.value[0].value)
    return tuple((CosemDate.decode(one.value[1].value), one.value[2].value) for one in ordered)
