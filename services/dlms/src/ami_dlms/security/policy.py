"""Security policies (interface class Security setup, attribute 2): the protections that requests and responses need at least.

Version 0 of the class counts 0 to 3 for both directions alike; version 1 has one bit for each protection and direction.
A message may have more than is required, never less.
"""

from __future__ import annotations

from enum import IntFlag

from ami_dlms.errors import LocalError
from ami_dlms.flags import both, either
from ami_dlms.frozen import frozen
from ami_dlms.security.suites import AUTHENTICATED, ENCRYPTED

REQUEST_SHIFT, RESPONSE_SHIFT = 2, 5
UNUSED_BITS = 0x03


class ProtectionFlags(IntFlag):
    """Protections of one direction; the bits are those of the version 1 coding."""

    __and__ = __rand__ = both
    __or__ = __ror__ = either

    NOTHING = 0
    AUTHENTICATED = 1
    ENCRYPTED = 2
    SIGNED = 4

    @property
    def control(self) -> int:
        """The bits of the security control octet for these protections."""
        return _CONTROL_BITS[self]


_CONTROL_BITS = tuple(
    (AUTHENTICATED if flags & ProtectionFlags.AUTHENTICATED else 0)
    | (ENCRYPTED if flags & ProtectionFlags.ENCRYPTED else 0)
    for flags in map(ProtectionFlags, range(8))
)
"""By the number of the flags: every ciphered APDU asks for it several times."""
_VERSION_0 = (
    ProtectionFlags.NOTHING,
    ProtectionFlags.AUTHENTICATED,
    ProtectionFlags.ENCRYPTED,
    ProtectionFlags.AUTHENTICATED | ProtectionFlags.ENCRYPTED,
)


@frozen
class SecurityPolicy:
    """What is required of requests and of responses (and of what a server sends unsolicited)."""

    request: ProtectionFlags = ProtectionFlags.NOTHING
    response: ProtectionFlags = ProtectionFlags.NOTHING

    @property
    def protects(self) -> bool:
        """Whether anything is demanded at all."""
        return bool(self.request) or bool(self.response)

    @classmethod
    def both_ways(cls, *, authenticated: bool, encrypted: bool) -> SecurityPolicy:
        """The same in both directions."""
        return _BOTH_WAYS[authenticated + 2 * encrypted]

    @classmethod
    def from_version_0(cls, number: int) -> SecurityPolicy:
        """0 nothing, 1 authenticated, 2 encrypted, 3 both."""
        if number not in range(len(_VERSION_0)):
            raise LocalError(f"security policy {number} is none of version 0 (0 to 3)")
        return cls(_VERSION_0[number], _VERSION_0[number])

    @classmethod
    def from_version_1(cls, octet: int) -> SecurityPolicy:
        """Bits 2 to 4 for requests, 5 to 7 for responses: authenticated, encrypted, digitally signed."""
        if octet & ~0xFF or octet & UNUSED_BITS:
            raise LocalError(f"security policy {octet:#x} is none of version 1: bits 0 and 1 are not used")
        return cls(ProtectionFlags(octet >> REQUEST_SHIFT & 7), ProtectionFlags(octet >> RESPONSE_SHIFT & 7))

    @property
    def version_0(self) -> int:
        """The number of version 0; LocalError when it can't say this."""
        if self.request != self.response or self.request not in _VERSION_0:
            raise LocalError("version 0 knows no policy that signs or that differs by direction")
        return _VERSION_0.index(self.request)

    @property
    def version_1(self) -> int:
        """The octet of version 1."""
        return self.request << REQUEST_SHIFT | self.response << RESPONSE_SHIFT


_BOTH_WAYS = tuple(SecurityPolicy(demand, demand) for demand in _VERSION_0)
"""Made once: opening an association asks several times."""
