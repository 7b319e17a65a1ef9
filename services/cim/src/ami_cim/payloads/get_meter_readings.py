"""GetMeterReadings, the query profile of MeterReadings: which reading types of which meters, over which period."""

from dataclasses import dataclass
from typing import Final

from ami_cim.identity import END_DEVICE, IDENTIFIED, USAGE_POINT, EndDevice, Identified, UsagePoint
from ami_cim.payloads import Payload
from ami_cim.periods import PERIOD, Period
from ami_cim.quality import QUALITY, Quality
from ami_cim.xml_fields import Field, Shape, many, one, text


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedReading:
    """Reading: of which period, for which reason, from which source."""

    reason: str | None = None
    source: str | None = None
    period: Period | None = None
    """timePeriod"""


@dataclass(frozen=True, slots=True)
class AskedSchedule:
    """TimeSchedule{scheduleInterval}."""

    period: Period


@dataclass(frozen=True, slots=True, kw_only=True)
class GetMeterReadings(Payload):
    """The query profile. Periods stand in Reading/timePeriod or in TimeSchedule/scheduleInterval."""

    end_devices: tuple[EndDevice, ...] = ()
    end_device_groups: tuple[Identified, ...] = ()
    usage_points: tuple[UsagePoint, ...] = ()
    usage_point_groups: tuple[Identified, ...] = ()
    reading_types: tuple[Identified, ...] = ()
    readings: tuple[AskedReading, ...] = ()
    schedules: tuple[AskedSchedule, ...] = ()
    qualities: tuple[Quality, ...] = ()
    """ReadingQuality: values with one of these codes."""
    unsupported: tuple[str, ...] = ()
    """Paths of elements that came in and are not carried here, e.g. `TransformerTank`."""

    @property
    def periods(self) -> tuple[Period, ...]:
        """All periods, wherever they stand."""
        return (
            *(one.period for one in self.readings if one.period is not None),
            *(one.period for one in self.schedules),
        )


_READING = Shape(
    AskedReading, (text("reason", "reason"), text("source", "source"), one("timePeriod", "period", PERIOD))
)
_SCHEDULE = Shape(AskedSchedule, (Field(path="scheduleInterval", attribute="period", kind=PERIOD, mandatory="1.6"),))
QUERY: Final[Shape[Payload]] = Shape(
    GetMeterReadings,
    (
        many("EndDevice", "end_devices", END_DEVICE),
        many("EndDeviceGroup", "end_device_groups", IDENTIFIED),
        many("Reading", "readings", _READING),
        many("ReadingQuality", "qualities", QUALITY),
        many("ReadingType", "reading_types", IDENTIFIED),
        many("TimeSchedule", "schedules", _SCHEDULE),
        many("UsagePoint", "usage_points", USAGE_POINT),
        many("UsagePointGroup", "usage_point_groups", IDENTIFIED),
    ),
    left_over="unsupported",
)
