"""What has to be agreed beforehand: who we are, which proof, which protection, which limits, for one association."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass, field
from enum import Enum
from typing import Protocol

from ami_dlms.apdu import Apdu
from ami_dlms.apdu.blocks import MAX_WINDOW
from ami_dlms.association.access_rights import AccessRights
from ami_dlms.association.message_keys import GLOBAL_KEY_ALONE, GLOBAL_KEYS, KeyForm, MessageKeys
from ami_dlms.cosem.short_names import ShortNames
from ami_dlms.enums import ApplicationContext, Conformance, Mechanism
from ami_dlms.errors import LocalError
from ami_dlms.frozen import frozen
from ami_dlms.security import (
    AsymmetricKeys,
    GlobalKeys,
    ManufacturerProof,
    ProtectionFlags,
    PublicKey,
    ReceiveCounter,
    SecurityPolicy,
    SendCounter,
)
from ami_dlms.security.aead import SYSTEM_TITLE_LENGTH
from ami_dlms.security.suites import suite_of

MAX_PDU_SIZE = 0xFFFF
MAX_RESULT_OCTETS = 64 * 1024 * 1024
MAX_REQUEST_OCTETS = 1024 * 1024
MAX_OCTETS_BEFORE_OPEN = 4096  # of an APDU that opens an association: before anything is proved it stays small
BLOCK_WINDOW = 8
WPORTS = range(0x10000)
NO_ASYMMETRIC_KEYS = AsymmetricKeys()
WITH_SECRET = frozenset({Mechanism.LOW, Mechanism.MD5, Mechanism.SHA1, Mechanism.SHA256})
WITH_TITLES = frozenset({Mechanism.GMAC, Mechanism.SHA256, Mechanism.ECDSA})

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
LN_CONFORMANCE = (
    SERVER_CONFORMANCE
    | Conformance.MULTIPLE_REFERENCES
    | Conformance.GENERAL_BLOCK_TRANSFER
    | Conformance.ACCESS
    | Conformance.EVENT_NOTIFICATION
)
"""Every service with logical names; its lists ask more of a server's application than SERVER_CONFORMANCE does."""

SN_CONFORMANCE = (
    Conformance.GENERAL_PROTECTION
    | Conformance.READ
    | Conformance.WRITE
    | Conformance.UNCONFIRMED_WRITE
    | Conformance.BLOCK_TRANSFER_WITH_GET_OR_READ
    | Conformance.BLOCK_TRANSFER_WITH_SET_OR_WRITE
    | Conformance.MULTIPLE_REFERENCES
    | Conformance.INFORMATION_REPORT
    | Conformance.DATA_NOTIFICATION
    | Conformance.PARAMETERIZED_ACCESS
)
"""Every service with short names."""


class Ciphering(Enum):
    """Which APDU of the client carries a ciphered one; a server answers as it was asked.

    General-ciphering names the global unicast key, unless `Security.message_keys` says otherwise. It can't name a
    dedicated one: with that, general-ded takes its place.
    """

    GENERAL_GLO = "general-glo"
    SERVICE_SPECIFIC = "service-specific"
    GENERAL_CIPHERING = "general-ciphering"


Trust = Callable[[bytes, bytes], PublicKey | None]


class Inside(Protocol):
    """Who stands between the protection of an association and its services: for servers that have to be wrong on purpose."""

    def arrived(self, message: Apdu) -> Apdu:
        """What is served in place of a request from which all protection was taken."""

    def leaves(self, octets: bytes) -> bytes:
        """What is protected and sent in place of the encoded response of a service. A fault is no such response."""


@frozen
class Security:
    """Suite, policy, keys and titles. Where the policy requires nothing the keys serve HLS alone.

    `authenticated` and `encrypted` are the policy of both directions, unless `policy` is given. `peer_system_title` None:
    taken from the peer when the association opens. `certificate` (DER) is shown to the peer as AE qualifier; `trust` gets
    the peer's with its system title and gives the signature key, or None when it does not believe it.
    """

    _: KW_ONLY
    keys: GlobalKeys
    system_title: bytes
    suite: int = 0
    authenticated: bool = True
    encrypted: bool = True
    policy: SecurityPolicy | None = None
    peer_system_title: bytes | None = None
    ciphering: Ciphering = Ciphering.GENERAL_GLO
    message_keys: MessageKeys = GLOBAL_KEYS
    asymmetric: AsymmetricKeys = NO_ASYMMETRIC_KEYS
    certificate: bytes | None = field(default=None, repr=False)
    trust: Trust | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        suite = suite_of(self.suite)
        if len(self.keys.encryption_key) != suite.key_length:
            raise LocalError(f"suite {self.suite} wants keys of {suite.key_length} octets")
        self.asymmetric.check(suite)
        for title in (self.system_title, self.peer_system_title):
            if title is not None and len(title) != SYSTEM_TITLE_LENGTH:
                raise LocalError(f"a system title has {SYSTEM_TITLE_LENGTH} octets, got {len(title)}")
        if self.peer_system_title == self.system_title:
            raise LocalError("both ends have the same system title: they would use the same initialization vectors")
        self._check_signing()
        self._check_message_keys()

    def _check_signing(self) -> None:
        required = self.required
        for flags in (required.request, required.response):
            if not flags & ProtectionFlags.SIGNED:
                continue
            if not flags & ProtectionFlags.AUTHENTICATED:
                raise LocalError("signing alone tells no replay: a policy that signs has to authenticate as well")
            if self.ciphering is Ciphering.SERVICE_SPECIFIC:
                raise LocalError("service-specific ciphering can't carry a signed APDU")
            if not suite_of(self.suite).coordinate_length:
                raise LocalError(f"suite {self.suite} knows no signatures")

    def _check_message_keys(self) -> None:
        wanted = self.message_keys
        if wanted is GLOBAL_KEYS:  # it needs nothing, and nearly all have it
            return
        wanted.check(suite_of(self.suite), self.keys, self.asymmetric, trusts=self.trust is not None)
        if wanted.own is not KeyForm.IDENTIFIED and self.ciphering is not Ciphering.GENERAL_CIPHERING:
            raise LocalError(f"keys of one message travel in general-ciphering, not in {self.ciphering.value}")
        if wanted.forms == GLOBAL_KEY_ALONE:
            return
        if not self.required.request & self.required.response & ProtectionFlags.AUTHENTICATED:
            raise LocalError(
                "keys of one message need a policy that authenticates both ways: the tag holds their header"
            )

    @property
    def required(self) -> SecurityPolicy:
        """The protections that requests and responses need at least."""
        if self.policy is not None:
            return self.policy
        return SecurityPolicy.both_ways(authenticated=self.authenticated, encrypted=self.encrypted)

    @property
    def ciphered(self) -> bool:
        """Whether APDUs are protected at all, in either direction."""
        return self.required.protects

    def control(self, flags: ProtectionFlags) -> int:
        """The security control octet of these protections."""
        return self.suite | flags.control


@frozen
class PreEstablished:
    """An association that exists without being opened (Green Book 9.3.2): the conformance of both ends is what was agreed.

    `peer_max_receive_pdu_size` is how long an APDU the other end takes, 0 for any length.
    """

    peer_max_receive_pdu_size: int = MAX_PDU_SIZE


@frozen
class ClientSettings:
    """One association seen from the client. `secret` is the LLS password or the HLS secret of mechanisms 2, 3, 4 and 6.

    `max_result_octets` is how long an answer may be, in one APDU or put together of blocks, once the association is open.
    `block_window` is how many blocks of a general block transfer we take in one go. With `short_names`, be they none yet,
    the association names by short names, and `conformance` should be SN_CONFORMANCE.

    Requests have high or normal priority. `any_invoke_id` takes the answer to the open request under whatever invoke id,
    `any_address` from and to whatever wrapper ports: for servers that get these wrong. A late answer to an earlier request
    can then be taken for the right one. `fast_path` False sends and takes every APDU by the general path: the octets are the
    same, so that a fault of the fast path can be distinguished from one of the peer.
    """

    _: KW_ONLY
    client_wport: int
    server_wport: int
    mechanism: Mechanism = Mechanism.LOWEST
    secret: bytes | None = field(default=None, repr=False)
    manufacturer_proof: ManufacturerProof | None = field(default=None, repr=False)
    security: Security | None = None
    conformance: Conformance = CLIENT_CONFORMANCE
    max_receive_pdu_size: int = MAX_PDU_SIZE
    max_result_octets: int = MAX_RESULT_OCTETS
    block_window: int = BLOCK_WINDOW
    short_names: ShortNames | None = None
    pre_established: PreEstablished | None = None
    high_priority: bool = True
    any_invoke_id: bool = False
    any_address: bool = False
    fast_path: bool = True

    def __post_init__(self) -> None:
        check_agreement(self)
        check_numbers(self.client_wport, self.server_wport, self.max_receive_pdu_size, self.block_window)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AssociationProfile:
    """One association that a server offers. The counters belong to the keys and outlive connections.

    Frames under the broadcast key are taken when there are such a key and a counter for it. `max_request_octets` is how long
    a request may be that is put together of blocks. `fast_path` False takes and answers every APDU by the general path, which is
    the only one that `inside` sees. `challenge_lengths` None: those of the standard.
    """

    client_wport: int
    server_wport: int
    access: AccessRights
    mechanism: Mechanism = Mechanism.LOWEST
    secret: bytes | None = field(default=None, repr=False)
    manufacturer_proof: ManufacturerProof | None = field(default=None, repr=False)
    security: Security | None = None
    send_counter: SendCounter | None = None
    receive_counter: ReceiveCounter | None = None
    broadcast_receive_counter: ReceiveCounter | None = None
    conformance: Conformance = SERVER_CONFORMANCE
    max_receive_pdu_size: int = MAX_PDU_SIZE
    max_request_octets: int = MAX_REQUEST_OCTETS
    block_window: int = BLOCK_WINDOW
    short_names: ShortNames | None = None
    pre_established: PreEstablished | None = None
    fast_path: bool = True
    inside: Inside | None = None
    challenge_lengths: range | None = None

    def __post_init__(self) -> None:
        check_agreement(self)
        check_numbers(self.client_wport, self.server_wport, self.max_receive_pdu_size, self.block_window)
        if self.inside is not None and self.fast_path:
            raise LocalError("the fast path goes past whoever stands inside: an association has one of them")
        if self.security is not None and (self.send_counter is None or self.receive_counter is None):
            raise LocalError("an association with keys needs a send counter and a receive counter that outlive it")


def application_context(agreed: ClientSettings | AssociationProfile) -> ApplicationContext:
    """Logical or short names, with ciphering when the policy protects anything."""
    if agreed.security is not None and agreed.security.ciphered:
        return ApplicationContext.LN_CIPHERED if agreed.short_names is None else ApplicationContext.SN_CIPHERED
    return ApplicationContext.LN if agreed.short_names is None else ApplicationContext.SN


def check_agreement(agreed: ClientSettings | AssociationProfile) -> None:
    """LocalError when a mechanism lacks what it needs."""
    _check_pre_established(agreed)
    mechanism, security = agreed.mechanism, agreed.security
    if mechanism is Mechanism.UNKNOWN:
        raise LocalError("an unknown authentication mechanism is not supported")
    if mechanism in WITH_SECRET and not agreed.secret:
        raise LocalError(f"authentication mechanism {mechanism.name} needs a secret")
    if mechanism is Mechanism.HIGH and agreed.manufacturer_proof is None:
        raise LocalError("HLS of a manufacturer needs the function that computes its proofs")
    if mechanism in WITH_TITLES and security is None:
        raise LocalError(f"HLS with {mechanism.name} needs keys and a system title")
    if mechanism is Mechanism.ECDSA and security is not None:
        known = security.asymmetric.peer_signing or security.trust
        if security.asymmetric.signing is None or known is None:
            raise LocalError("HLS with ECDSA needs a signing key, and the peer's or whom to trust for it")


def _check_pre_established(agreed: ClientSettings | AssociationProfile) -> None:
    """Nothing is exchanged beforehand: no proof, and no title."""
    security = agreed.security
    if agreed.pre_established is None:
        return
    if agreed.mechanism is not Mechanism.LOWEST:
        raise LocalError("a pre-established association has no authentication")
    if security is not None and security.ciphered and security.peer_system_title is None:
        raise LocalError("a pre-established association with ciphering needs the peer's system title")


def check_numbers(client_wport: int, server_wport: int, max_receive_pdu_size: int, block_window: int) -> None:
    """LocalError for a wrapper port or a PDU size that does not fit into its 16 bits, or a window into its 6."""
    if client_wport not in WPORTS or server_wport not in WPORTS:
        raise LocalError(f"a wrapper port is a 16 bit number: {client_wport}, {server_wport}")
    if not 0 <= max_receive_pdu_size <= MAX_PDU_SIZE:
        raise LocalError(f"a PDU size is a 16 bit number: {max_receive_pdu_size}")
    if not 1 <= block_window <= MAX_WINDOW:
        raise LocalError(f"a window is a number from 1 to {MAX_WINDOW}: {block_window}")
