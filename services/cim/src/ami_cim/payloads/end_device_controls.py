"""EndDeviceControls (IEC 61968-9:2013): what to do (the control type) to which devices, and when.

Only what a head-end can act on is carried; every element that is present and not carried is reported by its name in
`EndDeviceControl.unsupported`, so that the one who executes can refuse instead of silently doing half.
Element order is that of the schema: attributes alphabetically, then associations alphabetically ignoring case."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final

from ami_cim import ns
from ami_cim.identity import END_DEVICE, IDENTIFIED, USAGE_POINT, EndDevice, Identified, UsagePoint
from ami_cim.payloads import Payload
from ami_cim.xml import Element
from ami_cim.xml_fields import Field, Shape, boolean, many, moment, one, prose, reference, text
from ami_cim.xml_values import DECIMAL, local

NOUN = "EndDeviceControls"


@dataclass(frozen=True, slots=True)
class PanDisplay:
    """What is to be shown; `text` is its textMessage."""

    text: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EndDeviceControl:
    """One control for some devices. `control_type` is the four-part code in EndDeviceControlType@ref."""

    mrid: str | None = None
    control_type: str
    reason: str | None = None
    issuer_id: str | None = None
    issuer_tracking_id: str | None = None
    end_devices: tuple[EndDevice, ...] = ()
    usage_points: tuple[UsagePoint, ...] = ()
    end_device_groups: tuple[Identified, ...] = ()
    usage_point_groups: tuple[Identified, ...] = ()
    display: PanDisplay | None = None
    start_at: datetime | None = None
    """primaryDeviceTiming/interval/start"""
    end_at: datetime | None = None
    """primaryDeviceTiming/interval/end"""
    duration_minutes: Decimal | None = None
    """primaryDeviceTiming/duration"""
    is_indefinite: bool | None = None
    """primaryDeviceTiming/durationIndefinite"""
    unsupported: tuple[str, ...] = ()
    """Names of elements that came in and are not carried here, e.g. `PanPricing`, `primaryDeviceTiming/randomisation`."""


@dataclass(frozen=True, slots=True)
class EndDeviceControls(Payload):
    """The payload."""

    controls: tuple[EndDeviceControl, ...] = ()


_DISPLAY = Shape(PanDisplay, (text("textMessage", "text"),))
_CONTROL = Shape(
    EndDeviceControl,
    (
        text("mRID", "mrid"),
        text("issuerID", "issuer_id"),
        text("issuerTrackingID", "issuer_tracking_id"),
        prose("reason", "reason"),
        one("PanDisplay", "display", _DISPLAY),
        reference("EndDeviceControlType", "control_type", mandatory="1.7"),
        many("EndDeviceGroups", "end_device_groups", IDENTIFIED),
        many("EndDevices", "end_devices", END_DEVICE),
        Field(path="primaryDeviceTiming/duration", attribute="duration_minutes", kind=DECIMAL),
        boolean("primaryDeviceTiming/durationIndefinite", "is_indefinite"),
        moment("primaryDeviceTiming/interval/end", "end_at"),
        moment("primaryDeviceTiming/interval/start", "start_at"),
        many("UsagePointGroups", "usage_point_groups", IDENTIFIED),
        many("UsagePoints", "usage_points", USAGE_POINT),
    ),
    left_over="unsupported",
)
PAYLOAD: Final[Shape[Payload]] = Shape(EndDeviceControls, (many("EndDeviceControl", "controls", _CONTROL),))

# The children of the Pan elements come in one alphabetical sequence in three of the four public sets of this schema, and so in
# ours; the oldest set has those of the base type EndDeviceAction first.
_BASE = ("command", "duration", "durationIndefinite", "startDateTime")
_OWN = {
    "PanDemandResponse": (
        *("avgLoadAdjustment", "cancelControlMode", "cancelDateTime", "cancelNow", "coolingOffset", "coolingSetpoint"),
        *("criticalityLevel", "dutyCycle", "enrollmentGroup", "heatingOffset", "heatingSetpoint", "appliance"),
    ),
    "PanDisplay": ("confirmationRequired", "priority", "textMessage", "transmissionMode"),
    "PanPricing": ("providerID", "PanPricingDetails"),
}
_ASSOCIATIONS = ("appliance", "PanPricingDetails")


def _tag(name: str) -> str:
    return f"{{{ns.payload(NOUN)}}}{name}"


def reorder(body: Element) -> None:
    """Put the children of Pan elements that come in the older order into the one of the schema, in place.

    An element in any other order stays as it is, and so does one with a child that neither order has: that is for the schema."""
    for pan in body.iter(*(_tag(name) for name in _OWN)):
        older = [_tag(name) for name in (*_BASE, *_OWN[local(pan)])]
        children = list(pan.iterchildren("*"))
        if not {child.tag for child in children} <= set(older):
            continue
        if sorted(children, key=lambda child: older.index(child.tag)) == children:
            pan[:] = sorted(children, key=lambda child: (local(child) in _ASSOCIATIONS, local(child)))
