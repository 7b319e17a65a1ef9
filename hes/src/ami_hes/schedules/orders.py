"""MeterReadSchedule: schedules ordered, changed, cancelled, deleted and asked for in CIM (IEC 61968-9).

The payload has no id of a schedule: it is known by the MessageID of its create, which is its name here, and which the others give as
ID of kind transaction in their Request. What can't be kept as it is asked for is refused as a whole.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from ami_cim.errors import InvalidMessage
from ami_cim.identity import EndDevice, Identified, Identifier, Name
from ami_cim.message import Reply, ReplyError, RequestMessage
from ami_cim.paging import page_of
from ami_cim.payloads.meter_read_schedule import GetMeterReadSchedule, MeterReadSchedule, TimeSchedule
from ami_cim.periods import Period
from ami_hes.enums import Every
from ami_hes.meters.registry import Meter
from ami_hes.nouns import Refused, Report, RequestContext, error
from ami_hes.nouns.devices import (
    devices_of,
    meter_of_device,
    meter_of_usage_point,
    tag_of_group,
    tag_of_usage_point_group,
)
from ami_hes.nouns.questions import question
from ami_hes.schedules.book import ScheduleBook
from ami_hes.schedules.definition import Definition, NotASchedule, Schedule
from ami_hes.schedules.periods import DAY, HOUR
from ami_hes.store import NameTaken
from ami_mapping.reading_types import RefusedReadingType

NOUN = "MeterReadSchedule"
PERIODS = {DAY: Every.DAY, HOUR: Every.HOUR}
MOST_NAMED = 5_000
"""Meters, usage points and groups of one message."""
FIRST_YEAR, LAST_YEAR = 1970, 9_000
"""In which a schedule may begin: every moment of it then lies in the calendar, in every zone and with every offset."""
_IDENTIFYING = ("EndDevice/", "UsagePoint/")
_UNKNOWN = "Request/ID: no schedule is known by this transaction: the MessageID of its create."
_TAKEN = "Nothing was scheduled: there is another schedule whose name is this MessageID; change that one, or take another MessageID."
Asked = MeterReadSchedule | GetMeterReadSchedule


class Put(Protocol):
    """How the book keeps a schedule."""

    async def __call__(
        self, name: str, definition: Definition, *, enabled: bool, start_at: datetime | None
    ) -> Schedule: ...


@dataclass(frozen=True, slots=True)
class _Group:
    """A tag and its value, of devices or of usage points."""

    tag: tuple[str, str]
    of_usage_points: bool


@dataclass(frozen=True, slots=True)
class ScheduleOrders:
    """Carries out what messages of this noun ask for; each of it may be done twice."""

    book: ScheduleBook
    time_zone: str
    """Of schedules that name none."""

    async def __call__(self, context: RequestContext, message: RequestMessage) -> Report:
        """The Reply, with the transactions of the schedules that it is about; raises Refused and StoreUnavailable."""
        works: dict[str, Callable[[RequestContext, RequestMessage], Awaitable[Report]]] = {
            "create": self._create,
            "change": self._change,
            "cancel": self._cancel,
            "close": self._cancel,
            "delete": self._delete,
            "get": self._get,
        }
        if (work := works.get(context.verb)) is None:
            raise Refused(error("2.9", f"The verb {context.verb} is not served for {NOUN}."))
        try:
            return await work(context, message)
        except NotASchedule as problem:
            raise Refused(error("5.2", f"Nothing was scheduled: {problem}.")) from None
        except InvalidMessage as problem:
            raise Refused(error(problem.code, f"{problem.reason}.")) from None

    async def _create(self, context: RequestContext, message: RequestMessage) -> Report:
        """It may come again without an answer; what has its name meanwhile and is something else is not replaced by it."""
        try:
            return await self._put(self.book.create, context.request_id, context, message)
        except NameTaken:
            raise Refused(error("2.15", _TAKEN)) from None

    async def _change(self, context: RequestContext, message: RequestMessage) -> Report:
        schedule = await self._named(message)
        return await self._put(self.book.put, schedule.name, context, message)

    async def _cancel(self, _: RequestContext, message: RequestMessage) -> Report:
        schedule = await self._named(message)
        await self.book.pause(schedule.name)
        return _done(schedule.name)

    async def _delete(self, _: RequestContext, message: RequestMessage) -> Report:
        schedule = await self._named(message)
        await self.book.remove(schedule.name)
        return _done(schedule.name)

    async def _get(self, context: RequestContext, message: RequestMessage) -> Report:
        """Of several only the transactions: one payload could not say which is which. Without meters or a group all are asked for."""
        query = question_of(message)
        if query is None:
            schedule = await self._named(message)
            return Reply(result="OK", identifiers=_transactions(schedule.name)), self._payload(schedule, context)
        if query.schedules or query.reading_types or query.unsupported:
            reason = "Schedules are found by an ID, or by EndDevice, UsagePoint and groups of them."
            raise Refused(error("5.2", reason))
        meters, group = self._meters(query, context)
        found = [
            one
            for one in await self.book.schedules()
            if (group is None and not meters)
            or (group is not None and _group_of(one.definition) == group)
            or _has_one(one, meters)
        ]
        page = page_of(message)
        last = None if page.limit is None else page.offset + page.limit
        shown = found[page.offset : last]
        payload = self._payload(shown[0], context) if len(shown) == 1 else None
        return Reply(result="OK", identifiers=_transactions(*(one.name for one in shown))), payload

    async def _put(self, put: Put, name: str, context: RequestContext, message: RequestMessage) -> Report:
        asked = message.payload
        if not isinstance(asked, MeterReadSchedule):
            raise Refused(error("1.7", f"The request has no {NOUN} in its Payload."))
        beyond = [one for one in asked.unsupported if not one.startswith(_IDENTIFYING)]
        if beyond:
            raise Refused(error("5.2", f"Nothing was scheduled: {', '.join(beyond)} is not supported."))
        if len(asked.schedules) != 1:
            raise Refused(error("1.7", f"One TimeSchedule is expected, and {len(asked.schedules)} came."))
        (when,) = asked.schedules
        start_at, zone = _start_of(when), _zone_of(when, self.time_zone)
        meters, group = self._meters(asked, context)
        definition = Definition(
            reading_types=tuple(dict.fromkeys(_general(_code_of(one), context) for one in asked.reading_types)),
            mrids=tuple(dict.fromkeys(one.mrid for one in meters)),
            group=None if group is None else group.tag,
            of_usage_points=group is not None and group.of_usage_points,
            every=_every(when),
            at=_local_time(start_at, zone),
            time_zone=zone.key,
        )
        await put(name, definition, enabled=not when.disabled, start_at=start_at)
        return _done(name)

    def _meters(self, asked: Asked, context: RequestContext) -> tuple[list[Meter], _Group | None]:
        """All that are named, or a group; raises Refused for one that is not known."""
        devices, registry = devices_of(asked.end_devices, context.partner), self.book.registry
        if len(devices) + len(asked.usage_points) > MOST_NAMED:
            raise Refused(error("3.1", f"The request names more than {MOST_NAMED} meters; name a group of them."))
        found = [
            *(meter_of_device(one, registry) for one in devices),
            *(meter_of_usage_point(one, registry) for one in asked.usage_points),
        ]
        tags = [(tag_of_group(one, registry), False) for one in asked.end_device_groups]
        tags += [(tag_of_usage_point_group(one, registry), True) for one in asked.usage_point_groups]
        errors = [one for one in (*found, *(tag for tag, _ in tags)) if isinstance(one, ReplyError)]
        if errors:
            raise Refused(*errors)
        if len(tags) > 1:
            raise Refused(error("5.2", "One group can be named at a time."))
        group = next((_Group(tag, of) for tag, of in tags if not isinstance(tag, ReplyError)), None)
        return [one for one in found if not isinstance(one, ReplyError)], group

    async def _named(self, message: RequestMessage) -> Schedule:
        names = {one.value for one in message.request_identifiers}
        if len(names) != 1:
            raise Refused(error("1.7", f"Request/ID: one schedule is expected, and {len(names)} came."))
        known = {one.name: one for one in await self.book.schedules()}
        (name,) = names
        if name not in known:
            identifier = Identifier(value=name[:200], kind="transaction", object_type=NOUN)
            raise Refused(replace(error("2.4", _UNKNOWN), identifier=identifier))
        return known[name]

    def _payload(self, schedule: Schedule, context: RequestContext) -> MeterReadSchedule:
        """As it is worked: the next time that it is due, and its zone as recurrencePattern."""
        what, found = schedule.definition, self.book.registry.find_by_mrid
        meters = [meter for mrid in what.mrids if (meter := found(mrid)) is not None]
        groups = () if what.group is None else (Identified(names=(Name(name=what.group[1], name_type=what.group[0]),)),)
        return MeterReadSchedule(
            end_devices=tuple(EndDevice(one.mrid, (Name(name=one.name),)) for one in meters),
            end_device_groups=() if what.of_usage_points else groups,
            usage_point_groups=groups if what.of_usage_points else (),
            reading_types=tuple(Identified(mrid=context.partner.spelled(one)) for one in what.reading_types),
            schedules=(
                TimeSchedule(
                    interval=Period(start=schedule.next_due_at),
                    recurrence_pattern=what.time_zone,
                    recurrence_period=DAY if what.every == Every.DAY else HOUR,
                    disabled=not schedule.enabled,
                ),
            ),
        )


def question_of(message: RequestMessage) -> GetMeterReadSchedule | None:
    """What a get asks; None where IDs do. Raises Refused."""
    if message.request_identifiers:
        return None
    reason = f"The Request has neither Get{NOUN} nor an ID of a schedule."
    return question(message, GetMeterReadSchedule, code="1.7", reason=reason)


def _done(name: str) -> Report:
    return Reply(result="OK", identifiers=_transactions(name)), None


def _transactions(*names: str) -> tuple[Identifier, ...]:
    return tuple(Identifier(value=one, kind="transaction", object_type=NOUN) for one in names)


def _has_one(schedule: Schedule, meters: list[Meter]) -> bool:
    what = schedule.definition
    members = [one for one in meters if one.usage_points or not what.of_usage_points]
    tags = [one.tags.get(what.group[0]) == what.group[1] for one in members] if what.group is not None else []
    return any(tags) or any(one.mrid in what.mrids for one in meters)


def _group_of(what: Definition) -> _Group | None:
    return None if what.group is None else _Group(what.group, what.of_usage_points)


def _code_of(one: Identified) -> str:
    return one.mrid or next((name.name for name in one.names), "")


def _general(code: str, context: RequestContext) -> str:
    """What the partner means by a ReadingType."""
    try:
        return context.partner.general(code)
    except RefusedReadingType as refused:
        raise Refused(error(refused.code, f"Nothing was scheduled: {refused.reason}")) from None


def _every(when: TimeSchedule) -> Every:
    """Raises Refused for what is neither a day nor an hour."""
    every = PERIODS.get(when.recurrence_period or timedelta())
    if every is None or when.time_points:
        reason = "recurrencePeriod is 86400 (a day) or 3600 (an hour), and TimePoints are not supported"
        raise Refused(error("5.2", f"Nothing was scheduled: {reason}."))
    return every


def _start_of(when: TimeSchedule) -> datetime:
    """When it is due for the first time; every following time is at the same time of day, or minute of the hour."""
    if when.interval.start is None:
        raise Refused(error("1.7", "TimeSchedule.scheduleInterval has no start."))
    if when.interval.end is not None:
        raise Refused(error("5.2", "Nothing was scheduled: a schedule with an end is not supported; cancel it then."))
    if not FIRST_YEAR <= when.interval.start.year <= LAST_YEAR:
        reason = f"a schedule begins in the years {FIRST_YEAR} to {LAST_YEAR}"
        raise Refused(error("5.2", f"Nothing was scheduled: {reason}."))
    start_at = (when.interval.start + (when.offset or timedelta())).astimezone(UTC)
    if start_at.second or start_at.microsecond:
        raise Refused(error("5.2", "Nothing was scheduled: a schedule begins at a full minute."))
    return start_at


def _zone_of(when: TimeSchedule, default: str) -> ZoneInfo:
    """recurrencePattern is free text in the standard: an IANA time zone here."""
    named = when.recurrence_pattern or default
    try:
        return ZoneInfo(named)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise Refused(error("5.2", f"recurrencePattern: {named[:100]} is no IANA time zone.")) from None


def _local_time(moment: datetime, zone: ZoneInfo) -> str:
    return moment.astimezone(zone).strftime("%H:%M")
