"""Rows of a profile buffer (IEC 62056-6-2, class 7), with the values that a meter leaves out put back.

A null-data cell means "as in the row above"; in the clock's column it means "one capture period later". Each value put
back is marked, because a reader must be able to tell what the meter sent from what was concluded. A null with nothing
above it stays null-data: the meter had no value.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from enum import Enum

from dlms import data
from dlms.cosem.selection import CaptureObject
from dlms.data import Data
from dlms.datetimes import CosemDateTime
from dlms.enums import DataTag
from dlms.errors import DecodeError
from dlms.frozen import frozen

_CLOCK_CLASS, _CLOCK_TIME = 8, 2


class Origin(Enum):
    """Where a value of a row comes from."""

    SENT = "sent"
    REPEATED = "repeated"
    INTERPOLATED = "interpolated"


@frozen
class Row:
    """One entry: its values by column, and where each comes from."""

    values: tuple[Data, ...]
    origins: tuple[Origin, ...]


def decode_rows(buffer: Data, columns: Sequence[CaptureObject], capture_period: int = 0) -> tuple[Row, ...]:
    """Rows of a buffer whose columns are known; capture_period in seconds, 0 when the profile is not periodic.

    DecodeError when the buffer is no array (or compact array) of structures with one element a column.
    """
    clocks = [column.class_id == _CLOCK_CLASS and column.attribute_index == _CLOCK_TIME for column in columns]
    above: tuple[Data, ...] = (data.NULL,) * len(clocks)
    rows = []
    for values in _structures(buffer, len(clocks)):
        if data.NULL in values:
            row = _filled(values, above, clocks, capture_period)
        else:
            row = Row(values, (Origin.SENT,) * len(values))
        rows.append(row)
        above = row.values
    return tuple(rows)


def encode_rows(rows: Sequence[Sequence[Data]]) -> Data:
    """The buffer that holds these rows, nothing left out."""
    return data.array(*(data.structure(*row) for row in rows))


def _structures(buffer: Data, width: int) -> Sequence[tuple[Data, ...]]:
    if buffer.tag is DataTag.COMPACT_ARRAY:
        items = data.expand(buffer.value)
    elif buffer.tag is DataTag.ARRAY:
        items = buffer.value
    else:
        raise DecodeError("an array or compact array", buffer.tag.name.lower(), field="buffer")
    for number, item in enumerate(items):
        if item.tag is not DataTag.STRUCTURE or len(item.value) != width:
            raise DecodeError(f"a structure of {width} elements", _shape(item), field=f"buffer row {number}")
    return [item.value for item in items]


def _shape(item: Data) -> str:
    """What came instead of a row, with the number of its elements."""
    name = item.tag.name.lower()
    return f"a {name} of {len(item.value)}" if isinstance(item.value, tuple) else name


def _filled(values: tuple[Data, ...], above: tuple[Data, ...], clocks: list[bool], period: int) -> Row:
    filled, origins = [], []
    for value, previous, clock in zip(values, above, clocks, strict=True):
        origin = Origin.SENT
        if value.tag is DataTag.NULL_DATA and previous.tag is not DataTag.NULL_DATA:
            if not clock:
                value, origin = previous, Origin.REPEATED
            elif (later := _later(previous, period)) is not None:
                value, origin = later, Origin.INTERPOLATED
        filled.append(value)
        origins.append(origin)
    return Row(tuple(filled), tuple(origins))


def _later(previous: Data, period: int) -> Data | None:
    """The clock's value one period later, in the same deviation: right as a moment across a daylight saving change."""
    if previous.tag is DataTag.DATE_TIME:
        moved = _moved(previous.value, period)
        return None if moved is None else data.date_time(moved)
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
