"""The values of the CHOICE Data and of a compact array's description, and how its types of fixed size are packed."""

from __future__ import annotations

from typing import Any, NamedTuple

from ami_dlms.enums import DataTag


class Data(NamedTuple):
    """One value with its type."""

    tag: DataTag
    value: Any


class TypeDescription(NamedTuple):
    """Type of the elements of a compact array; the number belongs to arrays, `elements` to both arrays and structures."""

    tag: DataTag
    elements: tuple[TypeDescription, ...] = ()
    number_of_elements: int = 0


class CompactArray(NamedTuple):
    """compact-array: one description, then the values without tags; `expand` takes them apart."""

    description: TypeDescription
    contents: bytes


NULL = Data(DataTag.NULL_DATA, None)

# Types of fixed size, in the letters of `struct`: both directions are made from this table.
FORMATS = {
    DataTag.BOOLEAN: "?",
    DataTag.DOUBLE_LONG: "i",
    DataTag.DOUBLE_LONG_UNSIGNED: "I",
    DataTag.BCD: "b",
    DataTag.INTEGER: "b",
    DataTag.LONG: "h",
    DataTag.UNSIGNED: "B",
    DataTag.LONG_UNSIGNED: "H",
    DataTag.LONG64: "q",
    DataTag.LONG64_UNSIGNED: "Q",
    DataTag.ENUM: "B",
    DataTag.FLOAT32: "f",
    DataTag.FLOAT64: "d",
    DataTag.DELTA_INTEGER: "b",
    DataTag.DELTA_LONG: "h",
    DataTag.DELTA_DOUBLE_LONG: "i",
    DataTag.DELTA_UNSIGNED: "B",
    DataTag.DELTA_LONG_UNSIGNED: "H",
    DataTag.DELTA_DOUBLE_LONG_UNSIGNED: "I",
}
