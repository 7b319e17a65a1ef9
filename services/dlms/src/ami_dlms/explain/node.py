"""The nodes of a tree: each octet of a message belongs to exactly one leaf, and the leaves stand in the order of the wire.

What a node's octets turn into when they are deciphered or put together has octets of its own: it hangs on the node as
`derived` and is a tree of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from ami_dlms.apdu.codec import Codec
from ami_dlms.errors import DecodeError

FRAMING = "framing"
MISSING = "missing"


@dataclass(slots=True)
class Node:
    """A part of a message: its name, where it starts, its octets, and what they say.

    `type` is the word for its value in documents; parts of the type FRAMING are made anew from the rest when a document is
    encoded. `text` is for a person. `trouble` says what is wrong here. Messages may hold secrets: only the name is shown.
    """

    name: str
    start: int
    octets: bytes = field(default=b"", repr=False)
    type: str = FRAMING
    value: Any = field(default=None, repr=False)
    text: str = field(default="", repr=False)
    trouble: str = field(default="", repr=False)
    parts: list[Node] = field(default_factory=list, repr=False)
    derived: list[Derived] = field(default_factory=list, repr=False)
    codec: Codec[Any] | None = field(default=None, repr=False)

    @property
    def end(self) -> int:
        """Where the next octet after this part is."""
        return self.start + len(self.octets)

    def part(self, name: str) -> Node | None:
        """The part of this name."""
        return next((part for part in self.parts if part.name == name), None)


@dataclass(slots=True)
class Derived:
    """What the octets of a node turn into: how they did, and the tree of the new octets. `good` None: nothing verified."""

    how: str
    good: bool | None
    tree: Node | None = None


def leaves(node: Node) -> Iterator[Node]:
    """The parts without parts of a tree, in the order of their octets; what is derived is left out."""
    if not node.parts:
        yield node
    for part in node.parts:
        yield from leaves(part)


def nodes(node: Node) -> Iterator[Node]:
    """Every node, the derived trees too, each before its parts."""
    yield node
    for part in node.parts:
        yield from nodes(part)
    for derived in node.derived:
        if derived.tree is not None:
            yield from nodes(derived.tree)


def is_sound(node: Node) -> bool:
    """Whether nothing in it is broken, and no tag failed."""
    return not any(one.trouble or any(derived.good is False for derived in one.derived) for one in nodes(node))


def fill(node: Node, name: str, text: str = "") -> None:
    """Give the octets that no part has to leaves of their own: what is before, between and behind the parts."""
    if not node.parts:
        return
    filled: list[Node] = []
    offset = node.start
    for part in node.parts:
        if part.start > offset:
            filled.append(Node(name, offset, _between(node, offset, part.start), text=text))
        filled.append(part)
        offset = part.end
    if offset < node.end:
        filled.append(Node(name, offset, _between(node, offset, node.end), text=text))
    node.parts = filled


def described(error: DecodeError) -> str:
    """What is wrong, with the offset in hex as well."""
    return f"{error} (0x{error.offset:04X})"


def _between(node: Node, start: int, end: int) -> bytes:
    return node.octets[start - node.start : end - node.start]
