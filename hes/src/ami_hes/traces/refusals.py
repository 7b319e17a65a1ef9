"""Requests of which nothing was kept, for their traces: the message, as far as it was read, and why not.

Anybody who may send messages can have as many refused as they like. So few are kept (`MOST_KEPT`, the latest), no more than some in a
second, and of a message no more than `MOST_XML` octets: of a longer one, or one that can't be read, there is its size. Each is kept under
its MessageID, the latest one counts; one that has none gets an id.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from ami_cim.errors import CimError
from ami_cim.xml import parse
from ami_hes.store.history import RequestLine
from ami_hes.traces.arrivals import Arrival, body_of
from ami_trace.form import Kind, Meters, Outcome, Span, Trace

MOST_XML = 50_000
MOST_REASONS, MOST_REASON, MOST_WORD = 20, 400, 300
PER_SECOND = 10.0
_LEVEL = 1
_MESSAGE_ID = re.compile(rb"<(?:[\w.-]{1,40}:)?MessageID\s*>\s*([\x21-\x3b\x3d-\x7e]{1,200})\s*</")
LOOKED_AT = 20_000
"""Octets of a message that can't be read in which its MessageID is looked for."""
UNREADABLE, REFUSED = "not read", "refused"
FAILED = "FAILED"


@dataclass(frozen=True, slots=True)
class Refusal:
    """One, with what is known of the request; `unreadable`: it was no message that could be read. `arrival` holds its octets."""

    message_id: str | None
    verb: str
    noun: str
    source: str | None
    reasons: Sequence[str]
    arrival: Arrival
    unreadable: bool = False


def message_id_in(octets: bytes) -> str | None:
    """The MessageID that a message gives itself which could not be read."""
    found = _MESSAGE_ID.search(octets[:LOOKED_AT])
    return None if found is None else found.group(1).decode("ascii")


def pack_refusal(refusal: Refusal, message_id: str) -> bytes:
    """Kept so, under its MessageID or what stands for that; it takes its time, so it is called beside the event loop."""
    arrival = refusal.arrival
    reasons = [one[:MOST_REASON] for one in refusal.reasons[:MOST_REASONS]]
    value = {
        "v": 1,
        "id": message_id,
        "verb": refusal.verb[:100],
        "noun": refusal.noun[:100],
        "source": None if refusal.source is None else refusal.source[:MOST_WORD],
        "reasons": reasons,
        "unreadable": refusal.unreadable,
        "marks": {name: round(seconds, 6) for name, seconds in arrival.marks.items()},
        "summary": arrival.summary,
        "xml": _xml(refusal),
        "size": len(arrival.octets),
    }
    return zlib.compress(json.dumps(value).encode(), _LEVEL)


def _xml(refusal: Refusal) -> str | None:
    """The message without the header of SOAP; what is no document has no header that could be taken out."""
    octets = refusal.arrival.octets
    if not octets or len(octets) > MOST_XML or (refusal.unreadable and not _is_document(octets)):
        return None
    return body_of(octets)


def _is_document(octets: bytes) -> bool:
    try:
        parse(octets)
    except CimError:
        return False
    return True


@dataclass(frozen=True, slots=True)
class KeptRefusal:
    """The same as it is read again."""

    message_id: str
    verb: str
    noun: str
    source: str | None
    reasons: Sequence[str]
    unreadable: bool
    began_at: datetime
    marks: dict[str, float]
    summary: str
    xml: str | None
    size: int

    @property
    def ended_at(self) -> datetime:
        return self.began_at + timedelta(seconds=max(self.marks.values(), default=0.0))

    @property
    def why(self) -> str:
        return "; ".join(self.reasons)

    @property
    def line(self) -> RequestLine:
        """As a request is listed."""
        began_at, ended_at = self.began_at, self.ended_at
        return RequestLine(
            self.message_id, self.verb, self.noun, self.source, None, began_at, began_at, ended_at, FAILED, 0, 0, 0
        )

    def trace(self) -> Trace:
        """The request, its message, how far it came, and why it came no further."""
        source = f" from {self.source}" if self.source else ""
        spans = tuple(self._spans(f"{self.verb} {self.noun}{source}"))
        return Trace(
            message_id=self.message_id,
            verb=self.verb,
            noun=self.noun,
            source=self.source,
            outcome=Outcome.FAILED,
            began_at=self.began_at,
            ended_at=self.ended_at,
            meters=Meters(asked=0, done=0, ok=0, recorded=0),
            clear_text=False,
            notes=tuple(self._notes()),
            spans=spans,
        )

    def _notes(self) -> Iterator[str]:
        yield "Nothing was done for it: it was refused before it was kept as a request."
        if self.xml is None:
            yield f"Its message is not here: it has {self.size:,} octets, of which no more than {MOST_XML:,} are kept, or it can't be read."

    def _spans(self, name: str) -> Iterator[Span]:
        ended_at = self.ended_at
        yield Span(
            id=1,
            kind=Kind.REQUEST,
            name=name,
            began_at=self.began_at,
            ended_at=ended_at,
            outcome=Outcome.FAILED,
        )
        size = f"{self.size:,} octets"
        yield Span(
            id=2,
            parent=1,
            kind=Kind.MESSAGE,
            name="CIM request",
            began_at=self.began_at,
            ended_at=ended_at,
            text=size,
            xml=self.xml,
        )
        began, number = self.began_at, 3
        for mark, kind, words in _STEPS:
            if (seconds := self.marks.get(mark)) is None:
                continue
            end = self.began_at + timedelta(seconds=seconds)
            text = self.summary if kind is Kind.PLAN else ""
            yield Span(id=number, parent=2, kind=kind, name=words, began_at=began, ended_at=end, text=text)
            began, number = end, number + 1
        yield Span(
            id=number,
            parent=1,
            kind=Kind.VERDICT,
            name=UNREADABLE if self.unreadable else REFUSED,
            began_at=began,
            ended_at=ended_at,
            outcome=Outcome.FAILED,
            text=self.why,
        )


_STEPS = (
    ("validated", Kind.VALIDATION, "received, read and validated"),
    ("planned", Kind.PLAN, "planned"),
)


def read_refusal(octets: bytes, began_at: datetime) -> KeptRefusal:
    """What `pack_refusal` wrote; ValueError for anything else."""
    try:
        value = json.loads(zlib.decompress(octets))
        return KeptRefusal(
            value["id"],
            value["verb"],
            value["noun"],
            value["source"],
            value["reasons"],
            value["unreadable"],
            began_at,
            value["marks"],
            value["summary"],
            value["xml"],
            value["size"],
        )
    except (zlib.error, KeyError, TypeError, AttributeError) as problem:
        raise ValueError(f"it is no refusal: {type(problem).__name__}") from None
