"""What may be changed of a message on its way: pure functions from octets to octets. What can't be read goes on as it is."""

import uuid
from typing import Any

from lxml import etree

from ami_cim import ns
from ami_cim.errors import CimError
from ami_cim.xml import parse
from ami_testkit.messages import LIMITS

_NAMESPACES = b"http://iec.ch/TC57/2011/"
SELECT_PREFIXES = {"m": ns.MESSAGE}
PADDING = b"an oversized message is padded with this. "


def correlation(octets: bytes) -> bytes:
    """Another CorrelationID, which nobody has asked under."""
    return with_text(octets, "Header/CorrelationID", str(uuid.uuid4()))


def with_text(octets: bytes, path: str, text: str) -> bytes:
    """Another text in the first element at this path of local names below the message."""
    root, message = _read(octets)
    found = None if message is None else message.find("/".join(f"{{*}}{name}" for name in path.split("/")))
    if found is None:
        return octets
    found.text = text
    return _written(root)


def with_xpath(octets: bytes, xpath: str, text: str | None) -> bytes:
    """Another text in all elements and attributes that an XPath finds in the envelope; None takes them out."""
    root, _ = _read(octets)
    if root is None:
        return octets
    found = root.xpath(xpath, namespaces=SELECT_PREFIXES)
    for one in found if isinstance(found, list) else []:
        _set(one, text)
    return _written(root)


def _set(one: Any, text: str | None) -> None:
    if isinstance(one, etree._Element):
        parent = one.getparent()
        if text is not None:
            one.text = text
        elif parent is not None:
            parent.remove(one)
    elif getattr(one, "is_attribute", False):
        owner = one.getparent()
        if text is not None:
            owner.set(one.attrname, text)
        else:
            del owner.attrib[one.attrname]


def partial(octets: bytes, meter: str, code: str, reason: str) -> bytes:
    """A reply of which one meter's part has failed: Result PARTIAL, an Error for it, nothing of it in the payload."""
    root, message = _read(octets)
    reply = None if message is None else message.find("{*}Reply")
    if reply is None or message is None:
        return octets
    envelope = etree.QName(reply[0]).namespace if len(reply) else etree.QName(reply).namespace
    result = reply.find("{*}Result")
    if result is not None:
        result.text = "PARTIAL"
    error = etree.Element(f"{{{envelope}}}Error")
    for name, text in (("code", code), ("level", "FATAL"), ("reason", reason), ("ID", meter)):
        etree.SubElement(error, f"{{{envelope}}}{name}").text = text
    reply.insert(1 + len(reply.findall("{*}Error")), error)
    for one in message.iterfind("{*}Payload/{*}MeterReadings/{*}MeterReading"):
        names = {text for path in ("{*}Meter/{*}mRID", "{*}Meter/{*}Names/{*}name") for text in _texts(one, path)}
        if meter in names:
            one.getparent().remove(one)
    return _written(root)


def malformed(octets: bytes) -> bytes:
    """It ends in the middle of its last tag but one, and HTTP says nothing of that."""
    return octets[: octets.rfind(b"</", 0, max(octets.rfind(b"</"), 1)) + 5]


def oversized(octets: bytes, size: int) -> bytes:
    """Well-formed, with a comment that makes it so many octets."""
    end = octets.rfind(b"</")
    missing = size - len(octets) - 7
    if end < 0 or missing <= 0:
        return octets
    padding = (PADDING * (missing // len(PADDING) + 1))[:missing]
    return octets[:end] + b"<!--" + padding + b"-->" + octets[end:]


def namespaces(octets: bytes, to: str) -> bytes:
    """All namespaces of the 2011 set, written otherwise from their beginning on."""
    return octets.replace(_NAMESPACES, to.encode())


def _read(octets: bytes) -> tuple[Any, Any]:
    """The envelope, and the message in its body."""
    try:
        root = parse(octets, LIMITS)
    except CimError:
        return None, None
    body = root.find("{*}Body")
    return root, body[0] if body is not None and len(body) else None


def _written(root: Any) -> bytes:
    return etree.tostring(root, encoding="UTF-8", xml_declaration=True)


def _texts(element: Any, path: str) -> list[str]:
    return [(one.text or "").strip() for one in element.iterfind(path)]
