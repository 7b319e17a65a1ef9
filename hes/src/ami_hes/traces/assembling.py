"""A trace put together of what a request has left behind: its rows, how it came, and what was noted at its meters.

Reading is a few transactions; making the spans takes its time and is done beside the event loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ami_hes.store import (
    EVENT,
    MOST_REFUSALS,
    PUSH,
    REFUSAL,
    KeptArrival,
    KeptAttempt,
    RequestFilter,
    Results,
    StoredRequest,
)
from ami_hes.store.history import CommandLine, DeliveryLine, RequestLine, SqlHistory
from ami_hes.traces.arrivals import CameSo, read_arrival
from ami_hes.traces.keeping import TraceKeeper
from ami_hes.traces.packing import Numbering, Unpacked, Unreadable, unpack
from ami_hes.traces.pushes import KeptPush, ToldPush, read_push
from ami_hes.traces.refusals import KeptRefusal, read_refusal
from ami_hes.traces.turns import Turns
from ami_trace.form import MOST_SPANS, MOST_TEXT, Kind, Meters, Outcome, Span, Trace

MOST_ATTEMPTS = 500
MOST_COMMANDS = 500
"""Commands of which nothing was noted that are shown all the same."""
ROOM = MOST_SPANS - 10 * MOST_COMMANDS
PAGE = 200
"""Of refusals that are looked through at once."""
_RESULTS = {"OK": Outcome.OK, "PARTIAL": Outcome.PARTIAL, "FAILED": Outcome.FAILED}


@dataclass(frozen=True, slots=True)
class _Found:
    """All that there is of a request."""

    line: RequestLine
    request: StoredRequest
    commands: Sequence[CommandLine]
    attempts: Sequence[KeptAttempt]
    arrival: KeptArrival | None
    delivery: DeliveryLine | None
    taken_at: datetime | None
    refused: KeptRefusal | None
    """A message with the same MessageID of which nothing was kept."""


class TraceBook:
    """Puts traces together: of requests, of those that were refused, and of pushes. Every method raises StoreUnavailable."""

    def __init__(self, keeper: TraceKeeper, history: SqlHistory, results: Results, turns: Turns | None = None) -> None:
        """`turns`: who may put one together; whoever does takes a turn for it."""
        self.turns = turns or Turns()
        self._keeper = keeper
        self._history = history
        self._results = results

    async def trace(self, message_id: str) -> Trace | None:
        """The trace of a request that is kept, or was refused, of a push by its id or that of an event that came of it; None for any other."""
        await self._keeper.written()
        line = await self._history.request(message_id)
        request = None if line is None else await self._results.find(message_id)
        if line is None or request is None:
            return await self._no_request(message_id)
        found = _Found(
            line=line,
            request=request,
            commands=await self._history.commands(message_id),
            attempts=await self._keeper.store.attempts(message_id, MOST_ATTEMPTS + 1),
            arrival=await self._keeper.store.arrival(message_id),
            delivery=await self._history.delivery(message_id),
            taken_at=await self._history.taken_at(message_id),
            refused=await self._refusal(message_id),
        )
        return await asyncio.to_thread(lambda: _Assembly(found).trace())

    async def _no_request(self, message_id: str) -> Trace | None:
        refused = await self._refusal(message_id)
        if refused is not None:
            return refused.trace()
        store = self._keeper.store
        of_event = await store.arrival(f"{EVENT}{message_id}")
        push_id = message_id if of_event is None else of_event.octets.decode()
        found = await store.attempts(f"{PUSH}{push_id}", 1)
        push = read_push(found[0], push_id) if found else None
        return None if push is None else await asyncio.to_thread(push.trace)

    async def _refusal(self, message_id: str) -> KeptRefusal | None:
        kept = await self._keeper.store.arrival(f"{REFUSAL}{message_id}")
        return None if kept is None else _readable(kept)

    async def written(self, write: Callable[[Trace], bytes], trace: Trace) -> bytes:
        """Written so, beside the event loop."""
        return await asyncio.to_thread(write, trace)

    async def requests(self, wanted: RequestFilter) -> list[RequestLine]:
        """Requests that have a trace, the latest first, each once; those that were refused among them, of which no meter is known."""
        ids = await self._keeper.store.requests(wanted)
        found = await self._history.some(ids)
        if wanted.meter is None:
            found += await self._refused(wanted)
        found.sort(key=lambda one: (one.accepted_at, one.message_id), reverse=True)
        return found[: wanted.limit]

    async def _refused(self, wanted: RequestFilter) -> list[RequestLine]:
        """Without those whose MessageID is that of a request, to which it leads."""
        found: list[RequestLine] = []
        most = min(wanted.limit, PAGE) if wanted.noun is None else PAGE
        for offset in range(0, MOST_REFUSALS, most):
            kept = await self._keeper.store.refusals(most, wanted.before, offset)
            read = await asyncio.to_thread(lambda some: list(map(_readable, some)), kept)
            lines = [one.line for one in read if one is not None and wanted.noun in (None, one.noun)]
            requests = {one.message_id for one in await self._history.some([one.message_id for one in lines])}
            found += [one for one in lines if one.message_id not in requests]
            if len(found) >= wanted.limit or len(kept) < most:
                break
        return found

    async def pushes(self, wanted: RequestFilter) -> list[RequestLine]:
        """Pushes that have a trace, the latest first: of all meters, or of the one of this name."""
        kept = await self._kept_pushes(wanted)
        return await asyncio.to_thread(lambda: [one.line for one in _read_pushes(kept)])

    async def told_pushes(self, wanted: RequestFilter) -> list[ToldPush]:
        """The same with what they say; whoever asks takes a turn for it."""
        await self._keeper.written()
        kept = await self._kept_pushes(wanted)
        return await asyncio.to_thread(lambda: [one.told() for one in _read_pushes(kept)])

    async def _kept_pushes(self, wanted: RequestFilter) -> list[KeptAttempt]:
        return await self._keeper.store.pushes(wanted.limit, wanted.meter, wanted.before, failed=wanted.failed)


def _read_pushes(kept: Sequence[KeptAttempt]) -> list[KeptPush]:
    read = (read_push(one, one.request_id.removeprefix(PUSH)) for one in kept)
    return [one for one in read if one is not None]


def _readable(kept: KeptArrival) -> KeptRefusal | None:
    try:
        return read_refusal(kept.octets, kept.began_at)
    except ValueError:
        return None


@dataclass(slots=True)
class _Assembly:
    found: _Found
    numbers: Numbering = field(default_factory=Numbering)
    spans: list[Span] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    recorded: set[str] = field(default_factory=set)
    left_out: int = 0

    def trace(self) -> Trace:
        line = self.found.line
        came = self._came()
        root = self.numbers.next()
        self._message(root, came)
        self._commands(root)
        self._reply(root)
        outcome = _outcome_of(line)
        began_at = line.accepted_at if came is None else came.began_at
        ended_at = self._ended_at()
        source = f" from {line.source}" if line.source else ""
        whole = Span(
            id=root,
            kind=Kind.REQUEST,
            name=f"{line.verb} {line.noun}{source}",
            began_at=began_at,
            ended_at=ended_at,
            outcome=outcome,
        )
        self._say_what_is_missing()
        spans = (whole, *self.spans)
        return Trace(
            message_id=line.message_id,
            verb=line.verb,
            noun=line.noun,
            source=line.source,
            outcome=outcome,
            began_at=began_at,
            ended_at=ended_at,
            meters=Meters(asked=line.meters, done=line.done, ok=line.ok, recorded=len(self.recorded)),
            clear_text=any(span.apdu is not None and span.apdu.clear is not None for span in spans),
            notes=tuple(self.notes),
            spans=spans,
        )

    def _ended_at(self) -> datetime | None:
        found = self.found
        if found.line.reply_address is None or found.line.answered_at is None:
            return found.line.answered_at
        return found.taken_at or (None if found.delivery is None else found.delivery.given_up_at)

    def _new(self, parent: int, kind: Kind, name: str, began_at: datetime, **others: Any) -> Span:
        span = Span(id=self.numbers.next(), parent=parent, kind=kind, name=name, began_at=began_at, **others)
        self.spans.append(span)
        return span

    # --- how it came

    def _came(self) -> CameSo | None:
        kept = self.found.arrival
        if kept is None:
            return None
        try:
            return read_arrival(kept.octets, kept.began_at)
        except ValueError:
            self.notes.append("How the request came can't be read any more.")
            return None

    def _message(self, root: int, came: CameSo | None) -> None:
        if came is None:
            self.notes.append(
                "Its message is not here: the head-end has made the request itself, or it was sampled out."
            )
            return
        last = max(came.ends.values(), default=came.began_at)
        size = f"{came.size:,} octets"
        message = self._new(root, Kind.MESSAGE, "CIM request", came.began_at, ended_at=last, text=size, xml=came.xml)
        began = came.began_at
        for mark, kind, name in _MARKS:
            if (end := came.ends.get(mark)) is not None:
                text = came.summary if kind is Kind.PLAN else ""
                self._new(message.id, kind, name, began, ended_at=end, text=text)
                began = end

    # --- what was done at meters

    def _commands(self, root: int) -> None:
        attempts: dict[str, list[KeptAttempt]] = {}
        for one in self.found.attempts[:MOST_ATTEMPTS]:
            attempts.setdefault(one.meter_name, []).append(one)
        shown = 0
        for command in self.found.commands:
            theirs = attempts.get(command.meter, [])
            if not theirs:
                shown += 1
            if theirs or shown <= MOST_COMMANDS:
                self._command(root, command, theirs)
        if shown > MOST_COMMANDS:
            self.notes.append(f"{shown - MOST_COMMANDS:,} meters of which nothing was noted are not listed.")
        if len(self.found.attempts) > MOST_ATTEMPTS:
            self.notes.append(f"Of the attempts that are kept the first {MOST_ATTEMPTS} are here.")

    def _command(self, root: int, command: CommandLine, attempts: Sequence[KeptAttempt]) -> None:
        began_at = attempts[0].began_at if attempts else self.found.line.accepted_at
        outcome = Outcome.RUNNING if command.ok is None else Outcome.OK if command.ok else Outcome.FAILED
        span = self._new(
            root,
            Kind.COMMAND,
            f"{command.operation} at {command.meter}",
            began_at,
            ended_at=command.finished_at,
            outcome=outcome,
            text=_reason_of(command),
            meter=command.meter,
        )
        for number, attempt in enumerate(attempts, 1):
            self._attempt(span.id, number, attempt)
        if command.finished_at is not None:
            self._new(
                span.id,
                Kind.VERDICT,
                "verdict",
                command.finished_at,
                ended_at=command.finished_at,
                outcome=outcome,
                text=_reason_of(command),
                meter=command.meter,
            )

    def _attempt(self, parent: int, number: int, attempt: KeptAttempt) -> None:
        own = self.numbers.next()
        try:
            below = unpack(attempt.octets, attempt.began_at, own, attempt.meter_name, self.numbers)
        except Unreadable as problem:
            self.notes.append(f"An attempt at {attempt.meter_name} is left out: {problem}.")
            below = Unpacked([], 0, attempt.began_at)
        if len(self.spans) + len(below.spans) > ROOM:
            self.left_out += 1
            return
        self.recorded.add(attempt.meter_name)
        if below.left_out:
            self.notes.append(
                f"{below.left_out:,} APDUs and frames of {attempt.meter_name} are left out: there were too many octets."
            )
        self.spans.append(
            Span(
                id=own,
                parent=parent,
                kind=Kind.ATTEMPT,
                name=f"attempt {number}",
                began_at=attempt.began_at,
                ended_at=below.last_at,
                outcome=Outcome.OK if attempt.ok else Outcome.FAILED,
                meter=attempt.meter_name,
            )
        )
        self.spans += below.spans

    # --- how it was answered

    def _reply(self, root: int) -> None:
        line, answered_at = self.found.line, self.found.line.answered_at
        if answered_at is None:
            return
        answer = self.found.request.answer
        xml = None if answer is None else answer.decode("utf-8", "replace")
        if xml is not None and len(xml) > MOST_TEXT:
            xml = None
            self.notes.append("The reply is too long to be here.")
        how = "in the HTTP response" if line.reply_address is None else f"to {line.reply_address}"
        name = f"CIM reply {line.result or ''}".rstrip()
        outcome = _outcome_of(line)
        reply = self._new(root, Kind.REPLY, name, answered_at, ended_at=answered_at, outcome=outcome, text=how, xml=xml)
        if line.reply_address is not None:
            self._delivery(reply.id, line.reply_address, answered_at)

    def _delivery(self, parent: int, address: str, began_at: datetime) -> None:
        failed, taken_at = self.found.delivery, self.found.taken_at
        ended_at = taken_at or (None if failed is None else failed.given_up_at)
        text = "" if failed is None else f"{failed.attempts} attempts failed: {failed.last_reason}"
        outcome = Outcome.RUNNING if ended_at is None else Outcome.OK if taken_at is not None else Outcome.FAILED
        self._new(
            parent, Kind.DELIVERY, f"delivery to {address}", began_at, ended_at=ended_at, outcome=outcome, text=text
        )

    def _say_what_is_missing(self) -> None:
        missing = self.found.line.meters - len(self.recorded)
        if (refused := self.found.refused) is not None:
            at = refused.began_at.isoformat(timespec="seconds")
            self.notes.append(f"A message with this MessageID was refused at {at}.")
        if self.left_out:
            self.notes.append(f"{self.left_out:,} attempts are left out: the trace would be too long.")
        if missing > 0:
            self.notes.append(
                f"Of {missing:,} of {self.found.line.meters:,} meters no session is here: sampled out, done without the meter, "
                "not begun, or older than traces are kept."
            )


_MARKS = (
    ("validated", Kind.VALIDATION, "received, read and validated"),
    ("planned", Kind.PLAN, "planned"),
    ("kept", Kind.STEP, "kept in the store"),
)


def _outcome_of(line: RequestLine) -> Outcome:
    if line.answered_at is None:
        return Outcome.RUNNING
    return _RESULTS.get(line.result or "OK", Outcome.OK)


def _reason_of(command: CommandLine) -> str:
    return " ".join(_told(command))


def _told(command: CommandLine) -> Iterator[str]:
    if command.reply_code is not None:
        yield command.reply_code
    if command.reason:
        yield command.reason
