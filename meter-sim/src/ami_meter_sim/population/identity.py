"""Who meter number `index` of a population is, derived and not stored: serial number, names, system title, mRIDs, keys.

Strategy: everything secret comes out of one pseudorandom key by HKDF-SHA256 (RFC 5869): extracted once from the population's
seed, expanded for each meter and purpose. So a million meters need no table of keys, a shipment file can be written without
running one of them, and the same seed makes the same population on every machine. Anyone who knows the seed knows every key.
mRIDs are name-based UUIDs (RFC 9562, version 5) in a namespace that the seed decides.
"""

import hmac
from dataclasses import dataclass, field
from enum import StrEnum, unique
from functools import lru_cache
from hashlib import sha256
from typing import TYPE_CHECKING
from uuid import UUID, uuid5

from ami_dlms.security import PrivateKey, SecuritySuite

if TYPE_CHECKING:
    from hashlib import _Hash

SALT = b"ami-meter-sim population"
NAMESPACE_PURPOSE = b"namespace of mRIDs"
FINGERPRINT_PURPOSE = b"fingerprint"
SERIAL_DIGITS = 10
SERIALS = range(1, 10**SERIAL_DIGITS)
"""What fits into the five octets of a system title and into the digits of a logical device name."""
MANUFACTURER_LETTERS = 3
ORDERS = {
    SecuritySuite.ECDH_ECDSA_AES_GCM_128_SHA_256: 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551,
    SecuritySuite.ECDH_ECDSA_AES_GCM_256_SHA_384: int(
        "FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFC7634D81F4372DDF581A0DB248B0A77AECEC196ACCC52973", 16
    ),
}
"""Orders of the base points of P-256 and P-384 (FIPS 186-4, D.1.2.3 and D.1.2.4)."""
BLOCK_OCTETS, HASH_OCTETS = 64, 32
"""Of SHA-256."""
FIRST_BLOCK = bytes((1,))
EXTRA_OCTETS = 8
"""Drawn beyond the order, so that the remainder is spread evenly (FIPS 186-4, B.4.1: 64 bits)."""


@unique
class KeyPurpose(StrEnum):
    """The purposes that keys are derived for; a word is part of the derivation and never changes."""

    ENCRYPTION = "global unicast encryption key"
    BROADCAST = "global broadcast encryption key"
    AUTHENTICATION = "authentication key"
    MASTER = "master key"
    LOW_LEVEL = "low level secret"
    HIGH_LEVEL = "high level secret"
    SIGNING = "signing key"
    AGREEMENT = "key agreement key"
    ENCRYPTION_2 = "global unicast encryption key of the second security setup"
    AUTHENTICATION_2 = "authentication key of the second security setup"
    MASTER_2 = "master key of the second security setup"


OF_AN_ASSOCIATION = "secret of association "
OF_THE_CLIENT = b"signing key of the head-end"
OF_THE_AUTHORITY = b"key of the certification authority"


class IdentityError(ValueError):
    """No population can be numbered like this; the text says why."""


@dataclass(frozen=True, slots=True)
class Identities:
    """The meters `first`, `first` + 1, ... of one manufacturer; `index` counts from 0."""

    seed: str = field(repr=False)
    first: int = 1
    count: int = 1
    manufacturer: str = "AMI"
    _extracted: bytes = field(init=False, repr=False, compare=False)
    _namespace: UUID = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if len(self.manufacturer) != MANUFACTURER_LETTERS or not (
            self.manufacturer.isascii() and self.manufacturer.isalpha() and self.manufacturer.isupper()
        ):
            raise IdentityError(f"manufacturer {self.manufacturer!r} is not three capital letters")
        if self.count < 1 or self.first not in SERIALS or self.first + self.count - 1 not in SERIALS:
            raise IdentityError(
                f"{self.count} serial numbers from {self.first} on are not all within 1 and {SERIALS[-1]}"
            )
        extracted = hmac.digest(SALT, self.seed.encode("utf-8"), "sha256")  # RFC 5869, 2.2
        object.__setattr__(self, "_extracted", extracted)
        object.__setattr__(self, "_namespace", UUID(bytes=expand(extracted, NAMESPACE_PURPOSE, 16), version=5))

    # --- public

    def serial(self, index: int) -> int:
        """The serial number; IndexError beyond the population."""
        if not 0 <= index < self.count:
            raise IndexError(index)
        return self.first + index

    def name(self, index: int) -> str:
        """By which CIM knows it."""
        return f"{self.manufacturer}{self.serial(index):0{SERIAL_DIGITS}d}"

    def device_id(self, index: int) -> str:
        """What its device id objects show."""
        return f"{self.serial(index):0{SERIAL_DIGITS}d}"

    def logical_device_name(self, index: int) -> bytes:
        """16 octets: manufacturer and 13 digits."""
        return f"{self.manufacturer}{self.serial(index):013d}".encode("ascii")

    def system_title(self, index: int) -> bytes:
        """8 octets: manufacturer, and the serial number in 5 octets."""
        return self.manufacturer.encode("ascii") + self.serial(index).to_bytes(5, "big")

    def usage_point(self, index: int) -> str:
        """The name of the usage point that it measures."""
        return f"UP-{self.manufacturer}{self.serial(index):0{SERIAL_DIGITS}d}"

    def mrid(self, index: int) -> UUID:
        """Of the EndDevice."""
        return uuid5(self._namespace, f"EndDevice/{self.manufacturer}/{self.serial(index)}")

    def usage_point_mrid(self, index: int) -> UUID:
        """Of the UsagePoint."""
        return uuid5(self._namespace, f"UsagePoint/{self.manufacturer}/{self.serial(index)}")

    @property
    def origin(self) -> str:
        """What all keys follow from, as a text that gives none of them away: the same for two populations that share keys."""
        return f"{self.manufacturer}/{expand(self._extracted, FINGERPRINT_PURPOSE, 8).hex()}"

    # --- and back

    def index_of_name(self, name: str) -> int | None:
        """The index of a CIM name; None for a stranger."""
        return self._index(name, SERIAL_DIGITS)

    def index_of_logical_device_name(self, name: bytes) -> int | None:
        """The same of a logical device name."""
        return self._index(name.decode("ascii", "replace"), 13)

    def index_of_system_title(self, title: bytes) -> int | None:
        """The same of a system title."""
        if len(title) != 8 or title[:MANUFACTURER_LETTERS] != self.manufacturer.encode("ascii"):
            return None
        return self._within(int.from_bytes(title[MANUFACTURER_LETTERS:], "big"))

    def _index(self, name: str, digits: int) -> int | None:
        number = name[MANUFACTURER_LETTERS:]
        if not name.startswith(self.manufacturer) or len(number) != digits:
            return None
        return self._within(int(number)) if number.isascii() and number.isdecimal() else None

    def _within(self, serial: int) -> int | None:
        index = serial - self.first
        return index if 0 <= index < self.count else None

    # --- secret

    def key(self, index: int, purpose: KeyPurpose, octets: int = 16) -> bytes:
        """A symmetric key or secret of this meter: 16 octets, 32 in suite 2."""
        return self._derived(index, purpose.value, octets)

    def private_key(self, index: int, purpose: KeyPurpose, suite: SecuritySuite) -> PrivateKey:
        """A private key of suite 1 or 2."""
        return _private_key(self._derived(index, purpose.value, suite.coordinate_length + EXTRA_OCTETS), suite)

    def secret_of(self, index: int, association: str, octets: int = 16) -> bytes:
        """Password or HLS secret of an association beside the management one."""
        return self._derived(index, OF_AN_ASSOCIATION + association, octets)

    def client_key(self, suite: SecuritySuite) -> PrivateKey:
        """A signing key for the head-end of this population, in suite 1 or 2."""
        return _private_key(expand(self._extracted, OF_THE_CLIENT, suite.coordinate_length + EXTRA_OCTETS), suite)

    def authority_key(self, suite: SecuritySuite) -> PrivateKey:
        """The key of the certification authority of this population, in suite 1 or 2."""
        return _private_key(expand(self._extracted, OF_THE_AUTHORITY, suite.coordinate_length + EXTRA_OCTETS), suite)

    def noise(self, index: int) -> int:
        """64 bits that decide what this meter's household is like; no key can be found from them."""
        return int.from_bytes(expand(self._extracted, b"noise|" + self._numbered(index), 8), "big")

    def shared_noise(self, place: str) -> int:
        """The same for all meters of a place, such as a feeder."""
        return _noise_of(self._extracted, place)

    def _derived(self, index: int, purpose: str, octets: int) -> bytes:
        return expand(self._extracted, _begun(purpose, octets) + self._numbered(index), octets)

    def _numbered(self, index: int) -> bytes:
        return self.manufacturer.encode("ascii") + self.serial(index).to_bytes(5, "big")


def _private_key(drawn: bytes, suite: SecuritySuite) -> PrivateKey:
    number = int.from_bytes(drawn, "big") % (ORDERS[suite] - 1) + 1
    return PrivateKey(number.to_bytes(suite.coordinate_length, "big"))


@lru_cache(4096)
def _noise_of(extracted: bytes, place: str) -> int:
    return int.from_bytes(expand(extracted, b"noise of a place|" + place.encode("utf-8"), 8), "big")


@lru_cache(256)
def _begun(purpose: str, octets: int) -> bytes:
    """What the info of all meters' keys for a purpose begins with."""
    return b"%b|%d|" % (purpose.encode("utf-8"), octets)


def expand(extracted: bytes, info: bytes, octets: int) -> bytes:
    """HKDF-Expand (RFC 5869, 2.3) of a key of at most 64 octets, of which one or two blocks are needed here.

    The pads of the key are hashed once: an HMAC begins with copies of them, which costs a third of one that begins anew.
    """
    first_inner, first_outer = _padded(extracted)
    if octets <= HASH_OCTETS:  # as nearly always: one block
        inner, outer = first_inner.copy(), first_outer.copy()
        inner.update(info + FIRST_BLOCK)
        outer.update(inner.digest())
        return outer.digest()[:octets]
    found, block, number = b"", b"", 0
    while len(found) < octets:
        number += 1
        inner, outer = first_inner.copy(), first_outer.copy()
        inner.update(block + info + bytes((number,)))
        outer.update(inner.digest())
        block = outer.digest()
        found += block
    return found[:octets]


@lru_cache(64)
def _padded(key: bytes) -> "tuple[_Hash, _Hash]":
    """SHA-256 over the inner and the outer pad of HMAC (RFC 2104)."""
    block = key.ljust(BLOCK_OCTETS, b"\0")
    inner, outer = (sha256(bytes(octet ^ pad for octet in block)) for pad in (0x36, 0x5C))
    return inner, outer
