"""EndDeviceControls (IEC 61968-9:2013): what to do (the control type) to which devices, and when.

Only what a head-end can act on is carried; every element that is present and not carried is reported by its name in
`EndDeviceControl.unsupported`, so that the one who executes can refuse instead of silently doing half.
Element order is that of the schema: attributes alphabetically, then associations alphabetically ignoring case."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from lxml import etree

from ami_cim import ns, xml_fields
from ami_cim.errors import InvalidMessage, LocalError
from ami_cim.identity import EndDevice, Name, UsagePoint
from ami_cim.xml import SPACE, Element
from ami_cim.xml_fields import Part

NOUN = "EndDeviceControls"
NAMESPACE = ns.payload(NOUN)
_NSMAP = cast("dict[str, str]", {None: NAMESPACE})  # the stubs forget the default namespace


TAG = f"{{{NAMESPACE}}}{NOUN}"


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
    start_at: datetime | None = None
    """primaryDeviceTiming/interval/start"""
    unsupported: tuple[str, ...] = ()
    """Names of elements that came in and are not carried here, e.g. `PanDisplay`, `primaryDeviceTiming/duration`."""


@dataclass(frozen=True, slots=True)
class EndDeviceControls:
    """The payload."""

    controls: tuple[EndDeviceControl, ...] = ()


def parse(element: Element) -> EndDeviceControls:
    """The payload of an element that the schema has accepted; InvalidMessage for another element or no control type."""
    if element.tag != TAG:
        raise InvalidMessage("1.8", f"{element.tag} is not {TAG}")
    return EndDeviceControls(**xml_fields.read(element, _PAYLOAD_TABLE))


def format(payload: EndDeviceControls) -> Element:
    """The element of a payload, in the schema's order."""
    root = etree.Element(TAG, nsmap=_NSMAP)
    xml_fields.write(root, _PAYLOAD, payload)
    return root


def _tag(local: str) -> str:
    return f"{{{NAMESPACE}}}{local}"


def _read_name(element: Element) -> Name:
    name = element.findtext(_tag("name")) or ""
    name_type = element.findtext(f"{_tag('NameType')}/{_tag('name')}")
    authority = element.findtext(f"{_tag('NameType')}/{_tag('NameTypeAuthority')}/{_tag('name')}")
    return Name(name=name.strip(SPACE), name_type=_stripped(name_type), authority=_stripped(authority))


def _stripped(text: str | None) -> str | None:
    return (text or "").strip(SPACE) or None


def _write_name(element: Element, name: Name) -> None:
    xml_fields.write_text(etree.SubElement(element, _tag("name")), name.name)
    if name.name_type is None:
        if name.authority is not None:
            raise LocalError("A NameTypeAuthority needs a NameType", name.authority)
        return
    name_type = etree.SubElement(element, _tag("NameType"))
    xml_fields.write_text(etree.SubElement(name_type, _tag("name")), name.name_type)
    if name.authority is not None:
        authority = etree.SubElement(name_type, _tag("NameTypeAuthority"))
        xml_fields.write_text(etree.SubElement(authority, _tag("name")), name.authority)


_IDENTIFIED = (xml_fields.text(_tag("mRID"), "mrid"), Part(_tag("Names"), "names", _read_name, _write_name, many=True))
_IDENTIFIED_TABLE = xml_fields.by_tag(_IDENTIFIED)


def _identified(tag: str, attribute: str, kind: Callable[..., Any]) -> Part:
    return Part(
        _tag(tag),
        attribute,
        lambda element: kind(**xml_fields.read(element, _IDENTIFIED_TABLE)),
        lambda element, value: xml_fields.write(element, _IDENTIFIED, value),
        many=True,
    )


def _read_control_type(element: Element) -> str | None:
    return (element.get("ref") or "").strip(SPACE) or None


def _write_control_type(element: Element, code: str) -> None:
    xml_fields.write_attribute(element, "ref", code)


_START = xml_fields.moment(_tag("start"), "start_at")


def _read_start(element: Element) -> datetime | None:
    start = element.find(f"{_tag('interval')}/{_tag('start')}")
    return None if start is None else _START.read(start)


def _write_start(element: Element, start_at: datetime) -> None:
    interval = etree.SubElement(element, _tag("interval"))
    _START.write(etree.SubElement(interval, _tag("start")), start_at)


_CONTROL = (
    xml_fields.text(_tag("mRID"), "mrid"),
    xml_fields.text(_tag("issuerID"), "issuer_id"),
    xml_fields.text(_tag("issuerTrackingID"), "issuer_tracking_id"),
    xml_fields.prose(_tag("reason"), "reason"),
    Part(_tag("EndDeviceControlType"), "control_type", _read_control_type, _write_control_type, mandatory="1.7"),
    _identified("EndDevices", "end_devices", EndDevice),
    Part(_tag("primaryDeviceTiming"), "start_at", _read_start, _write_start),
    _identified("UsagePoints", "usage_points", UsagePoint),
)
_CONTROL_TABLE = xml_fields.by_tag(_CONTROL)
_CARRIED = {
    "EndDevices": {_tag("mRID"), _tag("Names")},
    "UsagePoints": {_tag("mRID"), _tag("Names")},
    "primaryDeviceTiming": {_tag("interval")},
    "interval": {_tag("start")},
}


def _unsupported(control: Element) -> tuple[str, ...]:
    names = [xml_fields.local(child) for child in control.iterchildren("*") if child.tag not in _CONTROL_TABLE]
    for child in control.iterchildren(*(_tag(name) for name in _CARRIED)):
        names += _not_carried(child, xml_fields.local(child))
    return tuple(dict.fromkeys(names))


def _not_carried(element: Element, path: str) -> list[str]:
    names = []
    for child in element.iterchildren("*"):
        local = xml_fields.local(child)
        if child.tag not in _CARRIED[xml_fields.local(element)]:
            names.append(f"{path}/{local}")
        elif local in _CARRIED:
            names += _not_carried(child, f"{path}/{local}")
    return names


def _read_control(element: Element) -> EndDeviceControl:
    return EndDeviceControl(**xml_fields.read(element, _CONTROL_TABLE), unsupported=_unsupported(element))


def _write_control(element: Element, control: EndDeviceControl) -> None:
    if control.unsupported:
        raise LocalError(
            "A control with elements that are not carried cannot be written", ", ".join(control.unsupported)
        )
    xml_fields.write(element, _CONTROL, control)


_PAYLOAD = (Part(_tag("EndDeviceControl"), "controls", _read_control, _write_control, many=True),)
_PAYLOAD_TABLE = xml_fields.by_tag(_PAYLOAD)

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


def reorder(body: Element) -> None:
    """Put the children of Pan elements that come in the older order into the one of the schema, in place.

    An element in any other order stays as it is, and so does one with a child that neither order has: that is for the schema."""
    for pan in body.iter(*(_tag(name) for name in _OWN)):
        older = [_tag(name) for name in (*_BASE, *_OWN[xml_fields.local(pan)])]
        children = list(pan.iterchildren("*"))
        if not {child.tag for child in children} <= set(older):
            continue
        if sorted(children, key=lambda child: older.index(child.tag)) == children:
            pan[:] = sorted(
                children, key=lambda child: (xml_fields.local(child) in _ASSOCIATIONS, xml_fields.local(child))
            )
