"""MeterReadSchedule (IEC 61968-9:2013): which reading types of which meters are collected when, over and over.

A schedule has no id of its own in the payload: it is known by its transaction, the MessageID or CorrelationID of the create or an ID of
its reply. Customer accounts and agreements are not carried, and reported in `unsupported`. Edition 3 (2024) has another noun,
MeterReadSchedules, whose structure is not public; it is not read here."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from ami_cim.identity import END_DEVICE, IDENTIFIED, USAGE_POINT, EndDevice, Identified, UsagePoint
from ami_cim.payloads import Payload
from ami_cim.periods import PERIOD, Period
from ami_cim.xml_fields import Field, Shape, boolean, many, moment, one, text
from ami_cim.xml_values import INTEGER, SECONDS


@dataclass(frozen=True, slots=True, kw_only=True)
class TimePoint:
    """One of the moments of a schedule, absolute or from the begin of its interval."""

    at: datetime | None = None
    """dateTime"""
    after: timedelta | None = None
    """relativeTimeInterval"""
    sequence_number: int | None = None
    window: Period | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeSchedule:
    """When: from the begin to the end of an interval, every so often, or at time points."""

    interval: Period
    """scheduleInterval"""
    recurrence_pattern: str | None = None
    """In words of the partner; the standard has no grammar for it."""
    recurrence_period: timedelta | None = None
    offset: timedelta | None = None
    """How long after the begin of each period."""
    disabled: bool | None = None
    time_points: tuple[TimePoint, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterReadSchedule(Payload):
    """The payload."""

    end_devices: tuple[EndDevice, ...] = ()
    """By mRID, which the schema demands here."""
    end_device_groups: tuple[Identified, ...] = ()
    usage_points: tuple[UsagePoint, ...] = ()
    usage_point_groups: tuple[Identified, ...] = ()
    reading_types: tuple[Identified, ...] = ()
    schedules: tuple[TimeSchedule, ...] = ()
    unsupported: tuple[str, ...] = ()
    """Paths of elements that came in and are not carried here, e.g. `CustomerAgreement`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GetMeterReadSchedule(Payload):
    """The query profile: schedules that have one of these, in a period. One schedule is asked for by an ID in the Request."""

    end_devices: tuple[EndDevice, ...] = ()
    end_device_groups: tuple[Identified, ...] = ()
    usage_points: tuple[UsagePoint, ...] = ()
    usage_point_groups: tuple[Identified, ...] = ()
    reading_types: tuple[Identified, ...] = ()
    schedules: tuple[TimeSchedule, ...] = ()
    unsupported: tuple[str, ...] = ()


_TIME_POINT = Shape(
    TimePoint,
    (
        moment("dateTime", "at"),
        Field(path="relativeTimeInterval", attribute="after", kind=SECONDS),
        Field(path="sequenceNumber", attribute="sequence_number", kind=INTEGER),
        one("window", "window", PERIOD),
    ),
)
_TIME_SCHEDULE = Shape(
    TimeSchedule,
    (
        boolean("disabled", "disabled"),
        Field(path="offset", attribute="offset", kind=SECONDS),
        text("recurrencePattern", "recurrence_pattern"),
        Field(path="recurrencePeriod", attribute="recurrence_period", kind=SECONDS),
        Field(path="scheduleInterval", attribute="interval", kind=PERIOD, mandatory="1.7"),
        many("TimePoints", "time_points", _TIME_POINT),
    ),
)
_FIELDS = (
    many("EndDevice", "end_devices", END_DEVICE),
    many("EndDeviceGroup", "end_device_groups", IDENTIFIED),
    many("ReadingType", "reading_types", IDENTIFIED),
    many("TimeSchedule", "schedules", _TIME_SCHEDULE),
    many("UsagePoint", "usage_points", USAGE_POINT),
    many("UsagePointGroup", "usage_point_groups", IDENTIFIED),
)
PAYLOAD: Final[Shape[Payload]] = Shape(MeterReadSchedule, _FIELDS, left_over="unsupported")
QUERY: Final[Shape[Payload]] = Shape(GetMeterReadSchedule, _FIELDS, left_over="unsupported")
