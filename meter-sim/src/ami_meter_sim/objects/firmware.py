"""Firmware images: a header of 96 octets in front of any content, and how much of an image a meter has.

The header is a mark of 16 octets, the version as text in 48, and a checksum of 32: the image as one number, its lowest octet first and
the checksum itself being 0, modulo a prime. A sum of that kind can be carried on block by block in whatever order they come, so a
meter in a transfer keeps some hundred octets and not the image. A file without the mark is the firmware of another maker: it has no
checksum, and its version is its identifier.
"""

from dataclasses import dataclass, replace
from hashlib import shake_256

from ami_dlms import data
from ami_dlms.data import Data

MARK = b"AMI firmware 1\n\0"
VERSION_OCTETS = 48
CHECKSUM_OCTETS = 32
HEADER_OCTETS = len(MARK) + VERSION_OCTETS + CHECKSUM_OCTETS
CHECKSUM_AT = len(MARK) + VERSION_OCTETS
PRIME = 2**255 - 19


def make_image(version: str, content: bytes) -> bytes:
    """An image of this version; ValueError when its text is empty or too long."""
    text = version.encode()
    if not 0 < len(text) <= VERSION_OCTETS:
        raise ValueError(f"a version has 1 to {VERSION_OCTETS} octets, not {len(text)}")
    head = MARK + text.ljust(VERSION_OCTETS, b"\0")
    checksum = _share(0, head + bytes(CHECKSUM_OCTETS) + content) % PRIME
    return head + checksum.to_bytes(CHECKSUM_OCTETS, "big") + content


def sample_image(version: str, octets: int, *, damaged: bool = False) -> bytes:
    """An image with so many octets of content, which follow from its version; ValueError as for `make_image`."""
    image = make_image(version, shake_256(version.encode()).digest(octets))
    return image[:-1] + bytes((image[-1] ^ 1,)) if damaged else image


def _share(offset: int, octets: bytes) -> int:
    """What octets at a place of an image add to its sum."""
    return int.from_bytes(octets, "little") * pow(256, offset, PRIME) % PRIME


@dataclass(frozen=True, slots=True)
class Transfer:
    """An image on its way. `bits`: block n is there when bit n is set, counted from the lowest."""

    identifier: bytes
    size: int
    block_size: int
    bits: int = 0
    total: int = 0
    head: bytes = b""

    @property
    def blocks(self) -> int:
        """Of how many blocks the image is."""
        return -(-self.size // self.block_size)

    @property
    def complete(self) -> bool:
        """Whether every block is there."""
        return self.bits == (1 << self.blocks) - 1

    @property
    def first_missing(self) -> int:
        """The lowest number of a block that is not there; the number of blocks when all are."""
        return min((~self.bits & (self.bits + 1)).bit_length() - 1, self.blocks)

    def has(self, number: int) -> bool:
        """Whether a block is there."""
        return bool(self.bits >> number & 1)

    def length_of(self, number: int) -> int:
        """How many octets a block has: the last one may be short."""
        return min(self.block_size, self.size - number * self.block_size)

    def with_block(self, number: int, octets: bytes) -> "Transfer":
        """The same with a block that was not there."""
        offset = number * self.block_size
        head = self.head
        if offset < HEADER_OCTETS:
            head = head.ljust(offset, b"\0")
            head = (head[:offset] + octets + head[offset + len(octets) :])[:HEADER_OCTETS]
        total = (self.total + _share(offset, octets)) % PRIME
        return replace(self, bits=self.bits | 1 << number, total=total, head=head)

    @property
    def sound(self) -> bool:
        """Whether the checksum holds; an image without one is sound."""
        if not self.head.startswith(MARK):
            return True
        if self.size < HEADER_OCTETS:
            return False
        checksum = self.head[CHECKSUM_AT:]
        return (self.total - _share(CHECKSUM_AT, checksum)) % PRIME == int.from_bytes(checksum, "big")

    @property
    def version(self) -> bytes:
        """What the image says it is, else its identifier."""
        named = self.head[len(MARK) : CHECKSUM_AT].rstrip(b"\0") if self.head.startswith(MARK) else b""
        return named or self.identifier

    @property
    def signature(self) -> bytes:
        """What tells two images of one identifier apart."""
        return self.total.to_bytes(CHECKSUM_OCTETS, "big")

    def encode(self) -> Data:
        """As a meter keeps it."""
        return data.structure(
            data.octet_string(self.identifier),
            data.double_long_unsigned(self.size),
            data.double_long_unsigned(self.block_size),
            data.octet_string(self.bits.to_bytes((self.blocks + 7) // 8, "little")),
            data.octet_string(self.signature),
            data.octet_string(self.head),
        )

    @classmethod
    def decode(cls, kept: Data) -> "Transfer":
        """Inverse of encode."""
        identifier, size, block_size, bits, total, head = (part.value for part in kept.value)
        return cls(identifier, size, block_size, int.from_bytes(bits, "little"), int.from_bytes(total, "big"), head)
