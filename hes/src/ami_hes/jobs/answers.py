"""How a request ends: what came of its commands becomes its answer, kept before anybody gets it, then handed on.

Handed on is a reply job where the answer goes to a reply address, else an event for the waiting request. Both bear being repeated. What
is large is written by a process of its own (`ami_hes.jobs.answer_writing`), some meters at a time.
"""

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Self

from lxml import etree

from ami_cim.codes import Level, Verb
from ami_cim.envelope import REQUEST_MESSAGE
from ami_cim.errors import CimError
from ami_cim.message import Reply, ReplyError
from ami_cim.schema import Schemas
from ami_cim.spoken import Speech, spoken
from ami_hes import events
from ami_hes.engine import ANSWERED
from ami_hes.jobs.answer_writing import (
    FUNCTION,
    AnswerOrder,
    WrittenAnswer,
    format_order,
    format_worked,
    format_wrapper,
    parse_written,
    rewrite,
    write_answer,
    write_too_large,
)
from ami_hes.jobs.context import Context
from ami_hes.jobs.rows import context_of, parse_errors, worked
from ami_hes.nouns import Worked
from ami_hes.outbox import format_answer
from ami_hes.served import OPERATIONS
from ami_hes.store import Completed, StoredAnswer, StoredCommand, StoredRequest
from ami_process.events import format_fault
from ami_process.worker import Worker, WorkerBusy, WorkerLost

_UNWRITTEN = "The request was worked, but its answer could not be written; look at the head-end system's events."
LIGHT = 32_768
"""Characters of payloads that are written on the event loop; they become several times as many octets of XML, in some 30 ms."""
LIGHT_COMMANDS = 2_000
LIGHT_ANSWER = 131_072
GROWTH = 4
"""What a dialect adds to an answer, a period to each interval, is less than this."""
"""Octets of a kept answer that are read and written again on the event loop."""
AT_ONCE = 500_000
"""Characters of payloads that the writing process gets in one piece."""
CPU_S, MEMORY = 60, 1_000_000_000
"""What it may have for one piece, and octets of its address space."""
WHOLE = 2**62
"""Octets of an answer to what may have changed meters: it is never refused, since FAILED would say that nothing was done."""
ROOM = 64_000_000
"""Octets that it may answer with."""


@dataclass(frozen=True, slots=True)
class Writing:
    """Who writes large answers, and how large one message may be."""

    worker: Worker
    octets: int

    @classmethod
    @asynccontextmanager
    async def opened(cls, octets: int) -> AsyncIterator[Self]:
        """With a process that begins with the first large answer."""
        async with Worker(FUNCTION, cpu_s=CPU_S, memory=MEMORY) as worker:
            yield cls(worker, octets)


@dataclass(frozen=True, slots=True)
class KeptAnswer:
    """An answer that is kept, to be given in an HTTP response."""

    octets: bytes
    typed: bool
    """Whether it is kept as the noun's own message."""
    writing: Writing
    schemas: Schemas

    async def written(self, wrapper: etree.QName, speech: Speech) -> bytes:
        """As the response to a request in this wrapper, spelled so; what is large is not read here."""
        if wrapper == REQUEST_MESSAGE and not self.typed and speech.is_ours:
            return self.octets
        if len(self.octets) <= LIGHT_ANSWER:
            return spoken(rewrite(self.octets, wrapper, self.schemas), speech)
        try:
            head, room = format_wrapper(wrapper, speech), GROWTH * len(self.octets)
            return await self.writing.worker.call(head, self.octets, room=room)
        except (WorkerBusy, WorkerLost) as problem:
            reason = f"The answer is kept and can't be written now: {problem or 'too much is written already'}."
            raise CimError("5.1", f"{reason} Ask again with the same MessageID.") from None


class AnswerMaker:
    """Makes the answers."""

    def __init__(self, context: Context, writing: Writing) -> None:
        self._context = context
        self._writing = writing

    def kept(self, octets: bytes, *, typed: bool) -> KeptAnswer:
        """A kept answer, for who waits for it."""
        return KeptAnswer(octets, typed, self._writing, self._context.schemas)

    def is_light(self, completed: Completed) -> bool:
        """Whether its answer is written so fast that it need not leave the event loop; what was created by itself has none of the values."""
        values = 0 if completed.request.verb == Verb.CREATED else sum(map(_weight, completed.commands))
        return len(completed.commands) <= LIGHT_COMMANDS and values <= LIGHT

    async def finish(self, completed: Sequence[Completed]) -> set[str]:
        """Answer requests whose commands all have their results; the ids of those that were also handed on."""
        made = {one.request.request_id: answer for one in completed if (answer := await self._made(one)) is not None}
        if not made:
            return set()
        await self._context.results.answer(made, self._context.now())
        handed_on: set[str] = set()
        for request in (one.request for one in completed if one.request.request_id in made):
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
        if request.verb != Verb.CREATED:  # a run of a schedule, which was asked for by nothing but the clock
            ms = context.milliseconds_since(request.accepted_at)
            context.emit(events.ReplySent(message_id=request.request_id, result=result, ms=ms, asynchronous=False))

    async def _made(self, completed: Completed) -> StoredAnswer | None:
        """The answer, None if it has to be tried again. One that can't be made would be so for ever, so it ends as what it is."""
        request = completed.request
        typed = False
        try:
            order = self._order(completed)
            typed = order.typed
            done = [worked(command) for command in completed.commands]
            return _stored(await self._written(order, done, light=self.is_light(completed)))
        except WorkerBusy:
            return None
        except (CimError, WorkerLost) as problem:
            self._context.emit(events.AnswerInvalid(message_id=request.request_id, reason=str(problem)))
        except Exception as problem:  # noqa: BLE001  # reported, with its traceback
            fault = format_fault(problem)
            self._context.emit(events.AnswerInvalid(message_id=request.request_id, exception=fault))
        errors = (ReplyError(code="5.3", level=Level.FATAL, reason=_UNWRITTEN),)
        message = self._context.answer(request, Reply(result="FAILED", errors=errors))
        return StoredAnswer("FAILED", format_answer(message, self._context.schemas, typed=typed))

    def _order(self, completed: Completed) -> AnswerOrder:
        request = completed.request
        context = context_of(request)
        late = request.reply_address is not None
        return AnswerOrder(
            noun=request.noun,
            context=context,
            errors=parse_errors(request.errors),
            source=self._context.source,
            message_id=str(self._context.environment.new_uuid()),
            correlation_id=request.correlation_id,
            timestamp=self._context.now(),
            typed=late and context.partner.typed_reply,
            octets=self._writing.octets if late or not any(map(_acts, completed.commands)) else WHOLE,
            in_parts=late,
        )

    async def _written(self, order: AnswerOrder, done: Sequence[Worked], *, light: bool) -> list[WrittenAnswer]:
        if light:
            return write_answer(order, done, self._context.schemas)
        if not order.in_parts and sum(len(one.outcome.payload) for one in done) > self._writing.octets:
            return [write_too_large(order, len(done), self._context.schemas)]  # as XML it is larger still
        written: list[WrittenAnswer] = []
        for first, piece in _pieces(done) if order.in_parts else ((0, done),):
            head = format_order(replace(order, first=first, last=first + len(piece) == len(done)))
            written += parse_written(await self._writing.worker.call(head, format_worked(piece), room=ROOM))
        return written


def _acts(command: StoredCommand) -> bool:
    operation = OPERATIONS.get(command.command.operation)
    return operation is None or operation.acts


def _weight(command: StoredCommand) -> int:
    """What was seen of a meter that was to change is for people, and goes into no answer."""
    return 0 if command.result is None or _acts(command) else len(command.result.outcome.payload)


def _pieces(done: Sequence[Worked]) -> Iterator[tuple[int, Sequence[Worked]]]:
    """What is written at a time, each with how many were before it; at least one command."""
    first, size = 0, 0
    for index, one in enumerate(done):
        size += len(one.outcome.payload)
        if size > AT_ONCE and index > first:
            yield first, done[first:index]
            first, size = index, len(one.outcome.payload)
    yield first, done[first:]


def _stored(written: Sequence[WrittenAnswer]) -> StoredAnswer:
    """One answer of all its messages; OK or FAILED if all of them are."""
    results = {one.result for one in written}
    return StoredAnswer(
        results.pop() if len(results) == 1 else "PARTIAL",
        written[0].octets,
        tuple(one.octets for one in written[1:]),
    )
