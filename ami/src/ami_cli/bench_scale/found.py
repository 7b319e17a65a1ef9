"""What a section is given, and what it has found, as plain values."""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, NamedTuple

Report = Callable[[str], None]
Cell = str | int | float


@dataclass(frozen=True, slots=True)
class Setting:
    """Where a section may measure, and how much."""

    runs: int
    """Counted ones, after one that warms up."""
    small: bool
    """The least that shows that it works, for tests."""
    meters: int | None = None
    """In a registry, where not the section's own number."""
    store: str | None = None
    """A database of PostgreSQL, as a URL without its password, in which schemas can be made."""
    engine: str | None = None
    """A server of NATS with JetStream, as a URL without a path."""


@dataclass(frozen=True, slots=True)
class Table:
    """Whole numbers are shown with commas, other ones with two places."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


@dataclass(frozen=True, slots=True)
class Found:
    """`words`: how it was measured, in Markdown; without figures, which change."""

    words: str
    tables: tuple[Table, ...]
    notes: tuple[str, ...] = ()
    """What belongs to these figures: versions of servers, counts of rows."""


Measure = Callable[[Setting, Report], Coroutine[Any, Any, Found]]


class Section(NamedTuple):
    """One subject."""

    title: str
    measure: Measure
    needs: tuple[str, ...] = ()
    """Of `store` and `engine`, those that it can't do without."""
