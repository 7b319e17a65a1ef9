"""What is found in a message: one line per thing that is wrong, with where it is, what it breaks and what to do about it."""

from dataclasses import dataclass
from enum import StrEnum

from lxml import etree

from ami_cim.xml import Element

LONGEST = 300
"""Characters of a text out of a message that are repeated."""


class Level(StrEnum):
    """How bad it is."""

    ERROR = "error"
    """It breaks the standard: a receiver is right to refuse it."""
    WARNING = "warning"
    """Another set or a dialect, or legal and yet a known source of trouble."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong. `rule` is its name for programs, `breaks` the clause, type or table that says otherwise."""

    rule: str
    level: Level
    reason: str
    breaks: str
    line: int | None = None
    element: str = ""
    advice: str = ""


class NotReadable(Exception):
    """There is no message that anything could be said about; the text is a sentence for a person."""


def error(rule: str, element: Element | None, reason: str, breaks: str, advice: str = "") -> Finding:
    """A finding of level error at an element."""
    return Finding(rule, Level.ERROR, reason, breaks, line_of(element), name_of(element), advice)


def warning(rule: str, element: Element | None, reason: str, breaks: str, advice: str = "") -> Finding:
    """A finding of level warning at an element."""
    return Finding(rule, Level.WARNING, reason, breaks, line_of(element), name_of(element), advice)


def line_of(element: Element | None) -> int | None:
    """The line of an element in the document as it came."""
    line = None if element is None else element.sourceline
    return line if isinstance(line, int) else None


def name_of(element: Element | None) -> str:
    """The local name of an element."""
    return "" if element is None else etree.QName(element).localname


def text_of(element: Element | None) -> str:
    """The text of an element without surrounding white space, as much as is repeated."""
    return "" if element is None else printable((element.text or "").strip())


def printable(text: str) -> str:
    """A text out of a message as a terminal can take it: no control characters, no directions of writing, not too long."""
    shown = "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text[:LONGEST])
    return shown + ("…" if len(text) > LONGEST else "")
