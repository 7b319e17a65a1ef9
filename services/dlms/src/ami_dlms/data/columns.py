"""Tables column by column: what programs want of a load profile, without an object for each of its cells."""

from __future__ import annotations

from struct import error as StructError

from ami_dlms.cursor import MAX_ELEMENTS, Reader
from ami_dlms.data.compact import to_python
from ami_dlms.data.decoding import Room, decode, read_items
from ami_dlms.data.rows import Columns, Rows, rows_like
from ami_dlms.data.types import Data
from ami_dlms.enums import DataTag
from ami_dlms.errors import DecodeError

_ROWS = (DataTag.ARRAY, DataTag.COMPACT_ARRAY)


def decode_columns(octets: bytes) -> Columns:
    """The values of an encoded array of structures column by column, as `to_python` gives them; null-data is None.

    DecodeError when the octets are anything else, when the structures differ in their number of elements, or when they
    have none: no columns would then say how many there are.
    """
    columns = _by_fast_path(octets)
    return _by_general_path(octets) if columns is None else columns


def uniform_rows(count: int, octets: bytes, start: int = 0) -> Rows | None:
    """`count` encoded structures from `start` to the end, as columns with the type of each; None unless all look like the first.

    What is None here, errors included, is for `decode` to tell.
    """
    try:
        (first,), end = read_items(octets, start, 1, Room())
    except (DecodeError, IndexError, StructError):
        return None
    if first.tag is not DataTag.STRUCTURE or start + count * (end - start) != len(octets):
        return None
    if count * (1 + len(first.value)) > MAX_ELEMENTS:
        return None
    return rows_like(first, octets, start, end, count)


def _by_fast_path(octets: bytes) -> Columns | None:
    if octets[:1] != bytes((DataTag.ARRAY,)):
        return None
    reader = Reader(octets, 1)
    try:
        count = reader.length()
    except DecodeError:
        return None
    rows = uniform_rows(count, octets, reader.offset)
    return None if rows is None else tuple(rows.columns)


def _by_general_path(octets: bytes) -> Columns:
    table = decode(octets)
    if table.tag not in _ROWS:
        raise DecodeError("an array of structures", table.tag.name.lower())
    rows: list[list[object]] = to_python(table)
    widths = {len(row) if isinstance(row, list) else -1 for row in rows}
    if len(widths) > 1 or -1 in widths or not _structures(table):
        raise DecodeError("structures of one width", f"{len(rows)} elements that are not")
    if 0 in widths:
        raise DecodeError("structures of at least one element", f"{len(rows)} without any")
    return tuple(zip(*rows, strict=True))


def _structures(table: Data) -> bool:
    if table.tag is DataTag.COMPACT_ARRAY:
        return table.value.description.tag is DataTag.STRUCTURE
    return all(row.tag is DataTag.STRUCTURE for row in table.value)
