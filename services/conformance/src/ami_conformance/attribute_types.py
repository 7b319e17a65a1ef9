"""Which types the attributes of the interface classes have: of each the outermost from the class tables, and its parts where they are known.

The parts are in data/attribute_types.csv, in the words of the standard: `array(structure(long-unsigned, octet-string))`. A row counts for the
versions of its class that call the attribute by the same outermost type: what a version has otherwise is the class table's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache

from ami_conformance.plan import lines_of
from ami_dlms.cosem.classes import class_versions
from ami_dlms.data import Data
from ami_dlms.enums import DataTag

ANY = "any"
CHOICE = "CHOICE"
STRINGS = frozenset({"octet-string", "visible-string", "utf8-string"})
_WORD = re.compile(r"\s*([a-z0-9-]+)(?:=\d+)?\s*")


@dataclass(frozen=True, slots=True)
class Type:
    """A type with those of its parts; without parts anything may be in it."""

    name: str
    parts: tuple[Type, ...] = ()

    def __str__(self) -> str:
        return f"{self.name}({', '.join(map(str, self.parts))})" if self.parts else self.name


def parse(text: str) -> Type:
    """A type as the table writes it; ValueError for anything else."""
    found, end = _parse(text, 0)
    if end != len(text):
        raise ValueError(f"no type: {text}")
    return found


def _parse(text: str, start: int) -> tuple[Type, int]:
    matched = _WORD.match(text, start)
    if matched is None:
        raise ValueError(f"no type at {start} of {text}")
    name, end = matched.group(1), matched.end()
    if text[end : end + 1] != "(":
        return Type(name), end
    parts = []
    while text[end : end + 1] in ("(", ","):
        part, end = _parse(text, end + 1)
        parts.append(part)
    if text[end : end + 1] != ")":
        raise ValueError(f"no end of {name} in {text}")
    return Type(name, tuple(parts)), end + 1


@cache
def _detailed() -> Mapping[tuple[int, int], Type]:
    """The rows by class and attribute; those of single versions agree with each other."""
    return {
        (int(one["class_id"]), int(one["attribute"])): parse(one["type"]) for one in lines_of("attribute_types.csv")
    }


def type_of(class_id: int, version: int, attribute: int) -> Type | None:
    """What is known of the type of an attribute; None where nothing is."""
    known = class_versions().get((class_id, version))
    if known is None or not 1 <= attribute <= len(known.attributes):
        return None
    outermost = known.attributes[attribute - 1].type
    detailed = _detailed().get((class_id, attribute))
    if outermost == CHOICE:
        return Type(ANY)
    if detailed is not None and detailed.name == outermost:
        return detailed
    return Type(outermost)


def mismatches(value: Data, wanted: Type, where: str = "") -> Iterator[str]:
    """In words, each part of a value that is not of the type that it should have."""
    if wanted.name in (ANY, CHOICE):
        return
    found = value.tag.name.lower().replace("_", "-")
    if value.tag is DataTag.COMPACT_ARRAY and wanted.name == "array":
        return
    if found != wanted.name:
        yield f"{where or 'the value'} is {found}, not {wanted}"
        return
    if not wanted.parts:
        return
    if value.tag is DataTag.ARRAY:
        for number, item in enumerate(value.value, 1):
            yield from mismatches(item, wanted.parts[0], f"{where}[{number}]")
    elif value.tag is DataTag.STRUCTURE:
        if len(value.value) != len(wanted.parts):
            yield f"{where or 'the value'} has {len(value.value)} elements, not {len(wanted.parts)}"
            return
        for number, (item, part) in enumerate(zip(value.value, wanted.parts, strict=True), 1):
            yield from mismatches(item, part, f"{where}.{number}")
