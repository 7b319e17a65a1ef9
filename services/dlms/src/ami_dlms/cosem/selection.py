"""Selective access to a profile buffer (IEC 62056-6-2, class 7): by a range of values or by entries."""

from __future__ import annotations

from collections.abc import Sequence

from ami_dlms import data
from ami_dlms.data import Data
from ami_dlms.enums import DataTag
from ami_dlms.errors import DecodeError
from ami_dlms.frozen import frozen
from ami_dlms.obis import Obis

CLOCK_TIME, DATA_VALUE = (8, 2), (1, 2)
UNIX_CLOCK = (0, 1, 1)
"""Groups A, C and D of its logical name."""
BY_RANGE = 1
BY_ENTRY = 2


@frozen
class SelectiveAccess:
    """Selective-Access-Descriptor: the selector's number and its parameters."""

    selector: int
    parameters: Data


@frozen
class CaptureObject:
    """capture_object_definition: which attribute (and which element of it) a column of a profile holds."""

    class_id: int
    logical_name: Obis
    attribute_index: int
    data_index: int = 0

    def encode(self) -> Data:
        """The structure of four elements in capture_objects and in selectors."""
        return data.structure(
            data.long_unsigned(self.class_id),
            data.octet_string(self.logical_name),
            data.integer(self.attribute_index),
            data.long_unsigned(self.data_index),
        )

    @property
    def is_unix_clock(self) -> bool:
        """Whether it is seconds since 1970 in UTC: the value of 0-b:1.1.0 (class 1)."""
        medium, _, *group, _, _ = self.logical_name
        return (self.class_id, self.attribute_index) == DATA_VALUE and (medium, *group) == UNIX_CLOCK

    @property
    def is_clock(self) -> bool:
        """Whether it is a time: of a clock (class 8), or UNIX time."""
        return (self.class_id, self.attribute_index) == CLOCK_TIME or self.is_unix_clock

    @classmethod
    def decode(cls, value: Data) -> CaptureObject:
        """Inverse of encode; DecodeError for any other shape."""
        class_id, name, attribute, index = _elements(value, 4, "capture_object_definition")
        octets = _typed(name, DataTag.OCTET_STRING)
        if not isinstance(octets, bytes) or len(octets) != 6:
            raise DecodeError("a logical name of 6 octets", repr(octets), field="logical_name")
        return cls(
            _integer(class_id, DataTag.LONG_UNSIGNED),
            Obis(octets),
            _integer(attribute, DataTag.INTEGER),
            _integer(index, DataTag.LONG_UNSIGNED),
        )


@frozen
class RangeDescriptor:
    """Rows whose `restricting_object` lies between two values, both included; no selected_values means all columns."""

    restricting_object: CaptureObject
    from_value: Data
    to_value: Data
    selected_values: tuple[CaptureObject, ...] = ()

    def encode(self) -> SelectiveAccess:
        """Selector 1."""
        columns = data.array(*(column.encode() for column in self.selected_values))
        return SelectiveAccess(
            BY_RANGE, data.structure(self.restricting_object.encode(), self.from_value, self.to_value, columns)
        )

    @classmethod
    def decode(cls, access: SelectiveAccess) -> RangeDescriptor:
        """Inverse of encode; DecodeError for any other shape."""
        _selector(access, BY_RANGE)
        restricting, lower, upper, columns = _elements(access.parameters, 4, "range_descriptor")
        return cls(
            CaptureObject.decode(restricting),
            lower,
            upper,
            tuple(CaptureObject.decode(column) for column in _items(columns, DataTag.ARRAY, "selected_values")),
        )


@frozen
class EntryDescriptor:
    """Rows and columns by number from 1, both ends included; 0 as an end means the highest."""

    from_entry: int
    to_entry: int = 0
    from_selected_value: int = 1
    to_selected_value: int = 0

    def encode(self) -> SelectiveAccess:
        """Selector 2."""
        parameters = data.structure(
            data.double_long_unsigned(self.from_entry),
            data.double_long_unsigned(self.to_entry),
            data.long_unsigned(self.from_selected_value),
            data.long_unsigned(self.to_selected_value),
        )
        return SelectiveAccess(BY_ENTRY, parameters)

    @classmethod
    def decode(cls, access: SelectiveAccess) -> EntryDescriptor:
        """Inverse of encode; DecodeError for any other shape."""
        _selector(access, BY_ENTRY)
        first, last, left, right = _elements(access.parameters, 4, "entry_descriptor")
        return cls(
            _integer(first, DataTag.DOUBLE_LONG_UNSIGNED),
            _integer(last, DataTag.DOUBLE_LONG_UNSIGNED),
            _integer(left, DataTag.LONG_UNSIGNED),
            _integer(right, DataTag.LONG_UNSIGNED),
        )


def _selector(access: SelectiveAccess, wanted: int) -> None:
    if access.selector != wanted:
        raise DecodeError(f"access selector {wanted}", str(access.selector), field="access_selector")


def _typed(value: Data, tag: DataTag) -> object:
    if value.tag is not tag:
        raise DecodeError(tag.name.lower(), value.tag.name.lower())
    return value.value


def _integer(value: Data, tag: DataTag) -> int:
    number = _typed(value, tag)
    if not isinstance(number, int):
        raise DecodeError(tag.name.lower(), repr(number))
    return number


def _items(value: Data, tag: DataTag, field: str) -> Sequence[Data]:
    items = value.value
    if value.tag is not tag or not isinstance(items, tuple):
        raise DecodeError(tag.name.lower(), value.tag.name.lower(), field=field)
    return items


def _elements(value: Data, count: int, field: str) -> Sequence[Data]:
    items = _items(value, DataTag.STRUCTURE, field)
    if len(items) != count:
        raise DecodeError(f"{count} elements", str(len(items)), field=field)
    return items
