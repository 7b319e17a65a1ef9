"""How a request ends: what came of its commands becomes its answer, kept before anybody gets it, then handed on.

Handed on is a reply job where the answer goes to a reply address, else an event for the waiting request. Both bear being repeated. What
is large is written by a process of its own (`ami_hes.jobs.answer_writing`), some meters at a time.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Self

from lxml import etree

from ami_cim.codes import Level, Verb
from ami_cim.envelope import REQUEST_MESSAGE
from ami_cim.errors import CimError, InvalidMessage
from ami_cim.message import Reply, ReplyError, ResponseMessage
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
from ami_hes.nouns import Refused, error
from ami_hes.outbox import format_answer, parse_answer
from ami_hes.served import OPERATIONS
from ami_hes.store import Completed, StoredAnswer, StoredCommand, StoredRequest
from ami_hes.traces import answered
from ami_process.events import format_fault
from ami_process.store.columns import AlteredOctets
from ami_process.worker import Worker, WorkerBusy, WorkerFailed, WorkerLost

_ALTERED = (
    "The request with this MessageID was accepted, and its answer is not in the head-end's store as it was kept: {}. That says nothing of "
    "what came of the request; look at the meters."
)
_UNWRITTEN = "The request was worked, but its answer could not be written; look at the head-end system's events."
LIGHT = 32_768
"""Characters of payloads that are written on the event loop; they become several times as many octets of XML, in some 30 ms."""
LIGHT_COMMANDS = 2_000
LIGHT_ANSWER = 131_072
"""Octets of a kept answer that are read and written again on the event loop."""
GROWTH = 4
"""Times its octets an answer has at most once it is written again: a dialect adds a period to each interval."""
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

    request_id: str
    octets: bytes
    typed: bool
    """Whether it is kept as the noun's own message."""
    writing: Writing
    context: Context

    async def written(self, wrapper: etree.QName, speech: Speech) -> bytes:
        """As the response to a request in this wrapper, spelled so; what is large is not read here. Raises CimError."""
        if wrapper == REQUEST_MESSAGE and not self.typed and speech.is_ours:
            return self.octets
        try:
            return await self._rewritten(wrapper, speech)
        except (InvalidMessage, WorkerFailed) as problem:
            raise self._unusable(problem) from None

    async def parsed(self) -> ResponseMessage:
        """What it says; raises CimError."""
        try:
            return await asyncio.to_thread(parse_answer, self.octets)
        except InvalidMessage as problem:
            raise self._unusable(problem) from None

    def _unusable(self, problem: InvalidMessage | WorkerFailed) -> CimError:
        why = f"it can't be read ({problem.reason})" if isinstance(problem, InvalidMessage) else "it can't be read"
        self.context.emit(events.AnswerUnusable(message_id=self.request_id, reason=str(problem)))
        return CimError("5.3", _ALTERED.format(why))

    async def _rewritten(self, wrapper: etree.QName, speech: Speech) -> bytes:
        if len(self.octets) <= LIGHT_ANSWER:
            return spoken(rewrite(self.octets, wrapper, self.context.schemas), speech)
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

    def kept(self, request_id: str, octets: bytes, *, typed: bool) -> KeptAnswer:
        """A kept answer, for who waits for it; raises Refused for one that is not there as it was kept."""
        if isinstance(octets, AlteredOctets):
            why = "it can't be unpacked"
            self._context.emit(events.AnswerUnusable(message_id=request_id, reason=why))
            raise Refused(error("5.3", _ALTERED.format(why)))
        return KeptAnswer(request_id, octets, typed, self._writing, self._context)

    def is_light(self, completed: Completed) -> bool:
        """Whether its answer is written so fast that it need not leave the event loop; what was created by itself has none of the values."""
        if not completed.is_whole or len(completed.sizes) > LIGHT_COMMANDS:
            return False
        return completed.request.verb == Verb.CREATED or sum(map(_weight, completed.commands)) <= LIGHT

    async def finish(self, completed: Sequence[Completed]) -> set[str]:
        """Answer requests whose commands all have their results; the ids of those that were also handed on."""
        made = {one.request.request_id: answer for one in completed if (answer := await self._made(one)) is not None}
        if not made:
            return set()
        await self._context.results.answer(made, now := self._context.now())
        if (telemetry := self._context.telemetry) is not None:
            for one in completed:
                if (answer := made.get(one.request.request_id)) is not None:
                    telemetry.tell(answered(one.request, answer.result, now))
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
            return await self._answered(completed, order)
        except WorkerBusy:
            return None
        except (CimError, WorkerLost) as problem:
            self._context.emit(events.AnswerInvalid(message_id=request.request_id, reason=str(problem)))
        except Exception as problem:  # noqa: BLE001  # reported, with its traceback
            fault = format_fault(problem)
            self._context.emit(events.AnswerInvalid(message_id=request.request_id, exception=fault))
        return self.unwritten(request, typed=typed)

    def unwritten(self, request: StoredRequest, *, typed: bool) -> StoredAnswer:
        """In the place of an answer that can't be written."""
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
            octets=self._writing.octets if late or not any(map(_acts, completed.operations)) else WHOLE,
            in_parts=late,
            properties=self._context.properties(request.request_id),
        )

    async def _answered(self, completed: Completed, order: AnswerOrder) -> StoredAnswer:
        """Each part but the first is kept as soon as it is written; they count with the answer."""
        results: set[str] = set()
        first, number = b"", 0
        async for one in self._written(completed, order):
            results.add(one.result)
            number += 1
            if number == 1:
                first = one.octets
            else:
                await self._context.results.keep_part(completed.request.request_id, number, one.octets)
        return StoredAnswer(results.pop() if len(results) == 1 else "PARTIAL", first, kept=number - 1)

    async def _written(self, completed: Completed, order: AnswerOrder) -> AsyncIterator[WrittenAnswer]:
        """The messages, one after the other; of what is large only a piece is in memory."""
        count, worker = len(completed.sizes), self._writing.worker
        if self.is_light(completed):
            for one in write_answer(order, list(map(worked, completed.commands)), self._context.schemas):
                yield one
            return
        if not order.in_parts and order.octets < WHOLE and sum(completed.sizes) > order.octets:
            yield write_too_large(order, count, self._context.schemas)  # as XML it is larger still
            return
        for start, end in _pieces(completed.sizes) if order.in_parts else [(0, count)]:
            head = format_order(replace(order, first=start, last=end == count))
            body = format_worked(list(map(worked, await self._commands(completed, start, end))))
            for one in parse_written(await worker.call(head, body, room=ROOM)):
                yield one

    async def _commands(self, completed: Completed, start: int, end: int) -> Sequence[StoredCommand]:
        if completed.is_whole:
            return completed.commands[start:end]
        return await self._context.results.commands(completed.request.request_id, start, end)


def _acts(name: str) -> bool:
    operation = OPERATIONS.get(name)
    return operation is None or operation.acts


def _weight(command: StoredCommand) -> int:
    """What was seen of a meter that was to change is for people, and goes into no answer."""
    return 0 if command.result is None or _acts(command.command.operation) else len(command.result.outcome.payload)


def _pieces(sizes: Sequence[int]) -> Iterator[tuple[int, int]]:
    """What is written at a time, from the one place to before the other; at least one command."""
    start, size = 0, 0
    for place, one in enumerate(sizes):
        size += one
        if size > AT_ONCE and place > start:
            yield start, place
            start, size = place, one
    yield start, len(sizes)
