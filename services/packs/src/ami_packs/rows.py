"""CSV tables of a pack as nodes that know their file and line, for the same readers as TOML (`document`).

Strategy: a line is a table of its cells that are not empty, so a cell that is empty is a key that is not there. What a file says is bounded
before it is read: characters, rows, columns, and the length of a cell.
"""

import csv
import io
import tomllib
from collections.abc import Callable, Collection
from typing import Any, TypeVar

from ami_packs.document import MAX_CHARACTERS, ModelError, Node, Problem, Problems, Read, Wrong, suggestion
from ami_packs.positions import Path

T = TypeVar("T")

MAX_ROWS = 20_000
MAX_COLUMNS = 64
MAX_CELL = 2_000
MAX_DIGITS = 10
KINDS = {"r": "read", "w": "write", "m": "methods"}
"""Of rights in a cell, as docs/models.md shows them: r1-3 w2 m1."""
NO_RIGHTS = "-"
NUMBERS = range(-128, 128)


def read_rows(text: str, file: str, columns: Collection[str], problems: Problems, *, more: bool = False) -> list[Node]:
    """The lines of a CSV text, each a node with a table; `more`: whether columns of other names may be there too.

    Raises ModelError for what is no CSV or has not these columns; a line that can't be used is a problem, and left out.
    """
    if len(text) > MAX_CHARACTERS:
        raise ModelError(Problem(file, 1, f"has more than {MAX_CHARACTERS} characters"))
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    lines: dict[Path, int] = {(): 1}
    found: list[Node] = []
    try:
        heading = _heading(next(reader, []), file, columns, more=more)
        for number, cells in enumerate(reader):
            if number >= MAX_ROWS:
                raise ModelError(Problem(file, reader.line_num, f"has more than {MAX_ROWS} rows"))
            lines[number,] = reader.line_num
            table = {name: cell for name, cell in zip(heading, map(str.strip, cells), strict=False) if cell}
            node = Node(table, file, (number,), lines)
            if _is_whole(node, cells, heading, problems):
                found.append(node)
    except csv.Error as error:
        raise ModelError(Problem(file, max(reader.line_num, 1), f"is no CSV: {error}")) from None
    return found


def _heading(heading: list[str], file: str, columns: Collection[str], *, more: bool) -> list[str]:
    if len(heading) > MAX_COLUMNS:
        raise ModelError(Problem(file, 1, f"has more than {MAX_COLUMNS} columns"))
    wrong = [f"the column `{name}` is missing" for name in columns if name not in heading]
    if not more:
        strange = [name for name in heading if name not in columns]
        wrong += [f"there is no column `{name[:40]}`; {suggestion(name, tuple(columns))}" for name in strange]
    if len(set(heading)) != len(heading):
        wrong.append("a column is named twice")
    if wrong:
        raise ModelError(*(Problem(file, 1, one) for one in wrong))
    return heading


def _is_whole(node: Node, cells: list[str], heading: list[str], problems: Problems) -> bool:
    if len(cells) != len(heading):
        problems.add(node, f"the line has {len(cells)} cells, and there are {len(heading)} columns")
        return False
    if any(len(one) > MAX_CELL for one in cells):
        problems.add(node, f"a cell has more than {MAX_CELL} characters")
        return False
    return bool(node.value)


def of_digits(read: Read[T]) -> Read[T]:
    """A reader of numbers for a cell, which is text."""

    def read_cell(node: Node) -> T:
        return read(as_whole(node))

    return read_cell


def as_whole(node: Node) -> Node:
    """A cell as the whole number that it shows; Wrong for any other text."""
    text = str(node.value)
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdecimal() and len(digits) <= MAX_DIGITS):
        raise Wrong(node, f"a whole number was expected, not {text[:40]!r}")
    return with_value(node, int(text))


def with_value(node: Node, value: Any) -> Node:
    """Another value at the same place."""
    return Node(value, node.file, node.path, node.lines)


def words_of(read: Read[T]) -> Read[tuple[T, ...]]:
    """Words with spaces between them, each read by this."""

    def read_all(node: Node) -> tuple[T, ...]:
        return tuple([read(with_value(node, word)) for word in str(node.value).split()])

    return read_all


def toml_value(node: Node) -> Node:
    """A cell with a value as TOML writes it, as { long_unsigned = 5 }."""
    try:
        return with_value(node, tomllib.loads(f"value = {node.value}")["value"])
    except ValueError:
        raise Wrong(node, f"a value as {{ long_unsigned = 5 }} was expected, not {str(node.value)[:40]!r}") from None


def rights(node: Node) -> Node:
    """A cell with rights, as "r1-3 w2 m1", or "-" for none, as the table that an object of a model file has."""
    found: dict[str, list[int]] = {}
    for word in () if node.value == NO_RIGHTS else str(node.value).split():
        kind, numbers = KINDS.get(word[:1]), word[1:]
        if kind is None or kind in found:
            raise Wrong(node, f"rights are numbers behind r, w and m, as `r1-3 w2 m1`, not {str(node.value)[:40]!r}")
        found[kind] = [number for part in numbers.split(",") for number in _range(node, part)]
    return with_value(node, found)


def _range(node: Node, part: str) -> range:
    first, dash, last = part.partition("-") if not part.startswith("-") else (part, "", "")
    bounds = [as_whole(with_value(node, one)).value for one in ([first, last] if dash else [first])]
    if any(one not in NUMBERS for one in bounds):
        raise Wrong(node, f"attributes and methods have numbers from {NUMBERS[0]} to {NUMBERS[-1]}, not {part}")
    return range(bounds[0], bounds[-1] + 1)


def only(known: Collection[str]) -> Callable[[Node], str]:
    """One of these words."""

    def read(node: Node) -> str:
        word = str(node.value)
        if word not in known:
            raise Wrong(node, f"`{word[:40]}` is not known here; {suggestion(word, tuple(known))}")
        return word

    return read
