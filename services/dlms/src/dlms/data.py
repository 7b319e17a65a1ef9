"""A-XDR encoding of the CHOICE Data (IEC 62056-5-3, clause 8): the values that COSEM attributes and methods carry.

A value is a pair of tag and Python value: int, bool, float, str, bytes, a tuple of Data for array and structure, a
tuple of bool for bit-string, a date or time of `dlms.datetimes`, None for null-data and don't-care. Decoding walks
over offsets of the original octets with one table lookup an element; depth and counts are bounded.
"""

from __future__ import annotations

from collections.abc import Callable
from struct import Struct
from struct import error as StructError
from typing import Any, NamedTuple

from dlms.ber import pack_bits, unpack_bits
from dlms.cursor import Reader, encode_length
from dlms.datetimes import CosemDate, CosemDateTime, CosemTime
from dlms.enums import DataTag
from dlms.errors import DecodeError, LocalError

MAX_DEPTH = 32
COMPACT_VALUES_PER_OCTET = 8


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
    """compact-array: one description, then the values without tags; `items` takes them apart."""

    description: TypeDescription
    contents: bytes

    def items(self) -> tuple[Data, ...]:
        """The elements; DecodeError when the contents do not fit the description or hold too many values."""
        return _expand(self)


NULL = Data(DataTag.NULL_DATA, None)
_DONT_CARE = Data(DataTag.DONT_CARE, None)
_FORMATS = {
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
_Items = tuple[tuple[Data, ...], int]
_Value = tuple[Any, int]


# Reading. Octets that run out show as IndexError or StructError and become DecodeError in `read`.


def read(reader: Reader) -> Data:
    """The next value."""
    try:
        (item,), reader.offset = _read_items(reader.octets, reader.offset, 1, 0)
    except (IndexError, StructError):
        raise DecodeError("more octets of Data", "the end", reader.end) from None
    return item


def decode(octets: bytes) -> Data:
    """The value that exactly these octets are; DecodeError for anything else."""
    reader = Reader(octets)
    item = read(reader)
    reader.finish()
    return item


def _read_items(octets: bytes, offset: int, count: int, depth: int) -> _Items:
    items: list[Data] = []
    append, new, kind_of, read_by_tag = items.append, tuple.__new__, Data, _READERS
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
            value, offset = read_value(octets, offset + 1, depth)
            append(new(kind_of, (kind, value)))
    return tuple(items), offset


def _read_unknown(octets: bytes, offset: int, depth: int) -> _Value:
    raise DecodeError("the tag of a Data type", f"0x{octets[offset - 1]:02X}", offset - 1)


def _read_length(octets: bytes, offset: int) -> tuple[int, int]:
    first = octets[offset]
    if first < 0x80:
        return first, offset + 1
    reader = Reader(octets, offset)
    return reader.length(), reader.offset


def _read_octets(octets: bytes, offset: int, depth: int) -> tuple[bytes, int]:
    length, start = octets[offset], offset + 1
    if length >= 0x80:
        length, start = _read_length(octets, offset)
    end = start + length
    if end > len(octets):
        raise DecodeError(f"{length} octets", f"{len(octets) - start} octets", start)
    return octets[start:end], end


def _read_visible(octets: bytes, offset: int, depth: int) -> _Value:
    # Meters do send other than ASCII here; Latin-1 keeps every octet.
    raw, end = _read_octets(octets, offset, depth)
    return raw.decode("latin-1"), end


def _read_utf8(octets: bytes, offset: int, depth: int) -> _Value:
    raw, end = _read_octets(octets, offset, depth)
    try:
        return raw.decode("utf-8"), end
    except UnicodeDecodeError:
        raise DecodeError("UTF-8", raw[:16].hex(), offset) from None


def _read_bits(octets: bytes, offset: int, depth: int) -> _Value:
    count, start = _read_length(octets, offset)
    end = start + (count + 7) // 8
    if end > len(octets):
        raise DecodeError(f"{count} bits", f"{len(octets) - start} octets", start)
    return unpack_bits(octets[start:end], count), end


def _read_sequence(octets: bytes, offset: int, depth: int) -> _Value:
    count, start = octets[offset], offset + 1
    if count >= 0x80:
        count, start = _read_length(octets, offset)
    if count > len(octets) - start:
        raise DecodeError(f"{count} elements", f"{len(octets) - start} octets", offset)
    if depth >= MAX_DEPTH:
        raise DecodeError(f"at most {MAX_DEPTH} levels", "more", offset)
    return _read_items(octets, start, count, depth + 1)


def _check_depth(depth: int, offset: int) -> None:
    if depth >= MAX_DEPTH:
        raise DecodeError(f"at most {MAX_DEPTH} levels", "more", offset)


def _read_whole(size: int, convert: Callable[[bytes], Any]) -> Callable[[bytes, int, int], _Value]:
    def read_value(octets: bytes, offset: int, depth: int) -> _Value:
        end = offset + size
        if end > len(octets):
            raise DecodeError(f"{size} octets", f"{len(octets) - offset} octets", offset)
        return convert(octets[offset:end]), end

    return read_value


def _read_nothing(octets: bytes, offset: int, depth: int) -> _Value:
    return None, offset


def _read_compact(octets: bytes, offset: int, depth: int) -> _Value:
    description, offset = _read_description(octets, offset, depth)
    contents, offset = _read_octets(octets, offset, depth)
    return CompactArray(description, contents), offset


def _read_description(octets: bytes, offset: int, depth: int) -> tuple[TypeDescription, int]:
    tag = octets[offset]
    offset += 1
    if tag == DataTag.ARRAY:
        _check_depth(depth, offset)
        count: int = _U16.unpack_from(octets, offset)[0]
        element, offset = _read_description(octets, offset + 2, depth + 1)
        return TypeDescription(DataTag.ARRAY, (element,), count), offset
    if tag == DataTag.STRUCTURE:
        _check_depth(depth, offset)
        length, offset = _read_length(octets, offset)
        elements = []
        for _ in range(length):
            element, offset = _read_description(octets, offset, depth + 1)
            elements.append(element)
        return TypeDescription(DataTag.STRUCTURE, tuple(elements)), offset
    if tag not in _KINDS or tag == DataTag.COMPACT_ARRAY:
        raise DecodeError("the tag of a type in a compact array", f"0x{tag:02X}", offset - 1)
    return TypeDescription(_KINDS[tag]), offset


def _expand(array: CompactArray) -> tuple[Data, ...]:
    items: list[Data] = []
    offset, budget = 0, [COMPACT_VALUES_PER_OCTET * (len(array.contents) + 8)]
    try:
        while offset < len(array.contents):
            start = offset
            item, offset = _expand_one(array.description, array.contents, offset, budget)
            if offset == start:
                raise DecodeError("elements of at least one octet", "none", offset)
            items.append(item)
    except (IndexError, StructError):
        raise DecodeError("more octets of a compact array", "the end", len(array.contents)) from None
    return tuple(items)


def _expand_one(kind: TypeDescription, octets: bytes, offset: int, budget: list[int]) -> tuple[Data, int]:
    budget[0] -= 1
    if budget[0] < 0:
        raise DecodeError(f"at most {COMPACT_VALUES_PER_OCTET} values an octet", "more", offset)
    if kind.tag in (DataTag.ARRAY, DataTag.STRUCTURE):
        parts = []
        for element in kind.elements * (kind.number_of_elements if kind.tag is DataTag.ARRAY else 1):
            part, offset = _expand_one(element, octets, offset, budget)
            parts.append(part)
        return Data(kind.tag, tuple(parts)), offset
    _, unpack_from, size, read_value = _READERS[kind.tag]
    if size:
        return Data(kind.tag, unpack_from(octets, offset)[0]), offset + size - 1
    value, offset = read_value(octets, offset, 0)
    return Data(kind.tag, value), offset


# Writing. A number out of range shows as StructError and becomes LocalError in `encode`.


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


# The tables that both directions are made of.

_U16 = Struct(">H")
_KINDS = {int(tag): tag for tag in DataTag}
_SHAPES: dict[DataTag, tuple[Callable[[bytes, int, int], _Value], Callable[[bytearray, Any], None]]] = {
    DataTag.NULL_DATA: (_read_nothing, _write_nothing),
    DataTag.ARRAY: (_read_sequence, _write_items),
    DataTag.STRUCTURE: (_read_sequence, _write_items),
    DataTag.BIT_STRING: (_read_bits, _write_bits),
    DataTag.OCTET_STRING: (_read_octets, _write_octets),
    DataTag.VISIBLE_STRING: (_read_visible, _write_visible),
    DataTag.UTF8_STRING: (_read_utf8, _write_utf8),
    DataTag.COMPACT_ARRAY: (_read_compact, _write_compact),
    DataTag.DATE_TIME: (_read_whole(12, CosemDateTime.decode), _write_whole),
    DataTag.DATE: (_read_whole(5, CosemDate.decode), _write_whole),
    DataTag.TIME: (_read_whole(4, CosemTime.decode), _write_whole),
    DataTag.DONT_CARE: (_read_nothing, _write_nothing),
}
# By tag octet: the tag, how a value of fixed size is unpacked, its size with the tag (0: variable), how another is read.
_READERS: list[tuple[DataTag, Callable[..., tuple[Any, ...]], int, Callable[[bytes, int, int], _Value]]] = [
    (DataTag.NULL_DATA, _U16.unpack_from, 0, _read_unknown)
] * 256
for _tag, _layout in _FORMATS.items():
    _struct = Struct(">" + _layout)
    _READERS[_tag] = (_tag, _struct.unpack_from, _struct.size + 1, _read_unknown)
for _tag, _shape in _SHAPES.items():
    _READERS[_tag] = (_tag, _U16.unpack_from, 0, _shape[0])
_WRITERS = {tag: _write_fixed(layout) for tag, layout in _FORMATS.items()} | {
    tag: shape[1] for tag, shape in _SHAPES.items()
}


# Constructors, named as in the standard, and plain values for those who do not care about types.


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


def to_python(item: Data) -> Any:
    """The value without its types: arrays and structures become lists, all else stays what it is."""
    if item.tag is DataTag.COMPACT_ARRAY:
        return [to_python(element) for element in item.value.items()]
    if item.tag in (DataTag.ARRAY, DataTag.STRUCTURE):
        return [to_python(element) for element in item.value]
    return item.value
