"""The numbered decisions: the prose behind the rows, one section each (data/decisions.md), and the questions they answer."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

from ami_mapping.tables import TableError, packaged, read_table

_PART = re.compile(r"^\*\*(About|Question|Decision|Why|In the field|Tested by)[.]?\*\* ", re.MULTILINE)
_TEST = re.compile(r"`(tests/[\w/]+\.py::test_\w+)`")
NEEDED = frozenset({"About", "Question", "Decision", "Why", "Tested by"})


@dataclass(frozen=True, slots=True)
class Decision:
    """One section; the texts are Markdown, `tests` are "path::function" below the repository's root."""

    number: str
    title: str
    about: str
    question: str
    decision: str
    why: str
    field: str
    tests: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class OpenQuestion:
    """Where the two worlds differ in structure; `decisions` are numbers, and `open` is what is not decided yet."""

    letter: str
    question: str
    decisions: tuple[str, ...]
    open: str


@cache
def decisions() -> dict[str, Decision]:
    """All decisions by number, in order."""
    text = packaged("decisions.md")
    found = [_decision(section) for section in re.split(r"^### ", text, flags=re.MULTILINE)[1:]]
    numbers = [one.number for one in found]
    if numbers != sorted(set(numbers)):
        raise TableError(["decisions.md: the numbers are not in order, or one is there twice"])
    return {one.number: one for one in found}


@cache
def open_questions() -> tuple[OpenQuestion, ...]:
    """The structural mismatches of the two worlds, in the order of their letters."""

    def one(cells: dict[str, str], line: int) -> OpenQuestion:
        numbers = tuple(cells["decisions"].split())
        if not numbers and not cells["open"]:
            raise ValueError("a question is decided or open")
        return OpenQuestion(cells["letter"], cells["question"], numbers, cells["open"])

    file = "open_questions.csv"
    return tuple(read_table(packaged(file), file, one, OpenQuestion.__slots__))


def _decision(section: str) -> Decision:
    heading, _, body = section.partition("\n")
    number, _, title = heading.partition(" ")
    _, *pieces = _PART.split(body)
    parts = dict(zip(pieces[::2], map(str.strip, pieces[1::2]), strict=True))
    if missing := NEEDED - parts.keys():
        raise TableError([f"decisions.md: {number} has no {', '.join(sorted(missing))}"])
    tests = tuple(_TEST.findall(parts["Tested by"]))
    return Decision(
        *(number, title, parts["About"], parts["Question"], parts["Decision"], parts["Why"]),
        *(parts.get("In the field", ""), tests),
    )
