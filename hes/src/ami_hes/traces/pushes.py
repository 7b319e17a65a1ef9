"""Pushes of meters, as they are kept for their traces, and as traces.

The octets are those of an attempt (`packing`), and beside them `push`: who has sent it, of which service it is, and which events came of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from ami_hes.meters.pushed import NotedPush
from ami_hes.store import KeptAttempt
from ami_hes.store.history import RequestLine
from ami_hes.traces.packing import Numbering, Unpacked, Unreadable, pack, read_packed, unpack
from ami_trace.captured import PUSH as VERB
from ami_trace.explained import explained
from ami_trace.form import Direction, Kind, Meters, Outcome, Span, Trace

PER_SECOND_UNSECURED = 1.0
"""Of those for which no keys vouch, which anybody can send, and of those that were dropped."""
MOST_EVENTS = 100
MOST_WORDS, LONGEST_WORD = 20, 200
"""Values of a push that are listed, and characters of each."""
_SAID = ("descriptor", "value")
"""What of an EventNotification is said in words, beside when."""
_FRAMING = "framing"
UNKNOWN = "unknown"
_OK, _FAILED = "OK", "FAILED"


class EventOf(NamedTuple):
    """An event that came of a push."""

    event_id: str
    code: str
    reason: str


def pack_push(push: NotedPush) -> bytes:
    """Kept so; it takes its time, so it is called beside the event loop."""
    events = [EventOf(one.event_id, one.code, one.reason) for one in push.events[:MOST_EVENTS]]
    return pack(push.recording, push={"service": push.service, "reason": push.reason, "events": events})


@dataclass(frozen=True, slots=True)
class KeptPush:
    """The same as it is read again."""

    push_id: str
    kept: KeptAttempt
    service: str
    reason: str
    events: Sequence[EventOf]

    @property
    def line(self) -> RequestLine:
        """As a request is listed: it comes from a meter, and was answered when it was taken."""
        kept = self.kept
        at, ok = kept.began_at, int(kept.ok)
        source = kept.meter_name or None
        result = _OK if kept.ok else _FAILED
        return RequestLine(self.push_id, VERB, self.service, source, None, at, at, at, result, 1, 1, ok)

    def told(self) -> ToldPush:
        """The same with whence it came, and what it says in words."""
        try:
            spans = unpack(self.kept.octets, self.kept.began_at, 0, self.kept.meter_name, Numbering()).spans
        except Unreadable:
            return ToldPush(self, None, None, ())
        connection = next((span for span in spans if span.kind is Kind.CONNECTION), None)
        peer, transport = (None, None) if connection is None else (connection.peer, connection.transport)
        return ToldPush(self, peer, transport, _words(spans))

    def trace(self) -> Trace:
        """Whence it came, its octets, and what came of it."""
        numbers, kept = Numbering(), self.kept
        root = numbers.next()
        notes: tuple[str, ...] = ()
        try:
            below = unpack(kept.octets, kept.began_at, root, kept.meter_name, numbers)
        except Unreadable as problem:
            below, notes = Unpacked([], 0, kept.began_at), (f"Its octets are left out: {problem}.",)
        if below.left_out:
            notes = (*notes, f"{below.left_out:,} APDUs are left out: there were too many octets.")
        line = self.line
        return Trace(
            message_id=self.push_id,
            verb=VERB,
            noun=self.service,
            source=line.source,
            outcome=self._outcome,
            began_at=kept.began_at,
            ended_at=below.last_at,
            meters=Meters(asked=1, done=1, ok=line.ok, recorded=1),
            clear_text=any(span.apdu is not None and span.apdu.clear is not None for span in below.spans),
            notes=notes,
            spans=(self._root(root, below.last_at), *below.spans, *self._verdict_spans(root, below.last_at, numbers)),
        )

    @property
    def _outcome(self) -> Outcome:
        return Outcome.OK if self.kept.ok else Outcome.FAILED

    def _root(self, number: int, ended_at: datetime) -> Span:
        kept = self.kept
        return Span(
            id=number,
            kind=Kind.REQUEST,
            name=f"{self.service} from {kept.meter_name or 'whom no key vouches for'}",
            began_at=kept.began_at,
            ended_at=ended_at,
            outcome=self._outcome,
            meter=kept.meter_name or None,
        )

    def _verdict_spans(self, root: int, at: datetime, numbers: Numbering) -> list[Span]:
        return [
            Span(
                id=numbers.next(),
                parent=root,
                kind=Kind.VERDICT,
                name=words,
                began_at=at,
                ended_at=at,
                outcome=self._outcome,
                text=text,
                meter=self.kept.meter_name or None,
            )
            for words, text in self._verdicts()
        ]

    def _verdicts(self) -> list[tuple[str, str]]:
        if not self.kept.ok:
            return [("dropped", self.reason)]
        found = [(f"event {one.code}", f"{one.reason} ({one.event_id})") for one in self.events]
        return found or [("taken", "it says nothing of events")]


class ToldPush(NamedTuple):
    """A push with what it says: its values in words, in their order."""

    push: KeptPush
    peer: str | None
    transport: str | None
    words: tuple[str, ...]


def _words(spans: Sequence[Span]) -> tuple[str, ...]:
    """Of the APDU that came last, which has all of it where it came in blocks."""
    came = [span.apdu for span in spans if span.apdu is not None and span.apdu.direction is Direction.RESPONSE]
    told = explained(came[-1]).told if came else None
    if told is None:
        return ()
    body = told.part("body")
    if body is None:
        nodes = [part for part in told.parts if part.name in _SAID]
    elif body.parts:
        nodes = [part for part in body.parts if part.type != _FRAMING]
    else:
        nodes = [body]
    words = [node.text[:LONGEST_WORD] for node in nodes[:MOST_WORDS] if node.text]
    more = len(nodes) - MOST_WORDS
    return (*words, f"and {more} more") if more > 0 else tuple(words) or (told.text[:LONGEST_WORD],)


def read_push(kept: KeptAttempt, push_id: str) -> KeptPush | None:
    """What `pack_push` wrote; None for anything else."""
    try:
        value: Any = read_packed(kept.octets)["push"]
        events = [EventOf(*one) for one in value["events"]]
        return KeptPush(push_id, kept, value["service"] or UNKNOWN, value["reason"], events)
    except (Unreadable, KeyError, TypeError):
        return None
