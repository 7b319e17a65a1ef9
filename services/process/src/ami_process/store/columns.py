"""Types of columns that every store keeps in the same way."""

import zlib
from datetime import UTC, datetime

from sqlalchemy import DateTime, Dialect, LargeBinary, TypeDecorator

PACKED_FROM = 4_096
"""Octets from which on they are packed: what is shorter is short enough."""
_LEVEL = 1
"""XML with many values becomes a twentieth of itself by it; the usual level makes it a twenty-fourth, in twice the time."""
_PACKED = b"\x00zlib\x00"
"""Before what is packed. No text begins so."""


class UtcDateTime(TypeDecorator[datetime]):
    """An aware point in time, kept in UTC; SQLite has no column type for one."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else _in_utc(value)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class AlteredOctets(bytes):
    """In place of octets that are not kept any more as they were: none."""


class PackedOctets(TypeDecorator[bytes]):
    """The octets of a text, kept with zlib (RFC 1950) where they are many. What an earlier version has kept as it is, is read as it is.

    Where they can't be unpacked, AlteredOctets come: the rest of their row can be read still.
    """

    impl = LargeBinary
    cache_ok = True

    def process_bind_param(self, value: bytes | None, dialect: Dialect) -> bytes | None:
        if value is None or len(value) < PACKED_FROM:
            return value
        return _PACKED + zlib.compress(value, _LEVEL)

    def process_result_value(self, value: bytes | None, dialect: Dialect) -> bytes | None:
        if value is None:
            return None
        if not isinstance(value, bytes):  # SQLite keeps in a column whatever it is given
            return AlteredOctets()
        if not value.startswith(_PACKED):
            return value
        try:
            return zlib.decompress(value[len(_PACKED) :])
        except zlib.error:
            return AlteredOctets()


def _in_utc(moment: datetime) -> datetime:
    """A moment of the first or last day that UTC does not have is the first or the last one that it has."""
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        nearest = datetime.min if moment.year == datetime.min.year else datetime.max
        return nearest.replace(tzinfo=UTC)
