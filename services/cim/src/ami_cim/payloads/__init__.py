"""The payloads of IEC 61968-9 that can be read and written, one module a noun, and the table that finds them."""

from ami_cim.errors import LocalError
from ami_cim.payloads import end_device_controls
from ami_cim.payloads.end_device_controls import EndDeviceControls
from ami_cim.payloads.opaque import OpaquePayload
from ami_cim.xml import Element, parse, serialize

__all__ = ["EndDeviceControls", "OpaquePayload", "Payload", "element_of", "payload_of"]

Payload = EndDeviceControls | OpaquePayload

_READERS = {end_device_controls.TAG: end_device_controls.parse}


def payload_of(element: Element) -> Payload:
    """The payload of an element; a noun that no module knows stays opaque."""
    reader = _READERS.get(element.tag)
    return OpaquePayload(element.tag, serialize(element)) if reader is None else reader(element)


def element_of(payload: Payload) -> Element:
    """The element of a payload."""
    if isinstance(payload, EndDeviceControls):
        return end_device_controls.format(payload)
    element = parse(payload.octets)
    if element.tag != payload.tag:
        raise LocalError("An opaque payload is not what its tag says", payload.tag)
    return element
