"""TOML as a person writes it: what is wrong with it names the line, also where a text ends too early.

`tomllib` forgets where a value stood. So headers and keys that stand on a line of their own are looked for in the text once more; a key within
an inline table, a dotted or a quoted one is found by what it is in.
"""

import re
import tomllib
from collections.abc import Iterator, Sequence
from typing import Any

AT_END = "(at end of document)"
Place = tuple[str | int, ...]
"""Keys, and numbers of elements, from the outside to the inside."""
_HEADER = re.compile(r"\s*(\[\[?)\s*([\w-]+(?:\s*\.\s*[\w-]+)*)\s*\]\]?\s*(?:#.*)?", re.ASCII)
_KEY = re.compile(r"\s*([\w-]+)\s*=", re.ASCII)
_QUOTES = re.compile(r'"""|\'\'\'')


class NotToml(ValueError):
    """The text says what is wrong, and on which line as far as that is known."""


def parse_toml(text: str) -> dict[str, Any]:
    """The document. Raises NotToml."""
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise NotToml("lists or tables are nested too deeply") from None
    except ValueError as problem:  # a TOMLDecodeError, or a number of thousands of digits
        last = max(len(text.splitlines()), 1)
        raise NotToml(str(problem).replace(AT_END, f"(at the end, line {last})")) from None


def line_of(text: str, place: Sequence[str | int]) -> int | None:
    """The line of a key of a document, or of the nearest thing around it; None where nothing of it is found."""
    lines: dict[Place, int] = {}
    for number, found in _places(text):
        lines.setdefault(found, number)
    for length in range(len(place), 0, -1):
        if (line := lines.get(tuple(place[:length]))) is not None:
            return line
    return None


def _places(text: str) -> Iterator[tuple[int, Place]]:
    table: Place = ()
    elements: dict[Place, int] = {}
    quotes: str | None = None
    for number, line in enumerate(text.splitlines(), 1):
        begins_inside = quotes is not None
        if not begins_inside and line.lstrip().startswith("#"):
            continue
        for mark in _QUOTES.findall(line):
            quotes = mark if quotes is None else None if quotes == mark else quotes
        if begins_inside:
            continue
        if (header := _HEADER.fullmatch(line)) is not None:
            table = _table(header[2].split("."), elements, is_element=header[1] == "[[")
            yield number, table
        elif (key := _KEY.match(line)) is not None:
            yield number, (*table, key[1])


def _table(names: Sequence[str], elements: dict[Place, int], *, is_element: bool) -> Place:
    """The place of a header; `elements` has the number of the latest element of each array of tables."""
    place: Place = ()
    for name in names[:-1]:
        place = (*place, name.strip())
        if place in elements:
            place = (*place, elements[place])
    place = (*place, names[-1].strip())
    if not is_element:
        return place
    elements[place] = elements.get(place, -1) + 1
    return (*place, elements[place])
