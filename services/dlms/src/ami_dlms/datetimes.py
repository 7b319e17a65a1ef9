"""COSEM date, time and date-time (IEC 62056-6-2, clause 4.1.6): 5, 4 and 12 octets, any part of which may be "not specified".

None stands for "not specified". The special months and days (last day, daylight saving begin and end) stay the
numbers they are, so that every decoded value encodes to the same octets again. The deviation counts minutes from
local time to UTC: Central European Time is -60.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from struct import Struct
from struct import error as StructError

from ami_dlms.errors import DecodeError, LocalError
from ami_dlms.frozen import frozen

_DATE_TIME = Struct(">HBBBBBBBhB")
_DATE = Struct(">HBBB")
_TIME = Struct(">BBBB")

NOT_SPECIFIED = 0xFF
YEAR_NOT_SPECIFIED = 0xFFFF
DEVIATION_NOT_SPECIFIED = -0x8000
DAYLIGHT_SAVING_END = 0xFD
DAYLIGHT_SAVING_BEGIN = 0xFE
LAST_DAY_OF_MONTH = 0xFE
SECOND_LAST_DAY_OF_MONTH = 0xFD
DAYLIGHT_SAVING_ACTIVE = 0x80


def _octet(value: int | None) -> int:
    return NOT_SPECIFIED if value is None else value


def _part(octet: int) -> int | None:
    return None if octet == NOT_SPECIFIED else octet


def _pack(layout: Struct, *parts: int) -> bytes:
    try:
        return layout.pack(*parts)
    except StructError as error:
        raise LocalError(f"a part of a COSEM date or time is out of range: {error}") from None


def _unpack(layout: Struct, octets: bytes) -> tuple[int, ...]:
    if len(octets) != layout.size:
        raise DecodeError(f"{layout.size} octets of date or time", f"{len(octets)} octets")
    return layout.unpack(octets)


@frozen
class CosemDate:
    """date: year, month, day of month, day of week (1 is Monday)."""

    year: int | None = None
    month: int | None = None
    day: int | None = None
    day_of_week: int | None = None

    def encode(self) -> bytes:
        """5 octets."""
        year = YEAR_NOT_SPECIFIED if self.year is None else self.year
        return _pack(_DATE, year, _octet(self.month), _octet(self.day), _octet(self.day_of_week))

    @classmethod
    def decode(cls, octets: bytes) -> CosemDate:
        """Inverse of encode."""
        year, month, day, weekday = _unpack(_DATE, octets)
        return cls(None if year == YEAR_NOT_SPECIFIED else year, _part(month), _part(day), _part(weekday))


@frozen
class CosemTime:
    """time: hour, minute, second, hundredths of a second."""

    hour: int | None = None
    minute: int | None = None
    second: int | None = None
    hundredths: int | None = None

    def encode(self) -> bytes:
        """4 octets."""
        return _pack(_TIME, _octet(self.hour), _octet(self.minute), _octet(self.second), _octet(self.hundredths))

    @classmethod
    def decode(cls, octets: bytes) -> CosemTime:
        """Inverse of encode."""
        hour, minute, second, hundredths = _unpack(_TIME, octets)
        return cls(_part(hour), _part(minute), _part(second), _part(hundredths))


@frozen
class CosemDateTime:
    """date_time: date, time, deviation from local time to UTC in minutes, clock status."""

    year: int | None = None
    month: int | None = None
    day: int | None = None
    day_of_week: int | None = None
    hour: int | None = None
    minute: int | None = None
    second: int | None = None
    hundredths: int | None = None
    deviation_minutes: int | None = None
    clock_status: int | None = None

    def encode(self) -> bytes:
        """12 octets."""
        return _pack(
            _DATE_TIME,
            YEAR_NOT_SPECIFIED if self.year is None else self.year,
            _octet(self.month),
            _octet(self.day),
            _octet(self.day_of_week),
            _octet(self.hour),
            _octet(self.minute),
            _octet(self.second),
            _octet(self.hundredths),
            DEVIATION_NOT_SPECIFIED if self.deviation_minutes is None else self.deviation_minutes,
            _octet(self.clock_status),
        )

    @classmethod
    def decode(cls, octets: bytes) -> CosemDateTime:
        """Inverse of encode; DecodeError unless there are 12 octets."""
        year, month, day, weekday, hour, minute, second, hundredths, deviation, status = _unpack(_DATE_TIME, octets)
        return cls(
            None if year == YEAR_NOT_SPECIFIED else year,
            _part(month),
            _part(day),
            _part(weekday),
            _part(hour),
            _part(minute),
            _part(second),
            _part(hundredths),
            None if deviation == DEVIATION_NOT_SPECIFIED else deviation,
            _part(status),
        )

    @classmethod
    def from_datetime(cls, moment: datetime, clock_status: int | None = None) -> CosemDateTime:
        """The local time of an aware datetime; the daylight saving bit follows its time zone unless a status is given."""
        offset = moment.utcoffset()
        if offset is None:
            raise LocalError("a COSEM date-time is made from an aware datetime only")
        if clock_status is None:
            clock_status = DAYLIGHT_SAVING_ACTIVE if moment.dst() else 0
        return cls(
            moment.year,
            moment.month,
            moment.day,
            moment.isoweekday(),
            moment.hour,
            moment.minute,
            moment.second,
            moment.microsecond // 10_000,
            -int(offset.total_seconds() // 60),
            clock_status,
        )

    def to_datetime(self, default_deviation: int | None = None) -> datetime:
        """The moment in UTC; LocalError when date, hour, minute or deviation are not specified or no real moment.

        Seconds and hundredths that are not specified count as 0. `default_deviation` (minutes, local time to UTC)
        is used when the meter does not say its own.
        """
        deviation = default_deviation if self.deviation_minutes is None else self.deviation_minutes
        parts = (self.year, self.month, self.day, self.hour, self.minute, deviation)
        if None in parts:
            raise LocalError(f"not a single moment: {self}")
        year, month, day, hour, minute, minutes_to_utc = (part or 0 for part in parts)
        try:
            local = datetime(
                year, month, day, hour, minute, self.second or 0, (self.hundredths or 0) * 10_000, tzinfo=UTC
            )
            return local + timedelta(minutes=minutes_to_utc)
        except (ValueError, OverflowError) as error:
            raise LocalError(f"not a moment of the calendar: {self} ({error})") from None

    def __str__(self) -> str:
        def text(value: int | None, width: int = 2) -> str:
            return "?" * width if value is None else f"{value:0{width}d}"

        date = f"{text(self.year, 4)}-{text(self.month)}-{text(self.day)}"
        time = f"{text(self.hour)}:{text(self.minute)}:{text(self.second)}"
        return f"{date} {time} deviation {text(self.deviation_minutes, 1)} min"
