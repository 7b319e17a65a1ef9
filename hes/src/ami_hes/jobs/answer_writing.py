"""An answer as octets: one message, or parts of bounded size that each cover some of the meters (IEC 61968-100: codes 0.1 and 0.2).

Pure, so that it runs on the event loop for what is small, and in a process of its own for the rest: `write` is what that process calls. A
part is a whole report about its meters; its Result is theirs. What goes between the two processes is JSON and octets.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID, uuid5

from lxml import etree
from pydantic import TypeAdapter

from ami_cim import wire
from ami_cim.codes import Level, Verb
from ami_cim.message import Header, Property, Reply, ReplyError, ResponseMessage
from ami_cim.payloads.rows_apart import put_back, take_out
from ami_cim.schema import Schemas
from ami_cim.spoken import Speech, spoken
from ami_hes.commands import Command, MeterId, Outcome
from ami_hes.jobs.rows import format_errors, parse_errors
from ami_hes.nouns import RequestContext, Worked
from ami_hes.nouns.kept_partners import format_partner, parse_partner
from ami_hes.outbox import format_answer, parse_answer
from ami_hes.served import noun_of

FUNCTION = "ami_hes.jobs.answer_writing:write"
MORE_FOLLOW = ReplyError(
    code="0.1", level=Level.INFORM, reason="A part of the answer; more follow in separate messages."
)
NO_MORE = ReplyError(code="0.2", level=Level.INFORM, reason="The last part of the answer.")


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerOrder:
    """What an answer is made of beside what came of the commands."""

    noun: str
    context: RequestContext
    errors: tuple[ReplyError, ...]
    """What planning found; they stand in the first part."""
    source: str
    """Header.Source, ours."""
    message_id: str
    """Of an answer in one message; those of parts follow from it."""
    correlation_id: str
    timestamp: datetime
    typed: bool
    octets: int
    """That a message may have, unless it is about one meter."""
    in_parts: bool
    """Whether it may be several messages."""
    first: int = 0
    """How many commands were answered before these, by other parts."""
    last: bool = True
    """Whether no other part follows these."""
    properties: tuple[Property, ...] = ()
    """Of the header."""


@dataclass(frozen=True, slots=True)
class WrittenAnswer:
    """A message."""

    result: str
    octets: bytes


def write_answer(order: AnswerOrder, worked: Sequence[Worked], schemas: Schemas) -> list[WrittenAnswer]:
    """The messages; raises CimError for one that is not valid."""
    most = order.context.partner.meters_per_message or len(worked) or 1
    if not order.in_parts or len(worked) <= most:
        return _parts(order, worked, order.first, order.last, schemas)
    written: list[WrittenAnswer] = []
    for at in range(0, len(worked), most):
        last = order.last and at + most >= len(worked)
        written += _parts(order, worked[at : at + most], order.first + at, last, schemas)
    return written


def _parts(
    order: AnswerOrder, worked: Sequence[Worked], first: int, last: bool, schemas: Schemas
) -> list[WrittenAnswer]:
    whole = _message(order, worked, first, last, schemas)
    if len(whole.octets) <= order.octets or (order.in_parts and len(worked) < 2):
        return [whole]
    if not order.in_parts:
        return [write_too_large(order, len(worked), schemas)]
    half = len(worked) // 2
    return _parts(order, worked[:half], first, False, schemas) + _parts(
        order, worked[half:], first + half, last, schemas
    )


def _message(order: AnswerOrder, worked: Sequence[Worked], first: int, last: bool, schemas: Schemas) -> WrittenAnswer:
    errors = () if first else order.errors
    reply, payload = noun_of(order.noun).report(order.context, errors, worked)
    message_id = order.message_id
    if first or not last:
        part = NO_MORE if last else MORE_FOLLOW
        reply = Reply(result=reply.result, errors=(part, *reply.errors))
        message_id = str(uuid5(UUID(order.message_id), f"{first}-{first + len(worked)}"))
    message = ResponseMessage(header=_header(order, message_id), reply=reply, payload=payload)
    return WrittenAnswer(reply.result, format_answer(message, schemas, typed=order.typed))


def write_too_large(order: AnswerOrder, meters: int, schemas: Schemas) -> WrittenAnswer:
    """In place of one message that would be larger than it may be."""
    reason = (
        f"The values of {meters} meters have more than the {order.octets} octets of one answer. Ask with AsyncReplyFlag and a "
        "ReplyAddress, and they come in parts, or ask for fewer."
    )
    reply = Reply(result="FAILED", errors=(ReplyError(code="3.1", level=Level.FATAL, reason=reason),))
    message = ResponseMessage(header=_header(order, order.message_id), reply=reply)
    return WrittenAnswer("FAILED", format_answer(message, schemas, typed=order.typed))


def _header(order: AnswerOrder, message_id: str) -> Header:
    return Header(
        verb=Verb.REPLY,
        noun=order.noun,
        timestamp=order.timestamp,
        source=order.source,
        message_id=message_id,
        correlation_id=order.correlation_id,
        properties=order.properties,
    )


# between two processes


def format_order(order: AnswerOrder) -> bytes:
    """As the writing process reads it."""
    context = order.context
    values = {
        "noun": order.noun,
        "context": [context.request_id, context.verb, context.source, context.accepted_at.isoformat(), context.query],
        "partner": format_partner(context.partner),
        "errors": format_errors(order.errors),
        "source": order.source,
        "message_id": order.message_id,
        "correlation_id": order.correlation_id,
        "timestamp": order.timestamp.isoformat(),
        "properties": [[one.name, one.value] for one in order.properties],
        "rest": [order.typed, order.octets, order.in_parts, order.first, order.last],
    }
    return json.dumps(values).encode()


def format_worked(worked: Sequence[Worked]) -> bytes:
    """The commands and what came of them."""
    rows = [
        [
            [one.command.request_id, one.command.meter.name, one.command.meter.mrid],
            [one.command.operation, one.command.body],
            [getattr(one.outcome, name) for name in _OUTCOME],
        ]
        for one in worked
    ]
    return json.dumps(rows).encode()


def rewrite(octets: bytes, wrapper: etree.QName, schemas: Schemas) -> bytes:
    """A kept answer as the response to a request in this wrapper; what was read of meters is taken as it is."""
    octets, readings = take_out(octets)
    return put_back(wire.write_response(parse_answer(octets), wrapper, schemas), readings)


def format_wrapper(wrapper: etree.QName, speech: Speech) -> bytes:
    """What the writing process gets with an answer that it is to write in another wrapper, and as a dialect has it."""
    return json.dumps({"wrapper": wrapper.text, "speech": asdict(speech)}).encode()


def write(head: bytes, body: bytes) -> bytes:
    """In the writing process: results and lengths of the messages as a line of JSON, then their octets; or an answer rewritten."""
    order = json.loads(head)
    if "wrapper" in order:
        return spoken(
            rewrite(body, etree.QName(order["wrapper"]), _schemas()), _SPEECHES.validate_python(order["speech"])
        )
    messages = write_answer(_parse_order(order), _parse_worked(body), _schemas())
    lengths = [[one.result, len(one.octets)] for one in messages]
    return json.dumps(lengths).encode() + b"\n" + b"".join(one.octets for one in messages)


def parse_written(octets: bytes) -> list[WrittenAnswer]:
    """What `write` has returned; each message is copied once."""
    at = octets.index(b"\n") + 1
    messages: list[WrittenAnswer] = []
    for result, length in json.loads(octets[:at]):
        messages.append(WrittenAnswer(result, octets[at : at + length]))
        at += length
    return messages


_SPEECHES = TypeAdapter(Speech)
_OUTCOME = ("ok", "code", "level", "reason", "payload", "attempted")


@cache
def _schemas() -> Schemas:
    return Schemas()


def _parse_order(values: dict[str, Any]) -> AnswerOrder:
    request_id, verb, source, accepted_at, query = values["context"]
    typed, octets, in_parts, first, last = values["rest"]
    return AnswerOrder(
        noun=values["noun"],
        context=RequestContext(
            request_id=request_id,
            verb=verb,
            source=source,
            accepted_at=datetime.fromisoformat(accepted_at),
            partner=parse_partner(values["partner"]),
            query=query,
        ),
        errors=parse_errors(values["errors"]),
        source=values["source"],
        message_id=values["message_id"],
        correlation_id=values["correlation_id"],
        timestamp=datetime.fromisoformat(values["timestamp"]),
        typed=typed,
        octets=octets,
        in_parts=in_parts,
        first=first,
        last=last,
        properties=tuple(Property(name=name, value=value) for name, value in values["properties"]),
    )


def _parse_worked(body: bytes) -> list[Worked]:
    return [
        Worked(Command(request_id, MeterId(name, mrid), operation, text), Outcome(*outcome))
        for (request_id, name, mrid), (operation, text), outcome in json.loads(body)
    ]
