"""What was read of some meters as CSV: a line for each value, moments in UTC, no text that a spreadsheet takes for a formula. Pure."""

import csv
from collections.abc import Iterator, Sequence
from io import StringIO

from ami_hes.nouns import Worked
from ami_hes.operations.read_results import ReadValues, moment_at
from ami_process.spreadsheet_cells import as_cell

HEADING = ("mrid", "meter", "reading_type", "time", "value", "qualities")
"""`time` is the end of an interval; a value that is known to be missing is empty."""
_Row = tuple[str, int, str | None, tuple[str, ...]]


def csv_of(read: Sequence[tuple[Worked, ReadValues]]) -> bytes:
    """With a heading, in UTF-8."""
    text = StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(HEADING)
    for worked, found in read:
        meter = worked.command.meter
        named = as_cell(meter.mrid), as_cell(meter.name)
        writer.writerows(
            (*named, code, _text(at), None if value is None else as_cell(value), " ".join(qualities))
            for code, at, value, qualities in _rows(found)
        )
    return text.getvalue().encode()


def _rows(found: ReadValues) -> Iterator[_Row]:
    for one in found.values:
        yield one.reading_type, one.received_at if one.at is None else one.at, one.value, one.qualities
    for series in found.series:
        for at, value, of in zip(series.times, series.values, series.quality_of, strict=True):
            yield series.reading_type, at, value, series.quality_sets[of]


def _text(moment: int) -> str:
    whole = "milliseconds" if moment % 1_000 else "seconds"
    return moment_at(moment).isoformat(timespec=whole).replace("+00:00", "Z")
