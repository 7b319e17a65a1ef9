"""From octets to Data: one table lookup an element over offsets of the original octets; depth and elements are bounded.

Octets that run out show as IndexError or StructError inside and become DecodeError in `read`.
"""

from __future__ import annotations

from collections.abc import Callable
from struct import Struct
from struct import error as StructError
from typing import Any

from ami_dlms.ber import unpack_bits
from ami_dlms.cursor import MAX_ELEMENTS, Reader
from ami_dlms.data.rows import rows_like, structures
from ami_dlms.data.types import FORMATS, NULL, CompactArray, Data, TypeDescription
from ami_dlms.datetimes import CosemDate, CosemDateTime, CosemTime
from ami_dlms.enums import DataTag
from ami_dlms.errors import DecodeError

MAX_DEPTH = 32
UNIFORM_ROWS = 8
_Items = tuple[tuple[Data, ...], int]
_Value = tuple[Any, int]


class Room:
    """How deep the decoder is, and how many more elements it may make of these octets; each bit of a bit-string is one."""

    __slots__ = ("depth", "left")

    def __init__(self, left: int = MAX_ELEMENTS) -> None:
        self.depth = 0
        self.left = left

    def take(self, count: int, offset: int) -> None:
        """This number of elements more; DecodeError when they are too many."""
        self.left -= count
        if self.left < 0:
            raise DecodeError(f"at most {MAX_ELEMENTS} elements", "more", offset)

    def enter(self, count: int, offset: int) -> None:
        """One level deeper, for this number of elements; the caller that enters takes the level off again."""
        if self.depth >= MAX_DEPTH:
            raise DecodeError(f"at most {MAX_DEPTH} levels", "more", offset)
        self.take(count, offset)
        self.depth += 1


_ReadValue = Callable[[bytes, int, Room], _Value]


def read(reader: Reader) -> Data:
    """The next value."""
    room = Room(reader.elements_left)
    try:
        (item,), reader.offset = read_items(reader.octets, reader.offset, 1, room)
    except (IndexError, StructError):
        raise DecodeError("more octets of Data", "the end", reader.end) from None
    reader.elements_left = room.left
    return item


def decode(octets: bytes) -> Data:
    """The value that exactly these octets are; DecodeError for anything else."""
    reader = Reader(octets)
    item = read(reader)
    reader.finish()
    return item


def read_items(octets: bytes, offset: int, count: int, room: Room) -> _Items:
    """A number of values from `offset` on, and where they end."""
    items: list[Data] = []
    append, new, kind_of, read_by_tag = items.append, tuple.__new__, Data, READERS
    for _ in range(count):
        tag = octets[offset]
        if not tag:
            offset += 1
            append(NULL)
            continue
        kind, unpack_from, size, read_value = read_by_tag[tag]
        if size:
            append(new(kind_of, (kind, unpack_from(octets, offset + 1)[0])))
            offset += size
        else:
            value, offset = read_value(octets, offset + 1, room)
            append(new(kind_of, (kind, value)))
    return tuple(items), offset


def _read_unknown(octets: bytes, offset: int, room: Room) -> _Value:
    raise DecodeError("the tag of a Data type", f"0x{octets[offset - 1]:02X}", offset - 1)


def _read_length(octets: bytes, offset: int) -> tuple[int, int]:
    first = octets[offset]
    if first < 0x80:
        return first, offset + 1
    reader = Reader(octets, offset)
    return reader.length(), reader.offset


def _read_octets(octets: bytes, offset: int, room: Room) -> tuple[bytes, int]:
    length, start = octets[offset], offset + 1
    if length >= 0x80:
        length, start = _read_length(octets, offset)
    end = start + length
    if end > len(octets):
        raise DecodeError(f"{length} octets", f"{len(octets) - start} octets", start)
    return octets[start:end], end


def _read_visible(octets: bytes, offset: int, room: Room) -> _Value:
    # Meters do send other than ASCII here; Latin-1 keeps every octet.
    raw, end = _read_octets(octets, offset, room)
    return raw.decode("latin-1"), end


def _read_utf8(octets: bytes, offset: int, room: Room) -> _Value:
    raw, end = _read_octets(octets, offset, room)
    try:
        return raw.decode("utf-8"), end
    except UnicodeDecodeError:
        raise DecodeError("UTF-8", raw[:16].hex(), offset) from None


def _read_bits(octets: bytes, offset: int, room: Room) -> _Value:
    count, start = _read_length(octets, offset)
    end = start + (count + 7) // 8
    if end > len(octets):
        raise DecodeError(f"{count} bits", f"{len(octets) - start} octets", start)
    room.take(count, offset)
    return unpack_bits(octets[start:end], count), end


def _read_structure(octets: bytes, offset: int, room: Room) -> _Value:
    count, start = _open(octets, offset, room)
    items = read_items(octets, start, count, room)
    room.depth -= 1
    return items


def _read_array(octets: bytes, offset: int, room: Room) -> _Value:
    """Rows that all look like the first one, as in most profile buffers, are taken column by column."""
    count, start = _open(octets, offset, room)
    items = None
    if count >= UNIFORM_ROWS and octets[start] == DataTag.STRUCTURE:
        items = _read_rows(octets, start, count, room)
    if items is None:
        items = read_items(octets, start, count, room)
    room.depth -= 1
    return items


def _read_rows(octets: bytes, start: int, count: int, room: Room) -> _Items | None:
    """An array's elements by the fast path; None when they are not alike, or too many."""
    left = room.left
    first, end = read_items(octets, start, 1, room)
    of_a_row, room.left = left - room.left, left
    if of_a_row * count > left:
        return None
    rows = rows_like(first[0], octets, start, end, count)
    if rows is None:
        return None
    room.left -= of_a_row * count
    return structures(rows), start + count * (end - start)


def _open(octets: bytes, offset: int, room: Room) -> tuple[int, int]:
    """Number of elements, and where they start."""
    count, start = octets[offset], offset + 1
    if count >= 0x80:
        count, start = _read_length(octets, offset)
    if count > len(octets) - start:
        raise DecodeError(f"{count} elements", f"{len(octets) - start} octets", offset)
    room.enter(count, offset)
    return count, start


def _read_whole(size: int, convert: Callable[[bytes], Any]) -> _ReadValue:
    def read_value(octets: bytes, offset: int, room: Room) -> _Value:
        end = offset + size
        if end > len(octets):
            raise DecodeError(f"{size} octets", f"{len(octets) - offset} octets", offset)
        return convert(octets[offset:end]), end

    return read_value


def _read_nothing(octets: bytes, offset: int, room: Room) -> _Value:
    return None, offset


def _read_compact(octets: bytes, offset: int, room: Room) -> _Value:
    description, offset = read_description(octets, offset, room)
    contents, offset = _read_octets(octets, offset, room)
    return CompactArray(description, contents), offset


def read_description(octets: bytes, offset: int, room: Room) -> tuple[TypeDescription, int]:
    """The type of the elements of a compact array, and where it ends."""
    tag = octets[offset]
    offset += 1
    if tag == DataTag.ARRAY:
        room.enter(1, offset)
        count: int = _U16.unpack_from(octets, offset)[0]
        element, offset = read_description(octets, offset + 2, room)
        room.depth -= 1
        return TypeDescription(DataTag.ARRAY, (element,), count), offset
    if tag == DataTag.STRUCTURE:
        length, start = _read_length(octets, offset)
        room.enter(length, offset)
        offset = start
        elements = []
        for _ in range(length):
            element, offset = read_description(octets, offset, room)
            elements.append(element)
        room.depth -= 1
        return TypeDescription(DataTag.STRUCTURE, tuple(elements)), offset
    if tag not in _KINDS or tag == DataTag.COMPACT_ARRAY:
        raise DecodeError("the tag of a type in a compact array", f"0x{tag:02X}", offset - 1)
    return TypeDescription(_KINDS[tag]), offset


_U16 = Struct(">H")
_KINDS = {int(tag): tag for tag in DataTag}
_SHAPES: dict[DataTag, _ReadValue] = {
    DataTag.NULL_DATA: _read_nothing,
    DataTag.ARRAY: _read_array,
    DataTag.STRUCTURE: _read_structure,
    DataTag.BIT_STRING: _read_bits,
    DataTag.OCTET_STRING: _read_octets,
    DataTag.VISIBLE_STRING: _read_visible,
    DataTag.UTF8_STRING: _read_utf8,
    DataTag.COMPACT_ARRAY: _read_compact,
    DataTag.DATE_TIME: _read_whole(12, CosemDateTime.decode),
    DataTag.DATE: _read_whole(5, CosemDate.decode),
    DataTag.TIME: _read_whole(4, CosemTime.decode),
    DataTag.DONT_CARE: _read_nothing,
}

# By tag octet: the tag, how a value of fixed size is unpacked, its size with the tag (0: variable), how another is read.
READERS: list[tuple[DataTag, Callable[..., tuple[Any, ...]], int, _ReadValue]] = [
    (DataTag.NULL_DATA, _U16.unpack_from, 0, _read_unknown)
] * 256
for _tag, _layout in FORMATS.items():
    _struct = Struct(">" + _layout)
    READERS[_tag] = (_tag, _struct.unpack_from, _struct.size + 1, _read_unknown)
for _tag, _shape in _SHAPES.items():
    READERS[_tag] = (_tag, _U16.unpack_from, 0, _shape)
