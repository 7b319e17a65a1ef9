"""From the MeterReadings that the HES sends, in whichever message, to the rows that the CIS keeps: pure.

A row is one value of one ReadingType of one meter at one moment. Registers and intervals are the same here: an interval has a start,
and its moment is its end (`timePeriod` before `timeStamp`, since a partner may put the moment of reading into the latter)."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from ami_cim.decimals import decimal_of, decimal_text
from ami_cim.errors import InvalidMessage
from ami_cim.identity import mrid_key
from ami_cim.message import Header
from ami_cim.payloads import Payload
from ami_cim.payloads.interval_blocks import IntervalBlock
from ami_cim.payloads.meter_readings import MeterReading, MeterReadings, Reading
from ami_cim.quality import Quality
from ami_cis.meters import Meter
from ami_cis.store import KeptReading


@dataclass(frozen=True, slots=True)
class Taken:
    """The rows of a message, and how many of its values can't be one: of no meter, at no moment, or no number."""

    readings: tuple[KeptReading, ...] = ()
    unusable: int = 0


NOTHING = Taken()


class Names:
    """Meters by whichever name a message calls them; one that is not configured is called by its own first name."""

    def __init__(self, meters: Sequence[Meter]) -> None:
        self._by_mrid = {mrid_key(meter.mrid): meter.name for meter in meters if meter.mrid is not None}
        self._by_name: Mapping[str, str] = {meter.name: meter.name for meter in meters}
        self._by_point = {point: meter.name for meter in meters for point in meter.usage_points}

    def of(self, reading: MeterReading) -> str | None:
        """The label of the meter that a MeterReading is of; None where it says none."""
        device, point = reading.meter, reading.usage_point
        names = [] if device is None else [name.name for name in device.names]
        points = [] if point is None else [name.name for name in point.names]
        mrid = None if device is None else device.mrid
        known = self._by_mrid.get(mrid_key(mrid)) if mrid else None
        known = known or next((self._by_name[name] for name in names if name in self._by_name), None)
        known = known or next((self._by_point[name] for name in points if name in self._by_point), None)
        own = [*names, *([mrid] if mrid else []), *points, *([point.mrid] if point and point.mrid else [])]
        return known or next(iter(own), None)


def readings_of(payload: Payload | None, header: Header, message_id: str, names: Names, now: datetime) -> Taken:
    """What a message with this payload says; `message_id` is that of the request that it answers, or of an event its own."""
    if not isinstance(payload, MeterReadings):
        return NOTHING
    said_at = header.timestamp or now
    rows: dict[tuple[str, str, datetime], KeptReading] = {}
    unusable = 0
    for one in payload.meter_readings:
        meter = names.of(one)
        for value in (*_registers(one), *_intervals(one)):
            row = None if meter is None else _row(meter, value, said_at, message_id)
            if row is None:
                unusable += 1
            else:
                rows[row.meter, row.reading_type, row.at] = row
    return Taken(tuple(rows.values()), unusable)


@dataclass(frozen=True, slots=True)
class _Value:
    reading_type: str
    at: datetime | None
    start: datetime | None
    value: str | None
    qualities: tuple[Quality, ...]
    source: str | None


def _registers(one: MeterReading) -> Iterator[_Value]:
    for reading in one.readings:
        yield _Value(
            reading.reading_type,
            _moment_of(reading),
            None if reading.period is None else reading.period.start,
            reading.value,
            reading.qualities,
            reading.source,
        )


def _moment_of(reading: Reading) -> datetime | None:
    end = None if reading.period is None else reading.period.end
    return end or reading.taken_at or reading.reported_at


def _intervals(one: MeterReading) -> Iterator[_Value]:
    for block in one.blocks:
        yield from _rows_of(block)


def _rows_of(block: IntervalBlock) -> Iterator[_Value]:
    columns = block.columns
    for place, value in enumerate(columns.values):
        yield _Value(
            block.reading_type,
            columns.ended_at(place),
            columns.starts[place] if columns.starts else None,
            value,
            columns.qualities(place),
            columns.sources[place] if columns.sources else None,
        )


def _row(meter: str, one: _Value, said_at: datetime, message_id: str) -> KeptReading | None:
    if one.at is None:
        return None
    try:
        value = None if one.value is None else decimal_text(decimal_of(one.value))
    except InvalidMessage:
        return None
    qualities = tuple(quality.code for quality in one.qualities)
    return KeptReading(meter, one.reading_type, one.at, one.start, value, qualities, one.source, said_at, message_id)
