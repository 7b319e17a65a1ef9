"""What a collector of OpenTelemetry is told of requests and pushes, as values: made of what traces are made of, and of nothing else.

Octets, XML and values stay here: of an APDU it is told its name and its size. What was noted at a meter comes from the packed form
(`packing`), from which secrets are struck out. A span is whole in one process: the request with the process that answers it, its taking
with the front end that took it, a command with whoever has the meter, the delivery of a reply with who delivers it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from ami_hes.commands import Command
from ami_hes.store import KeptAttempt, StoredRequest
from ami_hes.traces.arrivals import Arrival
from ami_hes.traces.packing import Numbering, Unreadable, unpack
from ami_hes.traces.refusals import Refusal
from ami_hes.traces.trace_ids import SpanPlace, request_span, span_id, trace_id
from ami_trace.form import Direction, Kind, Outcome, Span

Role = Literal["server", "client", "consumer", "internal"]
Value = str | int | bool
_CODE = re.compile(r"^\d{1,2}\.\d{1,3}\b", re.MULTILINE)
MOST_WORD = 300
"""Characters of a name or an attribute, which may be a sender's."""
MOST_WHY = 1_000
MOST_SPANS, MOST_APDUS = 500, 1_000
"""Of one attempt at a meter."""
_PARTS = frozenset({Kind.CONNECTION, Kind.ASSOCIATION, Kind.EXCHANGE, Kind.STEP})
_FAULTS = frozenset({Outcome.FAILED, Outcome.REFUSED})
_ROLES: Mapping[Kind, Role] = {Kind.CONNECTION: "client", Kind.EXCHANGE: "client"}


@dataclass(frozen=True, slots=True)
class Passed:
    """An APDU that went or came within a span."""

    name: str
    at: datetime
    sent: bool
    octets: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """A span as a collector has it, of the trace of `message_id`. `fault`: why it failed; None where it has not."""

    message_id: str
    span: int
    parent: int | None
    name: str
    began_at: datetime
    ended_at: datetime
    role: Role = "internal"
    attributes: Mapping[str, Value | None] = field(default_factory=dict)
    passed: Sequence[Passed] = ()
    link: SpanPlace | None = None
    fault: str | None = None

    @property
    def trace(self) -> int:
        return trace_id(self.message_id)


def taken(request: StoredRequest, arrival: Arrival, began_at: datetime, link: SpanPlace | None) -> Iterator[Exported]:
    """A request was taken: received, read, planned and kept. `link`: the sender's span, where it has named one."""
    own, message_id, at = span_id(request.request_id, "taken"), request.request_id, began_at
    ends = {name: began_at + timedelta(seconds=seconds) for name, seconds in arrival.marks.items()}
    yield Exported(
        message_id=message_id,
        span=own,
        parent=request_span(message_id),
        name="request taken",
        began_at=began_at,
        ended_at=max(ends.values(), default=began_at),
        role="server",
        attributes=_of_request(request) | {"ami.octets": len(arrival.octets)},
        link=link,
    )
    for name, end in sorted(ends.items(), key=lambda one: one[1]):
        yield Exported(
            message_id=message_id, span=span_id(message_id, name), parent=own, name=name, began_at=at, ended_at=end
        )
        at = end


def attempted(command: Command, kept: KeptAttempt) -> Iterator[Exported]:
    """A command was carried out at its meter, or an attempt of it was: session, association, exchanges."""
    message_id, meter = command.request_id, command.meter.name
    own = span_id(message_id, "attempt", meter, kept.began_at.isoformat())
    try:
        found = unpack(kept.octets, kept.began_at, 0, meter, Numbering())
    except Unreadable:
        return
    reasons = [one.text or one.outcome.value for one in found.spans if one.outcome in _FAULTS]
    yield Exported(
        message_id=message_id,
        span=own,
        parent=request_span(message_id),
        name=f"command {command.operation}",
        began_at=kept.began_at,
        ended_at=found.last_at,
        role="consumer",
        attributes={"ami.meter": meter, "ami.meter.mrid": command.meter.mrid, "ami.operation": command.operation},
        fault=None if kept.ok else next(iter(reasons), "failed"),
    )
    yield from _parts(message_id, own, meter, found.spans)


def pushed(push_id: str, service: str, reason: str, kept: KeptAttempt) -> Iterator[Exported]:
    """A meter has pushed something."""
    root = request_span(push_id)
    try:
        found = unpack(kept.octets, kept.began_at, 0, kept.meter_name, Numbering())
    except Unreadable:
        return
    yield Exported(
        message_id=push_id,
        span=root,
        parent=None,
        name=f"push {service}".rstrip(),
        began_at=kept.began_at,
        ended_at=found.last_at,
        role="server",
        attributes={"ami.meter": kept.meter_name},
        fault=reason or None,
    )
    yield from _parts(push_id, root, kept.meter_name, found.spans)


def answered(request: StoredRequest, result: str, at: datetime) -> Iterator[Exported]:
    """All commands of a request have their ends, and its answer is kept: the whole of it, and the reply where that goes back in the HTTP response."""
    yield Exported(
        message_id=request.request_id,
        span=request_span(request.request_id),
        parent=None,
        name=f"{request.verb} {request.noun}",
        began_at=request.accepted_at,
        ended_at=at,
        attributes=_of_request(request) | {"ami.result": result},
        fault="FAILED" if result == "FAILED" else None,
    )
    if request.reply_address is None:
        yield _reply(request, result, at, at, None)


def delivered(request: StoredRequest, began_at: datetime, at: datetime, fault: str | None = None) -> Iterator[Exported]:
    """A late reply was taken by its receiver, or given up."""
    yield _reply(request, request.result or "", began_at, at, fault)


def refused(refusal: Refusal, message_id: str, began_at: datetime) -> Iterator[Exported]:
    """Nothing was kept of a request: its trace is this span, with the codes of the reasons; their words may quote the message."""
    seconds = max(refusal.arrival.marks.values(), default=0.0)
    yield Exported(
        message_id=message_id,
        span=request_span(message_id),
        parent=None,
        name=f"{refusal.verb} {refusal.noun}",
        began_at=began_at,
        ended_at=began_at + timedelta(seconds=seconds),
        role="server",
        attributes={"ami.verb": refusal.verb, "ami.noun": refusal.noun, "ami.source": refusal.source},
        fault=" ".join(["refused:", *dict.fromkeys(_CODE.findall("\n".join(refusal.reasons)))])[:MOST_WHY].rstrip(":"),
    )


def _reply(request: StoredRequest, result: str, began_at: datetime, at: datetime, fault: str | None) -> Exported:
    late = request.reply_address is not None
    return Exported(
        message_id=request.request_id,
        span=span_id(request.request_id, "reply"),
        parent=request_span(request.request_id),
        name="reply" if late else "reply in the HTTP response",
        began_at=began_at,
        ended_at=at,
        role="client" if late else "internal",
        attributes={"ami.result": result, "server.address": request.reply_address},
        fault=fault,
    )


def _of_request(request: StoredRequest) -> dict[str, Value | None]:
    return {"ami.verb": request.verb, "ami.noun": request.noun, "ami.source": request.source}


def _parts(message_id: str, root: int, meter: str, spans: Sequence[Span]) -> Iterator[Exported]:
    """What a session is made of; an APDU belongs to the part in which it went."""
    ids: dict[int | None, int] = {0: root, None: root}
    parts: list[Span] = []
    passed: dict[int | None, list[Passed]] = {}
    apdus = 0
    for one in spans:
        if one.kind in _PARTS and len(parts) < MOST_SPANS:
            ids[one.id] = span_id(message_id, f"{root:x}", str(one.id))
            parts.append(one)
        elif one.apdu is not None and apdus < MOST_APDUS:
            apdus += 1
            octets = len(one.apdu.octets) // 2 or one.apdu.left_out
            sent = one.apdu.direction is Direction.REQUEST
            passed.setdefault(one.parent, []).append(Passed(one.name, one.began_at, sent, octets))
    for one in parts:
        yield _part(message_id, ids[one.id], ids.get(one.parent, root), meter, one, passed.get(one.id, ()))


def _part(message_id: str, own: int, parent: int, meter: str, one: Span, passed: Sequence[Passed]) -> Exported:
    attributes: dict[str, Value | None] = {"ami.meter": meter, "ami.outcome": one.outcome.value}
    if one.kind is Kind.CONNECTION:
        host, _, port = (one.peer or "").rpartition(":")
        attributes |= {"server.address": host.strip("[]") or one.peer, "ami.transport": one.transport}
        attributes |= {"server.port": int(port)} if host and port.isdigit() else {}
    return Exported(
        message_id=message_id,
        span=own,
        parent=parent,
        name=f"{one.kind.value} {one.name}",
        began_at=one.began_at,
        ended_at=one.ended_at or one.began_at,
        role=_ROLES.get(one.kind, "internal"),
        attributes=attributes,
        passed=passed,
        fault=(one.text or one.outcome.value)[:MOST_WHY] if one.outcome in _FAULTS else None,
    )
