"""The values of an interval block as columns: what a load profile is, without an object for each value."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from ami_cim.quality import Quality


@dataclass(frozen=True, slots=True, kw_only=True)
class IntervalColumns:
    """One row per IntervalReadings. A column is as long as `values`, or empty where no row has anything in it.

    Values are decimal texts (`ami_cim.decimals`), moments are aware. What the qualities of a row are is said by its number in
    `quality_sets`, because few sets serve many rows; `qualities` looks it up."""

    values: tuple[str | None, ...] = ()
    times: tuple[datetime | None, ...] = ()
    """timeStamp: the end of the interval, with a partner that fills `ends` the moment of reading."""
    starts: tuple[datetime | None, ...] = ()
    """timePeriod/start"""
    ends: tuple[datetime | None, ...] = ()
    """timePeriod/end"""
    reported: tuple[datetime | None, ...] = ()
    """reportedDateTime"""
    sources: tuple[str | None, ...] = ()
    quality_sets: tuple[tuple[Quality, ...], ...] = ()
    quality_of: tuple[int, ...] = ()
    """For each row the place of its qualities in `quality_sets`."""

    def __post_init__(self) -> None:
        rows = len(self.values)
        for column in (self.times, self.starts, self.ends, self.reported, self.sources, self.quality_of):
            if column and len(column) != rows:
                raise ValueError(f"a column has {len(column)} rows, and there are {rows} values")
        if self.quality_of and not 0 <= min(self.quality_of) <= max(self.quality_of) < len(self.quality_sets):
            raise ValueError("a row has qualities that are not in the sets")

    def __len__(self) -> int:
        return len(self.values)

    def qualities(self, row: int) -> tuple[Quality, ...]:
        """The qualities of one row."""
        return self.quality_sets[self.quality_of[row]] if self.quality_of else ()

    def ended_at(self, row: int) -> datetime | None:
        """The end of a row's interval: that of its timePeriod where it has one, else its timeStamp."""
        return (self.ends[row] if self.ends else None) or (self.times[row] if self.times else None)


def quality_columns(rows: Iterable[tuple[Quality, ...]]) -> tuple[tuple[tuple[Quality, ...], ...], tuple[int, ...]]:
    """The columns `quality_sets` and `quality_of` of rows of qualities; both empty where no row has any."""
    places: dict[tuple[Quality, ...], int] = {}
    of = tuple([places.setdefault(row, len(places)) for row in rows])
    return (tuple(places), of) if any(places) else ((), ())
