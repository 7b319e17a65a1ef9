"""From octets to messages and back: the one door through which both ends of the wire go.

Inwards: bounded parsing, SOAP, the leniencies below, XSD validation, message. Outwards: message, XSD validation, SOAP.
Lenient towards verbs with capitals or white space around them (met in the field, the schema would refuse them) and towards
gzipped payloads, which are unpacked before validation; strict in all that is sent."""

import base64
import binascii
import zlib
from collections.abc import Callable
from typing import TypeVar

from lxml import etree

from cim import envelope, shapes, soap
from cim.codes import Level
from cim.envelope import Delivered, Received
from cim.errors import CimError, InvalidMessage, PeerFault
from cim.message import EventMessage, FaultMessage, Reply, ReplyError, RequestMessage, ResponseMessage
from cim.schema import Schemas
from cim.xml import MAX_OCTETS, Element, parse

M = TypeVar("M")

_NOT_UNDERSTOOD: frozenset[str] = frozenset()


def read_request(octets: bytes, schemas: Schemas, *, understood: frozenset[str] = _NOT_UNDERSTOOD) -> Received:
    """The request in a SOAP envelope."""
    return _read(soap.unwrap(octets, understood=understood), schemas, envelope.parse_request)


def read_delivery(octets: bytes, schemas: Schemas, *, understood: frozenset[str] = _NOT_UNDERSTOOD) -> Delivered:
    """The late response or event in a SOAP envelope that came to a ReplyAddress."""
    return _read(soap.unwrap(octets, understood=understood), schemas, envelope.parse_delivery)


def read_response(octets: bytes, schemas: Schemas) -> ResponseMessage:
    """The response in a SOAP envelope; PeerFault if a fault came instead."""
    body = soap.unwrap(octets)
    if soap.is_fault(body):
        raise peer_fault(soap.parse_fault(body))
    return _read(body, schemas, envelope.parse_response)


def write_request(message: RequestMessage, wrapper: etree.QName, schemas: Schemas) -> bytes:
    """A request in a SOAP envelope."""
    return _write(envelope.format_request(message, wrapper), schemas)


def write_response(message: ResponseMessage, wrapper: etree.QName, schemas: Schemas) -> bytes:
    """A response in a SOAP envelope; `wrapper` is the request's."""
    return _write(envelope.format_response(message, wrapper), schemas)


def write_event(message: EventMessage, wrapper: etree.QName, schemas: Schemas) -> bytes:
    """An event in a SOAP envelope."""
    return _write(envelope.format_event(message, wrapper), schemas)


def write_fault(error: CimError) -> bytes:
    """The SOAP fault, with FaultMessage, that answers a message which could not be used. Goes with HTTP status 500."""
    wrapper = None if error.wrapper is None else etree.QName(error.wrapper)
    problem = ReplyError(code=error.code, level=Level.FATAL, reason=error.reason, details=error.details)
    message = FaultMessage(reply=Reply(result="FAILED", errors=(problem,)))
    code = error.fault_code if isinstance(error, InvalidMessage) else "Server"
    return soap.fault(code, error.reason, envelope.format_fault(message, wrapper))


def peer_fault(fault: soap.Fault) -> PeerFault:
    """A fault that came back as an error to raise, told by its FaultMessage where it has one."""
    try:
        reply = envelope.parse_fault(fault.detail).reply if fault.detail is not None else None
    except InvalidMessage:
        reply = None
    if reply is None or not reply.errors:
        return PeerFault("5.2", fault.text or "The peer answered with a fault", fault_code=fault.code)
    first = reply.errors[0]
    return PeerFault(first.code, first.reason or fault.text, first.details, fault_code=fault.code)


def normalise(body: Element) -> Element:
    """Apply the leniencies to a body in place, before validation: the verb's spelling, a compressed payload."""
    for verb in body.iterfind(f"*/{shapes.tag('Verb')}"):
        verb.text = shapes.normal_verb(verb.text or "")
    own = etree.QName(body).namespace
    for compressed in body.findall(f"{{{own}}}Payload/{{{own}}}Compressed"):
        payload = compressed.getparent()
        if payload is not None:
            payload.replace(compressed, parse(_decompress(compressed.text or "")))
    return body


def _decompress(text: str) -> bytes:
    """Base64 around gzip, as products do; bounded like a message."""
    try:
        packed = base64.b64decode(text)
        unpacker = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
        octets = unpacker.decompress(packed, MAX_OCTETS + 1)
    except (binascii.Error, zlib.error, ValueError) as error:
        raise InvalidMessage("1.8", "Compressed is not base64 of gzip", str(error)) from None
    if not unpacker.eof:
        raise InvalidMessage("3.1", "The compressed payload is too large or cut short", f"at most {MAX_OCTETS} octets")
    return octets


def _read(body: Element, schemas: Schemas, parser: Callable[[Element], M]) -> M:
    wrapper = etree.QName(body)
    try:
        schemas.validate(normalise(body))
        return parser(body)
    except InvalidMessage as error:
        if error.wrapper is None and envelope.is_known(wrapper):
            error.wrapper = wrapper.text
        raise


def _write(element: Element, schemas: Schemas) -> bytes:
    schemas.validate(element)
    return soap.wrap(element)
