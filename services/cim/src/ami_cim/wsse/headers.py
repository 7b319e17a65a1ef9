"""The Security header of a message, taken apart: one of its kind, in its place, with nothing in it or around it that could be read in two ways.

A signature that is right says nothing yet: that an element of its Id was signed, and not that this element is read. So before any digest is
looked at, the message has to be one in which that can't differ: one Header, one Body, one Security for us, no Id twice, no comment."""

import base64
from collections.abc import Iterator
from dataclasses import dataclass

from lxml import etree

from ami_cim import ns
from ami_cim.white_space import SPACE
from ami_cim.wsse.claims import INVALID, TOKEN, UNSUPPORTED_TOKEN, UsernameProof, refused
from ami_cim.xml import Element, parse_datetime

_SOAP = f"{{{ns.SOAP}}}"
WSSE, WSU, DS = f"{{{ns.WSSE}}}", f"{{{ns.WSU}}}", f"{{{ns.DSIG}}}"
SECURITY = f"{WSSE}Security"
_PROFILES = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-"
X509_V3 = f"{_PROFILES}x509-token-profile-1.0#X509v3"
BASE64 = f"{_PROFILES}soap-message-security-1.0#Base64Binary"
PASSWORD_TEXT, PASSWORD_DIGEST = (
    f"{_PROFILES}username-token-profile-1.0#{kind}" for kind in ("PasswordText", "PasswordDigest")
)
_ACTOR = f"{_SOAP}actor"
_NEXT = "http://schemas.xmlsoap.org/soap/actor/next"
_WSSE_11 = "http://docs.oasis-open.org/wss/oasis-wss-wssecurity-secext-1.1.xsd"
_ONCE = (f"{WSU}Timestamp", f"{WSSE}UsernameToken", f"{WSSE}BinarySecurityToken", f"{DS}Signature")
_IGNORED = (f"{{{_WSSE_11}}}SignatureConfirmation",)
MOST_NAME, MOST_PASSWORD, MOST_NONCE, MOST_CERTIFICATE = 200, 1_000, 64, 16_384
LEAST_NONCE = 8
"""Octets of a nonce: one that is shorter repeats itself."""


@dataclass(frozen=True, slots=True)
class SecurityHeader:
    """A message and the parts of its Security header; `by_id`: every element that has an Id."""

    root: Element
    header: Element
    body: Element
    timestamp: Element | None
    username: Element | None
    token: Element | None
    """A BinarySecurityToken."""
    signature: Element | None
    by_id: dict[str, Element]


def find(root: Element) -> SecurityHeader | None:
    """That of an envelope, which has to be one of SOAP 1.1; None where it has none for us. Raises InvalidMessage."""
    found = list(root.iter(SECURITY))
    if not found:
        return None
    headers, bodies = root.findall(f"{_SOAP}Header"), root.findall(f"{_SOAP}Body")
    if len(found) > 1:
        raise refused(INVALID, "The message has several Security headers; one is read here")
    if (
        root.tag != f"{_SOAP}Envelope"
        or len(headers) != 1
        or len(bodies) != 1
        or found[0].getparent() is not headers[0]
    ):
        raise refused(INVALID, "Security has to stand in the one Header of a SOAP 1.1 envelope with one Body")
    if (found[0].get(_ACTOR) or _NEXT).strip(SPACE) != _NEXT:
        return None
    if next(root.iter(etree.Comment, etree.ProcessingInstruction), None) is not None:
        raise refused(INVALID, "A message with a Security header holds no comments and no processing instructions")
    parts = _parts(found[0])
    timestamp, username, token, signature = (parts.get(tag) for tag in _ONCE)
    return SecurityHeader(root, headers[0], bodies[0], timestamp, username, token, signature, _by_id(root))


def _parts(security: Element) -> dict[str, Element]:
    parts: dict[str, Element] = {}
    for child in security:
        name = etree.QName(child).localname
        if child.tag in parts:
            raise refused(INVALID, f"The Security header has {name} twice")
        if child.tag not in (*_ONCE, *_IGNORED):
            raise refused(UNSUPPORTED_TOKEN, f"{name} is not read here in a Security header", str(child.tag)[:120])
        parts[child.tag] = child
    return parts


def _by_id(root: Element) -> dict[str, Element]:
    """Whatever a program might take for an Id, by its value."""
    found: dict[str, Element] = {}
    for element in root.iter("*"):
        for name in element.attrib:
            if etree.QName(name).localname.lower() != "id":
                continue
            value = str(element.get(name))
            if value in found:
                raise refused(INVALID, "Two elements of the message have the same Id", value[:120])
            found[value] = element
    return found


def username_of(token: Element) -> UsernameProof:
    """A UsernameToken; raises InvalidMessage for what is none."""
    parts = dict(_username_parts(token))
    name = _text(parts.get(f"{WSSE}Username"), MOST_NAME)
    given = parts.get(f"{WSSE}Password")
    password = _text(given, MOST_PASSWORD, strip=False)
    if not name or given is None or not password:
        raise refused(TOKEN, "A UsernameToken holds Username and Password")
    created = _text(parts.get(f"{WSU}Created"), 64)
    nonce = _nonce(parts.get(f"{WSSE}Nonce"))
    created_at = parse_datetime(created) if created else None
    kind = given.get("Type", PASSWORD_TEXT)
    if kind == PASSWORD_TEXT:
        return UsernameProof(username=name, password=password, nonce=nonce, created=created, created_at=created_at)
    if kind != PASSWORD_DIGEST:
        raise refused(UNSUPPORTED_TOKEN, "A Password is read as PasswordText or PasswordDigest", kind[:120])
    if nonce is None or created_at is None:
        raise refused(TOKEN, "A PasswordDigest comes with Nonce and Created")
    digest = decode(password.strip(SPACE), 20, "PasswordDigest")
    return UsernameProof(username=name, digest=digest, nonce=nonce, created=created, created_at=created_at)


def _username_parts(token: Element) -> Iterator[tuple[str, Element]]:
    seen = set()
    for part in token:
        if part.tag in seen or len(part):
            raise refused(TOKEN, f"{etree.QName(part).localname} is in UsernameToken twice, or holds elements")
        seen.add(part.tag)
        yield str(part.tag), part


def _nonce(element: Element | None) -> bytes | None:
    if element is None:
        return None
    if element.get("EncodingType", BASE64) != BASE64:
        raise refused(TOKEN, "A Nonce is read in Base64Binary alone")
    nonce = decode(element.text or "", MOST_NONCE, "Nonce")
    if len(nonce) < LEAST_NONCE:
        raise refused(TOKEN, f"A Nonce has at least {LEAST_NONCE} octets")
    return nonce


def window_of(timestamp: Element) -> tuple[str, str | None]:
    """Created and Expires of a Timestamp, as they are written."""
    created, expires = timestamp.findall(f"{WSU}Created"), timestamp.findall(f"{WSU}Expires")
    if len(created) != 1 or len(expires) > 1:
        raise refused(INVALID, "A Timestamp has one Created, and not more than one Expires")
    return _text(created[0], 64), _text(expires[0], 64) if expires else None


def _text(element: Element | None, most: int, *, strip: bool = True) -> str:
    if element is None:
        return ""
    text = element.text or ""
    if len(text) > most:
        raise refused(TOKEN, f"{etree.QName(element).localname} is longer than {most} characters")
    return text.strip(SPACE) if strip else text


def decode(text: str, most: int, what: str) -> bytes:
    """Base64; raises InvalidMessage."""
    compact = "".join(text.split())
    if len(compact) > most * 4 // 3 + 4:
        raise refused(TOKEN, f"{what} has more than {most} octets")
    try:
        return base64.b64decode(compact, validate=True)
    except ValueError:
        raise refused(TOKEN, f"{what} is not base64") from None
