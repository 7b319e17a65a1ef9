"""Rows of a profile buffer (IEC 62056-6-2, class 7), with the values that a meter leaves out put back.

A null-data cell means "as in the row above"; in the clock's column it means "one capture period later". Each value put
back is marked, because a reader must be able to tell what the meter sent from what was concluded. A null with nothing
above it stays null-data: the meter had no value. A delta number is the difference to the value above, and no reading: it
stays as it was sent and is marked, and a null below it stays null-data.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from enum import Enum

from ami_dlms import data
from ami_dlms.cosem.selection import CaptureObject
from ami_dlms.data import Data
from ami_dlms.datetimes import CosemDateTime
from ami_dlms.enums import DataTag
from ami_dlms.errors import DecodeError
from ami_dlms.frozen import frozen

DIFFERENCES = frozenset(tag for tag in DataTag if tag.name.startswith("DELTA_"))
_UNIX_TIMES = {DataTag.DOUBLE_LONG_UNSIGNED: 1 << 32, DataTag.LONG64_UNSIGNED: 1 << 64, DataTag.DOUBLE_LONG: 1 << 31}


class Origin(Enum):
    """Where a value of a row comes from."""

    SENT = "sent"
    REPEATED = "repeated"
    INTERPOLATED = "interpolated"
    DIFFERENCE = "difference"


@frozen
class ProfileRow:
    """One entry: its values by column, and where each comes from."""

    values: tuple[Data, ...]
    origins: tuple[Origin, ...]


@frozen
class OddRow:
    """What is in place of an entry and is no structure with one element per column."""

    value: Data
    wanted: int

    @property
    def error(self) -> DecodeError:
        """What was wanted and what came."""
        return DecodeError(f"a structure of {self.wanted} elements", _shape(self.value))


def decode_rows(buffer: Data, columns: Sequence[CaptureObject], capture_period: int = 0) -> tuple[ProfileRow, ...]:
    """Rows of a buffer whose columns are known; capture_period in seconds, 0 when the profile is not periodic.

    DecodeError when the buffer is no array (or compact array) of structures with one element per column.
    """
    rows = []
    for number, row in enumerate(decode_each_row(buffer, columns, capture_period)):
        if isinstance(row, OddRow):
            error = row.error
            raise DecodeError(error.expected, error.got, field=f"buffer row {number}")
        rows.append(row)
    return tuple(rows)


def decode_each_row(
    buffer: Data, columns: Sequence[CaptureObject], capture_period: int = 0
) -> Iterator[ProfileRow | OddRow]:
    """As decode_rows, but an odd row costs itself: what it leaves out below it stays null-data.

    DecodeError when the buffer is no array (or compact array).
    """
    clocks = [column.is_clock for column in columns]
    nothing: tuple[Data, ...] = (data.NULL,) * len(clocks)
    above = nothing
    for item in _items(buffer):
        if item.tag is not DataTag.STRUCTURE or len(item.value) != len(clocks):
            above = nothing
            yield OddRow(item, len(clocks))
            continue
        row = _row(item.value, above, clocks, capture_period)
        above = row.values
        yield row


def _row(values: tuple[Data, ...], above: tuple[Data, ...], clocks: list[bool], period: int) -> ProfileRow:
    if data.NULL in values:
        return _filled(values, above, clocks, period)
    return ProfileRow(values, tuple([_sent(value) for value in values]))


def _sent(value: Data) -> Origin:
    return Origin.DIFFERENCE if value.tag in DIFFERENCES else Origin.SENT


def encode_rows(rows: Sequence[Sequence[Data]]) -> Data:
    """The buffer that holds these rows, nothing left out."""
    return data.array(*(data.structure(*row) for row in rows))


def _items(buffer: Data) -> Sequence[Data]:
    if buffer.tag is DataTag.COMPACT_ARRAY:
        return data.expand(buffer.value)
    if buffer.tag is not DataTag.ARRAY:
        raise DecodeError("an array or compact array", buffer.tag.name.lower(), field="buffer")
    items: Sequence[Data] = buffer.value
    return items


def _shape(item: Data) -> str:
    """What came instead of a row, with the number of its elements."""
    name = item.tag.name.lower()
    return f"a {name} of {len(item.value)}" if isinstance(item.value, tuple) else name


def _filled(values: tuple[Data, ...], above: tuple[Data, ...], clocks: list[bool], period: int) -> ProfileRow:
    filled, origins = [], []
    for value, previous, clock in zip(values, above, clocks, strict=True):
        origin = _sent(value)
        known = previous.tag is not DataTag.NULL_DATA and previous.tag not in DIFFERENCES
        if value.tag is DataTag.NULL_DATA and known:
            if not clock:
                value, origin = previous, Origin.REPEATED
            elif (later := _later(previous, period)) is not None:
                value, origin = later, Origin.INTERPOLATED
        filled.append(value)
        origins.append(origin)
    return ProfileRow(tuple(filled), tuple(origins))


def _later(previous: Data, period: int) -> Data | None:
    """The clock's value one period later, in the same deviation: right as a moment across a daylight saving change."""
    if previous.tag is DataTag.DATE_TIME:
        moved = _moved(previous.value, period)
        return None if moved is None else data.date_time(moved)
    if previous.tag in _UNIX_TIMES:
        later = previous.value + period
        return Data(previous.tag, later) if period > 0 and later < _UNIX_TIMES[previous.tag] else None
    if previous.tag is DataTag.OCTET_STRING and len(previous.value) == 12:
        moved = _moved(CosemDateTime.decode(previous.value), period)
        return None if moved is None else data.octet_string(moved.encode())
    return None


def _moved(time: CosemDateTime, period: int) -> CosemDateTime | None:
    parts = (time.year, time.month, time.day, time.hour, time.minute)
    if period <= 0 or None in parts:
        return None
    year, month, day, hour, minute = (part or 0 for part in parts)
    try:
        start = datetime(year, month, day, hour, minute, time.second or 0, tzinfo=UTC)
        moved = start + timedelta(seconds=period)
    except (ValueError, OverflowError):
        return None
    return CosemDateTime(
        moved.year,
        moved.month,
        moved.day,
        None if time.day_of_week is None else moved.isoweekday(),
        moved.hour,
        moved.minute,
        None if time.second is None else moved.second,
        time.hundredths,
        time.deviation_minutes,
        time.clock_status,
    )
