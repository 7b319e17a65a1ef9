"""One meter as an entry describes it: its names, the way to it, its association and keys, and where its objects are."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import sha256

from ami_dlms.association import Ciphering
from ami_dlms.association.settings import WITH_SECRET, WITH_TITLES
from ami_dlms.association.vocabulary import format_mechanism
from ami_dlms.enums import Mechanism
from ami_dlms.errors import LocalError
from ami_dlms.framing.hdlc_address import MAX_SHORT, SIZES, HdlcAddress
from ami_dlms.framing.mode_e import FIRST_BAUD_RATE
from ami_dlms.obis import Obis
from ami_dlms.security import PrivateKey, PublicKey
from ami_dlms.security.suites import suite_of

INVOCATION_COUNTER = Obis.parse("0-0:43.1.1*255")  # of what the meter has taken from client 1
DEVICE_ID = Obis.parse("0-0:96.1.0*255")
HDLC_CLIENTS = range(1, MAX_SHORT + 1)
SYMMETRIC_KEYS = ("encryption_key", "authentication_key")
"""What an association of HLS-GMAC computes with."""
OF_ALL = ("name", "mrid", "usage_points", "tags")
"""The fields that every entry may have."""
BEHIND = ("behind", "channel", "identification", "manufacturer")
"""What a sub-meter has beside them, in the place of an address and an association; an entry with one of these is one."""


class Transport(StrEnum):
    """What carries the APDUs: the wrapper over TCP or over UDP, or HDLC over TCP or a serial line."""

    WRAPPER = "wrapper"
    UDP = "udp"
    HDLC = "hdlc"
    SERIAL = "serial"

    @property
    def framed(self) -> bool:
        """Whether APDUs go in frames of HDLC."""
        return self in (Transport.HDLC, Transport.SERIAL)


class Parity(StrEnum):
    """Of the characters of a serial line, which have eight bits."""

    NONE = "none"
    EVEN = "even"
    ODD = "odd"


@dataclass(frozen=True, slots=True, kw_only=True)
class Meter:
    """One meter; `address` is None for one that dials in, and the device of a serial line as text.

    `ciphering` is None for one whose APDUs are unencrypted. A sub-meter, which is `behind` another one on a channel of its M-Bus, has
    no address and no association of its own: what is said of them is of no meaning for it.
    """

    name: str
    mrid: str = ""
    usage_points: tuple[str, ...] = ()
    behind: str = ""
    """The name of the meter whose M-Bus it is on; empty for a meter that is reached itself."""
    channel: int = 0
    identification: str = ""
    """Of the sub-meter on the M-Bus: eight digits."""
    manufacturer: str = ""
    """Of the sub-meter: three letters."""
    address: tuple[str, int] | str | None = None
    transport: Transport = Transport.WRAPPER
    baud: int = 9600
    parity: Parity = Parity.NONE
    mode_e: bool = False
    physical_address: int | None = None
    address_size: int | None = None
    client_wport: int = 1
    server_wport: int = 1
    public_client: bool = True
    authentication: Mechanism = Mechanism.GMAC
    suite: int = 0
    ciphering: Ciphering | None = Ciphering.GENERAL_GLO
    encryption_key: bytes | None = field(default=None, repr=False)
    authentication_key: bytes | None = field(default=None, repr=False)
    master_key: bytes | None = field(default=None, repr=False)
    secret: bytes | None = field(default=None, repr=False)
    signing_key: PrivateKey | None = field(default=None, repr=False)
    meter_signing_key: PublicKey | None = None
    default_keys: bool = False
    """Whether its keys and its secret are those that it came with and others may know, until they are changed."""
    system_title: bytes | None = None
    logical_device_name: str = ""
    device_id: str = ""
    device_id_object: Obis = DEVICE_ID
    disconnect_object: Obis | None = None
    invocation_counter: Obis = INVOCATION_COUNTER
    pack: str = ""
    """The companion standard by which its events and alarms are numbered; empty: the general rows."""
    tags: Mapping[str, str] = field(default_factory=dict, hash=False)
    """The groups that it belongs to, as `feeder`: `F12`."""

    @property
    def ciphered(self) -> bool:
        """Whether its APDUs are ciphered; without authentication nothing is."""
        return (
            self.authentication is not Mechanism.LOWEST
            and self.ciphering is not None
            and self.encryption_key is not None
        )

    @property
    def keyed(self) -> bool:
        """Whether its association needs symmetric keys, and so an invocation counter."""
        return self.ciphered or self.authentication is Mechanism.GMAC

    @property
    def titled(self) -> bool:
        """Whether its association needs system titles."""
        return self.keyed or self.authentication in WITH_TITLES

    @property
    def proves_itself(self) -> bool:
        """Whether who answers has to know a secret of the meter: a password is only ever sent by the client."""
        return self.ciphered or self.authentication not in (Mechanism.LOWEST, Mechanism.LOW)

    @property
    def key_id(self) -> str:
        """A short name of the encryption key."""
        return key_id(self.encryption_key)

    @property
    def place(self) -> str:
        """Where it is, for a person: host and port, the device of its line, or the meter that it is behind."""
        if self.behind:
            return f"channel {self.channel} of {self.behind}"
        return self.address if isinstance(self.address, str) else "{}:{}".format(*self.address or ("unknown", 0))

    def problem(self) -> tuple[str, str] | None:
        """The first field that does not fit the others, and why."""
        if self.behind:
            return ("behind", "is the meter itself") if self.behind == self.name else None
        return self._wrong_way() or self._wrong_proof()

    def _wrong_way(self) -> tuple[str, str] | None:
        if self.address is None and self.transport is not Transport.WRAPPER:
            return "transport", f"has to be {Transport.WRAPPER}: so speak meters that dial in"
        if self.transport is Transport.SERIAL:
            if not isinstance(self.address, str):
                return "address", "has to be a device, as /dev/ttyUSB0: the transport is serial"
            if self.mode_e and (self.parity is not Parity.NONE or self.baud < FIRST_BAUD_RATE):
                return "mode_e", f"leads to at least {FIRST_BAUD_RATE} baud and to no parity"
        elif isinstance(self.address, str):
            return "transport", f"has to be {Transport.SERIAL}: the address is a device"
        if not self.transport.framed:
            return None
        if self.client_wport not in HDLC_CLIENTS:
            return "client_wport", f"has to be at most {HDLC_CLIENTS[-1]}: an address of HDLC"
        try:
            found = self.hdlc_address.size
        except LocalError as error:
            return "server_wport", str(error)
        if self.address_size not in (None, found):
            return "address_size", f"is {self.address_size}, and server_wport and physical_address take {found} octets"
        return None

    @property
    def hdlc_address(self) -> HdlcAddress:
        """The meter's address on a line, in as many octets as are wanted; LocalError when it does not fit."""
        return HdlcAddress(self.server_wport, self.physical_address, wide=self.address_size == max(SIZES))

    def _wrong_proof(self) -> tuple[str, str] | None:
        if self.authentication is Mechanism.LOWEST:
            return None
        word = format_mechanism(self.authentication)
        if self.authentication in WITH_SECRET and not self.secret:
            return "secret", f"is missing: authentication {word} needs it"
        if self.authentication is Mechanism.GMAC:
            for name in SYMMETRIC_KEYS:
                if getattr(self, name) is None:
                    return name, f"is missing: authentication {word} computes with it"
        return self._wrong_key() or self._wrong_curve(word)

    def _wrong_key(self) -> tuple[str, str] | None:
        wanted = suite_of(self.suite).key_length
        for name in (*SYMMETRIC_KEYS, "master_key"):
            key: bytes | None = getattr(self, name)
            if key is not None and len(key) != wanted:
                return name, f"has {len(key)} octets; security suite {self.suite} wants {wanted} octets"
        if self.ciphered and self.authentication_key is None:
            return "authentication_key", "is missing: ciphering authenticates with it"
        return None

    def _wrong_curve(self, word: str) -> tuple[str, str] | None:
        if self.authentication is Mechanism.ECDSA and not suite_of(self.suite).coordinate_length:
            return "suite", f"authentication {word} needs suite 1 or 2"
        for name in ("signing_key", "meter_signing_key"):
            key: PrivateKey | PublicKey | None = getattr(self, name)
            if key is not None and key.suite != self.suite:
                return name, f"is a key of suite {key.suite:d}, and not of suite {self.suite}"
        return None


def key_id(encryption_key: bytes | None) -> str:
    """A short name of an encryption key that tells two keys apart and gives neither away."""
    return sha256(b"key-id" + (encryption_key or b"")).hexdigest()[:16]
