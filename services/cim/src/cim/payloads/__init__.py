"""The payloads of IEC 61968-9 that can be read and written, one module a noun."""

from cim.payloads.end_device_controls import EndDeviceControls
from cim.payloads.opaque import OpaquePayload

__all__ = ["EndDeviceControls", "OpaquePayload", "Payload"]

Payload = EndDeviceControls | OpaquePayload
