"""Schedules (MeterReadSchedule): ordered of the HES, looked up there, cancelled and deleted; what is collected comes as events.

A schedule has no id in its payload: it is known by the MessageID of its create, which all others give as an ID of kind transaction. What
the CIS shows of schedules is what the HES answers, not what it remembers of its own orders.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final, Literal, NamedTuple
from zoneinfo import ZoneInfo

from ami_cim.identity import EndDevice, Identified, Identifier, Name
from ami_cim.message import Header, RequestMessage, ResponseMessage
from ami_cim.payloads.meter_read_schedule import GetMeterReadSchedule, MeterReadSchedule, TimeSchedule
from ami_cim.periods import Period
from ami_cis import events
from ami_cis.store import SentRequest
from ami_cis.workflows.exchanges import Ended, Exchanges
from ami_cis.workflows.orders import MeterReplyError, OrderOutcome, Target
from ami_cis.workflows.outcomes import outcome_of
from ami_process.environment import Environment
from ami_process.local_times import NoSuchTime, at_home

NOUN = "MeterReadSchedule"
MOST_LISTED = 200
"""Schedules that are looked up one by one."""
_UNKNOWN = "2.4"
"""The code for a schedule that the HES does not have."""
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
Every = Literal["day", "hour"]
PERIODS: Final[dict[Every, timedelta]] = {"day": DAY, "hour": HOUR}


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadSchedule:
    """What is collected of which meters, and when; `at` is a time of day, of an hourly one only its minutes count."""

    targets: tuple[Target, ...] = ()
    group: tuple[str | None, str] | None = None
    """A tag, or whichever has it, and its value; in place of meters."""
    reading_types: tuple[str, ...]
    every: Every
    at: str
    zone: ZoneInfo
    name: str
    """The MessageID of its create."""


@dataclass(frozen=True, slots=True)
class FoundSchedule:
    """A schedule as the HES has it."""

    name: str
    content: MeterReadSchedule


class FoundSchedules(NamedTuple):
    """How asking for them ended, those that came, and how many more there are than are looked up at once."""

    outcome: OrderOutcome
    schedules: Sequence[FoundSchedule]
    further: int = 0


class ReadSchedules:
    """Asks the HES; never raises for what the HES, the network or the store does."""

    def __init__(self, exchanges: Exchanges, environment: Environment) -> None:
        self._exchanges = exchanges
        self._environment = environment

    async def create(self, order: ReadSchedule) -> tuple[OrderOutcome, datetime]:
        """How it ended, and when the schedule is due for the first time."""
        due_at = first_due(order, self._environment.now())
        when = TimeSchedule(
            interval=Period(start=due_at), recurrence_pattern=order.zone.key, recurrence_period=PERIODS[order.every]
        )
        payload = MeterReadSchedule(
            end_devices=tuple(target.device for target in order.targets if target.device),
            end_device_groups=_groups(order.group),
            reading_types=tuple(Identified(mrid=code) for code in order.reading_types),
            schedules=(when,),
        )
        request = RequestMessage(header=self._header("create", order.name), payload=payload)
        outcome, _ = await self._run(request, order.targets, summary_of(order))
        return await self._seen(outcome, order.name), due_at

    async def _seen(self, outcome: OrderOutcome, name: str) -> OrderOutcome:
        """OK is for a schedule that is there: to a create that comes again the HES gives its first answer, whatever happened since."""
        if outcome.result != "OK":
            return outcome
        looked_up, _ = await self.find(name)
        if all(one.code != _UNKNOWN for one in looked_up.errors):
            return outcome
        reason = (
            f"The head-end has no schedule {name}: its OK was for an earlier order of this name, whose schedule was deleted. "
            "A name serves once; order it under another one."
        )
        return replace(outcome, result="FAILED", errors=(MeterReplyError(_UNKNOWN, reason, None, "FATAL"),))

    async def end(self, verb: Literal["cancel", "delete"], name: str) -> OrderOutcome:
        """Cancel or delete the schedule of this name."""
        outcome, _ = await self._run(self._about(verb, name), (), name)
        return outcome

    async def find(self, name: str) -> tuple[OrderOutcome, FoundSchedule | None]:
        """The schedule of this name."""
        header = self._header("get", self._new_id())
        named = (Identifier(value=name),)  # a typed get has an ID without attributes, and a query whatever is in it
        request = RequestMessage(header=header, request_identifiers=named, query=GetMeterReadSchedule())
        outcome, response = await self._run(request, (), name)
        payload = None if response is None else response.payload
        return outcome, FoundSchedule(name, payload) if isinstance(payload, MeterReadSchedule) else None

    async def among(self, targets: Sequence[Target], group: tuple[str | None, str] | None) -> FoundSchedules:
        """Those that collect from one of these meters, or from this group; where one of them can't be had, how asking for it ended."""
        query = GetMeterReadSchedule(
            end_devices=tuple(target.device for target in targets if target.device), end_device_groups=_groups(group)
        )
        request = RequestMessage(header=self._header("get", self._new_id()), query=query)
        outcome, response = await self._run(request, targets, "all schedules")
        names = [] if response is None else [one.value for one in response.reply.identifiers]
        found: list[FoundSchedule] = []
        for name in names[:MOST_LISTED]:
            ended, schedule = await self.find(name)
            if schedule is not None:
                found.append(schedule)
            elif all(one.code != _UNKNOWN for one in ended.errors):  # else it was deleted meanwhile
                return FoundSchedules(ended, found)
        return FoundSchedules(outcome, found, max(0, len(names) - MOST_LISTED))

    def _about(self, verb: Literal["cancel", "delete"], name: str) -> RequestMessage:
        identifier = Identifier(value=name, kind="transaction", object_type=NOUN)
        return RequestMessage(header=self._header(verb, self._new_id()), request_identifiers=(identifier,))

    def _header(self, verb: str, message_id: str) -> Header:
        return Header(
            verb=verb,
            noun=NOUN,
            timestamp=self._environment.now(),
            source="CIS",
            message_id=message_id,
            correlation_id=message_id,
        )

    async def _run(
        self, request: RequestMessage, targets: Sequence[Target], code: str
    ) -> tuple[OrderOutcome, ResponseMessage | None]:
        message_id, verb = request.header.message_id or "", request.header.verb
        labels = [target.label for target in targets]
        sent = SentRequest(
            message_id=message_id,
            correlation_id=message_id,
            verb=verb,
            noun=NOUN,
            code=code,
            meters=tuple(labels),
            asynchronous=False,
            sent_at=self._environment.now(),
        )
        sending = events.RequestSent(
            message_id=message_id,
            correlation_id=message_id,
            verb=verb,
            noun=NOUN,
            code=code,
            control="schedule",
            meters=labels,
            asynchronous=False,
        )
        ended = await self._exchanges.run(request, sent, sending)
        return self._concluded(targets, message_id, ended), ended.response

    def _concluded(self, targets: Sequence[Target], message_id: str, ended: Ended) -> OrderOutcome:
        outcome = outcome_of(targets, message_id, ended)
        if ended.response is not None:
            errors = [events.ReplyProblem(e.code, e.reason, e.meter) for e in outcome.errors if e.is_failure]
            self._environment.emit(
                events.ReplyReceived(message_id=message_id, result=outcome.result, errors=errors, ms=outcome.ms)
            )
        return outcome

    def _new_id(self) -> str:
        return str(self._environment.new_uuid())


def first_due(order: ReadSchedule, now: datetime) -> datetime:
    """The first moment after now at which its clock shows its time, which it shows once on that day; UTC."""
    hours, minutes = (int(part) for part in order.at.split(":"))
    local = now.astimezone(order.zone).replace(tzinfo=None, second=0, microsecond=0)
    if order.every == "hour":
        past = now.astimezone(order.zone).minute * 60 + now.astimezone(order.zone).second
        start = now.replace(microsecond=0) - timedelta(seconds=past) + timedelta(minutes=minutes)
        return (start if start > now else start + HOUR).astimezone(UTC)
    local = local.replace(hour=hours, minute=minutes)
    while True:
        try:
            due_at = at_home(local, order.zone).astimezone(UTC)
        except NoSuchTime:
            due_at = now
        if due_at > now:
            return due_at
        local += DAY


def summary_of(order: ReadSchedule) -> str:
    """In a line."""
    what = f"every day at {order.at}" if order.every == "day" else f"every hour at :{order.at[-2:]}"
    return f"{' '.join(order.reading_types)} {what} {order.zone.key}"[:1_000]


def _groups(group: tuple[str | None, str] | None) -> tuple[Identified, ...]:
    return () if group is None else (Identified(names=(Name(name=group[1], name_type=group[0]),)),)


def device_label(device: EndDevice) -> str:
    """What a meter of a schedule is called."""
    return device.names[0].name if device.names else device.mrid or ""
