"""Messages of ours as a peer wants them, after they were validated as what they are: the inverse of `ami_cim.dialects`.

What is changed is how a message is spelled (namespaces, wrapper, order), and what its dialect wants said beside it (the period of an
interval, the type of a name, a code of success). No value is changed."""

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

from lxml import etree

from ami_cim import ns, soap
from ami_cim.dialects import ABSTRACT, NOUN, retag
from ami_cim.limits import Limits
from ami_cim.nouns import ROOTS, TYPED
from ami_cim.peers import OURS, STRICT, Dialect, Spelling
from ami_cim.xml import Element, format_datetime, parse, parse_datetime

_MINUTES = {10: "1 54", 15: "2 53", 1: "3 56", 30: "5 51", 5: "6 55", 60: "7 50", 2: "10", 3: "14", 20: "31 52"}
MEASURED: Final = {number: minutes for minutes, numbers in _MINUTES.items() for number in numbers.split()}
"""Minutes of an interval by the measuringPeriod of its ReadingType, the third of its numbers (IEC 61968-9, annex C). Not of a day: some have 23 hours."""
_OPERATIONS = {"ResponseMessage": "Response", "EventMessage": "PublishEvent", "RequestMessage": "Request"}
_ROOTS = {root.namespace: root for root in ROOTS}
_TYPED = {ns.typed_message(name): name for name in TYPED}
_MSG = f"{{{ns.MESSAGE}}}"
LATE = Spelling(operation=ABSTRACT, inner=f"{{{ABSTRACT}}}message")
"""The operation Response of a late reply."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Speech:
    """How one message is to be written; the default is as it is."""

    spelling: Spelling = OURS
    dialect: Dialect = STRICT

    @property
    def is_ours(self) -> bool:
        """Whether nothing is to be changed."""
        return self.spelling == OURS and self.dialect == STRICT


def answering(seen: Spelling, dialect: Dialect) -> Speech:
    """An answer is spelled as its request was, and where that did not show it, as its dialect says."""
    own = dialect.spelling
    spelling = replace(
        seen, message=seen.message or own.message, typed=seen.typed or own.typed, payload=seen.payload or own.payload
    )
    return Speech(spelling=spelling, dialect=dialect)


def late(dialect: Dialect) -> Speech:
    """A late reply is spelled as its dialect says."""
    spelling = dialect.spelling
    if dialect.late_reply == "operation":
        spelling = replace(spelling, operation=LATE.operation, inner=LATE.inner)
    return Speech(spelling=spelling, dialect=dialect)


def spoken(octets: bytes, speech: Speech) -> bytes:
    """A message of ours, in SOAP or a document of its own, as the peer wants it; the same octets where nothing is to be changed."""
    if speech.is_ours:
        return octets
    root = parse(octets, Limits(octets=len(octets), nodes=len(octets)))
    if etree.QName(root).namespace != ns.SOAP:  # a file has no operation
        message = _spoken(root, replace(speech, spelling=replace(speech.spelling, operation="", inner="")))
        return etree.tostring(message, xml_declaration=True, encoding="UTF-8")
    body = soap.unwrap(root)
    if soap.is_fault(body):
        return _spoken_fault(octets, body, speech)
    return soap.wrap(_spoken(body, speech))


def _spoken_fault(octets: bytes, fault: Element, speech: Speech) -> bytes:
    """A fault has its message as detail, without an operation around it."""
    said = soap.parse_fault(fault)
    if said.detail is None:
        return octets
    plain = replace(speech, spelling=replace(speech.spelling, operation="", inner=""))
    return soap.fault(said.code, said.text, _spoken(said.detail, plain))


def _spoken(message: Element, speech: Speech) -> Element:
    dialect, spelling = speech.dialect, speech.spelling
    if dialect.success_code:
        _say_success(message)
    if dialect.interval_period:
        _say_periods(message)
    if dialect.name_type:
        _say_name_types(message, dialect)
    for before in dialect.before:
        for parent in list(message.iter("*" if before.element == "*" else f"{{*}}{before.element}")):
            _put_first(parent, before.child)
    if spelling.operation and etree.QName(message).namespace == ns.MESSAGE:
        message = _in_operation(message, spelling)
    _rename(message, spelling)
    etree.cleanup_namespaces(message)
    return message


def _say_success(message: Element) -> None:
    """OK is said by 0.0 alone: this peer takes every other code for an error, also one that only informs."""
    for reply in message.iterfind("{*}Reply"):
        result = reply.find(f"{_MSG}Result")
        if result is None or result.text != "OK":
            continue
        codes = reply.findall(f"{_MSG}Error/{_MSG}code")
        for code in codes:
            code.text = "0.0"
        if not codes:
            error = etree.Element(f"{_MSG}Error")
            etree.SubElement(error, f"{_MSG}code").text = "0.0"
            result.addnext(error)


def _say_periods(message: Element) -> None:
    for block in message.iter("{*}IntervalBlocks"):
        kind = block.find("{*}ReadingType")
        numbers = "" if kind is None else kind.get("ref", "")
        minutes = MEASURED.get(numbers.split(".")[2] if numbers.count(".") == 17 else "")
        if minutes is not None:
            for one in block.iterchildren("{*}IntervalReadings"):
                _say_period(one, timedelta(minutes=minutes))


def _say_period(interval: Element, length: timedelta) -> None:
    stamp = interval.find("{*}timeStamp")
    if stamp is None or interval.find("{*}timePeriod") is not None:
        return
    namespace = etree.QName(interval).namespace
    period = etree.SubElement(interval, f"{{{namespace}}}timePeriod")
    end = parse_datetime(stamp.text or "")
    etree.SubElement(period, f"{{{namespace}}}end").text = format_datetime(end)
    etree.SubElement(period, f"{{{namespace}}}start").text = format_datetime(end - length)


def _say_name_types(message: Element, dialect: Dialect) -> None:
    for names in message.iterfind(".//{*}MeterReading/{*}Meter/{*}Names"):
        if names.find("{*}NameType") is None:
            namespace = etree.QName(names).namespace
            kind = etree.SubElement(names, f"{{{namespace}}}NameType")
            etree.SubElement(kind, f"{{{namespace}}}name").text = dialect.name_type
            authority = etree.SubElement(kind, f"{{{namespace}}}NameTypeAuthority")
            etree.SubElement(authority, f"{{{namespace}}}name").text = dialect.name_type_authority or dialect.name_type


def _put_first(parent: Element, child: str) -> None:
    for place, one in enumerate(parent.findall(f"{{*}}{child}")):
        parent.insert(place, one)


def _in_operation(message: Element, spelling: Spelling) -> Element:
    name = etree.QName(message).localname
    operation = _OPERATIONS.get(name)
    if operation is None:
        return message
    outer = etree.Element(f"{{{spelling.operation}}}{operation}", nsmap={"op": spelling.operation, "msg": ns.MESSAGE})
    inner = etree.QName(spelling.inner)
    own = inner.localname in _OPERATIONS  # a message that is called as it is
    message.tag = f"{{{inner.namespace}}}{name}" if own else spelling.inner
    outer.append(message)
    return outer


def _rename(message: Element, spelling: Spelling) -> None:
    theirs: dict[str, str] = {ns.MESSAGE: spelling.message} if spelling.message else {}
    if spelling.typed:
        theirs |= {ours: spelling.typed.replace(NOUN, name) for ours, name in _TYPED.items()}
    if spelling.payload:
        theirs |= {ours: spelling.payload.replace(NOUN, root.name) for ours, root in _ROOTS.items()}
    if not theirs:
        return
    names = {tag: etree.QName(tag) for tag in {one.tag for one in message.iter("*")}}
    spelled = {tag: theirs[name.namespace] for tag, name in names.items() if name.namespace in theirs}
    retag(message, {tag: f"{{{other}}}{names[tag].localname}" for tag, other in spelled.items()})
