"""Between the values that are worked with and the rows that are kept."""

import json
from dataclasses import asdict, replace
from datetime import datetime
from hashlib import sha256

from ami_cim.codes import Level
from ami_cim.identity import Identifier
from ami_cim.message import Header, ReplyError, RequestMessage
from ami_cim.xml import printable
from ami_hes.commands import Command, Outcome
from ami_hes.nouns import RequestContext, Worked
from ami_hes.nouns.kept_partners import parse_partner
from ami_hes.store import StoredCommand, StoredRequest, StoredResult


def digest(message: RequestMessage) -> str:
    """The same for two messages that ask for the same; Timestamp and Comment don't count.

    It goes over the values and not over the XML, so that the same request by another door, or with other prefixes, is
    the same. If a later version words the values differently, a repeated request is refused and never done twice.
    """
    head = message.header
    asked = (
        (head.verb, head.noun, head.source, head.correlation_id, bool(head.async_reply_flag), head.reply_address),
        (message.request_identifiers, message.options, message.start_at, message.end_at),
        (message.payload, message.payload_identifiers),
        *(() if message.query is None else (message.query,)),
    )
    return sha256(repr(asked).encode()).hexdigest()


def nonce_digest(header: Header) -> str | None:
    """The Nonce and its moment as one text of fixed length; None for a request without ReplayDetection."""
    detection = header.replay_detection
    if detection is None:
        return None
    return sha256(repr((detection.nonce, detection.created_at.isoformat())).encode()).hexdigest()


def format_errors(errors: tuple[ReplyError, ...]) -> str:
    """Errors of planning as JSON."""
    return json.dumps([asdict(error) for error in errors])


def parse_errors(text: str) -> tuple[ReplyError, ...]:
    """What `format_errors` wrote."""
    return tuple(_error(**fields) for fields in json.loads(text))


def context_of(request: StoredRequest) -> RequestContext:
    """What a report may know of a kept request."""
    return RequestContext(
        request_id=request.request_id,
        verb=request.verb,
        source=request.source,
        accepted_at=request.accepted_at,
        partner=parse_partner(request.partner),
        query=request.query,
    )


def _error(
    code: str,
    level: str | None,
    reason: str | None,
    details: str | None,
    identifier: dict[str, str] | None,
    related: dict[str, str] | None = None,
    operation_id: int | None = None,
) -> ReplyError:
    return ReplyError(
        code=code,
        level=None if level is None else Level(level),
        reason=reason,
        details=details,
        identifier=None if identifier is None else Identifier(**identifier),  # type: ignore[arg-type]  # own JSON
        related=None if related is None else Identifier(**related),  # type: ignore[arg-type]  # own JSON
        operation_id=operation_id,
    )


def stored_result(command: Command, outcome: Outcome, *, took_ms: float, finished_at: datetime) -> StoredResult:
    """The row of an outcome."""
    if outcome.reason or outcome.again:
        outcome = replace(outcome, reason=printable(outcome.reason), again=False)  # it may quote what a meter sent
    return StoredResult(
        request_id=command.request_id,
        meter_name=command.meter.name,
        outcome=outcome,
        took_ms=took_ms,
        finished_at=finished_at,
    )


def worked(stored: StoredCommand) -> Worked:
    """What a report needs to know of a command that has its result."""
    if stored.result is None:
        raise LookupError(f"{stored.command.meter.name} of {stored.command.request_id} has no result yet")
    return Worked(stored.command, stored.result.outcome)
