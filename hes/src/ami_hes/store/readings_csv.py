"""The readings of a store as CSV: a line for each value, moments in UTC, no text that a spreadsheet takes for a formula."""

import csv
import io
from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import UTC, datetime
from typing import TextIO

from ami_hes.store.readings_port import Extract, Readings, StoredReading
from ami_process.spreadsheet_cells import as_cell

HEADING = ("mrid", "reading_type", "time", "value", "qualities", "received", "time_of")
METER, HEAD_END = "meter", "head-end"
"""Whose clock `time` is of."""


async def csv_parts(readings: Readings, wanted: Extract) -> AsyncIterator[tuple[str, int]]:
    """A heading, and then parts of many lines, each with the number of its lines. Raises StoreUnavailable."""
    yield _lines([HEADING]), 0
    async for part in readings.everything(wanted):
        yield _lines(map(_row, part)), len(part)


async def write_csv(readings: Readings, file: TextIO, wanted: Extract) -> int:
    """How many were written."""
    written = 0
    async for lines, number in csv_parts(readings, wanted):
        file.write(lines)
        written += number
    return written


def _row(one: StoredReading) -> tuple[str | None, ...]:
    value = None if one.value is None else as_cell(one.value)
    time_of = METER if one.by_meter else HEAD_END
    return as_cell(one.mrid), one.reading_type, _text(one.time), value, one.qualities, _text(one.received), time_of


def _lines(rows: Iterable[Sequence[str | None]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def _text(moment: int) -> str:
    at = datetime.fromtimestamp(moment / 1_000, UTC)
    return at.isoformat(timespec="milliseconds" if moment % 1_000 else "seconds").replace("+00:00", "Z")
