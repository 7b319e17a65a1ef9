"""Decoding with a trace: the codecs of the declarations with traced parts, over a reader that keeps a node for each part.

The codecs of `ami_dlms.apdu` do the reading as always; a traced part only reports to the reader where it begins and ends. So
the names and offsets of a tree come from the same declaration as every message, and ordinary decoding pays nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from ami_dlms import data
from ami_dlms.apdu.acse_fields import UNUSED, Elements
from ami_dlms.apdu.codec import DATA, Choice, Codec, DataChoice, Optional, Sequence, SequenceOf, codec, derived
from ami_dlms.cursor import Reader
from ami_dlms.data import MAX_DEPTH, CompactArray, Data
from ami_dlms.data.compact import elements
from ami_dlms.data.decoding import Room, read_description
from ami_dlms.enums import DataTag
from ami_dlms.errors import DecodeError
from ami_dlms.explain.node import FRAMING, Node

ITEM = "item"
UNUSED_ELEMENT = "unused_element"
CONTAINERS = (DataTag.ARRAY, DataTag.STRUCTURE)


class Tracer(Reader):
    """A reader that keeps the nodes of what is being read; the innermost unfinished one is the last of `open_nodes`."""

    __slots__ = ("depth", "open_nodes")

    def __init__(self, octets: bytes, root: Node, offset: int = 0) -> None:
        super().__init__(octets, offset)
        self.open_nodes = [root]
        self.depth = 0

    def window(self, count: int) -> Reader:
        """A window whose parts go into the same tree."""
        start = self.need(count)
        inside = Tracer(self.octets, self.open_nodes[0], start)
        inside.end = start + count
        inside.open_nodes = self.open_nodes
        return inside

    def begin(self, name: str, part: Codec[Any] | None) -> Node:
        """A part begins here."""
        node = Node(name, self.offset, type="", codec=part)
        self.open_nodes[-1].parts.append(node)
        self.open_nodes.append(node)
        return node

    def finish_part(self, value: Any) -> None:
        """The innermost part ends here."""
        node = self.open_nodes.pop()
        node.octets = self.octets[node.start : self.offset]
        node.value = value


@codec
class Traced(Codec[Any]):
    """A part that the reader keeps a node of, and whose own parts are traced."""

    name: str
    part: Codec[Any]
    smallest: int = derived()
    _read: Callable[[Any], Any] = derived()

    def __post_init__(self) -> None:
        object.__setattr__(self, "smallest", self.part.smallest)
        object.__setattr__(self, "_read", of_traced_parts(self.part).read)

    def read(self, reader: Any) -> Any:
        reader.begin(self.name, self.part)
        value = self._read(reader)
        reader.finish_part(value)
        return value

    def write(self, out: bytearray, value: Any) -> None:
        self.part.write(out, value)


class TracedData(Codec[Data]):
    """Data whose elements are parts."""

    __slots__ = ()

    def read(self, reader: Any) -> Data:
        return read_data(reader)

    def write(self, out: bytearray, value: Data) -> None:
        data.write(out, value)


@cache
def traced(name: str, part: Codec[Any]) -> Traced:
    """The codec with each of its parts traced under its name."""
    return Traced(name, part)


@cache
def of_traced_parts(whole: Codec[Any]) -> Codec[Any]:
    """The same codec, of traced parts; a leaf is what it was."""
    match whole:
        case DataChoice():
            return TracedData()
        case Sequence(kind, fields):
            return Sequence(kind, tuple([(name, traced(name, part)) for name, part in fields]))
        case Optional(part, default, tolerated):
            return Optional(of_traced_parts(part), default, tolerated)
        case Choice(alternatives):
            return Choice({number: (kind, of_traced_parts(part)) for number, (kind, part) in alternatives.items()})
        case SequenceOf(part):
            return SequenceOf(traced(ITEM, part))
        case Elements(kind, elements, absent):
            parts = {tag: (name, traced(name, part)) for tag, (name, part) in elements.items()}
            return Elements(kind, parts, absent, traced(UNUSED_ELEMENT, UNUSED))
    return whole


def read_data(reader: Any) -> Data:
    """Data whose elements are parts; what has no elements is read as always."""
    tag = reader.octets[reader.offset] if reader.remaining else None
    if tag in CONTAINERS:
        return _read_container(reader)
    if tag == DataTag.COMPACT_ARRAY:
        return _read_compact_array(reader)
    return data.read(reader)


_ELEMENT = traced("element", DATA)


def _read_container(reader: Tracer) -> Data:
    tag = DataTag(reader.u8())
    offset = reader.offset
    count = reader.count()
    if reader.depth >= MAX_DEPTH:
        raise DecodeError(f"at most {MAX_DEPTH} levels", "more", offset)
    reader.depth += 1
    items = tuple([_ELEMENT.read(reader) for _ in range(count)])
    reader.depth -= 1
    return Data(tag, items)


def _read_compact_array(reader: Tracer) -> Data:
    """The description is one part, and each element of the contents is one."""
    start = reader.offset
    item = data.read(reader)
    end, array = reader.offset, item.value
    reader.offset = start + 1
    reader.begin("description", None)
    _, reader.offset = read_description(reader.octets, reader.offset, Room())
    reader.finish_part(array.description)
    reader.begin("contents", None).type = FRAMING
    reader.offset = contents = end - len(array.contents)
    for element, stop in _expanded(array):
        reader.begin("element", None)
        reader.offset = contents + stop
        reader.finish_part(element)
    reader.offset = end
    reader.finish_part(None)
    return item


def _expanded(array: CompactArray) -> list[tuple[Data, int]]:
    try:
        return list(elements(array))
    except DecodeError:
        return []
