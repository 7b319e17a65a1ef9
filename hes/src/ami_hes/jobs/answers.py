"""How a request ends: what came of its commands becomes one answer, kept before anybody gets it."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import structlog

from ami_cim.codes import Level
from ami_cim.correlation import reply_header
from ami_cim.errors import CimError
from ami_cim.message import Header, Reply, ReplyError, ResponseMessage
from ami_cim.schema import Schemas
from ami_hes.jobs.records import parse_errors, worked
from ami_hes.nouns import NOUNS
from ami_hes.outbox import format_answer, is_typed, parse_answer
from ami_hes.store import Completed, Deliveries, Job, Jobs, Lane, Results, StoredRequest

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Means:
    """What everybody who works on requests needs."""

    results: Results
    deliveries: Deliveries
    jobs: Jobs
    schemas: Schemas
    source: str
    now: Callable[[], datetime]
    new_uuid: Callable[[], UUID]
    reply_age: timedelta
    """How long after its request a reply is still posted."""

    def message(self, header: Header, reply: Reply) -> ResponseMessage:
        """A message of ours that answers a request's header."""
        answering = reply_header(header, message_id=str(self.new_uuid()), timestamp=self.now(), source=self.source)
        return ResponseMessage(header=answering, reply=reply)

    def reply_job(self, request: StoredRequest) -> Job:
        """The posting of an answer that is owed."""
        give_up_at = request.accepted_at + self.reply_age
        return Job(Lane.REPLIES, request.request_id, request.request_id, request.reply_address or "", give_up_at)

    def milliseconds_since(self, moment: datetime) -> float:
        """For people; by the wall clock."""
        return round((self.now() - moment).total_seconds() * 1000, 1)


class Answers:
    """Makes the answers, and holds those who wait for one."""

    def __init__(self, means: Means) -> None:
        self._means = means
        self._awaited: dict[str, asyncio.Future[ResponseMessage]] = {}
        self._closed = False

    def close(self) -> None:
        """We are about to stop: whoever waits gets a CimError, and so does whoever comes now."""
        self._closed = True
        for awaited in self._awaited.values():
            if not awaited.done():
                awaited.set_exception(_stopping(accepted=True))
                awaited.exception()  # perhaps nobody waits, and that is no fault

    def expect(self, request_id: str) -> None:
        """Its answer will come: to be said before the request is accepted."""
        if self._closed:
            raise _stopping(accepted=False)
        self._awaited.setdefault(request_id, asyncio.get_running_loop().create_future())

    def give_up(self, request_id: str) -> None:
        """It was not accepted after all."""
        self._awaited.pop(request_id, None)

    async def wait(self, request_id: str) -> ResponseMessage:
        """The answer of an accepted request, now or when it is there."""
        awaited = self._awaited.get(request_id)
        if awaited is not None:
            return await asyncio.shield(awaited)
        kept = await self._means.results.find(request_id)
        if kept is None or kept.answer is None:
            raise LookupError(f"nobody works on the request {request_id}")
        return parse_answer(kept.answer)

    async def finish(self, completed: Completed) -> None:
        """Answer a request whose commands all have their results."""
        means, request = self._means, completed.request
        request_id = request.request_id
        done = [worked(command) for command in completed.commands]
        reply = NOUNS[request.noun].report(parse_errors(request.errors), done)
        header = Header(verb="create", noun=request.noun, correlation_id=request.correlation_id)
        typed = request.acknowledgement is not None and is_typed(request.acknowledgement)
        answer, octets = self._written(request_id, header, reply, typed=typed)
        await means.results.answer(request_id, octets, means.now())
        awaited = self._awaited.pop(request_id, None)
        if request.reply_address is not None:
            await means.jobs.put([means.reply_job(request)])
            return
        ms = means.milliseconds_since(request.accepted_at)
        log.info("reply_sent", message_id=request_id, result=reply.result, ms=ms, asynchronous=False)
        if awaited is not None and not awaited.done():
            awaited.set_result(answer)

    def _written(self, request_id: str, header: Header, reply: Reply, *, typed: bool) -> tuple[ResponseMessage, bytes]:
        """The answer and its octets. One that can't be written would be tried again for ever, so it is returned as it is."""
        answer = self._means.message(header, reply)
        try:
            return answer, format_answer(answer, self._means.schemas, typed=typed)
        except CimError as problem:
            log.error("answer_invalid", message_id=request_id, reason=str(problem))
            reason = (
                "The request was worked, but its answer could not be written; look at the head-end system's events."
            )
            errors = (ReplyError(code="5.3", level=Level.FATAL, reason=reason),)
            answer = self._means.message(header, Reply(result="FAILED", errors=errors))
            return answer, format_answer(answer, self._means.schemas, typed=typed)


def _stopping(*, accepted: bool) -> CimError:
    what = "your request is kept and will be finished" if accepted else "nothing was accepted"
    return CimError("5.1", f"The head-end system is stopping: {what}. Ask again with the same MessageID.")
