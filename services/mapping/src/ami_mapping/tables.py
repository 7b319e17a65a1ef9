"""Tables as data: CSV files that are read and checked as a whole, every fault reported with file and line."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from importlib.resources import files
from typing import TypeVar

MAX_OCTETS, MAX_ROWS, MAX_PROBLEMS = 2_000_000, 20_000, 100
"""Limits of a table: a partner's file beyond the first two is refused; of its faults no more than the third are reported."""

Row = TypeVar("Row")


class TableError(ValueError):
    """A table cannot be used; `problems` are all of its faults, each as "file:line: what is wrong"."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


def packaged(file: str) -> str:
    """The text of a file in this package's `data`."""
    return files("ami_mapping").joinpath("data", file).read_text(encoding="utf-8")


def read_table(text: str, file: str, make: Callable[[dict[str, str], int], Row], columns: Sequence[str]) -> list[Row]:
    """Each line of a CSV as what `make` makes of its cells and its line number; TableError with its faults, at most MAX_PROBLEMS.

    `make` raises ValueError for a line that cannot be used. The first line has to name exactly these columns, in any order.
    """
    if len(text) > MAX_OCTETS:
        raise TableError([f"{file}:1: more than {MAX_OCTETS} characters"])
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    lines = reader.reader
    made: list[Row] = []
    problems = _heading(reader.fieldnames or (), columns, file)
    try:
        for cells in () if problems else reader:
            if len(problems) >= MAX_PROBLEMS:
                break
            if len(made) >= MAX_ROWS:
                problems.append(f"{file}:{lines.line_num}: more than {MAX_ROWS} rows")
                break
            try:
                made.append(make(_complete(cells), lines.line_num))
            except ValueError as fault:
                problems.append(f"{file}:{lines.line_num}: {fault}")
    except csv.Error as fault:
        problems.append(f"{file}:{lines.line_num}: {fault}")
    if problems:
        raise TableError(problems)
    return made


def _heading(found: Sequence[str], columns: Sequence[str], file: str) -> list[str]:
    missing, strange = sorted(set(columns) - set(found)), sorted(set(found) - set(columns))
    faults = [f"{file}:1: column {name!r} is missing" for name in missing]
    faults += [f"{file}:1: column {name!r} is not known" for name in strange]
    if not faults and len(found) != len(columns):
        faults.append(f"{file}:1: a column is named twice")
    return faults


def _complete(cells: dict[str, str]) -> dict[str, str]:
    if None in cells or None in cells.values():
        raise ValueError(f"the line has more or fewer cells than the {len(cells.keys() - {None})} columns")
    return cells


def number(text: str, name: str, *, highest: int = 65535) -> int:
    """A cell with a whole number from 0 to `highest`; ValueError otherwise."""
    if not (text.isascii() and text.isdigit() and len(text) <= 6 and int(text) <= highest):
        raise ValueError(f"{name} is {text[:40]!r} and not a number from 0 to {highest}")
    return int(text)
