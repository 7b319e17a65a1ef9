"""Decoding while someone looks on: the codecs of the declarations, built again from watched parts, over a reader that logs.

The combinators of `ami_dlms.apdu.fields` do the reading as always; a watched part only tells the reader where it begins and
ends. So the names and offsets of a tree come from the same declaration as every message, and ordinary decoding pays nothing.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from ami_dlms import data
from ami_dlms.apdu import shapes
from ami_dlms.apdu.acse_fields import UNUSED, ber_elements
from ami_dlms.apdu.fields import DATA, Codec, choice, optional, record, sequence_of
from ami_dlms.cursor import Reader
from ami_dlms.data import MAX_DEPTH, CompactArray, Data
from ami_dlms.data.compact import elements
from ami_dlms.data.decoding import Room, read_description
from ami_dlms.enums import DataTag
from ami_dlms.errors import DecodeError
from ami_dlms.tree.node import FRAMING, Node

ITEM = "item"
UNUSED_ELEMENT = "unused_element"
CONTAINERS = (DataTag.ARRAY, DataTag.STRUCTURE)


class Watcher(Reader):
    """A reader that keeps the nodes of what is being read; the innermost unfinished one is the last of `open_nodes`."""

    __slots__ = ("depth", "open_nodes")

    def __init__(self, octets: bytes, root: Node, offset: int = 0) -> None:
        super().__init__(octets, offset)
        self.open_nodes = [root]
        self.depth = 0

    def window(self, count: int) -> Reader:
        """A window whose parts go into the same tree."""
        start = self.need(count)
        inside = Watcher(self.octets, self.open_nodes[0], start)
        inside.end = start + count
        inside.open_nodes = self.open_nodes
        return inside

    def begin(self, name: str, codec: Codec | None) -> Node:
        """A part begins here."""
        node = Node(name, self.offset, type="", codec=codec)
        self.open_nodes[-1].parts.append(node)
        self.open_nodes.append(node)
        return node

    def finish_part(self, value: Any) -> None:
        """The innermost part ends here."""
        node = self.open_nodes.pop()
        node.octets = self.octets[node.start : self.offset]
        node.value = value


@cache
def watched(name: str, codec: Codec) -> Codec:
    """The codec with each of its parts logged under its name."""
    read_value = of_watched_parts(codec).read

    def read(reader: Any) -> Any:
        reader.begin(name, codec)
        value = read_value(reader)
        reader.finish_part(value)
        return value

    return Codec(read, codec.write, codec.smallest)


def of_watched_parts(codec: Codec) -> Codec:
    """The same codec, made of watched parts; a leaf is what it was."""
    if codec is DATA:
        return Codec(read_data, codec.write)
    match codec.shape:
        case shapes.Sequence(make, fields, by_keyword):
            return record(make, tuple([(name, watched(name, part)) for name, part in fields]), by_keyword)
        case shapes.Optional(part, default, tolerated):
            return optional(of_watched_parts(part), default, tolerated=tolerated)
        case shapes.Choice(alternatives):
            return choice({number: (kind, of_watched_parts(part)) for number, (kind, part) in alternatives.items()})
        case shapes.SequenceOf(part):
            return sequence_of(watched(ITEM, part))
        case shapes.Elements(kind, fields, absent):
            parts = {tag: (name, watched(name, part)) for tag, (name, part) in fields.items()}
            return ber_elements(kind, parts, absent, watched(UNUSED_ELEMENT, UNUSED))
    return codec


def read_data(reader: Any) -> Data:
    """Data whose elements are parts; what has no elements is read as always."""
    tag = reader.octets[reader.offset] if reader.remaining else None
    if tag in CONTAINERS:
        return _read_container(reader)
    if tag == DataTag.COMPACT_ARRAY:
        return _read_compact_array(reader)
    return data.read(reader)


_ELEMENT = watched("element", DATA)


def _read_container(reader: Watcher) -> Data:
    tag = DataTag(reader.u8())
    offset = reader.offset
    count = reader.count()
    if reader.depth >= MAX_DEPTH:
        raise DecodeError(f"at most {MAX_DEPTH} levels", "more", offset)
    reader.depth += 1
    items = tuple([_ELEMENT.read(reader) for _ in range(count)])
    reader.depth -= 1
    return Data(tag, items)


def _read_compact_array(reader: Watcher) -> Data:
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
