"""How a request begins: understood, planned, and kept before it is reported as accepted.

What every request has to pass is in `acceptance`, what is answered to one that is kept in `kept_requests`, and what is carried out on the
head-end itself or begun later in `order_intake`.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

from ami_cim.errors import CimError
from ami_cim.message import Header, Reply, RequestMessage, ResponseMessage
from ami_hes.commands import CommandJob
from ami_hes.guard import ApprovalNeeded, Approvals
from ami_hes.jobs.acceptance import Acceptance
from ami_hes.jobs.answers import AnswerMaker, KeptAnswer
from ami_hes.jobs.asked_requests import begun_id, may_be_begun
from ami_hes.jobs.context import Context
from ami_hes.jobs.kept_requests import KeptRequests
from ami_hes.jobs.late_orders import LateOrders, parse_later
from ami_hes.jobs.order_intake import OrderIntake
from ami_hes.jobs.rows import digest, format_errors
from ami_hes.jobs.timed_requests import Cancel, TakenBack, no_cancel
from ami_hes.nouns import Ask, Plan, Refused, check, error
from ami_hes.served import NOUNS, Parts, orders_of, timed_of
from ami_hes.store import StoredApproval, StoredRequest, StoreUnavailable

_HOW_TO_ASK = "To have a second person approve it, send it by itself with AsyncReplyFlag and ReplyAddress (by REST: asynchronous): it then waits for that."


_OF_ANOTHER = (
    "This MessageID is that of a request which waits for its time or for approval; nothing was done for this message."
)
_TAKEN_ALREADY = "Nothing was done: a request was kept before under the MessageID that this one would have at its time; send it with another MessageID."


class Intake:
    """Takes requests, and hands back their answers or acknowledgements."""

    def __init__(
        self,
        context: Context,
        answers: AnswerMaker,
        acceptance: Acceptance,
        parts: Callable[[Ask], Parts],
        approvals: Approvals,
        *,
        cancel: Cancel = no_cancel,
        waits: Callable[[], None] = lambda: None,
    ) -> None:
        """`cancel` ends the commands of a request that are not begun; `waits` is called when a message waits for the process in charge, where that is another one."""
        self._context = context
        self._cancel = cancel
        self._acceptance = acceptance
        self._kept = KeptRequests(context, answers)
        orders = orders_of(parts(self.ask))
        self._orders = OrderIntake(
            context, acceptance, answers, self._kept, orders, self._begun, cancel, approvals, waits
        )

    @property
    def late(self) -> LateOrders:
        """Those that were acknowledged first."""
        return self._orders.late

    async def take_back(self, message_id: str) -> TakenBack:
        """End what is not begun of a request: all of one that waits for its time or for approval, else its commands."""
        if await self.late.cancel(message_id):
            return TakenBack(waiting=True, commands=0)
        ended = [await self._cancel(one) for one in (message_id, begun_id(message_id))]
        return TakenBack(waiting=False, commands=sum(ended))

    def stop(self) -> None:
        """Accept nothing from now on."""
        self._acceptance.stop()

    def deny(self, header: Header, problem: CimError) -> None:
        """Report that nothing is done for a request, since its sender may not ask for it or does not prove who it is."""
        self._acceptance.refuse(header, (error(problem.code, problem.reason),), denied=True)

    async def handle(self, message: RequestMessage, *, looked_up: bool = False) -> ResponseMessage | KeptAnswer:
        """The answer to a request, at once if it asks for an asynchronous reply.

        `looked_up`: whoever asks looks up by its MessageID what came of it, so such a reply needs no address that it goes to.
        """
        try:
            check(replace(message.header, async_reply_flag=None) if looked_up else message.header, NOUNS)
            return await self._handle(message, looked_up=looked_up)
        except Refused as refused:
            self._acceptance.refuse(message.header, refused.errors)
            return self._context.message(message.header, Reply(result="FAILED", errors=refused.errors))
        except StoreUnavailable as problem:
            self._acceptance.refuse(message.header, str(problem))
            reason = f"Nothing was accepted by this message, and an earlier one can't be looked up: {problem}."
            raise CimError("5.1", f"{reason} Ask again later with the same MessageID.") from None

    async def ask(self, message: RequestMessage) -> tuple[ResponseMessage, int]:
        """The answer to a request that is a part of another one, and how many octets it has."""
        answer = await self.handle(message)
        if not isinstance(answer, KeptAnswer):
            return answer, 0
        return await answer.parsed(), len(answer.octets)

    async def _begun(self, message: RequestMessage, of_request: str) -> ResponseMessage:
        """The answer to a request whose time has come, or that was approved, asked by itself. Raises ApprovalNeeded and Refused."""
        approval = await self._acceptance.guard.store.approval(of_request)
        kept = await self._context.results.find(message.header.message_id or "")
        asked = digest(message)
        if kept is not None:
            return await (await self._kept.same_again(kept, asked)).parsed()
        return await (await self._now(message, asked, approval)).parsed()

    async def _handle(self, message: RequestMessage, *, looked_up: bool) -> KeptAnswer:
        asked = digest(message)
        kept = await self._context.results.find(message.header.message_id or "")
        if kept is None:
            await self._check_id(message.header.message_id or "")
        if self._orders.takes(message.header):
            return await self._orders.ordered(message, asked, kept)
        if kept is not None and (kept.answer is not None or parse_later(kept.query) is None):
            return await self._kept.same_again(kept, asked)
        if not looked_up:
            self._acceptance.check_reply_address(message.header)
        return await self._for_later(message, asked, kept) or await self._for_now(message, asked)

    async def _check_id(self, message_id: str) -> None:
        """Raises Refused for the MessageID that a request which waits will have at its time: whoever took it first would keep that from being done."""
        if may_be_begun(message_id):
            for one in await self._context.messages.waiting():
                if begun_id(one.request_id) == message_id:
                    raise Refused(error("2.15", _OF_ANOTHER))

    async def _for_later(self, message: RequestMessage, asked: str, kept: StoredRequest | None) -> KeptAnswer | None:
        """The acknowledgement of one that is to be begun later; None for one that is begun now."""
        timed = timed_of(message.header.noun)
        begins_at = None if timed is None else timed.begins_at(message)
        if kept is not None and begins_at is None:
            begins_at = parse_later(kept.query)  # it waits for approval, and not for its time
        if begins_at is not None and (kept is not None or begins_at > self._context.now()):
            await self._check_later(message, kept)
            why = None if kept is not None else await self._orders.look_at(message, begins_at)
            return await self._orders.taken_for_later(message, asked, begins_at, why)
        if message.header.verb == "change" and timed is not None:
            reason = f"Nothing was changed: it is to begin at {begins_at}, which is past. To begin at once, cancel and create."
            raise Refused(error("5.2", reason))
        return None

    async def _check_later(self, message: RequestMessage, kept: StoredRequest | None) -> None:
        """Raises Refused for a request that would wait and could not be carried out at its time."""
        if kept is None and await self._context.results.find(begun_id(message.header.message_id or "")) is not None:
            raise Refused(error("2.15", _TAKEN_ALREADY))

    async def _for_now(self, message: RequestMessage, asked: str) -> KeptAnswer:
        try:
            return await self._now(message, asked)
        except ApprovalNeeded as needed:
            if message.header.async_reply_flag:
                await self._check_later(message, None)
                return await self._orders.taken_for_later(message, asked, self._context.now(), str(needed))
            raise Refused(error("5.2", f"Nothing was done: {needed}. {_HOW_TO_ASK}")) from None

    async def _now(self, message: RequestMessage, asked: str, approval: StoredApproval | None = None) -> KeptAnswer:
        """Raises Refused and ApprovalNeeded."""
        acceptance = self._acceptance
        context, plan = acceptance.planned(message)
        if not plan.commands:
            raise Refused(*plan.errors)
        jobs = acceptance.jobs(plan)
        await acceptance.check_room(jobs)
        acceptance.check_going_on()
        request = replace(
            acceptance.request(message.header, context, jobs),
            digest=asked,
            query=plan.query,
            errors=format_errors(plan.errors),
        )
        gate = acceptance.gate(message.header, plan.commands, approval)
        kept = await acceptance.keep(request, jobs, message.header, gate)
        if kept is not None:
            return await self._kept.same_again(kept, asked)
        return await self._kept.accepted(request.request_id, self._begin(message.header, request, plan, jobs))

    async def _begin(
        self, header: Header, request: StoredRequest, plan: Plan, jobs: Sequence[CommandJob]
    ) -> KeptAnswer:
        # to work first: kept is worked, whether or not it can be reported
        await self._context.engine.commands.put(jobs)
        self._acceptance.report(header, plan)
        return await self._kept.answer(request)
