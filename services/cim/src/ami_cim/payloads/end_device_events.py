"""EndDeviceEvents (IEC 61968-9:2013): what has happened to which device and when, and the query profile GetEndDeviceEvents.

The device is `Assets`, one of it; the kind of event is the four-part code in EndDeviceEventType@ref, and what the standard has no place
for stands in EndDeviceEventDetails. Users, a status and full objects of the types are not carried, and reported in `unsupported`."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from ami_cim.identity import END_DEVICE, IDENTIFIED, USAGE_POINT, EndDevice, Identified, UsagePoint
from ami_cim.payloads import Payload
from ami_cim.periods import PERIOD, Period
from ami_cim.xml_fields import Field, Shape, many, moment, one, prose, reference, text


@dataclass(frozen=True, slots=True, kw_only=True)
class EventDetail:
    """EndDeviceEventDetails{name, value}."""

    name: str
    value: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EndDeviceEvent:
    """One event of one device. `event_type` is the four-part code in EndDeviceEventType@ref."""

    mrid: str | None = None
    event_type: str
    created_at: datetime
    """createdDateTime"""
    issuer_id: str | None = None
    issuer_tracking_id: str | None = None
    reason: str | None = None
    severity: str | None = None
    """In words of the partner: the standard has no list of them."""
    asset: EndDevice | None = None
    """Assets: the device."""
    details: tuple[EventDetail, ...] = ()
    usage_point: UsagePoint | None = None
    unsupported: tuple[str, ...] = ()
    """Paths of elements that came in and are not carried here, e.g. `status`."""


@dataclass(frozen=True, slots=True)
class EndDeviceEvents(Payload):
    """The payload."""

    events: tuple[EndDeviceEvent, ...] = ()
    unsupported: tuple[str, ...] = ()
    """Names of elements beside the events, e.g. `EndDeviceEventType`: full objects of the codes."""


@dataclass(frozen=True, slots=True)
class AskedPeriod:
    """TimeSchedule{scheduleInterval}."""

    period: Period


@dataclass(frozen=True, slots=True, kw_only=True)
class GetEndDeviceEvents(Payload):
    """The query profile: the events of these devices, of one of these types, in a period."""

    meters: tuple[EndDevice, ...] = ()
    usage_points: tuple[UsagePoint, ...] = ()
    end_device_groups: tuple[Identified, ...] = ()
    events: tuple[Identified, ...] = ()
    """EndDeviceEvent: events by their own mRID."""
    event_types: tuple[Identified, ...] = ()
    schedules: tuple[AskedPeriod, ...] = ()
    unsupported: tuple[str, ...] = ()
    """Paths of elements that came in and are not carried here, e.g. `ServiceCategory`."""


_DETAIL = Shape(EventDetail, (text("name", "name", absent=""), text("value", "value")))
_EVENT = Shape(
    EndDeviceEvent,
    (
        text("mRID", "mrid"),
        moment("createdDateTime", "created_at", mandatory="1.7"),
        text("issuerID", "issuer_id"),
        text("issuerTrackingID", "issuer_tracking_id"),
        prose("reason", "reason"),
        text("severity", "severity"),
        one("Assets", "asset", END_DEVICE),
        many("EndDeviceEventDetails", "details", _DETAIL),
        reference("EndDeviceEventType", "event_type", mandatory="1.7"),
        one("UsagePoint", "usage_point", USAGE_POINT),
    ),
    left_over="unsupported",
)
PAYLOAD: Final[Shape[Payload]] = Shape(
    EndDeviceEvents, (many("EndDeviceEvent", "events", _EVENT),), left_over="unsupported"
)
_PERIOD = Shape(AskedPeriod, (Field(path="scheduleInterval", attribute="period", kind=PERIOD, mandatory="1.6"),))
QUERY: Final[Shape[Payload]] = Shape(
    GetEndDeviceEvents,
    (
        many("EndDeviceEvent", "events", IDENTIFIED),
        many("EndDeviceEventType", "event_types", IDENTIFIED),
        many("EndDeviceGroup", "end_device_groups", IDENTIFIED),
        many("Meter", "meters", END_DEVICE),
        many("TimeSchedule", "schedules", _PERIOD),
        many("UsagePoint", "usage_points", USAGE_POINT),
    ),
    left_over="unsupported",
)
