"""Readings for a person and for a spreadsheet: lines in columns, and CSV. Pure: values in, text out."""

import csv
import io
from collections.abc import Sequence
from datetime import datetime

from ami_cim.reading_type_names import name_of
from ami_cis.api_values.readings import ReadingValue
from ami_process.spreadsheet_cells import as_cell
from ami_process.terminal_tables import Rows

COLUMNS = ("meter", "reading_type", "start", "at", "value", "unit", "qualities", "source")


def table(readings: Sequence[ReadingValue], width: int) -> str:
    """A heading and the values, in `width` columns; a column without any text is left out."""
    headings = ("meter", "reading type", "from", "at", "value", "unit", "quality", "source")
    rows = [
        (
            one.meter,
            name_of(one.reading_type),
            _from(one),
            _shown(one.at),
            "missing" if one.value is None else one.value,
            one.unit,
            " ".join(one.qualities),
            one.source or "",
        )
        for one in readings
    ]
    shown = [at for at in range(len(headings)) if any(row[at] for row in rows)]
    places = {headings[at]: place for place, at in enumerate(shown)}
    times = {places[name] for name in ("from", "at") if name in places}
    drawn = Rows(*(headings[at] for at in shown), numbers={places["value"]}, whole=times)
    for row in rows:
        drawn.add_row(*(row[at] for at in shown))
    return "".join(f"{line}\n" for line in drawn.lines(width))


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
