"""SOAP 1.1 document/literal: one element in a Body, or a Fault. Headers are looked at only for actor and
mustUnderstand (clauses 4.2.2 and 4.2.3)."""

from dataclasses import dataclass

from lxml import etree

from ami_cim import ns
from ami_cim.errors import InvalidMessage
from ami_cim.limits import UNKNOWN_PEER, Limits
from ami_cim.white_space import SPACE
from ami_cim.xml import Element, parse, printable

CONTENT_TYPE = "text/xml; charset=utf-8"

MEDIA_TYPES = ("text/xml", "application/xml", "application/soap+xml")
"""What a message may come as: SOAP 1.1 says the first, and some stacks send the others with the same envelope."""

_ENVELOPE = f"{{{ns.SOAP}}}Envelope"
_HEADER = f"{{{ns.SOAP}}}Header"
_BODY = f"{{{ns.SOAP}}}Body"
_FAULT = f"{{{ns.SOAP}}}Fault"
_MUST_UNDERSTAND = f"{{{ns.SOAP}}}mustUnderstand"
_ACTOR = f"{{{ns.SOAP}}}actor"
_OF_SECURITY = {"wsse": ns.WSSE, "wsu": ns.WSU}
_NEXT = "http://schemas.xmlsoap.org/soap/actor/next"
_BEFORE = f'<?xml version="1.0" encoding="UTF-8"?>\n<soap:Envelope xmlns:soap="{ns.SOAP}"><soap:Body>'.encode()
_AFTER = b"</soap:Body></soap:Envelope>"


@dataclass(frozen=True, slots=True)
class SoapFault:
    """A fault: the faultcode without its prefix (Client, Server, ...), the faultstring, the first element of the detail."""

    code: str
    text: str
    detail: Element | None = None


def wrap(body: Element) -> bytes:
    """An envelope with this element as its body."""
    return _BEFORE + etree.tostring(body, encoding="UTF-8", xml_declaration=False, with_tail=False) + _AFTER


def unwrap(
    message: bytes | Element,
    limits: Limits = UNKNOWN_PEER,
    *,
    charset: str | None = None,
    understood: frozenset[str] = frozenset(),
) -> Element:
    """The one element in the Body; `understood` names (Clark) the header blocks that the caller has dealt with."""
    root = parse(message, limits, charset=charset) if isinstance(message, bytes) else message
    if root.tag != _ENVELOPE:
        if etree.QName(root).localname == "Envelope":
            raise InvalidMessage("1.8", "Only SOAP 1.1 is spoken here", root.tag[:120], fault_code="VersionMismatch")
        raise InvalidMessage("1.8", "The message is not a SOAP envelope", root.tag[:120])
    _check_headers(root, understood)
    bodies = root.findall(_BODY)
    if len(bodies) != 1 or len(bodies[0]) != 1:
        raise InvalidMessage("1.8", "A SOAP body holds exactly one message")
    return bodies[0][0]


def _check_headers(root: Element, understood: frozenset[str]) -> None:
    """A block for another actor is none of our affair (clause 4.2.2); without actor it is for us, the last of the path."""
    for block in root.iterfind(f"{_HEADER}/*"):
        if (block.get(_ACTOR) or _NEXT).strip(SPACE) != _NEXT:
            continue
        if (block.get(_MUST_UNDERSTAND) or "").strip(SPACE) in ("1", "true") and block.tag not in understood:
            name = etree.QName(block).localname
            raise InvalidMessage("5.2", f"The SOAP header {name} is not understood here", fault_code="MustUnderstand")


def is_fault(body: Element) -> bool:
    """Whether what `unwrap` gave is a Fault."""
    return bool(body.tag == _FAULT)


def fault(code: str, text: str, detail: Element | None = None) -> bytes:
    """An envelope with a Fault; `code` is Client, Server, VersionMismatch or MustUnderstand, or one of WS-Security with its prefix. Goes with HTTP status 500."""
    prefix, _, name = code.rpartition(":")
    prefixes = {prefix: _OF_SECURITY[prefix]} if prefix else {}
    element = etree.Element(_FAULT, nsmap={"soap": ns.SOAP} | prefixes)
    etree.SubElement(element, "faultcode").text = f"{prefix or 'soap'}:{name}"
    etree.SubElement(element, "faultstring").text = printable(text)
    if detail is not None:
        etree.SubElement(element, "detail").append(detail)
    return wrap(element)


def parse_fault(body: Element) -> SoapFault:
    """The fault that `unwrap` gave; InvalidMessage if it is none."""
    if not is_fault(body):
        raise InvalidMessage("1.8", "Not a SOAP fault", body.tag[:120])
    code = (body.findtext("faultcode") or "").strip(SPACE).rpartition(":")[2]
    detail = body.find("detail")
    first = detail[0] if detail is not None and len(detail) else None
    return SoapFault(code or "Server", (body.findtext("faultstring") or "").strip(SPACE), first)
