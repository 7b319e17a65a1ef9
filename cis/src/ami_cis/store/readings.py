"""Readings that the CIS keeps: one value of one ReadingType of one meter at one moment, however often and in whichever order it comes."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, RowMapping, delete, func, select
from sqlalchemy.dialects import postgresql, sqlite

from ami_cis.store.tables import READINGS

_KEY = ("meter", "reading_type", "at")
_BATCH = 1_000
MOST_COUNTED = 10_000


@dataclass(frozen=True, slots=True)
class KeptReading:
    """One row. `value` is an exact decimal as text, of a clock a moment in UTC, None for one that is known to be missing; `at` is the end of an interval.

    `said_at` is when the message was made that says so, `message_id` that of the request that it answers, or of an event its own."""

    meter: str
    reading_type: str
    at: datetime
    start: datetime | None
    value: str | None
    qualities: tuple[str, ...]
    source: str | None
    said_at: datetime
    message_id: str


_NAMES = tuple(KeptReading.__slots__)


class CountedReadings(NamedTuple):
    """What is kept of one ReadingType of one meter, those that are known to be missing included."""

    meter: str
    reading_type: str
    values: int
    first_at: datetime
    last_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingQuery:
    """Which readings; what is None or empty is not asked for. `after` is excluded, as intervals are known by their ends."""

    meters: tuple[str, ...] = ()
    reading_types: tuple[str, ...] = ()
    after: datetime | None = None
    until: datetime | None = None
    message_id: str | None = None
    most: int = 100_000


def add_readings(connection: Connection, readings: Sequence[KeptReading]) -> None:
    """What was said later replaces what was said before; a message that comes late, or again, replaces nothing that is newer."""
    if not readings:
        return
    dialect: Any = sqlite if connection.dialect.name == "sqlite" else postgresql
    added = dialect.insert(READINGS)
    others = [column.name for column in READINGS.columns if column.name not in _KEY]
    replacing = added.on_conflict_do_update(
        index_elements=list(_KEY),
        set_={name: added.excluded[name] for name in others},
        where=added.excluded.said_at >= READINGS.c.said_at,
    )
    for at in range(0, len(readings), _BATCH):
        connection.execute(replacing, [_values(one) for one in readings[at : at + _BATCH]])


def find_readings(connection: Connection, wanted: ReadingQuery) -> list[KeptReading]:
    """By meter, ReadingType and time."""
    query = select(READINGS).order_by(*(READINGS.c[name] for name in _KEY)).limit(wanted.most)
    if wanted.meters:
        query = query.where(READINGS.c.meter.in_(wanted.meters))
    if wanted.reading_types:
        query = query.where(READINGS.c.reading_type.in_(wanted.reading_types))
    if wanted.after is not None:
        query = query.where(READINGS.c.at > wanted.after)
    if wanted.until is not None:
        query = query.where(READINGS.c.at <= wanted.until)
    if wanted.message_id is not None:
        query = query.where(READINGS.c.message_id == wanted.message_id)
    return [_reading(row) for row in connection.execute(query).mappings()]


def count_readings(
    connection: Connection, meters: Sequence[str], reading_types: Sequence[str]
) -> list[CountedReadings]:
    """By meter and ReadingType, `MOST_COUNTED` at most; of all meters where none is named."""
    key = READINGS.c.meter, READINGS.c.reading_type
    counts = func.count(), func.min(READINGS.c.at), func.max(READINGS.c.at)
    query = select(*key, *counts).where(READINGS.c.reading_type.in_(reading_types)).group_by(*key)
    if meters:
        query = query.where(READINGS.c.meter.in_(meters))
    return [CountedReadings(*row) for row in connection.execute(query.order_by(*key).limit(MOST_COUNTED))]


def forget_readings(connection: Connection, before: datetime) -> int:
    """Drop those of moments before this one; how many."""
    return connection.execute(delete(READINGS).where(READINGS.c.at < before)).rowcount


def keep_newest(connection: Connection, most: int) -> None:
    """Drop those of the oldest moments beyond this number; of one moment all, or none."""
    first_beyond = select(READINGS.c.at).order_by(READINGS.c.at.desc()).offset(most).limit(1)
    at = connection.execute(first_beyond).scalar()
    if at is not None:
        connection.execute(delete(READINGS).where(READINGS.c.at <= at))


def _values(one: KeptReading) -> dict[str, Any]:
    """The cells of a row; `asdict` copies each of them, which is most of what a message costs."""
    return {name: getattr(one, name) for name in _NAMES} | {"qualities": " ".join(one.qualities)}


def _reading(row: RowMapping) -> KeptReading:
    values = {name: row[name] for name in _NAMES}
    return KeptReading(**values | {"qualities": tuple(row["qualities"].split())})
