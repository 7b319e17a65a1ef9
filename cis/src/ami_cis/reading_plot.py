"""Readings as bars in a terminal: intervals below the hours of their days, other values in their order. Pure: values in, text out.

A line is as much of a day as fits: all of it, a half, a quarter ... Its bars have the places of their times, so a time without a value is
blank. Where the clocks are put forward or back, the line has an axis of its own.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from itertools import groupby

from ami_cim.reading_type_names import name_of
from ami_cis.api_values.readings import ReadingValue
from ami_cis.reading_types import interval_of, is_register, is_time
from ami_process.terminal_text import printable

_BARS = "▁▂▃▄▅▆▇█"
_MISSING = "·"
_LABEL = len("2026-03-01 00:00  ")
_HOURS = (24, 12, 8, 6, 4, 3, 2, 1)
"""Of a day, on one line."""
_HOUR = timedelta(hours=1)
_LONGER = _HOUR
"""By which a day may be longer than it usually is."""
_STEPS = (1, 2, 3, 4, 6, 12)
_APART = 4
"""Columns from one mark of an hour to the next, at least."""


def plot(readings: Sequence[ReadingValue], width: int) -> str:
    """A series per meter and ReadingType, all bars of a series on one scale; a dot is a missing value. `width` in columns."""
    parts = []
    numbers = [one for one in readings if not is_time(one.reading_type)]
    for (meter, reading_type), group in groupby(numbers, lambda one: (one.meter, one.reading_type)):
        series = list(group)
        if len(series) > 1:
            parts.append("\n".join([_head(meter, reading_type, series), *_lines(reading_type, series, width)]) + "\n")
    return "\n".join(parts) or "There is no series to plot: no ReadingType has two values.\n"


def _head(meter: str, reading_type: str, series: Sequence[ReadingValue]) -> str:
    values = [Decimal(one.value) for one in series if one.value is not None]
    head = f"{printable(meter)} {printable(name_of(reading_type))}: {len(series)} values"
    if values:
        head += f", {min(values)} to {max(values)} {series[0].unit}".rstrip()
    missing = len(series) - len(values)
    return f"{head}, {missing} missing" if missing else head


def _lines(reading_type: str, series: Sequence[ReadingValue], width: int) -> Iterator[str]:
    scale = _Scale.of(reading_type, series)
    length, room = interval_of(reading_type), max(width - _LABEL, 1)
    hours = next((one for one in _HOURS if (one * _HOUR + _LONGER) // length <= room), None) if length else None
    if hours is None:
        yield from _in_order(series, scale, room)
        return
    axis = ""
    for _, group in groupby(series, lambda one: _begin(_starts(one, length), hours)):
        line = _Line.of(list(group), length, hours)
        if line.axis != axis:
            axis = line.axis
            yield f"{'':{_LABEL}}{axis}"
        yield f"{line.begin:%Y-%m-%d %H:%M}  {line.bars(scale)}"


def _in_order(series: Sequence[ReadingValue], scale: "_Scale", room: int) -> Iterator[str]:
    """Values of days, months or moments, each line with the time of its first one."""
    for first in range(0, len(series), room):
        line = series[first : first + room]
        yield f"{line[0].at:%Y-%m-%d %H:%M}  {''.join(map(scale.bar, line))}"


@dataclass(frozen=True, slots=True)
class _Scale:
    lowest: Decimal
    highest: Decimal

    @classmethod
    def of(cls, reading_type: str, series: Sequence[ReadingValue]) -> "_Scale":
        """From zero for a quantity; between its least and its greatest value for a register."""
        values = [Decimal(one.value) for one in series if one.value is not None]
        lowest = min((*values, *(() if is_register(reading_type) else (Decimal(0),))), default=Decimal(0))
        return cls(lowest, max(values, default=Decimal(0)))

    def bar(self, one: ReadingValue) -> str:
        if one.value is None:
            return _MISSING
        if self.highest == self.lowest:
            return _BARS[0]
        return _BARS[int((Decimal(one.value) - self.lowest) / (self.highest - self.lowest) * (len(_BARS) - 1))]


@dataclass(frozen=True, slots=True)
class _Line:
    """A part of a day: where each of its readings is, by the time that has passed and not by what clocks show."""

    begin: datetime
    length: timedelta
    hours: int
    places: Mapping[int, ReadingValue]

    @classmethod
    def of(cls, readings: Sequence[ReadingValue], length: timedelta, hours: int) -> "_Line":
        first = _starts(readings[0], length)
        begin = _begin(first, hours).replace(tzinfo=timezone(first.utcoffset() or timedelta()))
        return cls(begin, length, hours, {(_starts(one, length) - begin) // length: one for one in readings})

    @property
    def axis(self) -> str:
        """The hours that clocks show, above their first intervals; where clocks are changed, of those that have values."""
        shown = {place: _starts(one, self.length) for place, one in self.places.items()}
        if len({one.utcoffset() for one in shown.values()}) == 1:
            shown = {(each := hour * _HOUR) // self.length: self.begin + each for hour in range(self.hours)}
        step = next(one for one in _STEPS if one * _HOUR // self.length >= _APART)
        marks = ""
        for place, moment in sorted(shown.items()):
            if not moment.minute and moment.hour % step == 0:
                marks = f"{marks:{place}}{moment:%H}"
        return marks

    def bars(self, scale: _Scale) -> str:
        line = ""
        for place, one in sorted(self.places.items()):
            line = f"{line:{place}}{scale.bar(one)}"
        return line


def _starts(one: ReadingValue, length: timedelta) -> datetime:
    """The beginning of an interval of a fixed length, counted in time and not in what clocks show."""
    return one.start or (one.at.astimezone(UTC) - length).astimezone(one.at.tzinfo)


def _begin(moment: datetime, hours: int) -> datetime:
    """Of the part of the day that a moment is in, as clocks show it."""
    return moment.replace(tzinfo=None, hour=moment.hour // hours * hours, minute=0, second=0, microsecond=0, fold=0)
