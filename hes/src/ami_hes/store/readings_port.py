"""The narrow port to the store of readings, and the plain values that pass through it.

A value is an exact decimal as text, in units of its reading type with the multiplier 0, so that one quantity is kept once whatever
multiplier it was asked for with. Moments are milliseconds since 1970.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, Protocol, Self


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredSeries:
    """Values of one reading type of one meter, ascending, as columns of one length."""

    reading_type: str
    times: Sequence[int]
    """Of the values, or of the ends of their intervals."""
    values: Sequence[str | None]
    """None is an interval that is known to have no value."""
    qualities: Sequence[str]
    """Codes with blanks between them."""
    received: Sequence[int]
    """When the head-end received it."""
    by_meter: Sequence[bool]
    """Whether the time is the meter's."""


class StoredReading(NamedTuple):
    """One value, for an export."""

    mrid: str
    reading_type: str
    time: int
    value: str | None
    qualities: str
    received: int
    by_meter: bool


EVER = 2**62
"""Milliseconds; no reading is so far from 1970."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Extract:
    """Which values of a store: those whose time is after the one moment and not after the other, of some meters and reading types or of all."""

    after: int = -EVER
    until: int = EVER
    mrids: Sequence[str] = ()
    reading_types: Sequence[str] = ()

    @classmethod
    def between(cls, since: datetime | None, until: datetime | None, **which: Sequence[str]) -> Self:
        """Of moments, open where there is none; `which` are `mrids` and `reading_types`."""
        after, last = (None if at is None else int(at.timestamp() * 1000) for at in (since, until))
        return cls(after=-EVER if after is None else after, until=EVER if last is None else last, **which)


class Readings(Protocol):
    """What was read of meters. Every method raises StoreUnavailable, and then nothing of it was done."""

    async def keep(self, mrid: str, series: Sequence[StoredSeries], *, last: bool = False) -> None:
        """Committed when it returns. The same value again changes nothing. `last`: those of no other meter are on their way.

        Of two values of one time the one that was received later stays, and a value is never replaced by none.
        """

    async def find(self, mrid: str, reading_types: Sequence[str], *, after: int, until: int) -> list[StoredSeries]:
        """Those of these reading types whose time is after the one moment and not after the other; no empty ones."""

    async def latest(self, mrid: str, reading_types: Sequence[str], *, until: int) -> list[StoredSeries]:
        """The last value of each that is not after this moment; all that the meter has where no reading type is named."""

    async def forget(self, before: int) -> None:
        """Drop what has an earlier time; a store that has its values in months keeps those of the month in which it is."""

    def everything(self, wanted: Extract) -> AsyncIterator[Sequence[StoredReading]]:
        """All of these values in parts, by meter, reading type and time; each part is as it is when it is asked for."""
