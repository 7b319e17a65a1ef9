"""Requests for later: what is done when their time has come, how they are replaced, and how they, or what of a request is not begun, are cancelled.

A request whose time has come is carried out as a request of its own, whose MessageID follows from it; so after a restart it goes on where it
was, and nothing of it is done twice. What is in hand can't be taken back: the reply says how far it is.
"""

import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

from ami_cim.identity import Identifier
from ami_cim.message import Header, Reply, ReplyError, RequestMessage, ResponseMessage
from ami_hes.jobs.asked_requests import CANCELLED, MOST_SAID, AskedRequests, begun_id, how_far, transaction
from ami_hes.jobs.context import Context
from ami_hes.jobs.late_orders import LateOrders, parse_later
from ami_hes.nouns import Refused, Report, RequestContext, error
from ami_hes.served import timed_of
from ami_hes.store import StoredCommand, StoredRequest
from ami_process.environment import real_sleep

ABOUT_OTHERS = frozenset({"cancel", "close", "delete", "get"})
_NOT_CHANGED = "Nothing was changed, and nothing of this message is done."
LOOK_EVERY_S, LOOKS = 0.02, 100
"""For results of cancelled commands to be kept."""
_REPLACED = "Cancelled before it was begun, and replaced by the change {}: nothing was sent to any meter."
_REPLACED_BY = re.compile(re.escape(_REPLACED).replace(r"\{\}", "(.+)"))

Cancel = Callable[[str], Awaitable[int]]


Begin = Callable[[RequestMessage, str], Awaitable[ResponseMessage]]
"""Carries out a request, now that the time of the other one has come that has this id; raises Refused and ApprovalNeeded."""


@dataclass(frozen=True, slots=True)
class TakenBack:
    """What of a request is not begun, and is not any more."""

    waiting: bool
    """It waited for its time or for approval, and nothing of it was sent to any meter."""
    commands: int
    """How many of a request that was begun."""


async def no_cancel(_: str) -> int:
    """Where no commands are dispatched."""
    return 0


@dataclass(frozen=True, slots=True)
class TimedRequests:
    """Carries out what is asked about requests of nouns that may be for later."""

    context: Context
    asked: AskedRequests
    late: LateOrders
    begin: Begin
    cancel: Cancel

    def takes(self, header: Header) -> bool:
        """Whether it is a request about another one: to take it back, or to show it."""
        return header.verb in ABOUT_OTHERS and timed_of(header.noun) is not None

    def begun(self, message: RequestMessage) -> RequestMessage:
        """A request for later, as one for now."""
        timed = timed_of(message.header.noun)
        return message if timed is None else timed.begun(message)

    async def __call__(self, context: RequestContext, message: RequestMessage) -> Report:
        """The Reply to a request whose time has come, or to one that cancels another; raises Refused, ApprovalNeeded and CimError."""
        if self.takes(message.header):
            if context.verb == "get":
                return await self.asked(context, message)
            return await self._cancelled(await self.asked.owned(message)), None
        if message.header.verb == "change" and (refusal := await self.replaced(message)) is not None:
            return Reply(result="FAILED", errors=(refusal,)), None  # an earlier life had kept it and come no further
        header = replace(
            message.header,
            verb="create",
            message_id=begun_id(context.request_id),
            correlation_id=message.header.correlation_id or context.request_id,
            async_reply_flag=None,
            reply_address=None,
            replay_detection=None,
        )
        begun = replace(self.begun(message), header=header, request_identifiers=())
        answer = await self.begin(begun, context.request_id)
        return answer.reply, answer.payload

    async def replaced(self, message: RequestMessage) -> ReplyError | None:
        """Cancel the request that this change takes the place of; why that is not possible. Asked again by an earlier life it is none."""
        try:
            former = await self.asked.owned(message)
        except Refused as refused:
            return refused.errors[0]
        why = _REPLACED.format(message.header.message_id)
        if parse_later(former.query) is None:
            return error("5.2", f"{_NOT_CHANGED} {former.request_id} was not for later.")
        if await self.late.cancel(former.request_id, why):
            return None
        ended = await self.asked.errors_of(former.request_id)
        if ended is None:
            return error("5.2", f"{_NOT_CHANGED} The time of {former.request_id} has come, and it is begun.")
        if any(one.reason == why for one in ended):
            return None
        said = " ".join(f"{one.code}: {one.reason}" for one in ended[:1])
        return error("5.2", f"{_NOT_CHANGED} {former.request_id} has ended. {said}".rstrip())

    async def _cancelled(self, request: StoredRequest) -> Reply:
        named = (transaction(request),)
        is_later = parse_later(request.query) is not None
        worked = begun_id(request.request_id) if is_later else request.request_id
        begun = await self.context.results.find(
            worked
        )  # by an earlier life, perhaps: then it can't be taken back whole
        if begun is None and await self.late.cancel(request.request_id):
            return Reply(result="OK", identifiers=named)
        if is_later and not await self._is_begun(request.request_id, worked):
            return await self._ended(request.request_id, named)
        taken_back = await self.cancel(worked)
        commands = await self._looked_at(worked, taken_back)
        left = [one for one in commands if one.result is None or one.result.outcome.code != CANCELLED]
        if not left:
            return Reply(result="OK", identifiers=named)
        errors = tuple(_said(one) for one in left[:MOST_SAID])
        if len(left) > MOST_SAID:
            errors = (*errors, error("5.2", f"{len(left) - MOST_SAID} more could not be taken back."))
        return Reply(result="PARTIAL" if len(left) < len(commands) else "FAILED", errors=errors, identifiers=named)

    async def _is_begun(self, request_id: str, worked: str) -> bool:
        """Whether a request whose time has come has commands; one that is about to get them is waited for."""
        for _ in range(LOOKS):
            if await self.context.results.find(worked) is not None:
                return True
            request = await self.context.results.find(request_id)
            if request is None or request.answer is not None:
                break
            await real_sleep(LOOK_EVERY_S)
        return await self.context.results.find(worked) is not None

    async def _ended(self, request_id: str, named: tuple[Identifier, ...]) -> Reply:
        """Of a request for later without commands: OK if it was taken back before, else how it ended or that it has not."""
        request = await self.context.results.find(request_id)
        errors = await self.asked.errors_of(request_id)
        if request is None or errors is None:
            why = "Not taken back: its time has come and it is about to be begun; cancel it again."
            return Reply(result="FAILED", errors=(error("5.2", why),), identifiers=named)
        if by := next((found[1] for one in errors if (found := _REPLACED_BY.fullmatch(one.reason or ""))), None):
            why = f"Not taken back: it was replaced by the change {by}, which is a transaction of its own; cancel that one."
            return Reply(result="FAILED", errors=(error("5.2", why),), identifiers=named)
        if any(one.code == CANCELLED for one in errors):
            return Reply(result="OK", identifiers=named)
        said = " ".join(f"{one.code}: {one.reason}" for one in errors[:1])
        why = f"Not taken back: it had ended, {request.result}. {said}".rstrip()
        return Reply(result="FAILED", errors=(error("5.2", why),), identifiers=named)

    async def _looked_at(self, request_id: str, taken_back: int) -> Sequence[StoredCommand]:
        """Its commands, once the results of those that were taken back are kept."""
        for _ in range(LOOKS):
            under_way = {one.command.meter.name: one for one in await self.context.results.open_commands(request_id)}
            commands = [
                under_way.get(one.command.meter.name, one)
                for one in await self.context.results.commands(request_id, 0, 1_000_000)
            ]
            ended = sum(one.result is not None and one.result.outcome.code == CANCELLED for one in commands)
            if ended >= taken_back:
                break
            await real_sleep(LOOK_EVERY_S)
        return commands


def _said(command: StoredCommand) -> ReplyError:
    """How far one is that could not be taken back."""
    meter = command.command.meter
    identifier = Identifier(value=meter.mrid, kind="uuid", object_type="EndDevice")
    return replace(error("5.2", f"{meter.name}: not taken back, {how_far(command)}."), identifier=identifier)
