"""Requests that are carried out on the head-end itself, at once or late, and those that are to be begun later: kept, acknowledged, worked off."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import replace
from datetime import datetime, timedelta

from ami_cim.errors import CimError
from ami_cim.message import Header, Reply, ReplyError, RequestMessage
from ami_hes import events
from ami_hes.askers import Asker, asking_as
from ami_hes.guard import ApprovalNeeded, Approvals
from ami_hes.jobs.acceptance import Acceptance, asker_of
from ami_hes.jobs.answers import AnswerMaker, KeptAnswer
from ami_hes.jobs.asked_requests import AskedRequests
from ami_hes.jobs.awaited_approvals import AwaitedApprovals
from ami_hes.jobs.context import Context
from ami_hes.jobs.kept_requests import KeptRequests
from ami_hes.jobs.late_orders import LateOrders, format_later, sender_of
from ami_hes.jobs.order_answers import write_parts
from ami_hes.jobs.order_messages import format_message
from ami_hes.jobs.rows import context_of
from ami_hes.jobs.timed_requests import Begin, Cancel, TimedRequests
from ami_hes.nouns import Order, Refused, Report, error
from ami_hes.nouns.kept_partners import parse_partner
from ami_hes.served import check_of
from ami_hes.store import Gate, StoredRequest

_CARRIED_OUT_AGAIN = (
    "The request is kept; whether it was carried out is not known, and it is carried out when it comes again."
)
LONGEST_AHEAD = timedelta(days=36_525)
"""How long a request for later may wait; calendars of senders end elsewhere than ours."""


class OrderIntake:
    """Takes them."""

    def __init__(
        self,
        context: Context,
        acceptance: Acceptance,
        answers: AnswerMaker,
        kept: KeptRequests,
        orders: Mapping[str, Order],
        begin: Begin,
        cancel: Cancel,
        approvals: Approvals,
        waits: Callable[[], None],
    ) -> None:
        """`waits` is called when a message waits for the process in charge, where that is another one."""
        self._context = context
        self._acceptance = acceptance
        self._answers = answers
        self._kept = kept
        self._orders = orders
        self.late = LateOrders(context, self._order, AwaitedApprovals(context, acceptance, approvals), waits)
        self._asked = AskedRequests(context, acceptance)
        self._controls = TimedRequests(context, self._asked, self.late, begin, cancel)

    def takes(self, header: Header) -> bool:
        """Whether a request is carried out here: of a noun of the head-end itself, or about another request."""
        return header.noun in self._orders or self._controls.takes(header)

    async def ordered(self, message: RequestMessage, asked: str, kept: StoredRequest | None) -> KeptAnswer:
        """Kept, carried out, answered; an order that has no answer yet is carried out again, which it bears."""
        header = message.header
        if header.async_reply_flag and (check := check_of(header.noun)) is not None:
            return await self._taken_in(message, asked, kept, check)
        if kept is None:
            kept = await self._keep_order(message, asked)
        if kept.digest != asked or kept.answer is not None:
            return await self._kept.same_again(kept, asked)
        return await self._kept.accepted(kept.request_id, self._carried_out(kept, message), _CARRIED_OUT_AGAIN)

    async def _taken_in(
        self, message: RequestMessage, asked: str, kept: StoredRequest | None, check: Callable[[RequestMessage], object]
    ) -> KeptAnswer:
        """Kept and acknowledged, to be carried out by itself; one after the other, so that they are counted."""
        octets = await asyncio.to_thread(format_message, message, message.header.message_id or "")
        async with self.late.entrance:
            if kept is None:
                check(message)
                await self.late.check_room(_sender(message.header), octets)
                kept = await self._keep_order(message, asked)
            if kept.digest != asked or kept.answer is not None:
                return await self._kept.same_again(kept, asked)
            return await self._kept.accepted(kept.request_id, self._acknowledged(kept, octets), _CARRIED_OUT_AGAIN)

    async def look_at(self, message: RequestMessage, begins_at: datetime) -> str | None:
        """One for later, as if it were to be done at once: why a second person has to approve it (None: not so); raises Refused."""
        if begins_at - self._context.now() > LONGEST_AHEAD:
            reason = f"Nothing was done: it is to begin at {begins_at.isoformat()}, and requests wait {LONGEST_AHEAD.days} days at most."
            raise Refused(error("5.2", reason))
        if not message.header.async_reply_flag:
            reason = f"It begins at {begins_at.isoformat()}, so its reply is late: AsyncReplyFlag and ReplyAddress are needed."
            raise Refused(error("1.5", reason))
        _, plan = self._acceptance.planned(self._controls.begun(message))
        if not plan.commands:
            raise Refused(*plan.errors)
        if message.header.verb == "change":
            await self._asked.owned(message)
        try:
            self._acceptance.check_ahead(message.header, plan.commands)
        except ApprovalNeeded as needed:
            return str(needed)
        return None

    async def taken_for_later(
        self, message: RequestMessage, asked: str, begins_at: datetime, why: str | None = None
    ) -> KeptAnswer:
        """Kept and acknowledged, to be carried out at its time. `why` a second person has to approve it before."""
        header = message.header
        octets = await asyncio.to_thread(format_message, message, header.message_id or "")
        async with self.late.entrance:
            await self.late.check_room(_sender(header), octets)
            self._acceptance.check_going_on()
            gate = None if why is None else self._waiting(message, begins_at, why)
            new = self._later(header, asked, begins_at, gate)
            kept = await self._acceptance.keep(new, (), header, gate) or new
            if kept.digest != asked or kept.answer is not None:
                return await self._kept.same_again(kept, asked)
            work = self._changed(kept, message, octets) if header.verb == "change" else self._acknowledged(kept, octets)
            return await self._kept.accepted(kept.request_id, work, _CARRIED_OUT_AGAIN)

    def _later(self, header: Header, asked: str, begins_at: datetime, gate: Gate | None) -> StoredRequest:
        """Its row."""
        longest = max(limits.deadline for limits in self._acceptance.limits.lanes.values())
        approval = None if gate is None else gate.approval
        until = begins_at if approval is None else max(begins_at, approval.expires_at)
        waits = f"counts for limits when it begins, at {begins_at.isoformat(timespec='seconds')}"
        if approval is not None:
            waits = f"waits until {approval.expires_at.isoformat(timespec='seconds')} for the approval of a second person: {approval.why}"
        request = self._acceptance.request(header, self._acceptance.context_of(header), (), waits=waits)
        return replace(request, digest=asked, query=format_later(begins_at), deadline_at=until + longest)

    def _waiting(self, message: RequestMessage, begins_at: datetime, why: str) -> Gate:
        """That it waits for approval: until it begins, or where it is for now until its own end or that of our patience."""
        _, plan = self._acceptance.planned(self._controls.begun(message))
        wanted = self._acceptance.wanted(message.header, plan, why)
        now = self._context.now()
        ends = [begins_at if begins_at > now else wanted.expires_at, *([plan.until] if plan.until else [])]
        return Gate(since=now, approval=replace(wanted, expires_at=min(ends)))

    async def _changed(self, request: StoredRequest, message: RequestMessage, octets: bytes) -> KeptAnswer:
        """Its message is kept before the former one is cancelled, so that one of the two is there whatever ends in between."""
        await self._context.messages.keep(request.request_id, octets)
        refusal = await self._controls.replaced(message)
        if refusal is None:
            return await self._acknowledged(request, octets)
        # kept already: the reply to its address says why nothing of it is done
        answered = await self._order(request, refusal)
        await self._context.messages.drop(request.request_id)
        return await self._kept.answer(answered)

    async def _keep_order(self, message: RequestMessage, asked: str) -> StoredRequest:
        """As it is kept, now or before; raises Refused."""
        header = message.header
        self._acceptance.check_reply_address(header)
        self._acceptance.check_going_on()
        new = replace(self._acceptance.request(header, self._acceptance.context_of(header), ()), digest=asked)
        kept = await self._acceptance.keep(new, (), header)
        if kept is not None:
            return kept
        self._acceptance.report_order(header)
        return new

    async def _acknowledged(self, request: StoredRequest, octets: bytes) -> KeptAnswer:
        await self.late.put(request, octets)
        return await self._kept.answer(request)

    async def _carried_out(self, request: StoredRequest, message: RequestMessage) -> KeptAnswer:
        return await self._kept.answer(await self._order(request, message))

    async def _order(self, request: StoredRequest, message: RequestMessage | ReplyError) -> StoredRequest:
        """Carry it out and keep its answer; an error in place of its message is the answer."""
        context = self._context
        if isinstance(message, ReplyError):
            reply, payload = Reply(result="FAILED", errors=(message,)), None
        else:
            asker = Asker(request.principal or "", request.principal_by or "")
            with asking_as(asker) if request.principal is not None else nullcontext():
                reply, payload = await self._reported(request, message)
        late = request.reply_address is not None
        typed = late and parse_partner(request.partner).typed_reply
        try:
            answer = await asyncio.to_thread(write_parts, context, request, reply, payload, typed=typed)
        except CimError as problem:  # it would be so for ever
            context.emit(events.AnswerInvalid(message_id=request.request_id, reason=str(problem)))
            answer = self._answers.unwritten(request, typed=typed)
        await context.results.answer({request.request_id: answer}, context.now())
        if late:
            await context.engine.replies.put([context.reply_job(request)])
        else:
            ms = context.milliseconds_since(request.accepted_at)
            context.emit(
                events.ReplySent(message_id=request.request_id, result=answer.result, ms=ms, asynchronous=False)
            )
        return replace(request, answer=answer.octets, result=answer.result)

    async def _reported(self, request: StoredRequest, message: RequestMessage) -> Report:
        try:
            work = self._orders.get(request.noun, self._controls)
            return await work(context_of(request), message)
        except Refused as refused:
            self._acceptance.refuse(message.header, refused.errors)
            return Reply(result="FAILED", errors=refused.errors), None


def _sender(header: Header) -> str:
    """Whose places a message takes while it waits."""
    asker = asker_of(header)
    return sender_of(header.source, asker.name, asker.by)
