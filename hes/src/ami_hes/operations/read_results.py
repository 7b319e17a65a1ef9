"""What a reading operation is asked for and what it hands back: the body of its commands and the payload of their outcomes.

Both are JSON. A value is the text that the reading will have: no float comes between the meter and the message. Moments are
milliseconds since 1970.
"""

import json
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

COLUMNS_KEPT = 8
"""Columns of times that are remembered, since the meters of a reading have the same ones. One of a year of quarter hours takes some megabytes."""
_VALUES = 3
"""The place of the values in a series that `ReadValues.format` wrote."""
_PLAIN = 3
"""How many fields `WantedReadings.format` wrote between two lists."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


METER, STORE, STORE_FIRST = "meter", "store", "store first"
SOURCES = (METER, STORE, STORE_FIRST)
"""From the meter, from what the head-end has kept, or from that and from the meter what is missing there."""


def number_of(moment: datetime) -> int:
    """Milliseconds since 1970."""
    return (moment - _EPOCH) // _MILLISECOND


@lru_cache(256)
def moment_at(number: int) -> datetime:
    """Inverse of `number_of`; what was read together has one moment."""
    return _EPOCH + number * _MILLISECOND


@lru_cache(COLUMNS_KEPT)
def moments_at(numbers: tuple[int, ...]) -> tuple[datetime, ...]:
    """The same of a column; all meters of a reading have the same times."""
    return tuple(map(moment_at, numbers))


@dataclass(frozen=True, slots=True)
class WantedReadings:
    """Which ReadingTypes (as they were asked for; none is all that the meter has), and intervals that end in which time."""

    reading_types: tuple[str, ...] = ()
    start: int | None = None
    end: int | None = None
    source: str = METER
    """Where the values are to come from: one of SOURCES."""
    qualities: tuple[str, ...] = ()
    """Codes of which a value has to have one; none: it may have any, or none at all."""

    def format(self) -> str:
        """The body of a command."""
        return json.dumps(astuple(self), separators=(",", ":"))

    @staticmethod
    @lru_cache(maxsize=64)
    def parse(body: str) -> "WantedReadings":
        """What `format` wrote, also that of an earlier version, which says less; the commands of a request have it in common."""
        reading_types, *more = json.loads(body)
        return WantedReadings(tuple(reading_types), *more[:_PLAIN], *map(tuple, more[_PLAIN:]))


@dataclass(frozen=True, slots=True)
class ReadValue:
    """One value as it was read: `reading_type` is the code with its multiplier."""

    reading_type: str
    value: str
    at: int | None
    """The meter's time of it; None where it has none."""
    received_at: int
    """When its answer came."""
    qualities: tuple[str, ...] = ()
    stored: bool = False
    """Whether it comes from the store."""


@dataclass(frozen=True, slots=True)
class ReadSeries:
    """Values of one ReadingType in the order of their times, as columns; a value is None where the meter has none."""

    reading_type: str
    intervals: bool
    """Whether they belong into an interval block; else each is a reading of a day or a billing period."""
    times: tuple[int, ...]
    """The meter's, of the ends of intervals."""
    values: tuple[str | None, ...]
    quality_sets: tuple[tuple[str, ...], ...]
    quality_of: tuple[int, ...]
    """For each value the place of its qualities."""
    received_at: int
    stored: tuple[int, ...] = ()
    """Places of values that come from the store."""


@dataclass(frozen=True, slots=True)
class NotRead:
    """A ReadingType that was asked for and has no value: what goes into the reply."""

    reading_type: str
    code: str
    level: str
    reason: str


@dataclass(frozen=True, slots=True)
class ReadValues:
    """What came of reading one meter."""

    values: tuple[ReadValue, ...] = ()
    series: tuple[ReadSeries, ...] = ()
    not_read: tuple[NotRead, ...] = ()

    @property
    def count(self) -> int:
        """How many values were read."""
        return len(self.values) + sum(len(one.values) - one.values.count(None) for one in self.series)

    def format(self) -> str:
        """The payload of an outcome."""
        values = [
            (one.reading_type, one.value, one.at, one.received_at, one.qualities, one.stored) for one in self.values
        ]
        return _encode((values, [_fields(one) for one in self.series], [_fields(one) for one in self.not_read]))

    @classmethod
    def counted(cls, payload: str) -> tuple[int, list[NotRead]]:
        """How many values were read, and what was not, of what `format` wrote: without an object for each value."""
        values, series, not_read = json.loads(payload) if payload else ((), (), ())
        of_series = sum(len(one[_VALUES]) - one[_VALUES].count(None) for one in series)
        return len(values) + of_series, [NotRead(*fields) for fields in not_read]

    @classmethod
    def parse(cls, payload: str) -> "ReadValues":
        """What `format` wrote; nothing for a command that came to no reading."""
        if not payload:
            return cls()
        values, series, not_read = json.loads(payload)
        return cls(
            tuple(ReadValue(code, value, at, came, tuple(said), kept) for code, value, at, came, said, kept in values),
            tuple(map(_series, series)),
            tuple(NotRead(*fields) for fields in not_read),
        )


_encode = json.JSONEncoder(separators=(",", ":")).encode


def _fields(one: ReadSeries | NotRead) -> list[object]:
    """Without a copy of its columns, and of those that follow from less only that."""
    values: list[object] = [getattr(one, name) for name in one.__slots__]
    if isinstance(one, ReadSeries):
        values[_TIMES] = _steps_of(one.times)
        if len(one.quality_sets) == 1:
            values[_QUALITY_OF] = 0
    return values


_TIMES, _QUALITY_OF = (ReadSeries.__slots__.index(name) for name in ("times", "quality_of"))


@lru_cache(COLUMNS_KEPT)
def _steps_of(times: tuple[int, ...]) -> Sequence[int] | str:
    """Times at equal distances as `first/step/count`, others as they are."""
    count = len(times)
    if count > 1 and (step := times[1] - times[0]):
        steps = range(times[0], times[0] + count * step, step)
        if times == tuple(steps):
            return f"{times[0]}/{step}/{count}"
    return times


def _series(fields: Sequence[Any]) -> ReadSeries:
    """Also of a payload that an earlier version has kept, where each time and the place of each quality is said."""
    reading_type, intervals, times, values, sets, of, received_at, stored = fields
    return ReadSeries(
        reading_type,
        intervals,
        _times_at(times) if isinstance(times, str) else tuple(times),
        tuple(values),
        tuple(map(tuple, sets)),
        (0,) * len(values) if of == 0 else tuple(of),
        received_at,
        tuple(stored),
    )


@lru_cache(COLUMNS_KEPT)
def _times_at(steps: str) -> tuple[int, ...]:
    """Inverse of `_steps_of`."""
    first, step, count = map(int, steps.split("/"))
    return tuple(range(first, first + count * step, step))
