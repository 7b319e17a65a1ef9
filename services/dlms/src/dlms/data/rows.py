"""The fast road for profile buffers: rows of one shape are checked and unpacked column by column, in C.

Only what the first row shows is concluded: every tag and length of every further row is compared with it, and any
difference sends the whole array down the general road, which gives the same values.
"""

from __future__ import annotations

from functools import lru_cache
from struct import Struct

from dlms.data.types import FORMATS, Data
from dlms.enums import DataTag

_Shape = tuple[tuple[DataTag, int], ...]


def read_rows_like(first: Data, octets: bytes, start: int, end: int, count: int) -> tuple[Data, ...] | None:
    """`count` structures that follow one between start and end; None unless all have its tags and lengths."""
    width = end - start
    stop = end + width * count
    if stop > len(octets):
        return None
    elements: tuple[Data, ...] = first.value
    layout = _layout(tuple([(tag, len(value) if tag is DataTag.OCTET_STRING else 0) for tag, value in elements]))
    if layout is None or layout[0].size != width:
        return None
    struct, marks = layout
    for mark in marks:
        at = start + mark
        if octets[end + mark : stop : width] != octets[at : at + 1] * count:
            return None
    new = tuple.__new__
    columns = [
        [new(Data, (tag, value)) for value in column]
        for (tag, _), column in zip(elements, zip(*struct.iter_unpack(octets[end:stop]), strict=True), strict=True)
    ]
    return tuple([new(Data, (DataTag.STRUCTURE, row)) for row in zip(*columns, strict=True)])


@lru_cache(maxsize=256)
def _layout(shape: _Shape) -> tuple[Struct, tuple[int, ...]] | None:
    """How a row of this shape is unpacked, and the positions of its tags and lengths; None when it has no fixed size."""
    if not 0 < len(shape) < 0x80:
        return None
    letters, marks, position = ">xx", [0, 1], 2
    for tag, length in shape:
        marks.append(position)
        if tag in FORMATS:
            letters += "x" + FORMATS[tag]
        elif tag is DataTag.OCTET_STRING and length < 0x80:
            marks.append(position + 1)
            letters += f"xx{length}s"
        else:
            return None
        position = Struct(letters).size
    return Struct(letters), tuple(marks)
