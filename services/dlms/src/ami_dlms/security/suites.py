"""Security suites and the security control octet (Green Book 9.2.3.7 and 9.2.7.2.4.1).

The octet is at the head of every ciphered APDU and of every GMAC: suite number in the low nibble, then one bit each
for authentication, encryption, the broadcast key set and compression. Suites 1 and 2 add an elliptic curve and its hash.
"""

from __future__ import annotations

from enum import IntEnum

from ami_dlms.errors import LocalError, SecurityError
from ami_dlms.frozen import frozen

AUTHENTICATED = 0x10
ENCRYPTED = 0x20
BROADCAST = 0x40
COMPRESSED = 0x80
SUITE_MASK = 0x0F


class SecuritySuite(IntEnum):
    """The suites that the standard defines, by suite id."""

    AES_GCM_128 = 0
    ECDH_ECDSA_AES_GCM_128_SHA_256 = 1
    ECDH_ECDSA_AES_GCM_256_SHA_384 = 2

    @property
    def key_length(self) -> int:
        """Octets of the encryption key and of the authentication key."""
        return 32 if self is SecuritySuite.ECDH_ECDSA_AES_GCM_256_SHA_384 else 16

    @property
    def coordinate_length(self) -> int:
        """Octets of a coordinate, of a private key and of half a signature on the suite's curve (0: it has none)."""
        return _COORDINATES[self]


_COORDINATES = {
    SecuritySuite.AES_GCM_128: 0,
    SecuritySuite.ECDH_ECDSA_AES_GCM_128_SHA_256: 32,
    SecuritySuite.ECDH_ECDSA_AES_GCM_256_SHA_384: 48,
}


@frozen
class SecurityControl:
    """The security control octet taken apart."""

    suite: SecuritySuite = SecuritySuite.AES_GCM_128
    authenticated: bool = False
    encrypted: bool = False
    broadcast: bool = False
    compressed: bool = False

    @property
    def octet(self) -> int:
        return (
            int(self.suite)
            | (AUTHENTICATED if self.authenticated else 0)
            | (ENCRYPTED if self.encrypted else 0)
            | (BROADCAST if self.broadcast else 0)
            | (COMPRESSED if self.compressed else 0)
        )

    @classmethod
    def from_octet(cls, octet: int) -> SecurityControl:
        """Take an octet from the wire apart; an unknown suite is a SecurityError."""
        try:
            suite = SecuritySuite(octet & SUITE_MASK)
        except ValueError:
            raise SecurityError(f"unknown security suite {octet & SUITE_MASK}") from None
        return cls(
            suite,
            authenticated=bool(octet & AUTHENTICATED),
            encrypted=bool(octet & ENCRYPTED),
            broadcast=bool(octet & BROADCAST),
            compressed=bool(octet & COMPRESSED),
        )


def suite_of(number: int) -> SecuritySuite:
    """The suite of a number that our own side wrote down (settings); LocalError when there is none."""
    found = _BY_NUMBER.get(number)
    if found is None:
        raise LocalError(f"unknown security suite {number}")
    return found


_BY_NUMBER = {int(suite): suite for suite in SecuritySuite}
