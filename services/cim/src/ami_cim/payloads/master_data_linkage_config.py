"""MasterDataLinkageConfig (IEC 61968-9:2013): what is listed in one message belongs together from its create on, and no more from its close
or delete on.

Carried are devices and usage points; customers, agreements, locations and suppliers are a CIS's own, and reported in `unsupported`.
No schema of it is public; docs/cim.md lists what rests on inference."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from ami_cim.identity import IDENTIFIED, Identified
from ami_cim.payloads import Payload
from ami_cim.xml_fields import Shape, many, moment, text


@dataclass(frozen=True, slots=True, kw_only=True)
class MasterDataLinkageConfig(Payload):
    """The payload."""

    effective_at: datetime | None = None
    """ConfigurationEvent/effectiveDateTime: from when on"""
    reason: str | None = None
    """ConfigurationEvent/reason"""
    end_devices: tuple[Identified, ...] = ()
    meters: tuple[Identified, ...] = ()
    usage_points: tuple[Identified, ...] = ()
    unsupported: tuple[str, ...] = ()
    """Paths of elements that came in and are not carried here, e.g. `CustomerAgreement`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GetMasterDataLinkageConfig(Payload):
    """The query profile: what these devices and usage points are linked with."""

    end_devices: tuple[Identified, ...] = ()
    end_device_groups: tuple[Identified, ...] = ()
    meters: tuple[Identified, ...] = ()
    usage_points: tuple[Identified, ...] = ()
    usage_point_groups: tuple[Identified, ...] = ()
    unsupported: tuple[str, ...] = ()


PAYLOAD: Final[Shape[Payload]] = Shape(
    MasterDataLinkageConfig,
    (
        moment("ConfigurationEvent/effectiveDateTime", "effective_at"),
        text("ConfigurationEvent/reason", "reason"),
        many("EndDevice", "end_devices", IDENTIFIED),
        many("Meter", "meters", IDENTIFIED),
        many("UsagePoint", "usage_points", IDENTIFIED),
    ),
    left_over="unsupported",
)
QUERY: Final[Shape[Payload]] = Shape(
    GetMasterDataLinkageConfig,
    (
        many("EndDevice", "end_devices", IDENTIFIED),
        many("EndDeviceGroup", "end_device_groups", IDENTIFIED),
        many("Meter", "meters", IDENTIFIED),
        many("UsagePoint", "usage_points", IDENTIFIED),
        many("UsagePointGroup", "usage_point_groups", IDENTIFIED),
    ),
    left_over="unsupported",
)
