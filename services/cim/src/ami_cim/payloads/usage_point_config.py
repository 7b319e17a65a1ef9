"""UsagePointConfig (IEC 61968-9:2013): usage points as things of their own, with a meter or without one.

Which meter is at one is said in MasterDataLinkageConfig. No schema of it is public; docs/cim.md lists what rests on inference."""

from dataclasses import dataclass
from typing import Final

from ami_cim.identity import IDENTIFIED, NAME, Identified, Name
from ami_cim.payloads import Payload
from ami_cim.xml_fields import Shape, boolean, many, text


@dataclass(frozen=True, slots=True, kw_only=True)
class UsagePointAsset:
    """A usage point: its names and what is said of it for people; ratings, multipliers and relations are not carried."""

    mrid: str | None = None
    is_sdp: bool | None = None
    """Whether service is delivered there."""
    is_virtual: bool | None = None
    outage_region: str | None = None
    phase_code: str | None = None
    read_cycle: str | None = None
    read_route: str | None = None
    remark: str | None = None
    """serviceDeliveryRemark"""
    names: tuple[Name, ...] = ()
    service: str | None = None
    """ServiceCategory/kind, as `electricity`"""


@dataclass(frozen=True, slots=True, kw_only=True)
class UsagePointConfig(Payload):
    """The payload."""

    usage_points: tuple[UsagePointAsset, ...] = ()
    unsupported: tuple[str, ...] = ()
    """Paths of elements that came in and are not carried here, e.g. `UsagePoint/ServiceLocation`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GetUsagePointConfig(Payload):
    """The query profile: these usage points, those of these meters; all of them where nothing is named."""

    end_device_groups: tuple[Identified, ...] = ()
    meters: tuple[Identified, ...] = ()
    usage_points: tuple[Identified, ...] = ()
    usage_point_groups: tuple[Identified, ...] = ()
    unsupported: tuple[str, ...] = ()


_USAGE_POINT = Shape(
    UsagePointAsset,
    (
        text("mRID", "mrid"),
        boolean("isSdp", "is_sdp"),
        boolean("isVirtual", "is_virtual"),
        text("outageRegion", "outage_region"),
        text("phaseCode", "phase_code"),
        text("readCycle", "read_cycle"),
        text("readRoute", "read_route"),
        text("serviceDeliveryRemark", "remark"),
        many("Names", "names", NAME),
        text("ServiceCategory/kind", "service"),
    ),
)
PAYLOAD: Final[Shape[Payload]] = Shape(
    UsagePointConfig, (many("UsagePoint", "usage_points", _USAGE_POINT),), left_over="unsupported"
)
QUERY: Final[Shape[Payload]] = Shape(
    GetUsagePointConfig,
    (
        many("EndDeviceGroup", "end_device_groups", IDENTIFIED),
        many("Meter", "meters", IDENTIFIED),
        many("UsagePoint", "usage_points", IDENTIFIED),
        many("UsagePointGroup", "usage_point_groups", IDENTIFIED),
    ),
    left_over="unsupported",
)
