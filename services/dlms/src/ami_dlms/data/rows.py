"""The fast path for profile buffers: rows of one shape are checked and unpacked column by column, in C.

Only what the first row shows is concluded: every tag and length of every further row is compared with it, and any
difference sends the whole array down the general path, which gives the same values.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import repeat
from struct import Struct
from typing import Any, NamedTuple

from ami_dlms.data.types import FORMATS, Data
from ami_dlms.enums import DataTag

AT_ONCE = (64, 16, 1)
OCTET_STRING = DataTag.OCTET_STRING
_Shape = tuple[tuple[DataTag, int], ...]
Columns = tuple[tuple[Any, ...], ...]


class Rows(NamedTuple):
    """Rows that all look alike: the tags of their elements, and the values column by column."""

    tags: tuple[DataTag, ...]
    columns: Columns


class _Layout(NamedTuple):
    """How rows of one shape are unpacked, as many at once as AT_ONCE says; positions of the tags and lengths in a row."""

    structs: tuple[Struct, ...]
    width: int
    marks: tuple[int, ...]


def rows_like(first: Data, octets: bytes, start: int, end: int, count: int) -> Rows | None:
    """`count` structures that begin at start, the first up to end; None unless all have its tags and lengths."""
    width = end - start
    stop = start + width * count
    if stop > len(octets):
        return None
    layout = _layout(tuple([(tag, len(value) if tag is OCTET_STRING else 0) for tag, value in first.value]))
    if layout is None or layout.width != width:
        return None
    for mark in layout.marks:
        at = start + mark
        if octets[at:stop:width] != octets[at : at + 1] * count:
            return None
    tags = tuple([tag for tag, _ in first.value])
    cells = _cells(layout, octets, start, count)
    return Rows(tags, tuple([cells[column :: len(tags)] for column in range(len(tags))]))


def _cells(layout: _Layout, octets: bytes, start: int, count: int) -> tuple[Any, ...]:
    """All values, row after row."""
    cells: list[Any] = []
    stop = start + layout.width * count
    for struct in layout.structs:
        size = struct.size
        while start + size <= stop:
            cells += struct.unpack_from(octets, start)
            start += size
    return tuple(cells)


def structures(rows: Rows) -> tuple[Data, ...]:
    """The rows as the general path gives them."""
    columns = [typed(tag, column) for tag, column in zip(rows.tags, rows.columns, strict=True)]
    return tuple(typed(DataTag.STRUCTURE, zip(*columns, strict=True)))


def typed(tag: DataTag, values: Iterable[Any]) -> Iterator[Data]:
    """Data of one tag: what Data(tag, value) gives, made without a call in Python for each value."""
    return map(tuple.__new__, repeat(Data), zip(repeat(tag), values))


@lru_cache(maxsize=256)
def _layout(shape: _Shape) -> _Layout | None:
    """The layout of a row of these tags (and lengths of octet-strings); None when it has no fixed size."""
    if not 0 < len(shape) < 0x80:
        return None
    letters, marks, position = "xx", [0, 1], 2
    for tag, length in shape:
        marks.append(position)
        if tag in FORMATS:
            letters += "x" + FORMATS[tag]
        elif tag is OCTET_STRING and length < 0x80:
            marks.append(position + 1)
            letters += f"xx{length}s"
        else:
            return None
        position = Struct(">" + letters).size
    return _Layout(tuple([Struct(">" + rows * letters) for rows in AT_ONCE]), position, tuple(marks))
