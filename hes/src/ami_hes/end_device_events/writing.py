"""Events of meters as EndDeviceEvents, and the MessageIDs of messages to subscribers. Pure.

The MessageID follows from the subscriber and from what is in the message, so that the same message has the same one whenever it is made.
"""

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import uuid5

from ami_cim.identity import EndDevice, Name, UsagePoint
from ami_cim.payloads.end_device_events import EndDeviceEvent, EndDeviceEvents, EventDetail
from ami_hes.end_device_events.made import NAMESPACE
from ami_hes.meters.registry import Registry
from ami_hes.store import StoredDeviceEvent

NOUN = "EndDeviceEvents"
AHEAD = timedelta(minutes=1)
"""Beyond this an event has not happened yet when it comes, so the clock of its meter is wrong."""


def payload_of(events: Sequence[StoredDeviceEvent], registry: Registry) -> EndDeviceEvents:
    """As CIM has them; a meter is called as it is now, or was then if it has left."""
    return EndDeviceEvents(tuple(_event(one, registry) for one in events))


def message_id_of(subscriber: str, verb: str, events: Sequence[StoredDeviceEvent]) -> str:
    """Of the message about these events to this subscriber."""
    return str(uuid5(NAMESPACE, f"{subscriber}/{verb}/{' '.join(one.event_id for one in events)}"))


def _event(one: StoredDeviceEvent, registry: Registry) -> EndDeviceEvent:
    meter = registry.find_by_mrid(one.mrid)
    points = () if meter is None else meter.usage_points
    details = tuple(EventDetail(name=name, value=value) for name, value in json.loads(one.details))
    if one.closed_at is not None:
        details += (_moment("closedDateTime", one.closed_at),)
    if one.created_at - one.received_at > AHEAD:
        details += (_moment("receivedDateTime", one.received_at),)
    return EndDeviceEvent(
        mrid=one.event_id,
        event_type=one.code,
        created_at=one.created_at,
        issuer_id=one.issuer_id,
        issuer_tracking_id=one.issuer_tracking_id,
        reason=one.reason or None,
        asset=EndDevice(one.mrid, (Name(name=one.meter_name if meter is None else meter.name),)),
        details=details,
        usage_point=UsagePoint(names=tuple(Name(name=point) for point in points)) if points else None,
    )


def _moment(name: str, at: datetime) -> EventDetail:
    return EventDetail(name=name, value=at.isoformat().replace("+00:00", "Z"))
