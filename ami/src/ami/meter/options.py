"""Which meter, how to reach it, who we are to it: what every sub-command needs, as plain values.

`Reach` is the way octets go, `Identity` the association and its keys. Both come from the command line or from a [[meters]]
entry (`registry`); nothing here opens anything.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import sha256
from pathlib import Path

from ami.meter.errors import ExitCode, MeterError
from dlms.association import Ciphering, ClientSettings, Security
from dlms.association.settings import SUPPORTED_MECHANISMS
from dlms.enums import Mechanism
from dlms.errors import LocalError
from dlms.obis import Obis
from dlms.security import GlobalKeys

DLMS_PORT = 4059
PUBLIC_CLIENT = 16
INVOCATION_COUNTER = Obis.parse("0-0:43.1.1*255")

AUTHENTICATIONS = {
    "none": Mechanism.LOWEST,
    "lls": Mechanism.LOW,
    "hls": Mechanism.HIGH,
    "hls-md5": Mechanism.MD5,
    "hls-sha1": Mechanism.SHA1,
    "hls-gmac": Mechanism.GMAC,
    "hls-sha256": Mechanism.SHA256,
    "hls-ecdsa": Mechanism.ECDSA,
}
OFFERED = tuple(name for name, mechanism in AUTHENTICATIONS.items() if mechanism in SUPPORTED_MECHANISMS)
WITH_SECRET = frozenset({"lls", "hls", "hls-md5", "hls-sha1", "hls-sha256"})


class Transport(StrEnum):
    """What carries the APDUs."""

    TCP = "tcp"
    UDP = "udp"
    HDLC = "hdlc"
    SERIAL = "serial"


class Protection(StrEnum):
    """What ciphered APDUs are: authenticated, encrypted, or both."""

    BOTH = "both"
    AUTHENTICATED = "authenticated"
    ENCRYPTED = "encrypted"


class Wrapping(StrEnum):
    """How ciphered APDUs are wrapped; none: in clear, the keys serve the proof of HLS alone."""

    NONE = "none"
    GENERAL_GLO = "general-glo"
    SERVICE_SPECIFIC = "service-specific"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """The way to the meter."""

    transport: Transport = Transport.TCP
    host: str = ""
    port: int = DLMS_PORT
    device: str = ""
    baud: int = 9600
    mode_e: bool = False
    physical: int | None = None
    timeout_s: float = 10.0

    def __str__(self) -> str:
        if self.transport is Transport.SERIAL:
            return self.device
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}" + ("" if self.transport is Transport.TCP else f" ({self.transport})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """The association that is wanted. `title` is our own system title, None: the one of the counter file."""

    client: int = PUBLIC_CLIENT
    server: int = 1
    authentication: str = "none"
    secret: bytes | None = field(default=None, repr=False)
    encryption_key: bytes | None = field(default=None, repr=False)
    authentication_key: bytes | None = field(default=None, repr=False)
    suite: int = 0
    wrapping: Wrapping = Wrapping.GENERAL_GLO
    protection: Protection = Protection.BOTH
    title: bytes | None = None
    meter_title: bytes | None = None
    counter_object: Obis = INVOCATION_COUNTER
    invocation_counter: int | None = None
    max_pdu_size: int = 0xFFFF

    @property
    def ciphered(self) -> bool:
        """Whether APDUs are ciphered: there is a key, and nobody said otherwise."""
        return self.encryption_key is not None and self.wrapping is not Wrapping.NONE

    @property
    def keyed(self) -> bool:
        """Whether an invocation counter is needed."""
        return self.ciphered or self.authentication == "hls-gmac"

    @property
    def key_id(self) -> str:
        """A short name of the encryption key that tells two keys apart and gives neither away."""
        return sha256(b"key-id" + (self.encryption_key or b"")).hexdigest()[:16]

    def settings(self, title: bytes | None, server: int | None = None) -> ClientSettings:
        """For the protocol core, as the client with this system title; MeterError when the options do not go together."""
        if self.authentication not in OFFERED:
            raise MeterError(
                ExitCode.USAGE, f"{self.authentication} is none of {', '.join(OFFERED)}", where="--authentication"
            )
        if self.authentication in WITH_SECRET and not self.secret:
            raise _missing("--secret", f"authentication {self.authentication} needs it")
        try:
            return ClientSettings(
                client_wport=self.client,
                server_wport=self.server if server is None else server,
                mechanism=AUTHENTICATIONS[self.authentication],
                secret=self.secret,
                security=self._security(title, server),
                max_receive_pdu_size=self.max_pdu_size,
            )
        except LocalError as error:
            raise MeterError(ExitCode.USAGE, str(error), where="the options of the association") from None

    def _security(self, title: bytes | None, server: int | None) -> Security | None:
        if not self.keyed:
            return None
        if self.encryption_key is None:
            raise _missing("--ek", f"authentication {self.authentication} computes with it")
        if self.authentication_key is None:
            raise _missing("--ak", "protection and its proof are computed with both keys")
        if title is None:
            raise _missing("--title", "every ciphered frame begins with it")
        return Security(
            keys=GlobalKeys(self.encryption_key, self.authentication_key),
            system_title=title,
            suite=self.suite,
            authenticated=self.ciphered and self.protection is not Protection.ENCRYPTED,
            encrypted=self.ciphered and self.protection is not Protection.AUTHENTICATED,
            peer_system_title=self.meter_title if server in (None, self.server) else None,
            ciphering=Ciphering.SERVICE_SPECIFIC
            if self.wrapping is Wrapping.SERVICE_SPECIFIC
            else Ciphering.GENERAL_GLO,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Everything about the meter of one command. `device_name` and `device_id` are known when a registry names it."""

    reach: Reach
    identity: Identity
    counters: Path
    name: str = ""
    device_name: str = ""
    device_id: str = ""
    verbose: bool = False

    def __str__(self) -> str:
        return f"{self.name} at {self.reach}" if self.name else str(self.reach)


def _missing(option: str, why: str) -> MeterError:
    return MeterError(ExitCode.USAGE, f"is missing: {why}", where=option)
