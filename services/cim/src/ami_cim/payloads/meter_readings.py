"""MeterReadings (IEC 61968-9:2013): what was read of meters, registers as Readings and load profiles as IntervalBlocks.

Values are decimal texts, scaled by their reading type (`ami_cim.decimals`). What a MeterReading holds beyond that (EndDeviceEvents,
the status of the meter, a PendingCalculation, which says that the values are not final) is reported in `unsupported`."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from ami_cim.identity import END_DEVICE, USAGE_POINT, EndDevice, UsagePoint
from ami_cim.payloads import Payload
from ami_cim.payloads.interval_blocks import INTERVAL_BLOCK, IntervalBlock
from ami_cim.payloads.reading_types import (
    READING_QUALITY_TYPE,
    READING_TYPE,
    ReadingQualityTypeObject,
    ReadingTypeObject,
)
from ami_cim.periods import PERIOD, Period
from ami_cim.quality import QUALITY, Quality
from ami_cim.xml_fields import Shape, boolean, many, moment, one, reference, text

REASONS: Final = (
    *("billing", "demandReset", "inquiry", "installation", "loadManagement", "loadResearch", "moveIn", "moveOut"),
    *("other", "removal", "serviceConnect", "serviceDisconnect"),
)
"""Readings/reason; a reading on demand is `inquiry`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One value of one reading type, the 18-part code in ReadingType@ref."""

    reading_type: str
    value: str | None = None
    taken_at: datetime | None = None
    """timeStamp"""
    period: Period | None = None
    """timePeriod: what the value is about, e.g. the month of a billing value."""
    qualities: tuple[Quality, ...] = ()
    reason: str | None = None
    """One of REASONS."""
    source: str | None = None
    reported_at: datetime | None = None
    """reportedDateTime"""


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterReading:
    """What was read of one meter."""

    meter: EndDevice | None = None
    usage_point: UsagePoint | None = None
    readings: tuple[Reading, ...] = ()
    blocks: tuple[IntervalBlock, ...] = ()
    values_interval: Period | None = None
    """valuesInterval: the period that all the values are from."""
    coincident_trigger: bool | None = None
    """isCoincidentTrigger"""
    unsupported: tuple[str, ...] = ()
    """Paths of elements that came in and are not carried here, e.g. `EndDeviceEvents`."""


@dataclass(frozen=True, slots=True)
class MeterReadings(Payload):
    """The payload."""

    meter_readings: tuple[MeterReading, ...] = ()
    reading_quality_types: tuple[ReadingQualityTypeObject, ...] = ()
    reading_types: tuple[ReadingTypeObject, ...] = ()
    unsupported: tuple[str, ...] = ()
    """Paths of elements outside the readings that are not carried here, e.g. `EndDeviceEventType`."""


READING: Final = Shape(
    Reading,
    (
        text("reason", "reason"),
        moment("reportedDateTime", "reported_at"),
        text("source", "source"),
        moment("timeStamp", "taken_at"),
        text("value", "value"),
        many("ReadingQualities", "qualities", QUALITY),
        reference("ReadingType", "reading_type", mandatory="1.7"),
        one("timePeriod", "period", PERIOD),
    ),
)
_METER_READING = Shape(
    MeterReading,
    (
        boolean("isCoincidentTrigger", "coincident_trigger"),
        many("IntervalBlocks", "blocks", INTERVAL_BLOCK),
        one("Meter", "meter", END_DEVICE),
        many("Readings", "readings", READING),
        one("UsagePoint", "usage_point", USAGE_POINT),
        one("valuesInterval", "values_interval", PERIOD),
    ),
    left_over="unsupported",
)
PAYLOAD: Final[Shape[Payload]] = Shape(
    MeterReadings,
    (
        many("MeterReading", "meter_readings", _METER_READING),
        many("ReadingQualityType", "reading_quality_types", READING_QUALITY_TYPE),
        many("ReadingType", "reading_types", READING_TYPE),
    ),
    left_over="unsupported",
)
