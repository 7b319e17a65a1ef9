"""From the MeterReadings that the HES sends, in whichever message, to the rows that the CIS keeps: pure.

A row is one value of one ReadingType of one meter at one moment. Registers and intervals are the same here: an interval has a start,
and its moment is its end (`timePeriod` before `timeStamp`, since a partner may put the moment of reading into the latter)."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import repeat
from typing import Final

from ami_cim.decimals import decimal_of, decimal_text
from ami_cim.errors import InvalidMessage
from ami_cim.identity import EndDevice, UsagePoint, mrid_key
from ami_cim.message import Header
from ami_cim.payloads import Payload
from ami_cim.payloads.interval_blocks import IntervalBlock
from ami_cim.payloads.meter_readings import MeterReading, MeterReadings, Reading
from ami_cim.periods import Period
from ami_cis.meters import Meter
from ami_cis.reading_types import is_time
from ami_cis.store import KeptReading


@dataclass(frozen=True, slots=True)
class TakenReadings:
    """The rows of a message, and how many of its values can't be one: of no meter, at no moment or one to come, or neither a number nor, of a clock, a time."""

    readings: tuple[KeptReading, ...] = ()
    unusable: int = 0


NOTHING = TakenReadings()
AHEAD = timedelta(days=1)
"""How far the clock of a meter may be ahead of ours; a value of a later moment would outlive all others in the store."""
EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
"""No value has an earlier moment; those of the year 1 can't even be shown in every time zone."""
LATEST = datetime(9000, 1, 1, tzinfo=UTC)
"""A clock may be wrong by far; its time can still be shown in every zone."""
_OPEN: Final = Period()
_PLAIN = re.compile(r"-?(?:0|[1-9]\d{0,40})(?:\.\d{1,30})?", re.ASCII)
_Row = tuple[datetime | None, datetime | None, str | None, tuple[str, ...], str | None]
"""Moment, start, value, qualities, source."""


class Names:
    """Meters by whichever name a message calls them; one that is not configured is called by its own first name."""

    def __init__(self, meters: Sequence[Meter]) -> None:
        self._by_mrid = {mrid_key(meter.mrid): meter.name for meter in meters if meter.mrid is not None}
        self._by_name: Mapping[str, str] = {meter.name: meter.name for meter in meters}
        self._by_point = {point: meter.name for meter in meters for point in meter.usage_points}

    def of(self, reading: MeterReading) -> str | None:
        """The label of the meter that a MeterReading is of; None where it says none."""
        return self.of_device(reading.meter, reading.usage_point)

    def of_device(self, device: EndDevice | None, point: UsagePoint | None) -> str | None:
        """The same of a device and a usage point."""
        names = [] if device is None else [name.name for name in device.names]
        points = [] if point is None else [name.name for name in point.names]
        mrid = None if device is None else device.mrid
        known = self._by_mrid.get(mrid_key(mrid)) if mrid else None
        known = known or next((self._by_name[name] for name in names if name in self._by_name), None)
        known = known or next((self._by_point[name] for name in points if name in self._by_point), None)
        own = [*names, *([mrid] if mrid else []), *points, *([point.mrid] if point and point.mrid else [])]
        return known or next(iter(own), None)


def readings_of(payload: Payload | None, header: Header, message_id: str, names: Names, now: datetime) -> TakenReadings:
    """What a message with this payload says; `message_id` is that of the request that it answers, or of an event its own.

    For a message as large as may be it takes some tenths of a second, and is called beside the event loop."""
    if not isinstance(payload, MeterReadings):
        return NOTHING
    rows: list[KeptReading | None] = []
    for one in payload.meter_readings:
        said = _Said(names.of(one), min(header.timestamp or now, now), now + AHEAD, message_id)
        rows += map(said.register, one.readings)
        for block in one.blocks:
            rows += said.intervals(block)
    kept = tuple(row for row in rows if row is not None)
    return TakenReadings(kept, len(rows) - len(kept))


@dataclass(frozen=True, slots=True)
class _Said:
    """Of which meter, when and in which message something was said."""

    meter: str | None
    at: datetime
    latest: datetime
    """No moment of a value lies behind it."""
    message_id: str

    def register(self, one: Reading) -> KeptReading | None:
        period = one.period or _OPEN
        qualities = tuple(quality.code for quality in one.qualities)
        moment = period.end or one.taken_at or one.reported_at
        return self._row(one.reading_type, (moment, period.start, one.value, qualities, one.source))

    def intervals(self, block: IntervalBlock) -> Iterator[KeptReading | None]:
        columns = block.columns
        sets = [tuple(quality.code for quality in one) for one in columns.quality_sets]
        qualities = map(sets.__getitem__, columns.quality_of) if columns.quality_of else repeat(())
        starts, sources = columns.starts or repeat(None), columns.sources or repeat(None)
        ends = map(columns.ended_at, range(len(columns)))
        for row in zip(ends, starts, columns.values, qualities, sources, strict=False):
            yield self._row(block.reading_type, row)

    def _row(self, reading_type: str, row: _Row) -> KeptReading | None:
        """None for what can't be kept."""
        moment, start, text, qualities, source = row
        if self.meter is None or moment is None or not EARLIEST <= moment <= self.latest:
            return None
        if start is not None and not EARLIEST <= start <= moment:
            return None
        try:
            value = None if text is None else _time(text) if is_time(reading_type) else _plain(text)
        except (InvalidMessage, ValueError):
            return None
        return KeptReading(self.meter, reading_type, moment, start, value, qualities, source, self.at, self.message_id)


def _time(text: str) -> str:
    """A moment that is a value, as of a clock, in UTC; raises ValueError for what is none, or has no offset."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None or not EARLIEST < moment < LATEST:
        raise ValueError("no moment")
    return moment.astimezone(UTC).isoformat()


def _plain(text: str) -> str:
    """A value as a plain decimal, digit by digit as it came."""
    return text if _PLAIN.fullmatch(text) else decimal_text(decimal_of(text))
