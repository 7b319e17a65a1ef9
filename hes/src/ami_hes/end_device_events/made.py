"""An event of a meter as a value: its id follows from what it is, so that one that is read again is the same one (M-153)."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID, uuid5

from ami_cim.identity import mrid_key
from ami_dlms.datetimes import CosemDateTime
from ami_dlms.errors import LocalError
from ami_dlms.obis import Obis
from ami_hes.end_device_events.native_names import NativeNames, general_names
from ami_hes.meters import Meter
from ami_hes.store import StoredDeviceEvent
from ami_mapping.alarms import NO_CODE
from ami_mapping.events import VERIFIED

NAMESPACE = UUID("6a0f1c5e-6b1d-5c0a-9d3e-0e0f5c1a7b21")
"""Of the ids of events; never to be changed, since ids of kept events follow from it."""
EARLIEST, LATEST = datetime(1970, 1, 1, tzinfo=UTC), datetime(9000, 1, 1, tzinfo=UTC)
METER, HEAD_END = "meter", "head-end"
Details = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class EventTime:
    """When something happened, and by whose clock."""

    at: datetime
    by_meter: bool
    said: str = ""
    """The meter's own time where it is no moment."""


@dataclass(frozen=True, slots=True)
class Told:
    """By which meter, when and how something was told."""

    meter: Meter
    time: EventTime
    received_at: datetime
    names: NativeNames = field(default_factory=general_names)


def time_of(said: CosemDateTime | None, received_at: datetime) -> EventTime:
    """The meter's time where it is a whole moment, else ours."""
    if said is None:
        return EventTime(received_at, by_meter=False)
    try:
        moment = said.to_datetime()
    except LocalError:
        return EventTime(received_at, by_meter=False, said=str(said))
    if not EARLIEST <= moment < LATEST:
        return EventTime(received_at, by_meter=False, said=str(said))
    return EventTime(moment, by_meter=True)


def alarm_event(told: Told, register: Obis, bit: int) -> StoredDeviceEvent:
    """A bit of an alarm register that is set."""
    code, meaning, numbers = told.names.alarm(register, bit)
    details = [("register", str(register)), ("bit", str(bit))]
    details += [("number", str(one)) for one in numbers] if len(numbers) == 1 else []
    name = alarm_name(register, bit)
    return made(told, "alarm", name, code, meaning or f"bit {bit} of the alarm register {register}", details, name)


def alarm_name(register: Obis, bit: int) -> str:
    """An alarm as it is compared."""
    return f"{register}/{bit}"


def log_event(told: Told, log: Obis, native: int) -> StoredDeviceEvent:
    """An entry of an event log."""
    code, meaning, _ = told.names.event(log, native)
    details = [("log", str(log)), ("number", str(native))]
    return made(told, "log", f"{log}/{native}", code, meaning or f"entry {native} of the log {log}", details)


def restored_event(meter: Meter, at: datetime) -> StoredDeviceEvent:
    """Power is back: the meter has answered a ping."""
    told = Told(meter, EventTime(at, by_meter=False), at)
    return made(
        told, "ping", "ping", f"0.{VERIFIED}", "power is back: the meter has answered", [("verifiedBy", "ping")]
    )


def made(
    told: Told, source: str, native: str, code: str | None, reason: str, details: Details, alarm: str | None = None
) -> StoredDeviceEvent:
    """`native` is what the meter calls it: together with the meter and the second by the meter's clock it is the event."""
    time = told.time
    clock = [("clock", METER if time.by_meter else HEAD_END)] + ([("meterTime", time.said)] if time.said else [])
    key = f"{mrid_key(told.meter.mrid)} {source} {native} {time.at.astimezone(UTC).isoformat(timespec='seconds')}"
    return StoredDeviceEvent(
        event_id=str(uuid5(NAMESPACE, key)),
        mrid=told.meter.mrid,
        meter_name=told.meter.name,
        code=code or NO_CODE,
        source=source,
        created_at=time.at,
        by_meter=time.by_meter,
        received_at=told.received_at,
        secured=True,  # only what the keys of a meter vouch for becomes one (M-154)
        reason=reason,
        details=json.dumps([*details, *clock]),
        alarm=alarm,
    )
