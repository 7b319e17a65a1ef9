"""Requests for later: what is done when their time has come, how they are replaced, and how they, or what of a request is not begun, are cancelled.

A request whose time has come is carried out as a request of its own, whose MessageID follows from it; so after a restart it goes on where it
was, and nothing of it is done twice. What is in hand can't be taken back: the reply says how far it is.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from uuid import UUID, uuid5

from ami_cim.errors import InvalidMessage
from ami_cim.identity import Identifier
from ami_cim.message import Header, Reply, ReplyError, RequestMessage
from ami_hes.jobs.context import Context
from ami_hes.jobs.late_orders import LateOrders, parse_later
from ami_hes.nouns import Ask, Refused, Report, RequestContext, error
from ami_hes.outbox import parse_answer
from ami_hes.served import timed_of
from ami_hes.store import StoredCommand, StoredRequest
from ami_process.environment import real_sleep

_NAMESPACE = UUID("c3d1d0a8-5f0a-4c58-a6f3-0d1b6f5a2e77")
"""Of the MessageIDs of requests whose time has come; another one would have them done twice after a restart."""
CANCELLING = frozenset({"cancel", "close", "delete"})
TIMED = frozenset({"create", "change"})
MOST_SAID = 20
"""Commands that are named in an answer."""
CANCELLED = "6.5"
_NOT_CHANGED = "Nothing was changed, and nothing of this message is done."
LOOK_EVERY_S, LOOKS = 0.02, 100
"""For results of cancelled commands to be kept."""
_UNKNOWN = "Request/ID: no request for controls is known by this transaction: the MessageID of its create or change."
_REPLACED = "Cancelled before it was begun, and replaced by the change {}: nothing was sent to any meter."
_REPLACED_BY = re.compile(re.escape(_REPLACED).replace(r"\{\}", "(.+)"))

Cancel = Callable[[str], Awaitable[int]]


async def no_cancel(_: str) -> int:
    """Where no commands are dispatched."""
    return 0


@dataclass(frozen=True, slots=True)
class TimedRequests:
    """Carries out what is asked about requests of nouns that may be for later."""

    context: Context
    late: LateOrders
    ask: Ask
    cancel: Cancel

    def takes(self, header: Header) -> bool:
        """Whether it is a request to cancel another one."""
        return header.verb in CANCELLING and timed_of(header.noun) is not None

    def begun(self, message: RequestMessage) -> RequestMessage:
        """A request for later, as one for now."""
        timed = timed_of(message.header.noun)
        return message if timed is None else timed.begun(message)

    async def __call__(self, context: RequestContext, message: RequestMessage) -> Report:
        """The Reply to a request whose time has come, or to one that cancels another; raises Refused and CimError."""
        if self.takes(message.header):
            return await self._cancelled(await self.named(message)), None
        if message.header.verb == "change" and (refusal := await self.replaced(message)) is not None:
            return Reply(result="FAILED", errors=(refusal,)), None  # an earlier life had kept it and come no further
        header = replace(
            message.header,
            verb="create",
            message_id=_begun_id(context.request_id),
            correlation_id=message.header.correlation_id or context.request_id,
            async_reply_flag=None,
            reply_address=None,
            replay_detection=None,
        )
        answer, _ = await self.ask(replace(self.begun(message), header=header, request_identifiers=()))
        return answer.reply, answer.payload

    async def replaced(self, message: RequestMessage) -> ReplyError | None:
        """Cancel the request that this change takes the place of; why that is not possible. Asked again by an earlier life it is none."""
        try:
            former = await self.named(message)
        except Refused as refused:
            return refused.errors[0]
        why = _REPLACED.format(message.header.message_id)
        if parse_later(former.query) is None:
            return error("5.2", f"{_NOT_CHANGED} {former.request_id} was not for later.")
        if await self.late.cancel(former.request_id, why):
            return None
        ended = await self._errors_of(former.request_id)
        if ended is None:
            return error("5.2", f"{_NOT_CHANGED} The time of {former.request_id} has come, and it is begun.")
        if any(one.reason == why for one in ended):
            return None
        said = " ".join(f"{one.code}: {one.reason}" for one in ended[:1])
        return error("5.2", f"{_NOT_CHANGED} {former.request_id} has ended. {said}".rstrip())

    async def _errors_of(self, request_id: str) -> tuple[ReplyError, ...] | None:
        """What the answer to a request says; None as long as it has none."""
        request = await self.context.results.find(request_id)
        if request is None or request.answer is None:
            return None
        try:
            return (await asyncio.to_thread(parse_answer, request.answer)).reply.errors
        except InvalidMessage:
            return ()

    async def named(self, message: RequestMessage) -> StoredRequest:
        """The request that is meant: by the ID of its transaction. Raises Refused."""
        names = {one.value for one in (*message.request_identifiers, *message.payload_identifiers)}
        if len(names) != 1:
            reason = (
                f"One ID of a transaction is expected in Request, the MessageID of the create, and {len(names)} came."
            )
            raise Refused(error("1.7", reason))
        (name,) = names
        found = await self.context.results.find(name)
        if found is None or (found.noun, found.verb) not in {(message.header.noun, verb) for verb in TIMED}:
            identifier = Identifier(value=name[:200], kind="transaction", object_type=message.header.noun)
            raise Refused(replace(error("2.15", _UNKNOWN), identifier=identifier))
        return found

    async def _cancelled(self, request: StoredRequest) -> Reply:
        transaction = (Identifier(value=request.request_id, kind="transaction", object_type=request.noun),)
        is_later = parse_later(request.query) is not None
        worked = _begun_id(request.request_id) if is_later else request.request_id
        begun = await self.context.results.find(
            worked
        )  # by an earlier life, perhaps: then it can't be taken back whole
        if begun is None and await self.late.cancel(request.request_id):
            return Reply(result="OK", identifiers=transaction)
        if is_later and not await self._is_begun(request.request_id, worked):
            return await self._ended(request.request_id, transaction)
        taken_back = await self.cancel(worked)
        commands = await self._looked_at(worked, taken_back)
        left = [one for one in commands if one.result is None or one.result.outcome.code != CANCELLED]
        if not left:
            return Reply(result="OK", identifiers=transaction)
        errors = tuple(_said(one) for one in left[:MOST_SAID])
        if len(left) > MOST_SAID:
            errors = (*errors, error("5.2", f"{len(left) - MOST_SAID} more could not be taken back."))
        return Reply(
            result="PARTIAL" if len(left) < len(commands) else "FAILED", errors=errors, identifiers=transaction
        )

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

    async def _ended(self, request_id: str, transaction: tuple[Identifier, ...]) -> Reply:
        """Of a request for later without commands: OK if it was taken back before, else how it ended or that it has not."""
        request = await self.context.results.find(request_id)
        errors = await self._errors_of(request_id)
        if request is None or errors is None:
            why = "Not taken back: its time has come and it is about to be begun; cancel it again."
            return Reply(result="FAILED", errors=(error("5.2", why),), identifiers=transaction)
        if by := next((found[1] for one in errors if (found := _REPLACED_BY.fullmatch(one.reason or ""))), None):
            why = f"Not taken back: it was replaced by the change {by}, which is a transaction of its own; cancel that one."
            return Reply(result="FAILED", errors=(error("5.2", why),), identifiers=transaction)
        if any(one.code == CANCELLED for one in errors):
            return Reply(result="OK", identifiers=transaction)
        said = " ".join(f"{one.code}: {one.reason}" for one in errors[:1])
        why = f"Not taken back: it had ended, {request.result}. {said}".rstrip()
        return Reply(result="FAILED", errors=(error("5.2", why),), identifiers=transaction)

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


def _begun_id(request_id: str) -> str:
    return str(uuid5(_NAMESPACE, request_id))


def _said(command: StoredCommand) -> ReplyError:
    """How far one is that could not be taken back."""
    meter = command.command.meter
    if command.result is not None:
        outcome = "OK" if command.result.outcome.ok else f"not OK ({command.result.outcome.code})"
        how = f"it had ended, {outcome}, at {command.result.finished_at.isoformat(timespec='seconds')}"
    elif command.attempted:
        how = "it is under way, and has been sent to the meter"
    else:
        how = "it is under way, and has not been sent to the meter yet"
    identifier = Identifier(value=meter.mrid, kind="uuid", object_type="EndDevice")
    return replace(error("5.2", f"{meter.name}: not taken back, {how}."), identifier=identifier)
