"""Values that an object takes from others: the lists of push setups (class 40) and of compact data (class 62).

Strategy: what an element names is read as the meter itself reads it; what is not there or does not answer is null-data, so that one
object which is missing never keeps the others from arriving.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ami_dlms import data
from ami_dlms.cosem.selection import CaptureObject, EntryDescriptor, RangeDescriptor, SelectiveAccess
from ami_dlms.data import Data
from ami_dlms.enums import DataAccessResult, DataTag
from ami_dlms.errors import DlmsError
from ami_dlms.obis import Obis
from ami_meter_sim.objects.cosem_object import AccessRefused, ReadContext
from ami_meter_sim.objects.shapes import INT8, LOGICAL_NAME, UINT16, Array, Number, Structure, plain

if TYPE_CHECKING:
    from ami_meter_sim.objects.device import Device

PROFILE_GENERIC = 7
BUFFER, CAPTURE_OBJECTS, ENTRIES_IN_USE = 2, 3, 7
NEWEST_ROWS = 0x0FFF
"""data_index of a profile's buffer: a number of rows, the newest; 0 for all."""
NO_RESTRICTION, BY_DATE, BY_ENTRY = range(3)
MOST_OBJECTS = 64
CAPTURE_OBJECT = Structure(UINT16, LOGICAL_NAME, INT8, UINT16)


def _anything_plain(value: Data) -> bool:
    return plain(value) or Structure(plain, plain)(value)


RESTRICTION = Structure(Number(DataTag.ENUM, range(3)), _anything_plain)
WITH_RESTRICTION = Structure(UINT16, LOGICAL_NAME, INT8, UINT16, RESTRICTION)
WITH_COLUMNS = Structure(UINT16, LOGICAL_NAME, INT8, UINT16, RESTRICTION, Array(CAPTURE_OBJECT, MOST_OBJECTS))


@dataclass(frozen=True, slots=True)
class Element:
    """One element of such a list. `restriction`: 1 from one moment to another, 2 from one entry to another."""

    source: CaptureObject
    restriction: int = NO_RESTRICTION
    bounds: tuple[Data, ...] = ()
    columns: tuple[CaptureObject, ...] = ()

    @classmethod
    def decode(cls, value: Data) -> "Element":
        """From a structure of one of the three shapes above."""
        parts = value.value
        source = CaptureObject.decode(data.structure(*parts[:4]))
        if len(parts) == len(CAPTURE_OBJECT.elements):
            return cls(source)
        kind, bounds = parts[4].value
        columns = tuple(map(CaptureObject.decode, parts[5].value)) if len(parts) == len(WITH_COLUMNS.elements) else ()
        return cls(source, kind.value, bounds.value if bounds.tag == DataTag.STRUCTURE else (), columns)

    def read(self, device: "Device") -> Data:
        """The value now."""
        source = self.source
        found = device.find(source.class_id, source.logical_name)
        if found is None:
            return data.null()
        try:
            selection = self._selection(device)
            value = found.read(source.attribute_index, ReadContext(selection=selection))
        except (AccessRefused, DlmsError):
            return data.null()
        return value if self._of_buffer else _part(value, source.data_index)

    @property
    def _of_buffer(self) -> bool:
        return (self.source.class_id, self.source.attribute_index) == (PROFILE_GENERIC, BUFFER)

    def _selection(self, device: "Device") -> SelectiveAccess | None:
        if not self._of_buffer:
            return None
        if self.restriction == BY_DATE and len(self.bounds) == 2:
            return RangeDescriptor(_clock_of(device, self.source.logical_name), *self.bounds, self.columns).encode()
        first, last = 1, 0
        if self.restriction == BY_ENTRY and len(self.bounds) == 2:
            first, last = (bound.value if isinstance(bound.value, int) else 0 for bound in self.bounds)
        elif newest := self.source.data_index & NEWEST_ROWS:
            first = max(_attribute(device, self.source.logical_name, ENTRIES_IN_USE).value - newest, 0) + 1
        else:
            return None
        return EntryDescriptor(first, last).encode()


def _attribute(device: "Device", profile: Obis, attribute_id: int) -> Data:
    found = device.find(PROFILE_GENERIC, profile)
    if found is None:
        raise AccessRefused(DataAccessResult.OBJECT_UNDEFINED)
    return found.read(attribute_id)


def _clock_of(device: "Device", profile: Obis) -> CaptureObject:
    """The column of a profile that is its time."""
    columns = map(CaptureObject.decode, _attribute(device, profile, CAPTURE_OBJECTS).value)
    found = next((one for one in columns if one.is_clock), None)
    if found is None:
        raise AccessRefused(DataAccessResult.OBJECT_UNDEFINED)
    return found


def _part(value: Data, data_index: int) -> Data:
    """The whole attribute, or one element of it by number from 1."""
    if not data_index:
        return value
    if value.tag not in (DataTag.STRUCTURE, DataTag.ARRAY) or data_index > len(value.value):
        return data.null()
    part: Data = value.value[data_index - 1]
    return part
