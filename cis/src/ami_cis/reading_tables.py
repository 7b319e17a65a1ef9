"""Readings for a person and for a spreadsheet: lines in columns, CSV, and bars of a load profile. Pure: values in, text out."""

import csv
import io
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import groupby

from ami_cis.reading_types import interval_of, is_register, name_of
from ami_cis.readings_api import ReadingValue
from ami_process.terminal_text import printable

COLUMNS = ("meter", "reading_type", "start", "at", "value", "unit", "qualities", "source")
_BARS = "▁▂▃▄▅▆▇█"
_MISSING = "·"
_BARS_PER_LINE = 100
"""A day has at most 100 quarters of an hour."""


def table(readings: Sequence[ReadingValue]) -> str:
    """A heading, and a line per value."""
    rows = [("meter", "reading type", "from", "at", "value", "", "quality", "source")]
    rows += [
        (
            printable(one.meter),
            printable(name_of(one.reading_type)),
            _shown(one.start),
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
    """RFC 4180 with a heading; times with their offsets, several qualities with spaces between them."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS)
    writer.writeheader()
    for one in readings:
        start = "" if one.start is None else one.start.isoformat()
        cells = one.model_dump() | {"at": one.at.isoformat(), "start": start, "qualities": " ".join(one.qualities)}
        writer.writerow({name: "" if cells[name] is None else cells[name] for name in COLUMNS})
    return text.getvalue()


def plot(readings: Sequence[ReadingValue]) -> str:
    """A series per meter and ReadingType, a line of bars per day, all bars of a series on one scale; a dot is a missing value."""
    parts = []
    for (meter, reading_type), group in groupby(readings, lambda one: (one.meter, one.reading_type)):
        series = list(group)
        if len(series) > 1:
            parts.append(_series(meter, reading_type, series))
    return "\n".join(parts) or "There is no series to plot: no ReadingType has two values.\n"


def _series(meter: str, reading_type: str, series: Sequence[ReadingValue]) -> str:
    values = [Decimal(one.value) for one in series if one.value is not None]
    missing = len(series) - len(values)
    head = f"{printable(meter)} {printable(name_of(reading_type))}: {len(series)} values"
    if values:
        head += f", {min(values)} to {max(values)} {series[0].unit}".rstrip()
    if missing:
        head += f", {missing} missing"
    lines = [head]
    length = interval_of(reading_type)
    lowest = min((*values, *(() if is_register(reading_type) else (Decimal(0),))), default=Decimal(0))
    highest = max(values, default=Decimal(0))
    for day, group in groupby(series, lambda one: (one.start or _start(one.at, length)).date()):
        bars = "".join(_bar(one, lowest, highest) for one in group)
        lines += [f"{day.isoformat() if not at else '':10}  {bars[at : at + _BARS_PER_LINE]}" for at in _pieces(bars)]
    return "\n".join(lines) + "\n"


def _pieces(bars: str) -> range:
    return range(0, len(bars), _BARS_PER_LINE)


def _start(end: datetime, length: timedelta) -> datetime:
    """The beginning of an interval of a fixed length, counted in time and not in what clocks show."""
    return (end.astimezone(UTC) - length).astimezone(end.tzinfo)


def _bar(one: ReadingValue, lowest: Decimal, highest: Decimal) -> str:
    if one.value is None:
        return _MISSING
    if highest == lowest:
        return _BARS[0]
    return _BARS[int((Decimal(one.value) - lowest) / (highest - lowest) * (len(_BARS) - 1))]


def _shown(moment: datetime | None) -> str:
    return "" if moment is None else moment.isoformat(sep=" ", timespec="seconds")
