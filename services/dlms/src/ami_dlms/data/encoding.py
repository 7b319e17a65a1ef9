"""From Data to octets. A number out of range shows as StructError inside and becomes LocalError in `encode`."""

from __future__ import annotations

from collections.abc import Callable
from struct import Struct
from struct import error as StructError
from typing import Any

from ami_dlms.ber import pack_bits
from ami_dlms.cursor import encode_length
from ami_dlms.data.encoded import EncodedItems
from ami_dlms.data.types import FORMATS, CompactArray, Data, TypeDescription
from ami_dlms.datetimes import CosemDate, CosemDateTime, CosemTime
from ami_dlms.enums import DataTag
from ami_dlms.errors import LocalError


def encode(item: Data) -> bytes:
    """Octets of a value; LocalError when a number does not fit its type."""
    out = bytearray()
    try:
        write(out, item)
    except StructError as error:
        raise LocalError(f"a value does not fit its type ({error})") from None
    return bytes(out)


def write(out: bytearray, item: Data) -> None:
    """Append the octets of a value."""
    tag, value = item
    out.append(tag)
    _WRITERS[tag](out, value)


def _write_items(out: bytearray, value: tuple[Data, ...]) -> None:
    out += encode_length(len(value))
    for tag, element in value:
        out.append(tag)
        _WRITERS[tag](out, element)


def _write_array(out: bytearray, value: tuple[Data, ...] | EncodedItems) -> None:
    if isinstance(value, EncodedItems):
        out += encode_length(len(value))
        out += value.octets
    else:
        _write_items(out, value)


def _write_octets(out: bytearray, value: bytes) -> None:
    out += encode_length(len(value))
    out += value


def _write_visible(out: bytearray, value: str) -> None:
    try:
        _write_octets(out, value.encode("latin-1"))
    except UnicodeEncodeError:
        raise LocalError("a visible-string cannot hold this text; use utf8-string") from None


def _write_utf8(out: bytearray, value: str) -> None:
    try:
        _write_octets(out, value.encode("utf-8"))
    except UnicodeEncodeError:
        raise LocalError("this text has no UTF-8 form") from None


def _write_bits(out: bytearray, value: tuple[bool, ...]) -> None:
    out += encode_length(len(value))
    out += pack_bits(value)


def _write_whole(out: bytearray, value: CosemDateTime | CosemDate | CosemTime) -> None:
    out += value.encode()


def _write_nothing(out: bytearray, value: None) -> None:
    """null-data and don't-care are their tag alone."""


def _write_compact(out: bytearray, value: CompactArray) -> None:
    _write_description(out, value.description)
    _write_octets(out, value.contents)


def _write_description(out: bytearray, kind: TypeDescription) -> None:
    out.append(kind.tag)
    if kind.tag is DataTag.ARRAY:
        out += _U16.pack(kind.number_of_elements)
    elif kind.tag is DataTag.STRUCTURE:
        out += encode_length(len(kind.elements))
    for element in kind.elements:
        _write_description(out, element)


def _write_fixed(layout: str) -> Callable[[bytearray, Any], None]:
    pack = Struct(">" + layout).pack

    def write_value(out: bytearray, value: Any) -> None:
        out += pack(value)

    return write_value


_U16 = Struct(">H")
_WRITERS: dict[DataTag, Callable[[bytearray, Any], None]] = {
    **{tag: _write_fixed(layout) for tag, layout in FORMATS.items()},
    DataTag.NULL_DATA: _write_nothing,
    DataTag.ARRAY: _write_array,
    DataTag.STRUCTURE: _write_items,
    DataTag.BIT_STRING: _write_bits,
    DataTag.OCTET_STRING: _write_octets,
    DataTag.VISIBLE_STRING: _write_visible,
    DataTag.UTF8_STRING: _write_utf8,
    DataTag.COMPACT_ARRAY: _write_compact,
    DataTag.DATE_TIME: _write_whole,
    DataTag.DATE: _write_whole,
    DataTag.TIME: _write_whole,
    DataTag.DONT_CARE: _write_nothing,
}
