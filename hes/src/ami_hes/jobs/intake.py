"""How a request begins: understood, planned, and kept before it is reported as accepted."""

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from ami_cim.codes import Level
from ami_cim.errors import CimError
from ami_cim.message import Header, Reply, ReplyError, RequestMessage, ResponseMessage
from ami_hes import events
from ami_hes.commands import CommandJob
from ami_hes.engine import Stopping
from ami_hes.jobs.answers import AnswerMaker, KeptAnswer
from ami_hes.jobs.context import Context
from ami_hes.jobs.lanes import Lanes
from ami_hes.jobs.late_orders import LateOrders, format_later, parse_later
from ami_hes.jobs.order_answers import write_parts
from ami_hes.jobs.order_messages import format_message
from ami_hes.jobs.redelivery import owe_again
from ami_hes.jobs.rows import context_of, digest, format_errors, nonce_digest
from ami_hes.jobs.timed_requests import Cancel, TimedRequests, no_cancel
from ami_hes.meters.registry import Registry
from ami_hes.nouns import Ask, Partner, Plan, Refused, Report, RequestContext, check, error, partner_of
from ami_hes.nouns.kept_partners import format_partner, parse_partner
from ami_hes.outbox import format_answer
from ami_hes.reply_hosts import NotAllowed, NotAnAddress, ReplyHosts
from ami_hes.served import NOUNS, OPERATIONS, Parts, check_of, noun_of, orders_of, timed_of
from ami_hes.store import NonceUsed, SpentId, StoredRequest, StoreUnavailable
from ami_process.events import format_fault

_SPENT = (
    "This MessageID was used before, for a request of {}, and what came of that is not kept any more. "
    "Nothing was done for this one."
)

_FINISHED = "The request is kept and will be finished, but its answer can't be given now."
_CARRIED_OUT_AGAIN = (
    "The request is kept; whether it was carried out is not known, and it is carried out when it comes again."
)

LONGEST_AHEAD = timedelta(days=36_525)
"""How long a request for later may wait; calendars of senders end elsewhere than ours."""
MOST_SHOWN = 20
"""Errors of a refused request in its event."""
MOST_SUMMARY = 200
"""Characters of what a request asks for in its event."""
ANSWER_GRACE_S = 60.0
"""How long after the deadline of its commands an answer is waited for: the store may be late with it."""


@dataclass(frozen=True, slots=True)
class IntakeLimits:
    """How much is accepted, and how long the work on its meters may take."""

    lanes: Lanes
    meters_per_request: int


class Intake:
    """Takes requests, and hands back their answers or acknowledgements."""

    def __init__(
        self,
        context: Context,
        answers: AnswerMaker,
        registry: Registry,
        reply_hosts: ReplyHosts,
        limits: IntakeLimits,
        parts: Callable[[Ask], Parts],
        partners: Sequence[Partner] = (),
        *,
        cancel: Cancel = no_cancel,
    ) -> None:
        """`cancel` ends the commands of a request that are not begun."""
        self._context = context
        self._answers = answers
        self._registry = registry
        self._reply_hosts = reply_hosts
        self._limits = limits
        self._partners = partners
        self._orders = orders_of(parts(self.ask))
        self.late = LateOrders(context, self._order)
        self._controls = TimedRequests(context, self.late, self.ask, cancel)
        self._stopping = False

    def stop(self) -> None:
        """Accept nothing from now on."""
        self._stopping = True

    async def handle(self, message: RequestMessage) -> ResponseMessage | KeptAnswer:
        """The answer to a request, at once if it asks for an asynchronous reply."""
        try:
            check(message.header, NOUNS)
            return await self._handle(message)
        except Refused as refused:
            self._refuse(message.header, [_described(one) for one in refused.errors[:MOST_SHOWN]])
            return self._context.message(message.header, Reply(result="FAILED", errors=refused.errors))
        except StoreUnavailable as problem:
            self._refuse(message.header, [str(problem)])
            reason = f"Nothing was accepted by this message, and an earlier one can't be looked up: {problem}."
            raise CimError("5.1", f"{reason} Ask again later with the same MessageID.") from None

    async def ask(self, message: RequestMessage) -> tuple[ResponseMessage, int]:
        """The answer to a request that is a part of another one, and how many octets it has."""
        answer = await self.handle(message)
        if not isinstance(answer, KeptAnswer):
            return answer, 0
        return await answer.parsed(), len(answer.octets)

    async def _handle(self, message: RequestMessage) -> KeptAnswer:
        header = message.header
        asked = digest(message)
        kept = await self._context.results.find(header.message_id or "")
        if header.noun in self._orders:
            return await self._ordered(message, asked, kept)
        if self._controls.takes(header):
            return await self._ordered(message, asked, kept)
        if kept is not None and (kept.answer is not None or parse_later(kept.query) is None):
            return await self._same_again(kept, asked)
        self._check_reply_address(header)
        timed = timed_of(header.noun)
        begins_at = None if timed is None else timed.begins_at(message)
        if begins_at is not None and (kept is not None or begins_at > self._context.now()):
            if kept is None:
                await self._look_at(message, begins_at)
            return await self._taken_for_later(message, asked, begins_at)
        if header.verb == "change" and timed is not None:
            reason = f"Nothing was changed: it is to begin at {begins_at}, which is past. To begin at once, cancel and create."
            raise Refused(error("5.2", reason))
        context, plan = self._planned(message)
        if not plan.commands:
            raise Refused(*plan.errors)
        jobs = self._jobs(plan)
        await self._check_room(jobs)
        if self._stopping:
            raise _stopping(accepted=False)
        request = replace(
            self._request(header, context, jobs), digest=asked, query=plan.query, errors=format_errors(plan.errors)
        )
        kept = await self._keep(request, jobs, header)
        if kept is not None:
            return await self._same_again(kept, asked)
        return await self._accepted(request.request_id, self._begin(header, request, plan, jobs))

    async def _ordered(self, message: RequestMessage, asked: str, kept: StoredRequest | None) -> KeptAnswer:
        """Kept, carried out, answered; an order that has no answer yet is carried out again, which it bears."""
        header = message.header
        if header.async_reply_flag and (check := check_of(header.noun)) is not None:
            return await self._taken_in(message, asked, kept, check)
        if kept is None:
            kept = await self._keep_order(message, asked)
        if kept.digest != asked or kept.answer is not None:
            return await self._same_again(kept, asked)
        return await self._accepted(kept.request_id, self._carried_out(kept, message), _CARRIED_OUT_AGAIN)

    async def _taken_in(
        self, message: RequestMessage, asked: str, kept: StoredRequest | None, check: Callable[[RequestMessage], object]
    ) -> KeptAnswer:
        """Kept and acknowledged, to be carried out by itself; one after the other, so that they are counted."""
        octets = await asyncio.to_thread(format_message, message, message.header.message_id or "")
        async with self.late.entrance:
            if kept is None:
                check(message)
                self.late.check_room(message.header.source, octets)
                kept = await self._keep_order(message, asked)
            if kept.digest != asked or kept.answer is not None:
                return await self._same_again(kept, asked)
            return await self._accepted(kept.request_id, self._acknowledged(kept, octets), _CARRIED_OUT_AGAIN)

    async def _look_at(self, message: RequestMessage, begins_at: datetime) -> None:
        """One for later, as if it were to be done at once; raises Refused."""
        if begins_at - self._context.now() > LONGEST_AHEAD:
            reason = f"Nothing was done: it is to begin at {begins_at.isoformat()}, and requests wait {LONGEST_AHEAD.days} days at most."
            raise Refused(error("5.2", reason))
        if not message.header.async_reply_flag:
            reason = f"It begins at {begins_at.isoformat()}, so its reply is late: AsyncReplyFlag and ReplyAddress are needed."
            raise Refused(error("1.5", reason))
        _, plan = self._planned(self._controls.begun(message))
        if not plan.commands:
            raise Refused(*plan.errors)
        if message.header.verb == "change":
            await self._controls.named(message)

    async def _taken_for_later(self, message: RequestMessage, asked: str, begins_at: datetime) -> KeptAnswer:
        """Kept and acknowledged, to be carried out at its time."""
        header = message.header
        octets = await asyncio.to_thread(format_message, message, header.message_id or "")
        longest = max(limits.deadline for limits in self._limits.lanes.values())
        async with self.late.entrance:
            self.late.check_room(header.source, octets)
            if self._stopping:
                raise _stopping(accepted=False)
            new = replace(
                self._request(header, self._context_of(header), ()),
                digest=asked,
                query=format_later(begins_at),
                deadline_at=begins_at + longest,
            )
            kept = await self._keep(new, (), header) or new
            if kept.digest != asked or kept.answer is not None:
                return await self._same_again(kept, asked)
            work = self._changed(kept, message, octets) if header.verb == "change" else self._acknowledged(kept, octets)
            return await self._accepted(kept.request_id, work, _CARRIED_OUT_AGAIN)

    async def _changed(self, request: StoredRequest, message: RequestMessage, octets: bytes) -> KeptAnswer:
        """Its message is kept before the former one is cancelled, so that one of the two is there whatever ends in between."""
        await self._context.messages.keep(request.request_id, octets)
        refusal = await self._controls.replaced(message)
        if refusal is None:
            return await self._acknowledged(request, octets)
        answered = await self._order(
            request, refusal
        )  # kept already: the reply to its address says why nothing of it is done
        await self._context.messages.drop(request.request_id)
        return await self._answer(answered)

    async def _keep_order(self, message: RequestMessage, asked: str) -> StoredRequest:
        """As it is kept, now or before; raises Refused."""
        header = message.header
        self._check_reply_address(header)
        if self._stopping:
            raise _stopping(accepted=False)
        new = replace(self._request(header, self._context_of(header), ()), digest=asked)
        return await self._keep(new, (), header) or new

    async def _acknowledged(self, request: StoredRequest, octets: bytes) -> KeptAnswer:
        await self.late.put(request, octets)
        return await self._answer(request)

    async def _carried_out(self, request: StoredRequest, message: RequestMessage) -> KeptAnswer:
        return await self._answer(await self._order(request, message))

    async def _order(self, request: StoredRequest, message: RequestMessage | ReplyError) -> StoredRequest:
        """Carry it out and keep its answer; an error in place of its message is the answer."""
        context = self._context
        if isinstance(message, ReplyError):
            reply, payload = Reply(result="FAILED", errors=(message,)), None
        else:
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
        return replace(request, answer=answer.octets, result=answer.result)

    async def _reported(self, request: StoredRequest, message: RequestMessage) -> Report:
        try:
            work = self._orders.get(request.noun, self._controls)
            return await work(context_of(request), message)
        except Refused as refused:
            self._refuse(message.header, [_described(one) for one in refused.errors[:MOST_SHOWN]])
            return Reply(result="FAILED", errors=refused.errors), None

    def _planned(self, message: RequestMessage) -> tuple[RequestContext, Plan]:
        noun = noun_of(message.header.noun)
        context = self._context_of(message.header)
        self._check_size(noun.size(message, context.partner))
        plan = noun.plan(context, message, self._registry)
        self._check_size(len(plan.commands))  # a group is one that is named, and may be many meters
        return context, plan

    def _context_of(self, header: Header) -> RequestContext:
        return RequestContext.of(header, self._context.now(), partner_of(header, self._partners))

    async def _keep(self, request: StoredRequest, jobs: Sequence[CommandJob], header: Header) -> StoredRequest | None:
        """None once it is kept, else what was kept under its id before; raises Refused."""
        try:
            return await self._context.results.accept(request, jobs, nonce_digest(header))
        except SpentId as spent:
            raise Refused(error("2.15", _SPENT.format(spent.accepted_at.isoformat(timespec="seconds")))) from None
        except NonceUsed:
            reason = "Header.ReplayDetection: this Nonce was used before, by a message with another MessageID."
            raise Refused(error("7.7", f"{reason} Nothing was done for this one.")) from None

    async def _same_again(self, kept: StoredRequest, asked: str) -> KeptAnswer:
        if kept.digest != asked:
            reason = "This MessageID was used before, for another request; nothing was done for this one."
            raise Refused(error("2.15", reason))
        return await self._accepted(kept.request_id, self._repeat(kept))

    async def _accepted(
        self, request_id: str, answer: Coroutine[None, None, KeptAnswer], without: str = _FINISHED
    ) -> KeptAnswer:
        """The answer to a request that is kept: from here on nothing may say that it was refused. `without` is said where there is none."""
        try:
            return await answer
        except (CimError, Refused):
            raise
        except Exception as problem:  # noqa: BLE001  # reported, with its traceback
            failed = CimError("5.1", f"{without} Ask again with the same MessageID.")
            self._context.emit(events.AnswerFailed(message_id=request_id, exception=format_fault(problem)))
            raise failed from None

    async def _begin(
        self, header: Header, request: StoredRequest, plan: Plan, jobs: Sequence[CommandJob]
    ) -> KeptAnswer:
        await self._context.engine.commands.put(
            jobs
        )  # to work first: kept is worked, whether or not it can be reported
        self._report(header, plan)
        return await self._answer(request)

    async def _repeat(self, kept: StoredRequest) -> KeptAnswer:
        self._context.emit(events.RequestRepeated(message_id=kept.request_id))
        return await self._answer(kept)

    async def _answer(self, request: StoredRequest) -> KeptAnswer:
        typed = request.reply_address is not None and parse_partner(request.partner).typed_reply
        if request.acknowledgement is not None and not await self._is_dead_letter(request):
            return self._answers.kept(request.request_id, request.acknowledgement, typed=typed)
        if request.acknowledgement is not None and await self._is_posted_again(request):
            return self._answers.kept(request.request_id, request.acknowledgement, typed=typed)
        if request.answer is not None:
            return self._answers.kept(request.request_id, request.answer, typed=typed)
        return await self._wait(request)

    async def _wait(self, request: StoredRequest) -> KeptAnswer:
        context = self._context
        within_s = max(0.0, context.environment.real_seconds_until(request.deadline_at)) + ANSWER_GRACE_S
        try:
            octets = await context.engine.answers.wait(request.request_id, within_s)
            return self._answers.kept(request.request_id, octets, typed=False)
        except Stopping:
            raise _stopping(accepted=True) from None

    async def _is_posted_again(self, request: StoredRequest) -> bool:
        """A dead letter in parts: they go to the ReplyAddress alone, since the first of them would not be the answer."""
        part = await self._context.results.next_part(request.request_id)
        if part is not None and part.last and part.number == 1:
            return False
        await owe_again(self._context, [request.request_id], whole=True)
        return True

    async def _is_dead_letter(self, request: StoredRequest) -> bool:
        """Whether posting the answer was given up: then it goes to the sender that asks again."""
        if request.answer is None:
            return False
        kept = await self._context.deliveries.find(request.request_id)
        return kept is not None and kept.given_up_at is not None

    def _check_reply_address(self, header: Header) -> None:
        if not header.async_reply_flag:
            return
        try:
            self._reply_hosts.check(header.reply_address or "")
        except NotAnAddress as refusal:
            raise Refused(error("1.5", f"Header.ReplyAddress: {refusal}.")) from None
        except NotAllowed as refusal:
            raise Refused(error("7.7", f"Header.ReplyAddress: {refusal}.")) from None

    def _check_size(self, asked: int) -> None:
        """Before anything is looked up, since looking up is what a request that names too many would cost."""
        if asked > (most := self._limits.meters_per_request):
            raise Refused(error("3.1", f"The request names {asked} meters; at most {most} are taken at once."))

    async def _check_room(self, jobs: Sequence[CommandJob]) -> None:
        for lane, new in Counter(job.lane for job in jobs).items():
            if await self._context.engine.commands.pending(lane) + new > self._limits.lanes[lane].pending:
                reason = f"Too many commands are waiting in the lane {lane}; nothing was accepted. Try again later."
                raise Refused(error("3.2", reason))

    def _jobs(self, plan: Plan) -> list[CommandJob]:
        """Each command with its lane and its deadline, which are kept with it."""
        after = self._context.environment.after_real
        deadlines = {lane: after(limits.deadline) for lane, limits in self._limits.lanes.items()}
        if plan.until is not None:
            deadlines = {lane: min(deadline, plan.until) for lane, deadline in deadlines.items()}
        lanes = [(one, plan.lane or OPERATIONS[one.operation].lane) for one in plan.commands]
        return [CommandJob(one, lane, deadlines[lane]) for one, lane in lanes]

    def _request(self, header: Header, context: RequestContext, jobs: Sequence[CommandJob]) -> StoredRequest:
        partner, asynchronous = context.partner, bool(header.async_reply_flag)
        return StoredRequest(
            request_id=context.request_id,
            digest="",
            verb=context.verb,
            noun=header.noun,
            source=context.source,
            partner=format_partner(partner),
            correlation_id=header.correlation_id or context.request_id,
            reply_address=header.reply_address if asynchronous else None,
            accepted_at=context.accepted_at,
            deadline_at=max((job.deadline_at for job in jobs), default=context.accepted_at),
            errors="[]",
            acknowledgement=self._acknowledgement(header, partner) if asynchronous else None,
        )

    def _acknowledgement(self, header: Header, partner: Partner) -> bytes:
        """Kept in the form that the late reply will have."""
        accepted = ReplyError(code="0.3", level=Level.INFORM, reason="Accepted; the reply goes to the ReplyAddress.")
        message = self._context.message(header, Reply(result="OK", errors=(accepted,)))
        return format_answer(message, self._context.schemas, typed=partner.typed_reply)

    def _report(self, header: Header, plan: Plan) -> None:
        self._context.emit(
            events.RequestAccepted(
                message_id=header.message_id or "",
                verb=header.verb,
                noun=header.noun,
                summary=plan.summary[:MOST_SUMMARY],
                meters=[command.meter.name for command in plan.commands],
            )
        )

    def _refuse(self, header: Header, errors: list[events.ReportedError | str]) -> None:
        self._context.emit(events.RequestRefused(message_id=header.message_id, errors=errors))


def _stopping(*, accepted: bool) -> CimError:
    what = "your request is kept and will be finished" if accepted else "nothing was accepted"
    return CimError("5.1", f"The head-end system is stopping: {what}. Ask again with the same MessageID.")


def _described(one: ReplyError) -> events.ReportedError:
    return events.ReportedError(code=one.code, reason=one.reason)
