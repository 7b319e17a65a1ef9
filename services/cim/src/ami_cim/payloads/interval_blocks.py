"""IntervalBlocks of MeterReadings: columns as values, rows on the wire."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import repeat
from typing import Final, NamedTuple

from ami_cim.payloads.interval_columns import IntervalColumns, quality_columns
from ami_cim.quality import QUALITY, Quality
from ami_cim.xml_fields import Shape, many, moment, reference, text


class _Row(NamedTuple):
    """IntervalReadings; the order is that of the columns."""

    value: str | None = None
    time: datetime | None = None
    start: datetime | None = None
    end: datetime | None = None
    reported: datetime | None = None
    source: str | None = None
    qualities: tuple[Quality, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class IntervalBlock:
    """The values of one reading type; the interval's length is part of the code."""

    reading_type: str
    columns: IntervalColumns = field(default_factory=IntervalColumns)

    @property
    def rows(self) -> Iterator[_Row]:
        """What is written."""
        it = self.columns
        optional = (column or repeat(None) for column in (it.times, it.starts, it.ends, it.reported, it.sources))
        qualities = map(it.quality_sets.__getitem__, it.quality_of) if it.quality_of else repeat(())
        return map(_Row._make, zip(it.values, *optional, qualities, strict=False))


def _block(reading_type: str, rows: tuple[_Row, ...] = ()) -> IntervalBlock:
    if not rows:
        return IntervalBlock(reading_type=reading_type)
    values, *optional, qualities = zip(*rows, strict=True)
    times, starts, ends, reported, sources = (column if any(column) else () for column in optional)
    sets, of = quality_columns(qualities)
    columns = IntervalColumns(
        values=values,
        times=times,
        starts=starts,
        ends=ends,
        reported=reported,
        sources=sources,
        quality_sets=sets,
        quality_of=of,
    )
    return IntervalBlock(reading_type=reading_type, columns=columns)


_ROW: Final = Shape(
    _Row,
    (
        moment("reportedDateTime", "reported"),
        text("source", "source"),
        moment("timeStamp", "time"),
        text("value", "value"),
        many("ReadingQualities", "qualities", QUALITY),
        moment("timePeriod/end", "end"),
        moment("timePeriod/start", "start"),
    ),
)
INTERVAL_BLOCK: Final = Shape(
    _block,
    (many("IntervalReadings", "rows", _ROW), reference("ReadingType", "reading_type", mandatory="1.7")),
)
