"""The readings of a store as CSV: a line for each value, moments in UTC, no text that a spreadsheet takes for a formula."""

import csv
from datetime import UTC, datetime
from typing import TextIO

from ami_hes.store.readings_port import Readings
from ami_process.spreadsheet_cells import as_cell

HEADING = ("mrid", "reading_type", "time", "value", "qualities", "received", "time_of")
METER, HEAD_END = "meter", "head-end"
"""Whose clock `time` is of."""


async def write_csv(readings: Readings, file: TextIO, *, after: int, until: int) -> int:
    """Those whose time is after the one moment and not after the other (milliseconds since 1970); how many."""
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(HEADING)
    written = 0
    async for part in readings.everything(after=after, until=until):
        writer.writerows(
            (
                as_cell(one.mrid),
                one.reading_type,
                _text(one.time),
                None if one.value is None else as_cell(one.value),
                one.qualities,
                _text(one.received),
                METER if one.by_meter else HEAD_END,
            )
            for one in part
        )
        written += len(part)
    return written


def _text(moment: int) -> str:
    at = datetime.fromtimestamp(moment / 1_000, UTC)
    return at.isoformat(timespec="milliseconds" if moment % 1_000 else "seconds").replace("+00:00", "Z")
