"""The elements of a compact array: values without tags, whose types its description gives once."""

from __future__ import annotations

from collections.abc import Iterator
from struct import error as StructError
from typing import Any

from ami_dlms.cursor import MAX_ELEMENTS
from ami_dlms.data.decoding import READERS, Room
from ami_dlms.data.types import CompactArray, Data, TypeDescription
from ami_dlms.enums import DataTag
from ami_dlms.errors import DecodeError

COMPACT_VALUES_PER_OCTET = 8


def expand(array: CompactArray) -> tuple[Data, ...]:
    """The elements; DecodeError when the contents do not fit the description or would swell beyond all proportion."""
    return tuple([item for item, _ in elements(array)])


def to_python(item: Data) -> Any:
    """The value without its types: arrays and structures become lists, all else stays what it is."""
    if item.tag is DataTag.COMPACT_ARRAY:
        return [to_python(element) for element in expand(item.value)]
    if item.tag in (DataTag.ARRAY, DataTag.STRUCTURE):
        return [to_python(element) for element in item.value]
    return item.value


def elements(array: CompactArray) -> Iterator[tuple[Data, int]]:
    """The elements, each with the offset in the contents where it ends."""
    offset, room = 0, Room(min(COMPACT_VALUES_PER_OCTET * (len(array.contents) + 8), MAX_ELEMENTS))
    try:
        while offset < len(array.contents):
            start = offset
            item, offset = _element(array.description, array.contents, offset, room)
            if offset == start:
                raise DecodeError("elements of at least one octet", "none", offset)
            yield item, offset
    except (IndexError, StructError):
        raise DecodeError("more octets of a compact array", "the end", len(array.contents)) from None


def _element(kind: TypeDescription, octets: bytes, offset: int, room: Room) -> tuple[Data, int]:
    room.left -= 1
    if room.left < 0:
        raise DecodeError(f"at most {COMPACT_VALUES_PER_OCTET} values an octet, {MAX_ELEMENTS} in all", "more", offset)
    if kind.tag in (DataTag.ARRAY, DataTag.STRUCTURE):
        parts = []
        for element in kind.elements * (kind.number_of_elements if kind.tag is DataTag.ARRAY else 1):
            part, offset = _element(element, octets, offset, room)
            parts.append(part)
        return Data(kind.tag, tuple(parts)), offset
    _, unpack_from, size, read_value = READERS[kind.tag]
    if size:
        return Data(kind.tag, unpack_from(octets, offset)[0]), offset + size - 1
    value, offset = read_value(octets, offset, room)
    return Data(kind.tag, value), offset
