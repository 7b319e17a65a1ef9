"""Addresses of HDLC frames (IEC 62056-46, 6.4.2): seven bits an octet, of which the last has its lowest bit set.

A client has one octet. A server has one (upper: the logical device), two (upper and lower: the physical device on a line
that several share) or four (the same two, fourteen bits each).
"""

from __future__ import annotations

from ami_dlms.errors import DecodeError, LocalError
from ami_dlms.frozen import frozen

MAX_SHORT = 0x7F
MAX_WIDE = 0x3FFF
ALL_STATIONS = frozenset((MAX_SHORT, MAX_WIDE))
SIZES = (1, 2, 4)


@frozen
class HdlcAddress:
    """`lower` None: one octet. `wide` asks for four octets although two would do."""

    upper: int
    lower: int | None = None
    wide: bool = False

    def __post_init__(self) -> None:
        limit = MAX_SHORT if self.lower is None else MAX_WIDE
        if not 0 <= self.upper <= limit or not 0 <= (self.lower or 0) <= MAX_WIDE:
            raise LocalError(f"no address of HDLC: {self.upper}, {self.lower}")
        if self.wide and self.lower is None:
            raise LocalError("an address of four octets has a lower part")

    @property
    def size(self) -> int:
        """Number of octets."""
        if self.lower is None:
            return 1
        return 4 if self.wide or self.upper > MAX_SHORT or self.lower > MAX_SHORT else 2

    def is_same_station(self, other: HdlcAddress) -> bool:
        """Whether both name the same station, however many octets they do it with."""
        return self.upper == other.upper and self.lower == other.lower

    def encode(self) -> bytes:
        """The octets, most significant first."""
        if self.lower is None:
            return bytes((self.upper << 1 | 1,))
        if self.size == 2:
            return bytes((self.upper << 1, self.lower << 1 | 1))
        return bytes((self.upper >> 7 << 1, self.upper << 1 & 0xFE, self.lower >> 7 << 1, self.lower << 1 & 0xFE | 1))


def address_size(octets: bytes | bytearray, offset: int, end: int) -> int | None:
    """How many octets the address at `offset` has, or None when it goes on past `end`; DecodeError for 3 or over 4."""
    for size in range(1, 5):
        if offset + size > end:
            return None
        if octets[offset + size - 1] & 1:
            if size not in SIZES:
                raise DecodeError("an address of 1, 2 or 4 octets", f"{size} octets", offset, "address")
            return size
    raise DecodeError("an address of 1, 2 or 4 octets", "more than 4", offset, "address")


def decode_address(octets: bytes) -> HdlcAddress:
    """The inverse of HdlcAddress.encode."""
    if address_size(octets, 0, len(octets)) != len(octets):
        raise DecodeError("an address of 1, 2 or 4 octets", octets.hex(), 0, "address")
    parts = [octet >> 1 for octet in octets]
    if len(parts) == 1:
        return HdlcAddress(parts[0])
    if len(parts) == 2:
        return HdlcAddress(parts[0], parts[1])
    upper, lower = parts[0] << 7 | parts[1], parts[2] << 7 | parts[3]
    return HdlcAddress(upper, lower, wide=upper <= MAX_SHORT and lower <= MAX_SHORT)
