"""MeterConfig (IEC 61968-9:2013): meters that are made known, changed, taken out and asked for.

No schema of it is public; docs/cim.md lists what rests on inference."""

from dataclasses import dataclass
from typing import Final

from ami_cim.identity import IDENTIFIED, USAGE_POINT, Identified, UsagePoint
from ami_cim.payloads import Payload
from ami_cim.payloads.device_assets import DEVICE_ASSET, DeviceAsset
from ami_cim.xml_fields import Shape, many


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterConfig(Payload):
    """The payload."""

    devices: tuple[DeviceAsset, ...] = ()
    """Meter"""
    unsupported: tuple[str, ...] = ()
    """Paths of elements that came in and are not carried here, e.g. `Meter/Seals`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GetMeterConfig(Payload):
    """The query profile: these devices, those at these usage points, those of these groups; all of them where nothing is named."""

    devices: tuple[Identified, ...] = ()
    """Meter"""
    end_device_groups: tuple[Identified, ...] = ()
    usage_points: tuple[UsagePoint, ...] = ()
    usage_point_groups: tuple[Identified, ...] = ()
    unsupported: tuple[str, ...] = ()


PAYLOAD: Final[Shape[Payload]] = Shape(MeterConfig, (many("Meter", "devices", DEVICE_ASSET),), left_over="unsupported")
QUERY: Final[Shape[Payload]] = Shape(
    GetMeterConfig,
    (
        many("EndDeviceGroup", "end_device_groups", IDENTIFIED),
        many("Meter", "devices", IDENTIFIED),
        many("UsagePoint", "usage_points", USAGE_POINT),
        many("UsagePointGroup", "usage_point_groups", IDENTIFIED),
    ),
    left_over="unsupported",
)
