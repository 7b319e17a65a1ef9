"""From octets to messages and back: the entry point for both ends of the wire.

Inwards: bounded parsing, SOAP, the leniencies below, XSD validation, message. Outwards: message, XSD validation, SOAP; what was read
of meters stays beside the tree (`payloads/rows_apart.py`).
Lenient towards verbs with capitals or white space around them (met in the field, the schema would refuse them), towards the
older order inside the Pan elements of a control, and towards a gzipped payload, which is unpacked before validation; strict in
all that is sent. `limits` is what the endpoint takes from the peer, `charset` what came with the octets."""

import base64
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

from lxml import etree

from ami_cim import dialects, envelope, message_types, schema_order, soap
from ami_cim.codes import Level
from ami_cim.envelope import Delivered, Received
from ami_cim.errors import CimError, InvalidMessage, PeerFault
from ami_cim.limits import UNKNOWN_PEER, Limits, of_sender
from ami_cim.media import gunzip
from ami_cim.message import EventMessage, FaultMessage, Reply, ReplyError, RequestMessage, ResponseMessage
from ami_cim.nouns import NOUNS
from ami_cim.payloads.rows_apart import put_back, set_apart
from ami_cim.peers import OURS, STRICT, Dialect, Spelling
from ami_cim.schema import Schemas
from ami_cim.white_space import SPACE
from ami_cim.xml import Element, parse

M = TypeVar("M")

_NOT_UNDERSTOOD: frozenset[str] = frozenset()
_NO_SPACE = str.maketrans("", "", SPACE)


def read_request(
    octets: bytes,
    schemas: Schemas,
    limits: Limits = UNKNOWN_PEER,
    *,
    charset: str | None = None,
    understood: frozenset[str] = _NOT_UNDERSTOOD,
) -> Received:
    """The request in a SOAP envelope."""
    limits = of_sender(octets, limits)
    came = _open(octets, schemas, limits, charset, understood)
    return replace(_read(came, schemas, limits, envelope.parse_request), spelling=came.spelling)


def read_delivery(
    octets: bytes,
    schemas: Schemas,
    limits: Limits = UNKNOWN_PEER,
    *,
    charset: str | None = None,
    understood: frozenset[str] = _NOT_UNDERSTOOD,
) -> Delivered:
    """The late response or event in a SOAP envelope that came to a ReplyAddress."""
    limits = of_sender(octets, limits)
    came = _open(octets, schemas, limits, charset, understood)
    return _read(came, schemas, limits, envelope.parse_delivery)


def read_response(
    octets: bytes,
    schemas: Schemas,
    limits: Limits = UNKNOWN_PEER,
    *,
    charset: str | None = None,
    understood: frozenset[str] = _NOT_UNDERSTOOD,
) -> ResponseMessage:
    """The response in a SOAP envelope; PeerFault if a fault came instead."""
    came = _open(octets, schemas, limits, charset, understood)
    if soap.is_fault(came.body):
        raise peer_fault(soap.parse_fault(came.body))
    return _read(came, schemas, limits, envelope.parse_response)


def write_request(message: RequestMessage, wrapper: etree.QName, schemas: Schemas) -> bytes:
    """A request in a SOAP envelope."""
    return _write(envelope.format_request(message, wrapper), schemas)


def write_response(message: ResponseMessage, wrapper: etree.QName, schemas: Schemas) -> bytes:
    """A response in a SOAP envelope; `wrapper` is the request's."""
    payload, readings = set_apart(message.payload)
    element = envelope.format_response(replace(message, payload=payload) if readings else message, wrapper)
    return put_back(_write(element, schemas), readings)


def write_event(message: EventMessage, wrapper: etree.QName, schemas: Schemas) -> bytes:
    """An event in a SOAP envelope."""
    element, readings = _format_event(message, wrapper)
    return put_back(_write(element, schemas), readings)


def write_event_document(message: EventMessage, wrapper: etree.QName, schemas: Schemas) -> bytes:
    """An event as a document of its own, without a SOAP envelope: what goes into a file."""
    element, readings = _format_event(message, wrapper)
    schemas.validate_own(element)
    return put_back(etree.tostring(element, xml_declaration=True, encoding="UTF-8"), readings)


def _format_event(message: EventMessage, wrapper: etree.QName) -> tuple[Element, list[bytes]]:
    """Its element, and the MeterReadings beside it."""
    payload, readings = set_apart(message.payload)
    return envelope.format_event(replace(message, payload=payload) if readings else message, wrapper), readings


def write_fault(error: CimError) -> bytes:
    """The SOAP fault that answers a message which could not be used. Goes with HTTP status 500, or a 4xx that says more.

    Its detail is a FaultMessage, except where a SOAP header is at fault (SOAP 1.1, clause 4.4)."""
    code = error.fault_code if isinstance(error, InvalidMessage) else "Server"
    if code == "MustUnderstand" or ":" in code:
        return soap.fault(code, str(error))
    wrapper = None if error.wrapper is None else etree.QName(error.wrapper)
    problem = ReplyError(code=error.code, level=Level.FATAL, reason=error.reason, details=error.details)
    message = FaultMessage(reply=Reply(result="FAILED", errors=(problem,)))
    return soap.fault(code, error.reason, envelope.format_fault(message, wrapper))


def peer_fault(fault: soap.SoapFault) -> PeerFault:
    """A fault that came back as an error to raise, explained by its FaultMessage where it has one."""
    try:
        reply = envelope.parse_fault(fault.detail).reply if fault.detail is not None else None
    except InvalidMessage:
        reply = None
    if reply is None or not reply.errors:
        return PeerFault("5.2", fault.text or "The peer answered with a fault", fault_code=fault.code)
    first = reply.errors[0]
    return PeerFault(first.code, first.reason or fault.text, first.details, fault_code=fault.code)


def normalise(body: Element, limits: Limits = UNKNOWN_PEER, dialect: Dialect = STRICT) -> Element:
    """Apply the leniencies to a body in place, before validation."""
    for verb in body.iterfind(f"*/{message_types.tag('Verb')}"):
        verb.text = message_types.normal_verb(verb.text or "")
    compressed = _compressed(body)
    if len(compressed) > 1:
        raise InvalidMessage("3.1", "One payload a message is read here", f"{len(compressed)} Compressed came")
    for one in compressed:
        payload = one.getparent()
        if payload is not None:
            unpacked = parse(_decompress(one.text or "", limits), limits)
            dialects.rename(unpacked, dialect)
            dialects.leave_out(unpacked, dialect)
            payload.replace(one, unpacked)
    if dialect.any_order:
        schema_order.arrange(body)
    for noun in NOUNS:
        if noun.repair is not None:
            noun.repair(body)
    return body


def _compressed(body: Element) -> list[Element]:
    own = etree.QName(body).namespace
    return body.findall(f"{{{own}}}Payload/{{{own}}}Compressed")


def _decompress(text: str, limits: Limits) -> bytes:
    """Base64 around gzip, as products do; bounded."""
    digits = text.translate(_NO_SPACE)
    try:
        packed = base64.b64decode(digits, validate=True)
    except ValueError as error:  # binascii.Error is one, and so is a character beyond ASCII
        raise InvalidMessage("1.8", "Compressed is not base64", str(error)) from None
    if not packed:
        raise InvalidMessage("1.8", "Compressed is empty")
    return gunzip(packed, limits.unpacked, "Compressed")


@dataclass(frozen=True, slots=True)
class _Came:
    body: Element
    valid: bool
    """As it came, but for the contents of a generic message."""
    dialect: Dialect = STRICT
    spelling: Spelling = OURS


def _open(octets: bytes, schemas: Schemas, limits: Limits, charset: str | None, understood: frozenset[str]) -> _Came:
    """What is valid as it came goes the fast way; what is not, or comes from a peer with a dialect, is looked at more closely."""
    root = schemas.read_valid(octets, limits, charset=charset)
    body = soap.unwrap(octets if root is None else root, limits, charset=charset, understood=understood)
    spelling = OURS
    dialect = STRICT if soap.is_fault(body) else dialects.dialect_of(body, limits)
    if dialect != STRICT:
        body, spelling = dialects.canonical(body, dialect)
    valid = root is not None and not _compressed(body) and dialect == STRICT
    return _Came(body, valid, dialect, spelling)


def _read(came: _Came, schemas: Schemas, limits: Limits, parser: Callable[[Element], M]) -> M:
    body = came.body
    wrapper = etree.QName(body)
    try:
        envelope.check_one_payload(body if came.valid else normalise(body, limits, came.dialect))
        (schemas.validate_contents if came.valid else schemas.validate)(body)
        return parser(body)
    except InvalidMessage as error:
        if error.wrapper is None and envelope.is_known(wrapper):
            error.wrapper = wrapper.text
        raise


def _write(element: Element, schemas: Schemas) -> bytes:
    schemas.validate_own(element)
    return soap.wrap(element)
