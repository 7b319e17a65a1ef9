"""A tree as a document of plain dicts, lists, texts and numbers, which JSON and XML write alike; and its parts back.

A part has a name and a type; with a value it is what the value says, without one what its hex says, and with parts it is
made of these. Everything else (offset, octets, text, trouble, derived) is for the reader and means nothing on the way back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any

from ami_dlms.errors import LocalError
from ami_dlms.explain.node import FRAMING, MISSING, Derived, Node
from ami_dlms.explain.value_types import Plain, spell
from ami_dlms.frozen import frozen

Document = dict[str, Any]
WITH_HEX = frozenset(("compact-array",))
MAX_DEPTH = 200


def document(node: Node) -> Document:
    """The whole of a node; keys that would say nothing are left out."""
    shown: Document = {"name": node.name, "type": node.type, "offset": node.start, "octets": len(node.octets)}
    if not node.parts or node.type in WITH_HEX:
        shown["hex"] = node.octets.hex().upper()
    plain = _plain(node)
    if plain is not None:
        shown["value"] = plain
    for name in ("text", "trouble"):
        if text := getattr(node, name):
            shown[name] = text
    if node.parts:
        shown["parts"] = [document(part) for part in node.parts]
    if node.derived:
        shown["derived"] = [_derived(one) for one in node.derived]
    return shown


def _plain(node: Node) -> Plain:
    if node.parts or node.type in (FRAMING, MISSING):
        return None
    word, has_plain, plain = spell(node.value)
    if word != node.type:
        return node.value if isinstance(node.value, str) else None
    return plain if has_plain else None


def _derived(one: Derived) -> Document:
    shown: Document = {"how": one.how}
    if one.good is not None:
        shown["good"] = one.good
    if one.tree is not None:
        shown["parts"] = [document(one.tree)]
    return shown


@frozen
class DocumentPart:
    """What counts of a document's part on the way back; it may hold secrets."""

    name: str
    type: str = ""
    value: Plain = field(default=None, repr=False)
    hex: str | None = field(default=None, repr=False)
    parts: tuple[DocumentPart, ...] = field(default=(), repr=False)

    def named(self, name: str) -> DocumentPart | None:
        """The part of this name."""
        return next((part for part in self.parts if part.name == name), None)

    @property
    def contents(self) -> tuple[DocumentPart, ...]:
        """The parts that are not made anew."""
        return tuple([part for part in self.parts if part.type not in (FRAMING, "")])


def part_of(shown: Any, depth: int = 0) -> DocumentPart:
    """A part from its document; LocalError when it is none."""
    if depth > MAX_DEPTH:
        raise LocalError(f"the document is deeper than {MAX_DEPTH} parts")
    if not isinstance(shown, Mapping) or not isinstance(shown.get("name"), str):
        raise LocalError("each part of the document is an object with a name")
    name, value, parts = shown["name"], shown.get("value"), shown.get("parts", [])
    if not isinstance(value, str | int | float | bool | None) or not isinstance(parts, list):
        raise LocalError(f"{name}: the value is a text, a number or a truth value, and the parts are a list")
    texts = {key: shown[key] for key in ("type", "hex") if key in shown}
    if not all(isinstance(text, str) for text in texts.values()):
        raise LocalError(f"{name}: type and hex are texts")
    return DocumentPart(name, value=value, parts=tuple([part_of(part, depth + 1) for part in parts]), **texts)
