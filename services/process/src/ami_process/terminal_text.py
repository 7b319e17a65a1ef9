"""Text for a terminal: what came from elsewhere as it can take it, and rows in columns."""

import shutil
from collections.abc import Collection, Sequence
from textwrap import fill

UNBOUNDED = 1_000_000
"""Columns where no terminal says how many it has: a program reads whole lines."""


def printable(text: str) -> str:
    """The text on one line, without characters of control or of the direction of writing: a terminal would do what they say."""
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)


def in_columns(rows: Sequence[Sequence[str]], numbers: Collection[int] = ()) -> str:
    """A line per row, each column as wide as its longest cell; `numbers` are the columns that are aligned to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    sides = [str.rjust if place in numbers else str.ljust for place in range(len(widths))]
    lines = ["  ".join(side(cell, width) for side, cell, width in zip(sides, row, widths, strict=True)) for row in rows]
    return "".join(f"{line.rstrip()}\n" for line in lines)


def wrapped(text: str, first: str = "", rest: str | None = None) -> str:
    """The text in lines of the terminal, between words; `first` before the first of them, `rest` (or blanks as long) before the others."""
    width = shutil.get_terminal_size((UNBOUNDED, 0)).columns
    indent = " " * len(first) if rest is None else rest
    return fill(
        text, width, initial_indent=first, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )
