"""Readings for a person and for a spreadsheet: lines in columns, and CSV. Pure: values in, text out."""

import csv
import io
from collections.abc import Sequence
from datetime import datetime

from ami_cim.reading_type_names import name_of
from ami_cis.readings_api import ReadingValue
from ami_process.spreadsheet_cells import as_cell
from ami_process.terminal_text import printable

COLUMNS = ("meter", "reading_type", "start", "at", "value", "unit", "qualities", "source")


LEAST = 8
"""Columns that the last cell has, however narrow the terminal is."""


def table(readings: Sequence[ReadingValue], width: int) -> str:
    """A heading, and a line per value of at most `width` columns if what stands last may be cut; a column without any text is left out."""
    headings = ("meter", "reading type", "from", "at", "value", "", "quality", "source")
    rows = [
        (
            printable(one.meter),
            printable(name_of(one.reading_type)),
            _from(one),
            _shown(one.at),
            "missing" if one.value is None else one.value,
            one.unit,
            printable(" ".join(one.qualities)),
            printable(one.source or ""),
        )
        for one in readings
    ]
    shown = [column for column in range(len(headings)) if any(row[column] for row in rows)]
    lines = [[row[column] for column in shown] for row in (headings, *rows)]
    value = shown.index(COLUMNS.index("value"))
    widths = [max(len(line[place]) for line in lines) for place in range(len(shown))]
    return "".join(_line(line, widths, value, width) + "\n" for line in lines)


def _line(cells: Sequence[str], widths: Sequence[int], value: int, width: int) -> str:
    """Numbers end below one another."""
    *all_but_last, last = (
        cell.rjust(size) if place == value else cell.ljust(size)
        for place, (cell, size) in enumerate(zip(cells, widths, strict=True))
    )
    before = "".join(f"{cell}  " for cell in all_but_last)
    last = last.rstrip()
    room = max(width - len(before), LEAST)
    return (before + (last if len(last) <= room else f"{last[: room - 1]}…")).rstrip()


def as_csv(readings: Sequence[ReadingValue]) -> str:
    """RFC 4180 with a heading; times with their offsets, several qualities with spaces between them, no text that is a formula."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS)
    writer.writeheader()
    for one in readings:
        start = "" if one.start is None else one.start.isoformat()
        cells = one.model_dump() | {"at": one.at.isoformat(), "start": start, "qualities": " ".join(one.qualities)}
        writer.writerow({name: "" if cells[name] is None else as_cell(cells[name]) for name in COLUMNS})
    return text.getvalue()


def _from(one: ReadingValue) -> str:
    """The beginning of an interval, short where it is on the day that the interval ends on."""
    start, end = one.start, one.at
    if start is None:
        return ""
    is_same_day = (start.date(), start.utcoffset()) == (end.date(), end.utcoffset())
    return f"{start:%H:%M}" if is_same_day and not start.second else _shown(start)


def _shown(moment: datetime) -> str:
    """Seconds are there where there are some."""
    return moment.isoformat(sep=" ", timespec="seconds" if moment.second else "minutes")
