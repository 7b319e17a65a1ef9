"""One message looked at from end to end: read within bounds, recognised, checked, put into words, and answered as our head-end would."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from ami_cim import media, wire, xml
from ami_cim.codes import reply_codes
from ami_cim.errors import CimError, InvalidMessage
from ami_cim.limits import UNKNOWN_PEER
from ami_cim.nouns import ROOTS
from ami_cim.schema import Schemas
from ami_cim.xml import Element
from ami_cli.cim import envelope_checks, payload_checks
from ami_cli.cim.codes import Meaning, UnknownCode
from ami_cli.cim.findings import Finding, Level, NotReadable, error, name_of, text_of, warning
from ami_cli.cim.head_end import HeadEndAnswer, answer, rewritten, to_partner
from ami_cli.cim.payload_checks import CODED, MOST_OF_A_RULE, code_of
from ami_cli.cim.recognise import Message, recognise
from ami_cli.cim.sources import Source

MOST_MEANINGS = 50
"""Codes that are put into words."""
MOST_FLAWS = 20
SMALL = 3_000
"""Elements and attributes of a message of which every error of the schema is looked for, and not the first alone: what that costs grows with their square."""
_WITH_SCHEMA = frozenset(root.tag for root in ROOTS)
_CHECKS = (*envelope_checks.CHECKS, *payload_checks.CHECKS)
_COUNTED = (
    "MeterReading",
    "IntervalReadings",
    "Readings",
    "EndDeviceControl",
    "EndDevices",
    "EndDevice",
    "EndDeviceEvent",
)


@dataclass(frozen=True, slots=True)
class ReplyWord:
    """An Error of a reply in words."""

    code: str
    meaning: str
    level: str
    reason: str
    about: str


@dataclass(frozen=True, slots=True)
class Lint:
    """All that is said of one message."""

    source: Source
    message: Message
    findings: tuple[Finding, ...]
    meanings: tuple[Meaning, ...]
    codes: int
    """How many different codes it has; of at most MOST_MEANINGS are there words."""
    replies: tuple[ReplyWord, ...]
    counts: dict[str, int]
    """How often elements that are worth counting are there."""
    answer: HeadEndAnswer
    rewritten: HeadEndAnswer | None
    """The answer to it in SOAP 1.1 and in the namespaces of the 2011 set, where it came otherwise."""
    to_partner: tuple[str, HeadEndAnswer] | None
    """The dialect of `[[hes.partners]]` with which it would be let in, and the answer then."""
    unchecked: tuple[str, ...]
    """Payloads and queries that there is no schema for here."""


def lint(source: Source, schemas: Schemas, now: datetime) -> Lint:
    """Look at a message. Raises NotReadable when there is none."""
    root = _parsed(source)
    message, findings = recognise(root)
    if source.part:
        reason = f"It came as {source.part[:80]}: a SOAP message with attachments, of which the first part is looked at"
        findings.append(
            warning("multipart", root, reason, "IEC 61968-100, SOAP: one document", "send the envelope alone")
        )
    findings += _schema_findings(message, schemas)
    findings += [one for check in _CHECKS for one in check(message)]
    meanings, codes = _meanings(message)
    strict = answer(source, message, schemas, now)
    return Lint(
        source,
        message,
        tuple(_bounded(sorted(findings, key=lambda one: one.line or 0))),
        meanings,
        codes,
        tuple(_replies(message)),
        _counts(message),
        strict,
        rewritten(message, schemas, now),
        to_partner(source, message, strict, schemas, now),
        tuple(_unchecked(message)),
    )


def _parsed(source: Source) -> Element:
    headers = {name: value for name, value in source.headers.items() if not (source.part and name == "content-type")}
    if source.octets.lstrip()[:1] in (b"{", b"["):
        raise NotReadable("it is JSON: there are JSON forms of CIM, and none that is public enough to be checked")
    try:
        octets, charset = media.content(source.octets, headers, UNKNOWN_PEER)
        return xml.parse(octets, UNKNOWN_PEER, charset=charset)
    except CimError as refusal:
        raise NotReadable(str(refusal)) from None


def _schema_findings(message: Message, schemas: Schemas) -> list[Finding]:
    """What the schemas of the 2011 set say of the copy in its namespaces, after the leniencies of a reader."""
    body = message.body
    if body is None:
        return []
    found: list[Finding] = []
    verb = next((one for one in body.iter("*") if name_of(one) == "Verb"), None)
    came = None if verb is None else verb.text
    try:
        wire.normalise(body, UNKNOWN_PEER)
    except InvalidMessage as refusal:
        found.append(error("compressed", _first(body, "Compressed"), str(refusal), "IEC 61968-100, PayloadType"))
    found += _flaws(message, body, schemas)
    if verb is not None:
        verb.text = came
    return found


def _flaws(message: Message, body: Element, schemas: Schemas) -> Iterator[Finding]:
    if not message.is_message and body.tag not in _WITH_SCHEMA:
        return
    breaks = "schema of the message" if message.is_message else f"schema of {name_of(body)}"
    if sum(1 + len(one.attrib) for one in body.iter("*")) <= SMALL:
        for flaw in schemas.flaws(body, MOST_FLAWS):
            yield Finding("schema", Level.ERROR, flaw.reason, breaks, flaw.line)
        return
    try:
        schemas.validate(body)
    except InvalidMessage as refusal:
        line, _, reason = refusal.reason.removeprefix("Line ").partition(": ")
        advice = "the message is large, so further errors of the schema were not looked for"
        yield Finding("schema", Level.ERROR, reason, breaks, int(line) if line.isdigit() else None, advice=advice)


def _unchecked(message: Message) -> Iterator[str]:
    query = message.query()
    for element in (*message.payloads(), *(() if query is None else (query,))):
        if element.tag not in _WITH_SCHEMA and name_of(element) != "OperationSet":
            yield name_of(element)


def _bounded(findings: Iterable[Finding]) -> Iterator[Finding]:
    """At most MOST_OF_A_RULE of a kind; the last says how many more there are."""
    kinds: dict[str, list[Finding]] = {}
    for one in findings:
        kinds.setdefault(one.rule, []).append(one)
    for rule, each in kinds.items():
        yield from each[:MOST_OF_A_RULE]
        if (more := len(each) - MOST_OF_A_RULE) > 0:
            last = each[MOST_OF_A_RULE]
            yield Finding(rule, last.level, f"and {more} more of this kind", last.breaks, last.line)


def _meanings(message: Message) -> tuple[tuple[Meaning, ...], int]:
    """Every code once, in the order of the message."""
    codes: dict[tuple[str, str], None] = {}
    for element in message.body.iter("*") if message.body is not None else ():
        if name_of(element) in CODED and (code := code_of(element)):
            codes[name_of(element), code] = None
    found: list[Meaning] = []
    for name, code in codes:
        if len(found) == MOST_MEANINGS:
            break
        try:
            meaning = CODED[name](code)
        except UnknownCode:
            continue
        found.append(meaning)
    return tuple(found), len(codes)


def _replies(message: Message) -> Iterator[ReplyWord]:
    reply = message.part("Reply")
    errors = [] if reply is None else [one for one in reply.iterchildren("*") if name_of(one) == "Error"]
    for one in errors[:MOST_MEANINGS]:
        said = {name_of(child): text_of(child) for child in one.iterchildren("*")}
        known = reply_codes().get(said.get("code", ""))
        meaning = f"{known.category}: {known.meaning}" if known else "not in the list"
        about = said.get("ID") or next((text_of(each) for each in one.iter("*") if name_of(each) == "mRID"), "")
        yield ReplyWord(said.get("code", ""), meaning, said.get("level", ""), said.get("reason", ""), about)


def _counts(message: Message) -> dict[str, int]:
    names = Counter(name_of(one) for one in message.body.iter("*")) if message.body is not None else Counter()
    return {name: names[name] for name in _COUNTED if names[name]}


def _first(body: Element, name: str) -> Element:
    return next((one for one in body.iter("*") if name_of(one) == name), body)
