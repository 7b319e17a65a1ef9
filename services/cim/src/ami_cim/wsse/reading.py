"""How the security of messages is read: here, or by the process that does nothing else, as messages are (`ami_cim.reading`)."""

import re
from base64 import b64decode, b64encode
from dataclasses import dataclass
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
_PASSWORD = re.compile(rb"(<(?:[\w.-]+:)?Password\b[^>]*>).*?(</(?:[\w.-]+:)?Password\s*>)", re.DOTALL)
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
        if any("Password".encode(wide) in octets for wide in ("utf-16-le", "utf-16-be")):
            return b""
        if b"Security" not in octets or b"Password" not in octets:
            return octets
        return _PASSWORD.sub(rb"\1***\2", octets) if octets.count(b"Password") <= MOST_PASSWORDS else b""

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
