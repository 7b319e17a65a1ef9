"""How the security of messages is read: here, or by the process that does nothing else, as messages are (`ami_cim.reading`)."""

import re
from base64 import b64decode, b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest
from typing import Annotated

from pydantic import BeforeValidator, PlainSerializer, TypeAdapter, ValidationError

from ami_cim import xml
from ami_cim.errors import CimError, InvalidMessage
from ami_cim.limits import Limits, of_sender
from ami_cim.wsse import headers
from ami_cim.wsse.claims import Proof, UsernameProof, refused
from ami_cim.wsse.sealing import Sealed, Signer, load_signer, seal
from ami_cim.wsse.signatures import verified

SECURITY = headers.SECURITY
"""The header block (Clark) that is understood where messages are asked for their security."""
FUNCTION = "ami_cim.wsse.reading:read_apart"
LIGHT = 32_768
_WORD = b"Password"
_TAG = re.compile(rb"<(/?)(?:[^\s<>/:]+:)?" + _WORD)
MOST_NAME = 50_000
"""Octets of the name of an element: libxml2 reads no longer one."""
_STRUCK = b"***"
_UNSEEN = (
    "\ufeff".encode("utf-32-le"),
    "\ufeff".encode("utf-32-be"),
    "<".encode("utf-32-le"),
    "<".encode("utf-32-be"),
    "<?".encode("cp037"),
)
"""How XML begins in encodings that are not read here (XML 1.0, appendix F), and in which a word is not seen."""
MOST_PASSWORDS = 20
"""The word itself is in the Type of each as well."""
_ROOM = 100_000


def read(octets: bytes, limits: Limits, charset: str | None) -> Proof | None:
    """What a message proves; None: it has no Security header for us. Raises InvalidMessage."""
    if b"Security" not in octets and b"\x00" not in octets:  # NUL: UTF-16 hides the word
        return None
    found = headers.find(xml.parse_whole(octets, of_sender(octets, limits), charset=charset))
    if found is None:
        return None
    created = expires = None
    if found.timestamp is not None:
        first, last = headers.window_of(found.timestamp)
        created, expires = xml.parse_datetime(first), None if last is None else xml.parse_datetime(last)
    username = None if found.username is None else headers.username_of(found.username)
    signature = None if found.signature is None else verified(found, found.signature)
    return Proof(
        created_at=created,
        expires_at=expires,
        certificate=None if signature is None else signature.certificate,
        signature_id=None if signature is None else signature.identity,
        username=username,
    )


class SecurityReading:
    """The security of the messages of one endpoint."""

    function = FUNCTION

    def __init__(self, limits: Limits) -> None:
        self._limits = limits

    def is_light(self, octets: bytes) -> bool:
        """Whether it takes so little that it need not leave the event loop."""
        return len(octets) <= LIGHT

    def read(self, octets: bytes, charset: str | None) -> Proof | None:
        """What a message proves; raises InvalidMessage."""
        return read(octets, self._limits, charset)

    def refused(self, fault: str, reason: str, details: str | None = None, code: str | None = None) -> InvalidMessage:
        """The error of a message whose security is not taken."""
        return refused(fault, reason, details, code)

    def load_signer(self, certificate: bytes, key: bytes) -> Signer:
        """Of PEM files; raises ValueError."""
        return load_signer(certificate, key)

    def seal(self, octets: bytes, header: Sealed) -> bytes:
        """The message with this Security header."""
        return seal(octets, header)

    def without_passwords(self, octets: bytes) -> bytes:
        """What may be kept of a message: nothing of one that is full of passwords, or in which they can't be seen."""
        if octets.startswith(_UNSEEN) or any("Password".encode(wide) in octets for wide in ("utf-16-le", "utf-16-be")):
            return b""
        if b"Security" not in octets or _WORD not in octets:
            return octets
        return _without(octets) if octets.count(_WORD) <= MOST_PASSWORDS else b""

    def order(self, _: bytes, charset: str | None) -> tuple[bytes, int]:
        """What the reading process is given, and how many octets its answer may have."""
        return _ORDERS.dump_json(_Order(limits=self._limits, charset=charset)), _ROOM

    def read_answer(self, answer: bytes) -> Proof | None:
        """What that process found; raises the error in it."""
        try:
            said = _ANSWERS.validate_json(answer, strict=True)
        except ValidationError:
            raise CimError("5.2", "What the reading process answered cannot be used") from None
        if said.refused is not None:
            code, reason, details, fault = said.refused
            raise InvalidMessage(code, reason, details, fault_code=fault or "Client")
        return _proof(said)


def _without(octets: bytes) -> bytes:
    """Each from behind its beginning up to its last end before the next one; anybody may have sent this, so it is gone through by looking for the word alone."""
    tags = list(_tags(octets))
    kept, place, is_struck = list[bytes](), 0, False
    for tag, following in zip_longest(tags, tags[1:]):
        ends = bool(tag[1])
        if not ends and not is_struck:
            begins = octets.find(b">", tag.end()) + 1 or len(octets)
            kept += [octets[place:begins], _STRUCK]
            is_struck = True
        elif ends and is_struck and (following is None or not following[1]):
            place, is_struck = tag.start(), False
    return b"".join(kept) + (b"" if is_struck else octets[place:])


def _tags(octets: bytes) -> Iterator[re.Match[bytes]]:
    """Where such an element begins or ends, up to the word."""
    place = octets.find(_WORD)
    while place >= 0:
        end = place + len(_WORD)
        begins = octets.rfind(b"<", max(place - MOST_NAME, 0), place)
        tag = None if begins < 0 else _TAG.fullmatch(octets, begins, end)
        if tag is not None and octets[end : end + 1] in b" \t\r\n/>":
            yield tag
        place = octets.find(_WORD, end)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Order:
    limits: Limits
    charset: str | None


Octets = Annotated[
    bytes,
    BeforeValidator(lambda text: b64decode(text, validate=True)),
    PlainSerializer(lambda octets: b64encode(octets).decode()),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Said:
    """A Proof as JSON; `refused`: code, reason, details, fault."""

    refused: tuple[str, str, str | None, str | None] | None = None
    found: bool = False
    created: str | None = None
    expires: str | None = None
    certificate: Octets | None = None
    signature_id: Octets | None = None
    username: str | None = None
    password: str | None = None
    digest: Octets | None = None
    nonce: Octets | None = None
    username_created: str = ""


def read_apart(head: bytes, octets: bytes) -> bytes:
    """What `read` gives or raises, for `SecurityReading.read_answer`."""
    order = _ORDERS.validate_json(head, strict=True)
    try:
        said = _said(read(octets, order.limits, order.charset))
    except InvalidMessage as problem:
        said = _Said(refused=(problem.code, problem.reason, problem.details, problem.fault_code))
    return _ANSWERS.dump_json(said, exclude_defaults=True)


def _said(proof: Proof | None) -> _Said:
    if proof is None:
        return _Said()
    user = proof.username or UsernameProof(username="")
    return _Said(
        found=True,
        created=None if proof.created_at is None else xml.format_datetime(proof.created_at),
        expires=None if proof.expires_at is None else xml.format_datetime(proof.expires_at),
        certificate=proof.certificate,
        signature_id=proof.signature_id,
        username=user.username or None,
        password=user.password,
        digest=user.digest,
        nonce=user.nonce,
        username_created=user.created,
    )


def _proof(said: _Said) -> Proof | None:
    if not said.found:
        return None
    user = None
    if said.username is not None:
        created = said.username_created
        user = UsernameProof(
            username=said.username,
            password=said.password,
            digest=said.digest,
            nonce=said.nonce,
            created=created,
            created_at=xml.parse_datetime(created) if created else None,
        )
    return Proof(
        created_at=None if said.created is None else xml.parse_datetime(said.created),
        expires_at=None if said.expires is None else xml.parse_datetime(said.expires),
        certificate=said.certificate,
        signature_id=said.signature_id,
        username=user,
    )


_ORDERS = TypeAdapter(_Order)
_ANSWERS = TypeAdapter(_Said)
