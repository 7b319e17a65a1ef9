"""What our head-end would answer, by the same code: its reading, its rules for a Header, and its plan of the noun.

There is no registry and no configuration here, so what depends on them is said as such: which meters it would look up, whom it may reply to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from ami_cim import media, soap, wire
from ami_cim.dialect_files import pack, packs
from ami_cim.envelope import Received
from ami_cim.errors import CimError, UnsupportedMedia
from ami_cim.limits import UNKNOWN_PEER, Limits
from ami_cim.message import ReplyError, ResponseMessage
from ami_cim.nouns import BY_NAME
from ami_cim.peers import Dialect
from ami_cim.schema import Schemas
from ami_cli.cim.findings import printable
from ami_cli.cim.recognise import Message
from ami_cli.cim.sources import Source
from ami_hes import operation_sets
from ami_hes.meters.registry import Meter, Registry
from ami_hes.nouns import Refused, RequestContext, check
from ami_hes.operation_sets import checked
from ami_hes.served import NOUNS, OnMeters

NO_ONE = ""
CIS = "CIS (a head-end takes requests alone)"
UNKNOWN_METER, UNKNOWN_USAGE_POINT = "2.4", "2.12"
MOST_NAMED = 20
"""Meters that are named."""
IN_ORDER = "would carry out its operations one after the other, and say in one Reply what came of each"
ORDERED = "would carry it out if it knows the meters and the schedule, and can keep it as it is asked for"


@dataclass(frozen=True, slots=True)
class HeadEndAnswer:
    """What comes back. `by` is who would answer; `accepted` whether it would begin to work on the message."""

    by: str
    accepted: bool
    form: str
    """SOAP fault, reply, or what it would do."""
    code: str = ""
    reason: str = ""
    details: str = ""
    meters: tuple[str, ...] = ()
    """What it would look up, as the message names it."""
    count: int = 0
    asks_for: str = ""
    """What of these meters, in the noun's words."""
    errors: tuple[str, ...] = ()
    """What would be in the reply as not done, whichever meters there are."""
    conditions: tuple[str, ...] = ()
    """What else has to be so for it to be accepted."""


class _Asked(Registry):
    """A registry that has no meter and remembers what was asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.names: dict[str, None] = {}

    def find_by_mrid(self, mrid: str) -> Meter | None:
        self._note(f"mRID {mrid}")
        return None

    def find_by_name(self, name: str) -> Meter | None:
        self._note(f"name {name}")
        return None

    def find_by_usage_point(self, usage_point: str) -> Meter | None:
        self._note(f"usage point {usage_point}")
        return None

    def find_by_usage_point_mrid(self, mrid: str) -> Meter | None:
        self._note(f"usage point with mRID {mrid}")
        return None

    def groups(self) -> Mapping[str, Mapping[str, int]]:
        self._note("groups of meters")
        return {}

    def _note(self, what: str) -> None:
        self.names[printable(what)] = None


def answer(source: Source, message: Message, schemas: Schemas, now: datetime) -> HeadEndAnswer:
    """The head-end's answer to a request; to what is none also what the CIS would do with it."""
    if message.archetype == "fault" or message.form == "SOAP fault":
        return HeadEndAnswer(NO_ONE, True, "a fault is an answer itself, and none is given to it")
    if message.archetype in ("response", "event"):
        return _of_cis(source, schemas)
    return _of_head_end(source, schemas, now, UNKNOWN_PEER)


def _of_head_end(source: Source, schemas: Schemas, now: datetime, limits: Limits) -> HeadEndAnswer:
    try:
        octets, charset = _content(source)
        received = wire.read_request(octets, schemas, limits, charset=charset)
    except CimError as refusal:
        return _fault("head-end", refusal)
    try:
        return _planned(received, now)
    except Refused as refused:
        first, *others = refused.errors
        more = f" (and {len(others)} more)" if others else ""
        return HeadEndAnswer("head-end", False, "reply FAILED", first.code, f"{first.reason}{more}")


def to_partner(
    source: Source, message: Message, strict: HeadEndAnswer, schemas: Schemas, now: datetime
) -> tuple[str, HeadEndAnswer] | None:
    """The dialect with which `[[hes.partners]]` would let the message in, the closest first, and the answer then; None where none would help."""
    if strict.accepted or message.archetype != "request":
        return None
    dialects = sorted(map(pack, packs()), key=_leniencies)
    answers = [(one.name, _of_head_end(source, schemas, now, replace(UNKNOWN_PEER, dialect=one))) for one in dialects]
    taken = [one for one in answers if one[1].accepted]
    understood = [one for one in answers if strict.form.startswith("SOAP fault") and one[1].form == "reply FAILED"]
    return next(iter((*taken, *understood)), None)


def _leniencies(dialect: Dialect) -> int:
    flags = dialect.other_namespaces, dialect.operation_wrappers, dialect.any_order, dialect.late_reply != "generic"
    return sum(flags) + len(dialect.extra_elements)


def rewritten(message: Message, schemas: Schemas, now: datetime) -> HeadEndAnswer | None:
    """The answer to the same message in SOAP 1.1 and in the namespaces of the 2011 set; None where it is that already, or no message."""
    foreign = any(one.known is not None and one.known.is_foreign for one in message.namespaces)
    as_it_is = message.soap == "1.1" and message.form != "operation" and not foreign
    if as_it_is or message.body is None or not message.is_message or message.archetype == "fault":
        return None
    return answer(Source("", soap.wrap(message.body)), message, schemas, now)


def _content(source: Source) -> tuple[bytes, str | None]:
    headers = dict(source.headers)
    if source.part:
        headers["content-type"] = source.part
    return media.content(source.octets, headers, UNKNOWN_PEER)


def _fault(by: str, refusal: CimError) -> HeadEndAnswer:
    status = "415" if isinstance(refusal, UnsupportedMedia) else "500"
    return HeadEndAnswer(
        by, False, f"SOAP fault, HTTP status {status}", refusal.code, refusal.reason, refusal.details or ""
    )


def _planned(received: Received, now: datetime) -> HeadEndAnswer:
    request = received.message
    check(request.header, NOUNS)
    row = NOUNS[request.header.noun]
    if request.header.noun == operation_sets.NOUN:
        checked(request, NOUNS.keys() - {operation_sets.NOUN})
        return HeadEndAnswer("head-end", True, IN_ORDER, conditions=("the MessageID was not used for another request",))
    if not isinstance(row, OnMeters):
        if request.header.verb == "get" and row.question is not None:
            row.question(request)
        return HeadEndAnswer("head-end", True, ORDERED, conditions=("the MessageID was not used for another request",))
    noun = row.noun
    size = noun.size(request)
    asked = _Asked()
    plan = noun.plan(RequestContext.of(request.header, now), request, asked)
    if not asked.names and plan.errors:
        raise Refused(*plan.errors)
    what = "acknowledge it (0.3) and" if request.header.async_reply_flag else ""
    conditions = [f"hes.max_meters_per_request lets it name {size}"]
    if request.header.async_reply_flag:
        conditions.append(f"hes.reply_hosts let replies go to {printable(request.header.reply_address or '')}")
    conditions.append("the MessageID was not used for another request")
    form = " ".join(f"would {what} look up these meters, and refuse those it doesn't know".split())
    named = tuple(asked.names)
    return HeadEndAnswer(
        "head-end",
        True,
        form,
        meters=named[:MOST_NAMED],
        count=len(named),
        asks_for=printable(plan.summary),
        errors=tuple(f"{one.code} {printable(one.reason or '')}" for one in plan.errors if not _of_meters(one)),
        conditions=tuple(conditions),
    )


def _of_meters(error: ReplyError) -> bool:
    """Whether it says that a meter is not known, which a registry without meters says of each."""
    return error.code in (UNKNOWN_METER, UNKNOWN_USAGE_POINT) and error.identifier is not None


def _of_cis(source: Source, schemas: Schemas) -> HeadEndAnswer:
    """What comes to a ReplyAddress: the head-end takes requests alone, so it is the CIS that would answer."""
    try:
        octets, charset = _content(source)
        delivered = wire.read_delivery(octets, schemas, UNKNOWN_PEER, charset=charset)
    except CimError as refusal:
        return _fault(CIS, refusal)
    noun = delivered.message.header.noun
    if isinstance(delivered.message, ResponseMessage):
        form = "would take it as the reply to the request whose MessageID or CorrelationID its CorrelationID is"
        return HeadEndAnswer(CIS, True, form)
    if noun not in BY_NAME:
        return HeadEndAnswer(CIS, False, "reply FAILED", "2.5", f"events of {noun} are not taken")
    return HeadEndAnswer(CIS, True, "would keep the event and answer OK")
