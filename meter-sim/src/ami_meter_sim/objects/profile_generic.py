"""Profile generic (class 7): load profiles and event logs, first in first out, with selective access.

Strategy: a row is captured by reading the objects that `capture_objects` names, at the instant that the meter's clock
stands at, and is kept encoded; rows are decoded when somebody reads them. The buffer lies behind `Rows`.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import ClassVar

from ami_dlms import data
from ami_dlms.cosem.selection import (
    BY_ENTRY,
    BY_RANGE,
    CaptureObject,
    EntryDescriptor,
    RangeDescriptor,
    SelectiveAccess,
)
from ami_dlms.data import Data
from ami_dlms.datetimes import CosemDateTime
from ami_dlms.enums import DataAccessResult, DataTag
from ami_dlms.errors import DecodeError, LocalError
from ami_dlms.obis import Obis
from ami_meter_sim.objects.cosem_object import CosemObject, Refused
from ami_meter_sim.objects.device import Device, Rows
from ami_packs.model import ObjectDescription

SORT_METHOD_FIFO = 1
NO_SORT_OBJECT = CaptureObject(0, Obis(bytes(6)), 0, 0)
CLOCK_CLASS = 8


class ProfileGeneric(CosemObject):
    """The parameter of both methods, integer (0), means nothing."""

    __slots__ = ("_device", "_rows")

    class_id, version = 7, 1
    reads: ClassVar = {
        "buffer": lambda self, context: self._buffer(context.selection),
        "capture_objects": lambda self, _: data.array(*(column.encode() for column in self.described.columns)),
        "capture_period": lambda self, _: self.described.capture_period,
        "sort_method": lambda self, _: SORT_METHOD_FIFO,
        "sort_object": lambda self, _: NO_SORT_OBJECT.encode(),
        "entries_in_use": lambda self, _: len(self._rows.read()),
        "profile_entries": lambda self, _: self.described.profile_entries,
    }
    methods: ClassVar = {"reset": lambda self, _: self._rows.clear(), "capture": lambda self, _: self.capture()}
    selective = frozenset({"buffer"})

    def __init__(self, described: ObjectDescription, device: Device) -> None:
        super().__init__(described)
        self._device = device
        self._rows: Rows = device.rows(described)

    def capture(self) -> None:
        """Add a row with the values of this instant."""
        values = (self._column_value(column) for column in self.described.columns)
        self._rows.append(data.encode(data.structure(*values)))

    def _column_value(self, column: CaptureObject) -> Data:
        source = self._device.find(column.class_id, column.logical_name)
        if source is None:
            return data.null()
        value = source.read(column.attribute_index)
        if column.data_index and isinstance(value.value, tuple):
            part: Data = value.value[column.data_index - 1]
            return part
        return value

    def _buffer(self, selection: SelectiveAccess | None) -> Data:
        rows = self._rows.read()
        if selection is None:
            return data.array(*map(data.decode, rows))
        try:
            if selection.selector == BY_RANGE:
                return self._by_range(rows, RangeDescriptor.decode(selection))
            if selection.selector == BY_ENTRY:
                return self._by_entry(rows, EntryDescriptor.decode(selection))
        except (DecodeError, LocalError):
            raise Refused(DataAccessResult.TYPE_UNMATCHED) from None
        raise Refused(DataAccessResult.SCOPE_OF_ACCESS_VIOLATED)

    def _by_entry(self, rows: Sequence[bytes], wanted: EntryDescriptor) -> Data:
        """Numbers from 1, both ends included, 0 as an end for the last."""
        if wanted.from_entry < 1 or wanted.from_selected_value < 1:
            raise Refused(DataAccessResult.SCOPE_OF_ACCESS_VIOLATED)
        chosen = rows[wanted.from_entry - 1 : wanted.to_entry or None]
        left, right = wanted.from_selected_value - 1, wanted.to_selected_value or None
        return data.array(*(data.structure(*_values(row)[left:right]) for row in chosen))

    def _by_range(self, rows: Sequence[bytes], wanted: RangeDescriptor) -> Data:
        """Rows whose restricting column lies between both values, these included."""
        columns = self.described.columns
        restricting = self._column_number(wanted.restricting_object)
        chosen = [self._column_number(column) for column in wanted.selected_values] or range(len(columns))
        is_time = columns[restricting].class_id == CLOCK_CLASS
        lowest, highest = (self._comparable(value, is_time) for value in (wanted.from_value, wanted.to_value))
        found = []
        for row in map(_values, rows):
            if lowest <= self._comparable(row[restricting], is_time) <= highest:
                found.append(data.structure(*(row[number] for number in chosen)))
        return data.array(*found)

    def _column_number(self, column: CaptureObject) -> int:
        if column not in self.described.columns:
            raise Refused(DataAccessResult.SCOPE_OF_ACCESS_VIOLATED)
        return self.described.columns.index(column)

    def _comparable(self, value: Data, is_time: bool) -> float:
        """Moments as seconds since the epoch, numbers as they are."""
        content: object = value.value
        if is_time and value.tag == DataTag.OCTET_STRING and isinstance(content, bytes):
            content = CosemDateTime.decode(content)
        if isinstance(content, CosemDateTime):
            moment: datetime = content.to_datetime(self._device.clock.time_zone_minutes)
            return moment.timestamp()
        if is_time or isinstance(content, bool) or not isinstance(content, int):
            raise Refused(DataAccessResult.TYPE_UNMATCHED)
        return content


def _values(row: bytes) -> tuple[Data, ...]:
    values: tuple[Data, ...] = data.decode(row).value
    return values
