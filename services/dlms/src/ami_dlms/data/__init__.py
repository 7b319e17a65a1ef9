"""A-XDR encoding of the CHOICE Data (IEC 62056-5-3, clause 8): the values that COSEM attributes and methods carry.

A value is a pair of tag and Python value: int, bool, float, str, bytes, a tuple of Data for array and structure, a
tuple of bool for bit-string, a date or time of `ami_dlms.datetimes`, None for null-data and don't-care. The constructors
below are named as in the standard.
"""

from __future__ import annotations

from ami_dlms.data.columns import decode_columns, uniform_rows
from ami_dlms.data.compact import expand, to_python
from ami_dlms.data.decoding import MAX_DEPTH, decode, read
from ami_dlms.data.encoded import EncodedItems
from ami_dlms.data.encoding import encode, write
from ami_dlms.data.rows import typed
from ami_dlms.data.types import NULL, CompactArray, Data, TypeDescription
from ami_dlms.datetimes import CosemDate, CosemDateTime, CosemTime
from ami_dlms.enums import DataTag

__all__ = [
    "MAX_DEPTH",
    "NULL",
    "CompactArray",
    "Data",
    "EncodedItems",
    "TypeDescription",
    "array",
    "bit_string",
    "boolean",
    "date",
    "date_time",
    "decode",
    "decode_columns",
    "double_long",
    "double_long_unsigned",
    "encode",
    "enum",
    "expand",
    "float32",
    "float64",
    "integer",
    "long",
    "long64",
    "long64_unsigned",
    "long_unsigned",
    "null",
    "octet_string",
    "read",
    "structure",
    "time",
    "to_python",
    "typed",
    "uniform_rows",
    "unsigned",
    "utf8_string",
    "visible_string",
    "write",
]


def null() -> Data:
    """null-data."""
    return NULL


def boolean(value: bool) -> Data:
    """boolean."""
    return Data(DataTag.BOOLEAN, value)


def integer(value: int) -> Data:
    """integer: 8 bit signed."""
    return Data(DataTag.INTEGER, value)


def long(value: int) -> Data:
    """long: 16 bit signed."""
    return Data(DataTag.LONG, value)


def double_long(value: int) -> Data:
    """double-long: 32 bit signed."""
    return Data(DataTag.DOUBLE_LONG, value)


def long64(value: int) -> Data:
    """long64: 64 bit signed."""
    return Data(DataTag.LONG64, value)


def unsigned(value: int) -> Data:
    """unsigned: 8 bit."""
    return Data(DataTag.UNSIGNED, value)


def long_unsigned(value: int) -> Data:
    """long-unsigned: 16 bit."""
    return Data(DataTag.LONG_UNSIGNED, value)


def double_long_unsigned(value: int) -> Data:
    """double-long-unsigned: 32 bit."""
    return Data(DataTag.DOUBLE_LONG_UNSIGNED, value)


def long64_unsigned(value: int) -> Data:
    """long64-unsigned."""
    return Data(DataTag.LONG64_UNSIGNED, value)


def enum(value: int) -> Data:
    """enum: 8 bit."""
    return Data(DataTag.ENUM, value)


def float32(value: float) -> Data:
    """float32."""
    return Data(DataTag.FLOAT32, value)


def float64(value: float) -> Data:
    """float64."""
    return Data(DataTag.FLOAT64, value)


def octet_string(value: bytes) -> Data:
    """octet-string."""
    return Data(DataTag.OCTET_STRING, bytes(value))


def visible_string(value: str) -> Data:
    """visible-string."""
    return Data(DataTag.VISIBLE_STRING, value)


def utf8_string(value: str) -> Data:
    """utf8-string."""
    return Data(DataTag.UTF8_STRING, value)


def bit_string(bits: tuple[bool, ...]) -> Data:
    """bit-string: the first bit is the most significant one of the first octet."""
    return Data(DataTag.BIT_STRING, tuple(bits))


def date_time(value: CosemDateTime) -> Data:
    """date-time as its own type; most attributes hold it as an octet-string of 12 instead."""
    return Data(DataTag.DATE_TIME, value)


def date(value: CosemDate) -> Data:
    """date as its own type."""
    return Data(DataTag.DATE, value)


def time(value: CosemTime) -> Data:
    """time as its own type."""
    return Data(DataTag.TIME, value)


def array(*items: Data) -> Data:
    """array: elements of one type."""
    return Data(DataTag.ARRAY, items)


def structure(*items: Data) -> Data:
    """structure: elements of any types."""
    return Data(DataTag.STRUCTURE, items)
