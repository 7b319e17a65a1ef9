"""Readings for a person and for a spreadsheet: lines in columns, and CSV. Pure: values in, text out."""

import csv
import io
from collections.abc import Iterator, Sequence
from datetime import datetime

from ami_cis.reading_types import name_of
from ami_cis.readings_api import ReadingValue
from ami_process.spreadsheet_cells import as_cell
from ami_process.terminal_text import printable

COLUMNS = ("meter", "reading_type", "start", "at", "value", "unit", "qualities", "source")


def table(readings: Sequence[ReadingValue]) -> str:
    """A heading, and a line per value."""
    rows = [("meter", "reading type", "from", "at", "value", "", "quality", "source")]
    rows += [
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
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "".join("  ".join(_cells(row, widths)).rstrip() + "\n" for row in rows)


def _cells(row: Sequence[str], widths: Sequence[int]) -> Iterator[str]:
    for place, (cell, width) in enumerate(zip(row, widths, strict=True)):
        yield cell.rjust(width) if place == COLUMNS.index("value") else cell.ljust(width)


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
