"""MeterAssetReading with a content made up for a test of registers, and the query profile GetMeterAssetReading.

What a MeterReading holds beyond that (interval blocks, events, qualities) is reported in `unsupported`."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from ami_cim.identity import END_DEVICE, EndDevice
from ami_cim.payloads import Payload
from ami_cim.xml_fields import Shape, many, moment, one, reference, text


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """The value of one register; its unit and scale are those of the reading type, the 18-part code in ReadingType@ref."""

    reading_type: str
    value: str | None = None
    taken_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterReading:
    """What was read of one meter."""

    meter: EndDevice | None = None
    readings: tuple[Reading, ...] = ()
    unsupported: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class MeterAssetReading(Payload):
    """The payload."""

    meter_readings: tuple[MeterReading, ...] = ()


@dataclass(frozen=True, slots=True)
class GetMeterAssetReading(Payload):
    """Which reading types (by mRID, the code) of which devices are asked for."""

    end_devices: tuple[EndDevice, ...] = ()
    reading_types: tuple[EndDevice, ...] = ()


_READING = Shape(
    Reading,
    (
        moment("timeStamp", "taken_at"),
        text("value", "value"),
        reference("ReadingType", "reading_type", mandatory="1.7"),
    ),
)
_READINGS = (one("Meter", "meter", END_DEVICE), many("Readings", "readings", _READING))
_METER_READING = Shape(MeterReading, _READINGS, left_over="unsupported")
PAYLOAD: Final[Shape[Payload]] = Shape(MeterAssetReading, (many("MeterReading", "meter_readings", _METER_READING),))
_QUERY = (many("EndDevice", "end_devices", END_DEVICE), many("ReadingType", "reading_types", END_DEVICE))
QUERY: Final[Shape[Payload]] = Shape(GetMeterAssetReading, _QUERY)
