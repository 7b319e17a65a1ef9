"""What has to be agreed beforehand: who we are, which proof, which protection, which limits, for one association."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, IntFlag
from typing import Protocol

from dlms.cosem.descriptors import AttributeDescriptor, MethodDescriptor
from dlms.enums import Conformance, Mechanism
from dlms.errors import LocalError
from dlms.security import AUTHENTICATED, ENCRYPTED, GlobalKeys, ReceiveCounter, SendCounter
from dlms.security.aead import SYSTEM_TITLE_LENGTH
from dlms.security.suites import suite_of

MAX_PDU_SIZE = 0xFFFF
WPORTS = range(0x10000)
SUPPORTED_MECHANISMS = (Mechanism.LOWEST, Mechanism.LOW, Mechanism.GMAC)

CLIENT_CONFORMANCE = (
    Conformance.GENERAL_PROTECTION
    | Conformance.PRIORITY_MGMT_SUPPORTED
    | Conformance.BLOCK_TRANSFER_WITH_GET_OR_READ
    | Conformance.DATA_NOTIFICATION
    | Conformance.GET
    | Conformance.SET
    | Conformance.SELECTIVE_ACCESS
    | Conformance.ACTION
)
SERVER_CONFORMANCE = (
    CLIENT_CONFORMANCE | Conformance.BLOCK_TRANSFER_WITH_SET_OR_WRITE | Conformance.BLOCK_TRANSFER_WITH_ACTION
)
LN_CONFORMANCE = SERVER_CONFORMANCE | Conformance.MULTIPLE_REFERENCES
"""Every service with logical names; its lists ask more of a server's application than SERVER_CONFORMANCE does."""


class Ciphering(Enum):
    """Which of the two ways of wrapping a ciphered APDU the client uses; a server answers as it was asked."""

    GENERAL_GLO = "general-glo"
    SERVICE_SPECIFIC = "service-specific"


class AttributeAccess(IntFlag):
    """What a client may do with an attribute."""

    NONE = 0
    READ = 1
    WRITE = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Security:
    """Suite, policy, keys and titles. With neither bit of the policy the keys serve HLS with GMAC alone.

    `peer_system_title` None: taken from the peer when the association opens.
    """

    keys: GlobalKeys
    system_title: bytes
    suite: int = 0
    authenticated: bool = True
    encrypted: bool = True
    peer_system_title: bytes | None = None
    ciphering: Ciphering = Ciphering.GENERAL_GLO

    def __post_init__(self) -> None:
        suite = suite_of(self.suite)
        if len(self.keys.encryption_key) != suite.key_length:
            raise LocalError(f"suite {self.suite} wants keys of {suite.key_length} octets")
        for title in (self.system_title, self.peer_system_title):
            if title is not None and len(title) != SYSTEM_TITLE_LENGTH:
                raise LocalError(f"a system title has {SYSTEM_TITLE_LENGTH} octets, got {len(title)}")
        if self.peer_system_title == self.system_title:
            raise LocalError("both ends have the same system title: they would use the same initialization vectors")

    @property
    def ciphered(self) -> bool:
        """Whether APDUs are protected at all."""
        return self.authenticated or self.encrypted

    @property
    def control(self) -> int:
        """The security control octet that the policy wants."""
        return self.suite | (AUTHENTICATED if self.authenticated else 0) | (ENCRYPTED if self.encrypted else 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientSettings:
    """One association seen from the client. `secret` is the LLS password."""

    client_wport: int
    server_wport: int
    mechanism: Mechanism = Mechanism.LOWEST
    secret: bytes | None = field(default=None, repr=False)
    security: Security | None = None
    conformance: Conformance = CLIENT_CONFORMANCE
    max_receive_pdu_size: int = MAX_PDU_SIZE

    def __post_init__(self) -> None:
        check_agreement(self.mechanism, self.secret, self.security)
        check_numbers(self.client_wport, self.server_wport, self.max_receive_pdu_size)


class AccessRights(Protocol):
    """What one association shows and allows; asked by the server before the application sees a request."""

    def attribute(self, descriptor: AttributeDescriptor) -> AttributeAccess | None:
        """The access to an attribute, or None when its object is not visible."""

    def method(self, descriptor: MethodDescriptor) -> bool | None:
        """Whether a method may be called, or None when its object is not visible."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AssociationProfile:
    """One association that a server offers. The counters belong to the keys and outlive connections."""

    client_wport: int
    server_wport: int
    access: AccessRights
    mechanism: Mechanism = Mechanism.LOWEST
    secret: bytes | None = field(default=None, repr=False)
    security: Security | None = None
    send_counter: SendCounter | None = None
    receive_counter: ReceiveCounter | None = None
    conformance: Conformance = SERVER_CONFORMANCE
    max_receive_pdu_size: int = MAX_PDU_SIZE

    def __post_init__(self) -> None:
        check_agreement(self.mechanism, self.secret, self.security)
        check_numbers(self.client_wport, self.server_wport, self.max_receive_pdu_size)
        if self.security is not None and (self.send_counter is None or self.receive_counter is None):
            raise LocalError("an association with keys needs a send counter and a receive counter that outlive it")


def check_agreement(mechanism: Mechanism, secret: bytes | None, security: Security | None) -> None:
    """LocalError when a mechanism lacks what it needs."""
    if mechanism not in SUPPORTED_MECHANISMS:
        raise LocalError(f"authentication mechanism {mechanism.name} is not supported")
    if mechanism is Mechanism.LOW and not secret:
        raise LocalError("low level security needs a secret")
    if mechanism is Mechanism.GMAC and security is None:
        raise LocalError("HLS with GMAC needs keys and a system title")


def check_numbers(client_wport: int, server_wport: int, max_receive_pdu_size: int) -> None:
    """LocalError for a wrapper port or a PDU size that does not fit into its 16 bits."""
    if client_wport not in WPORTS or server_wport not in WPORTS:
        raise LocalError(f"a wrapper port is a 16 bit number: {client_wport}, {server_wport}")
    if not 0 <= max_receive_pdu_size <= MAX_PDU_SIZE:
        raise LocalError(f"a PDU size is a 16 bit number: {max_receive_pdu_size}")
