"""GetEndDeviceEvents: what has happened to meters, asked for in CIM and answered from the store (IEC 61968-9).

Meters, usage points and groups that are named choose together; types, a time and mRIDs of events choose among theirs. Nothing is read of a
meter for it. A long answer is a page (Request/Option limit and offset) or, at a ReplyAddress, several messages (M-156).
"""

import asyncio
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from ami_cim.codes import Level
from ami_cim.errors import InvalidMessage
from ami_cim.identity import Identified, Identifier, mrid_key
from ami_cim.message import Reply, ReplyError, RequestMessage, Result
from ami_cim.paging import Page, page_of
from ami_cim.payloads import Payload
from ami_cim.payloads.end_device_events import EndDeviceEvents, GetEndDeviceEvents
from ami_hes.end_device_events.writing import NOUN, payload_of
from ami_hes.meters.registry import Meter, Registry
from ami_hes.nouns import Refused, Report, RequestContext, error
from ami_hes.nouns.devices import devices_of, meter_of_device, meter_of_usage_point, meters_of_group
from ami_hes.nouns.partners import Partner
from ami_hes.nouns.questions import question
from ami_hes.store import DeviceEvents, EventQuery

MOST_NAMED: Final = 1_000
"""Meters, usage points, groups, types and mRIDs of one question."""
MOST_METERS: Final = 5_000
"""That they may be."""
MOST_AT_ONCE: Final = 1_000
"""Events of one message."""
MOST_IN_PARTS: Final = 10_000
"""Events of one answer at a ReplyAddress."""
EVENTS_PER_PART: Final = 500
_CODE = re.compile(r"(\d{1,5}|\*)((?:\.\d{1,5}){3})", re.ASCII)
_ANY_DEVICE: Final = ("0", "*")
_IDENTIFYING: Final = ("Meter/", "UsagePoint/", "EndDeviceGroup/", "EndDeviceEventType/", "EndDeviceEvent/")
"""Elements that say more about something that mRID and Names already identify; they change nothing."""


@dataclass(frozen=True, slots=True)
class EventOrders:
    """Answers what messages of this noun ask for."""

    store: DeviceEvents
    registry: Registry

    async def __call__(self, context: RequestContext, message: RequestMessage) -> Report:
        """The Reply and the events, the oldest first; raises Refused and StoreUnavailable."""
        if context.verb != "get":
            raise Refused(error("2.9", f"The verb {context.verb} is not served for {NOUN}. Served is: get."))
        query = question_of(message)
        page = _page_of(message)
        most = MOST_IN_PARTS if message.header.async_reply_flag else MOST_AT_ONCE
        limit = min(page.limit or most, most)
        meters, errors = _meters_of(query, self.registry, context.partner)
        if errors and not meters:
            return Reply(result="FAILED", errors=errors), None
        wanted = replace(_wanted(query, message), mrids=tuple(meters), most=limit + 1, offset=page.offset)
        found = await self.store.find(wanted)
        if len(found) > limit and (page.limit or limit + 1) > limit:
            errors = (*errors, _more(limit, page))
        payload = await asyncio.to_thread(payload_of, found[:limit], self.registry)  # ten thousand take a second
        return _reply(errors, found=len(found)), payload


def parts_of(payload: Payload) -> Sequence[Payload]:
    """The same as payloads of several messages."""
    if not isinstance(payload, EndDeviceEvents) or len(payload.events) <= EVENTS_PER_PART:
        return [payload]
    events = payload.events
    return [EndDeviceEvents(events[at : at + EVENTS_PER_PART]) for at in range(0, len(events), EVENTS_PER_PART)]


def _reply(errors: Sequence[ReplyError], *, found: int) -> Reply:
    """That nothing has happened is an answer as well."""
    result: Result = "PARTIAL" if errors else "OK"
    if not found:
        errors = (*errors, ReplyError(code="0.0", level=Level.INFORM, reason="No such event is kept here."))
    return Reply(result=result, errors=tuple(errors))


def _more(limit: int, page: Page) -> ReplyError:
    reason = f"More follow behind these {limit}: ask again with the Option offset {page.offset + limit}."
    return ReplyError(code="0.2", level=Level.WARNING, reason=reason)


def question_of(message: RequestMessage) -> GetEndDeviceEvents:
    """What a get asks. Raises Refused."""
    reason = f"What is asked for stands in the Request as Get{NOUN}, without IDs beside it."
    query = question(message, GetEndDeviceEvents, reason=reason)
    if message.request_identifiers:
        raise Refused(error("1.6", reason))
    beyond = [name for name in query.unsupported if not name.startswith(_IDENTIFYING)]
    if beyond:
        raise Refused(error("5.2", f"Events are not found by {', '.join(beyond)} of Get{NOUN}."))
    named = query.meters, query.usage_points, query.end_device_groups, query.event_types, query.events
    if (count := sum(map(len, named))) > MOST_NAMED:
        raise Refused(error("3.1", f"A question names at most {MOST_NAMED} things here, and {count} came."))
    return query


def _page_of(message: RequestMessage) -> Page:
    try:
        return page_of(message)
    except InvalidMessage as problem:
        raise Refused(error(problem.code, f"{problem}.")) from None


def _meters_of(
    query: GetEndDeviceEvents, registry: Registry, partner: Partner
) -> tuple[dict[str, Meter], tuple[ReplyError, ...]]:
    """Those that are named, by the mRID that their events are kept under; an error for each that cannot be found."""
    meters: dict[str, Meter] = {}
    errors: list[ReplyError] = []
    for found in _found(query, registry, partner):
        if isinstance(found, ReplyError):
            errors.append(found)
        else:
            meters.setdefault(found.mrid, found)
        if len(meters) > MOST_METERS:
            raise Refused(error("3.1", f"These are more than {MOST_METERS} meters; ask by smaller groups."))
    return meters, tuple(dict.fromkeys(errors))


def _found(query: GetEndDeviceEvents, registry: Registry, partner: Partner) -> Iterator[Meter | ReplyError]:
    yield from (meter_of_device(one, registry) for one in devices_of(query.meters, partner))
    yield from (meter_of_usage_point(one, registry) for one in query.usage_points)
    for group in query.end_device_groups:
        members = meters_of_group(group, registry)
        yield from (members,) if isinstance(members, ReplyError) else members


def _wanted(query: GetEndDeviceEvents, message: RequestMessage) -> EventQuery:
    """Which events, of whatever meters."""
    codes, tails = _types_of(query.event_types)
    start, end = _period_of(query, message)
    ids = tuple(mrid_key(one.mrid) for one in query.events if one.mrid is not None)
    if len(ids) < len(query.events):
        raise Refused(error("5.2", "An EndDeviceEvent is named by its mRID here."))
    return EventQuery(event_ids=ids, codes=codes, code_tails=tails, since=start, until=end)


def _types_of(types: Sequence[Identified]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Codes, and codes without their device type, of which an event has to have one: an event of any device (0) is one of each device (M-156)."""
    codes: dict[str, None] = {}
    tails: dict[str, None] = {}
    for one in types:
        text = one.mrid if one.mrid is not None else next((name.name for name in one.names), "")
        match = _CODE.fullmatch(text)
        if match is None:
            identifier = Identifier(value=text[:200], kind="other", object_type="EndDeviceEventType")
            problem = error("2.15", "An EndDeviceEventType has four numbers, as 0.26.38.85; nothing was looked up.")
            raise Refused(replace(problem, identifier=identifier))
        device, tail = match[1], match[2][1:]
        if device in _ANY_DEVICE:
            tails[tail] = None
        else:
            codes |= {f"{device}.{tail}": None, f"0.{tail}": None}
    return tuple(codes), tuple(tails)


def _period_of(query: GetEndDeviceEvents, message: RequestMessage) -> tuple[datetime | None, datetime | None]:
    periods = {(one.period.start, one.period.end) for one in query.schedules}
    if message.start_at is not None or message.end_at is not None:
        periods.add((message.start_at, message.end_at))
    if len(periods) > 1:
        raise Refused(error("1.6", f"Get{NOUN} says several times; one is looked up at once."))
    start, end = periods.pop() if periods else (None, None)
    if start is not None and end is not None and end <= start:
        raise Refused(error("1.6", "The time that is asked for ends before it starts."))
    return start, end
