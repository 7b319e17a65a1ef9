"""From the EndDeviceEvents that the HES sends to the rows that the CIS keeps: pure. A row is one event, known by the mRID that the HES gives it."""

from datetime import datetime
from typing import NamedTuple

from ami_cim.codes import Verb
from ami_cim.message import Header
from ami_cim.payloads import Payload
from ami_cim.payloads.end_device_events import EndDeviceEvent, EndDeviceEvents
from ami_cis.store import KeptDeviceEvent
from ami_cis.taken_readings import EARLIEST, LATEST, Names


class TakenDeviceEvents(NamedTuple):
    """The rows of a message, and how many of its events can't be one: of no meter, without an mRID, or at no moment that can be shown."""

    events: tuple[KeptDeviceEvent, ...] = ()
    unusable: int = 0


NO_EVENTS = TakenDeviceEvents()
MAX_DETAILS, MAX_TEXT = 50, 1_000
_VERBS = (Verb.CREATED, Verb.CHANGED, Verb.CLOSED, Verb.REPLY)
_CLOSED_AT = "closedDateTime"


def device_events_of(
    payload: Payload | None, header: Header, message_id: str, names: Names, now: datetime
) -> TakenDeviceEvents:
    """What a message with this payload says; `message_id` is its own, or that of the request that it answers."""
    if not isinstance(payload, EndDeviceEvents) or header.verb not in _VERBS:
        return NO_EVENTS
    said_at = min(header.timestamp or now, now)
    rows = [_row(one, header.verb, said_at, message_id, names) for one in payload.events]
    kept = tuple(row for row in rows if row is not None)
    return TakenDeviceEvents(kept, len(rows) - len(kept))


def _row(one: EndDeviceEvent, verb: str, said_at: datetime, message_id: str, names: Names) -> KeptDeviceEvent | None:
    meter = names.of_device(one.asset, one.usage_point)
    if meter is None or one.mrid is None or not EARLIEST <= one.created_at < LATEST or len(one.mrid) > MAX_TEXT:
        return None
    details = tuple((each.name[:MAX_TEXT], (each.value or "")[:MAX_TEXT]) for each in one.details[:MAX_DETAILS])
    return KeptDeviceEvent(
        event_id=one.mrid,
        meter=meter,
        code=one.event_type[:MAX_TEXT],
        at=one.created_at,
        reason=None if one.reason is None else one.reason[:MAX_TEXT],
        issuer_tracking_id=one.issuer_tracking_id,
        details=details,
        closed_at=_closed_at(details) or (said_at if verb == Verb.CLOSED else None),
        said_at=said_at,
        message_id=message_id,
    )


def _closed_at(details: tuple[tuple[str, str], ...]) -> datetime | None:
    for name, value in details:
        if name == _CLOSED_AT:
            try:
                moment = datetime.fromisoformat(value)
            except ValueError:
                return None
            return moment if moment.tzinfo is not None and EARLIEST <= moment < LATEST else None
    return None
