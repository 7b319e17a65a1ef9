"""Which meter, how to reach it, who we are to it: what every sub-command needs, as plain values.

`Reach` is the way octets go, `WantedAssociation` the association and its keys. Both come from the command line or from a [[meters]]
entry (`registry`); nothing here opens anything.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from ami_cli.meter.errors import ExitCode, MeterError
from ami_dlms.association import Ciphering, ClientSettings, KeyForm, MessageKeys, PreEstablished, Security
from ami_dlms.association.client.session import PUBLIC_CLIENT
from ami_dlms.association.settings import (
    BLOCK_WINDOW,
    MAX_RESULT_OCTETS,
    SERVER_CONFORMANCE,
    SN_CONFORMANCE,
    WITH_SECRET,
    WITH_TITLES,
)
from ami_dlms.association.vocabulary import MECHANISMS, parse_ciphering, parse_mechanism
from ami_dlms.cosem.descriptors import AttributeDescriptor
from ami_dlms.cosem.short_names import ShortNames
from ami_dlms.enums import Conformance, Mechanism
from ami_dlms.errors import LocalError
from ami_dlms.framing.hdlc_client import MAX_RETRIES
from ami_dlms.framing.hdlc_parameters import DEFAULT_INFORMATION, DEFAULT_WINDOW
from ami_dlms.obis import Obis
from ami_dlms.security import AsymmetricKeys, GlobalKeys, PrivateKey, ProtectionFlags, PublicKey, SecurityPolicy
from ami_dlms.security.hls import usual_challenge
from ami_registry.meter import INVOCATION_COUNTER, Parity, Transport, key_id

DLMS_PORT = 4059
RandomBytes = Callable[[int], bytes]
ASSOCIATION_LN = 15
CURRENT_ASSOCIATION = Obis.parse("0-0:40.0.0*255")
OBJECT_LIST = AttributeDescriptor(ASSOCIATION_LN, CURRENT_ASSOCIATION, 2)

OFFERED, SN_OFFERED = SERVER_CONFORMANCE | Conformance.MULTIPLE_REFERENCES, SN_CONFORMANCE
"""The conformance that is offered unless another is asked for, with logical and with short names."""
NO_KEY = bytes(16)
"""The key in a Security that is made for its titles alone; nothing is ever computed with it."""


class Protection(StrEnum):
    """What ciphered APDUs are: authenticated, encrypted, or both; none: unencrypted, in this direction."""

    BOTH = "both"
    AUTHENTICATED = "authenticated"
    ENCRYPTED = "encrypted"
    NONE = "none"


DEMANDS = {
    Protection.BOTH: ProtectionFlags.AUTHENTICATED | ProtectionFlags.ENCRYPTED,
    Protection.AUTHENTICATED: ProtectionFlags.AUTHENTICATED,
    Protection.ENCRYPTED: ProtectionFlags.ENCRYPTED,
    Protection.NONE: ProtectionFlags.NOTHING,
}


class Priority(StrEnum):
    """Of requests."""

    HIGH = "high"
    NORMAL = "normal"


class Wrapping(StrEnum):
    """How ciphered APDUs are wrapped; none: unencrypted, the keys serve the proof of HLS alone."""

    NONE = "none"
    GENERAL_GLO = "general-glo"
    SERVICE_SPECIFIC = "service-specific"
    GENERAL_CIPHERING = "general-ciphering"


class MessageKey(StrEnum):
    """Which key general-ciphering uses: the global one, or one for each message that is sent wrapped or agreed upon."""

    IDENTIFIED = "identified"
    WRAPPED = "wrapped"
    C_1E_1S = "one-pass"
    C_0E_2S = "static-unified"


KEY_FORMS = {
    MessageKey.IDENTIFIED: KeyForm.IDENTIFIED,
    MessageKey.WRAPPED: KeyForm.WRAPPED,
    MessageKey.C_1E_1S: KeyForm.C_1E_1S,
    MessageKey.C_0E_2S: KeyForm.C_0E_2S,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """The way to the meter."""

    transport: Transport = Transport.WRAPPER
    host: str = ""
    port: int = DLMS_PORT
    device: str = ""
    baud: int = 9600
    parity: Parity = Parity.NONE
    mode_e: bool = False
    physical: int | None = None
    address_size: int | None = None
    max_information_transmit: int = DEFAULT_INFORMATION
    max_information_receive: int = DEFAULT_INFORMATION
    window_transmit: int = DEFAULT_WINDOW
    window_receive: int = DEFAULT_WINDOW
    retries: int = MAX_RETRIES
    timeout_s: float = 10.0

    def __str__(self) -> str:
        if self.transport is Transport.SERIAL:
            return self.device
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}" + ("" if self.transport is Transport.WRAPPER else f" ({self.transport})")


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedAssociation:
    """The association that is wanted. `title` is our own system title, None: the one of the counter file."""

    client: int = PUBLIC_CLIENT
    server: int = 1
    authentication: str = "none"
    secret: bytes | None = field(default=None, repr=False)
    encryption_key: bytes | None = field(default=None, repr=False)
    authentication_key: bytes | None = field(default=None, repr=False)
    signing_key: bytes | None = field(default=None, repr=False)
    meter_signing_key: bytes | None = None
    master_key: bytes | None = field(default=None, repr=False)
    agreement_key: bytes | None = field(default=None, repr=False)
    meter_agreement_key: bytes | None = None
    message_key: MessageKey = MessageKey.IDENTIFIED
    suite: int = 0
    wrapping: Wrapping = Wrapping.GENERAL_GLO
    protection: Protection = Protection.BOTH
    title: bytes | None = None
    meter_title: bytes | None = None
    counter_object: Obis = INVOCATION_COUNTER
    public_client: bool = True
    invocation_counter: int | None = None
    max_pdu_size: int = 0xFFFF
    short_names: bool = False
    any_invoke_id: bool = False
    any_address: bool = False
    fast_path: bool = True
    association_object: Obis = CURRENT_ASSOCIATION
    conformance: Conformance | None = None
    max_result_octets: int = MAX_RESULT_OCTETS
    block_window: int = BLOCK_WINDOW
    high_priority: bool = True
    pre_established: int | None = None
    response_protection: Protection | None = None
    signed: bool = False
    certificate: bytes | None = None
    dedicated_key: bool = False
    challenge_length: int | None = None

    @property
    def object_list(self) -> AttributeDescriptor:
        """Where the objects of the association are listed."""
        return AttributeDescriptor(ASSOCIATION_LN, self.association_object, 2)

    @property
    def ciphered(self) -> bool:
        """Whether APDUs are ciphered: there is a key, and no option says otherwise."""
        return self.encryption_key is not None and self.ciphering is not None

    @property
    def ciphering(self) -> Ciphering | None:
        """How APDUs are wrapped; None: they are not."""
        return parse_ciphering(self.wrapping)

    @property
    def mechanism(self) -> Mechanism:
        """The mechanism behind the name of the authentication; MeterError when there is none."""
        try:
            return parse_mechanism(self.authentication)
        except LocalError:
            names = ", ".join(MECHANISMS)
            raise MeterError(
                ExitCode.USAGE, f"{self.authentication} is none of {names}", where="--authentication"
            ) from None

    @property
    def keyed(self) -> bool:
        """Whether an invocation counter is needed."""
        return self.ciphered or self.mechanism is Mechanism.GMAC

    @property
    def titled(self) -> bool:
        """Whether a system title of our own is needed."""
        return self.keyed or self.mechanism in WITH_TITLES

    @property
    def offered(self) -> Conformance:
        """What is offered to the meter."""
        return self.conformance if self.conformance is not None else SN_OFFERED if self.short_names else OFFERED

    @property
    def policy(self) -> SecurityPolicy:
        """What requests and answers have to bear."""
        if not self.ciphered:
            return SecurityPolicy()
        signature = ProtectionFlags.SIGNED if self.signed else ProtectionFlags.NOTHING
        answers = self.response_protection or self.protection
        return SecurityPolicy(DEMANDS[self.protection] | signature, DEMANDS[answers] | signature)

    @property
    def challenge_octets(self) -> int:
        """How long our challenge is; 0 without HLS."""
        usual = usual_challenge(self.mechanism)
        return usual if self.challenge_length is None or not usual else self.challenge_length

    def dedicated(self, random_bytes: RandomBytes) -> bytes | None:
        """A dedicated key, when one is wanted."""
        return random_bytes(len(self.encryption_key or NO_KEY)) if self.dedicated_key else None

    @property
    def no_names_yet(self) -> ShortNames | None:
        """None for an association with logical names; with short names they are learned once it is open."""
        return ShortNames(()) if self.short_names else None

    @property
    def key_id(self) -> str:
        """A short name of the encryption key that tells two keys apart and gives neither away."""
        return key_id(self.encryption_key)

    def settings(self, title: bytes | None, server: int | None, random_bytes: RandomBytes) -> ClientSettings:
        """For the protocol core, as the client with this system title; MeterError when the options do not go together."""
        if self.mechanism in WITH_SECRET and not self.secret:
            raise _missing("--secret", f"authentication {self.authentication} needs it")
        try:
            return ClientSettings(
                client_wport=self.client,
                server_wport=self.server if server is None else server,
                mechanism=self.mechanism,
                secret=self.secret,
                security=self._security(title, server, random_bytes),
                conformance=self.offered,
                short_names=self.no_names_yet,
                max_receive_pdu_size=self.max_pdu_size,
                max_result_octets=self.max_result_octets,
                block_window=self.block_window,
                pre_established=None if self.pre_established is None else PreEstablished(self.pre_established),
                high_priority=self.high_priority,
                any_invoke_id=self.any_invoke_id,
                any_address=self.any_address,
                fast_path=self.fast_path,
            )
        except LocalError as error:
            raise MeterError(ExitCode.USAGE, str(error), where="the options of the association") from None

    def public_settings(self, server: int) -> ClientSettings:
        """For the public client of the same meter."""
        return ClientSettings(
            client_wport=PUBLIC_CLIENT,
            server_wport=server,
            conformance=self.offered,
            short_names=self.no_names_yet,
            high_priority=self.high_priority,
            any_invoke_id=self.any_invoke_id,
            any_address=self.any_address,
            fast_path=self.fast_path,
        )

    def _security(self, title: bytes | None, server: int | None, random_bytes: RandomBytes) -> Security | None:
        if not self.titled:
            return None
        if title is None:
            raise _missing("--title", "every ciphered frame begins with it")
        return Security(
            keys=self._keys(),
            system_title=title,
            suite=self.suite,
            policy=self.policy,
            peer_system_title=self.meter_title if server in (None, self.server) else None,
            ciphering=self.ciphering or Ciphering.GENERAL_GLO,
            message_keys=self._message_keys(random_bytes),
            asymmetric=self._asymmetric_keys(),
            certificate=self.certificate,
        )

    def _message_keys(self, random_bytes: RandomBytes) -> MessageKeys:
        """Our own form, and the global key for what the meter tells unasked."""
        own = KEY_FORMS[self.message_key]
        return MessageKeys(own=own, taken=frozenset({own, KeyForm.IDENTIFIED}), random_bytes=random_bytes)

    def _keys(self) -> GlobalKeys:
        if not self.keyed:
            return GlobalKeys(NO_KEY, NO_KEY)
        if self.encryption_key is None:
            raise _missing("--ek", f"authentication {self.authentication} computes with it")
        if self.authentication_key is None:
            raise _missing("--ak", "protection and its proof are computed with both keys")
        return GlobalKeys(self.encryption_key, self.authentication_key, master_key=self.master_key)

    def _asymmetric_keys(self) -> AsymmetricKeys:
        if self.mechanism is Mechanism.ECDSA and (self.signing_key is None or self.meter_signing_key is None):
            raise _missing(
                "--signing-key, --meter-signing-key", "HLS with ECDSA signs, and checks what the meter signs"
            )
        return AsymmetricKeys(
            None if self.signing_key is None else PrivateKey(self.signing_key),
            None if self.meter_signing_key is None else PublicKey(self.meter_signing_key),
            None if self.agreement_key is None else PrivateKey(self.agreement_key),
            None if self.meter_agreement_key is None else PublicKey(self.meter_agreement_key),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterTarget:
    """Everything about the meter of one command. `device_name` and `device_id` are known when a registry names it."""

    reach: Reach
    identity: WantedAssociation
    counters: Path
    name: str = ""
    device_name: str = ""
    device_id: str = ""
    verbose: bool = False

    def __str__(self) -> str:
        return f"{self.name} at {self.reach}" if self.name else str(self.reach)


def _missing(option: str, why: str) -> MeterError:
    return MeterError(ExitCode.USAGE, f"is missing: {why}", where=option)
