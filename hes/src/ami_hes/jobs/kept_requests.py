"""What is answered to a request that is kept: its acknowledgement, its answer once there is one, and the same to who asks again."""

from collections.abc import Coroutine

from ami_cim.errors import CimError
from ami_hes import events
from ami_hes.engine import Stopping
from ami_hes.jobs.acceptance import stopping
from ami_hes.jobs.answers import AnswerMaker, KeptAnswer
from ami_hes.jobs.context import Context
from ami_hes.jobs.redelivery import owe_again
from ami_hes.nouns import Refused, error
from ami_hes.nouns.kept_partners import parse_partner
from ami_hes.store import StoredRequest
from ami_process.events import format_fault

_FINISHED = "The request is kept and will be finished, but its answer can't be given now."
ANSWER_GRACE_S = 60.0
"""How long after the deadline of its commands an answer is waited for: the store may be late with it."""


class KeptRequests:
    """Answers for them."""

    def __init__(self, context: Context, answers: AnswerMaker) -> None:
        self._context = context
        self._answers = answers

    async def same_again(self, kept: StoredRequest, asked: str) -> KeptAnswer:
        """To who asks again; raises Refused where it is another request under the same id."""
        if kept.digest != asked:
            reason = "This MessageID was used before, for another request; nothing was done for this one."
            raise Refused(error("2.15", reason))
        return await self.accepted(kept.request_id, self._repeat(kept))

    async def accepted(
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

    async def _repeat(self, kept: StoredRequest) -> KeptAnswer:
        self._context.emit(events.RequestRepeated(message_id=kept.request_id))
        return await self.answer(kept)

    async def answer(self, request: StoredRequest) -> KeptAnswer:
        """Its acknowledgement, or its answer, which is waited for."""
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
            raise stopping(accepted=True) from None

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
