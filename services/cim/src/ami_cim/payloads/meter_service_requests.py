"""MeterServiceRequests (IEC 61968-9): work at a meter, here that one is put in the place of another one, with final and first readings.

The public schema of it has an envelope's Header in the payload, and no name or mRID in UsagePoint: which one is meant follows from the old
meter. Customers, locations, multipliers and records of activities are a CIS's own, and reported in `unsupported`."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from ami_cim.identity import NAME, Name
from ami_cim.payloads import Payload
from ami_cim.payloads.meter_readings import READING, Reading
from ami_cim.xml_fields import Shape, many, moment, one, text


@dataclass(frozen=True, slots=True, kw_only=True)
class ServicedReadings:
    """MeterReadings of a meter that is worked at."""

    readings: tuple[Reading, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ServicedMeter:
    """Meter or OldMeter."""

    mrid: str | None = None
    amr_system: str | None = None
    serial_number: str | None = None
    meter_readings: tuple[ServicedReadings, ...] = ()
    names: tuple[Name, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterServiceWork:
    """One work. With an old meter it is an exchange."""

    kind: str | None = None
    """One of KINDS."""
    priority: str | None = None
    requested_at: datetime | None = None
    work_type: str | None = None
    """type, in words of the sender"""
    meter: ServicedMeter | None = None
    old_meter: ServicedMeter | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterServiceRequests(Payload):
    """The payload."""

    works: tuple[MeterServiceWork, ...] = ()
    unsupported: tuple[str, ...] = ()
    """Paths of elements that came in and are not carried here, e.g. `Header`."""


KINDS: Final = (
    *("construction", "disconnect", "inspection", "maintenance", "meter", "other", "reconnect", "repair"),
    *("service", "test"),
)
"""MeterServiceWork/kind."""
_READINGS = Shape(ServicedReadings, (many("Readings", "readings", READING),))
_METER = Shape(
    ServicedMeter,
    (
        text("mRID", "mrid"),
        text("amrSystem", "amr_system"),
        text("serialNumber", "serial_number"),
        many("MeterReadings", "meter_readings", _READINGS),
        many("Names", "names", NAME),
    ),
)
_WORK = Shape(
    MeterServiceWork,
    (
        text("kind", "kind"),
        text("priority", "priority"),
        moment("requestDateTime", "requested_at"),
        text("type", "work_type"),
        one("Meter", "meter", _METER),
        one("OldMeter", "old_meter", _METER),
    ),
)
PAYLOAD: Final[Shape[Payload]] = Shape(
    MeterServiceRequests, (many("MeterServiceWork", "works", _WORK),), left_over="unsupported"
)
