"""How a request ends: what came of its commands becomes one answer, kept before anybody gets it, then handed on.

Handed on is a reply job where the answer goes to a reply address, else an event for the waiting request. Both bear being repeated.
"""

from collections.abc import Sequence

from ami_cim.codes import Level
from ami_cim.errors import CimError
from ami_cim.message import Reply, ReplyError, ResponseMessage
from ami_hes import events
from ami_hes.engine import ANSWERED
from ami_hes.jobs.context import Context
from ami_hes.jobs.rows import context_of, parse_errors, worked
from ami_hes.outbox import format_answer
from ami_hes.served import NOUNS
from ami_hes.store import Completed, StoredAnswer, StoredRequest
from ami_process.events import format_fault

_UNWRITTEN = "The request was worked, but its answer could not be written; look at the head-end system's events."


class AnswerMaker:
    """Makes the answers."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def finish(self, completed: Sequence[Completed]) -> set[str]:
        """Answer requests whose commands all have their results; the ids of those that were also handed on."""
        if not completed:
            return set()
        made = {one.request.request_id: self._made(one) for one in completed}
        await self._context.results.answer(made, self._context.now())
        handed_on: set[str] = set()
        for request in (one.request for one in completed):
            try:
                await self._hand_on(request, made[request.request_id].result)
                handed_on.add(request.request_id)
            except Exception as problem:  # noqa: BLE001  # reported, with its traceback
                fault = format_fault(problem)
                self._context.emit(events.AnswerNotHandedOn(message_id=request.request_id, exception=fault))
        return handed_on

    async def hand_on_again(self, request_id: str) -> bool:
        """The worker of the request's last command may have gone between its answer and what follows."""
        request = await self._context.results.find(request_id)
        if request is not None and request.answer is not None:
            await self._hand_on(request, request.result)
        return True

    async def _hand_on(self, request: StoredRequest, result: str | None) -> None:
        context = self._context
        if request.reply_address is not None:
            await context.engine.replies.put([context.reply_job(request)])
            return
        await context.engine.events.publish(ANSWERED, request.request_id, b"")
        ms = context.milliseconds_since(request.accepted_at)
        context.emit(events.ReplySent(message_id=request.request_id, result=result, ms=ms, asynchronous=False))

    def _made(self, completed: Completed) -> StoredAnswer:
        """The answer and its octets. One that can't be made would be tried again for ever, so it ends as what it is."""
        request = completed.request
        typed = False
        try:
            context = context_of(request)
            typed = request.reply_address is not None and context.partner.typed_reply
            done = [worked(command) for command in completed.commands]
            reply, payload = NOUNS[request.noun].report(context, parse_errors(request.errors), done)
            return self._written(self._context.answer(request, reply, payload), typed=typed)
        except CimError as problem:
            self._context.emit(events.AnswerInvalid(message_id=request.request_id, reason=str(problem)))
        except Exception as problem:  # noqa: BLE001  # reported, with its traceback
            fault = format_fault(problem)
            self._context.emit(events.AnswerInvalid(message_id=request.request_id, exception=fault))
        errors = (ReplyError(code="5.3", level=Level.FATAL, reason=_UNWRITTEN),)
        return self._written(self._context.answer(request, Reply(result="FAILED", errors=errors)), typed=typed)

    def _written(self, answer: ResponseMessage, *, typed: bool) -> StoredAnswer:
        return StoredAnswer(answer.reply.result, format_answer(answer, self._context.schemas, typed=typed))
