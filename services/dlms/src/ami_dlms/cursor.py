"""One bounds-checked cursor under every decoder, and the A-XDR length of IEC 62056-6-1 used by both directions.

Nothing outside the octets can be reached: every read that would pass the end raises DecodeError and moves nothing.
"""

from __future__ import annotations

from struct import Struct

from ami_dlms.errors import DecodeError, LocalError

_U16 = Struct(">H").unpack_from
_U32 = Struct(">I").unpack_from
MAX_LENGTH_OCTETS = 4
MAX_ELEMENTS = 1_000_000
_SHORT_LENGTHS = tuple(bytes((length,)) for length in range(0x80))


class Reader:
    """Walks once over octets; `offset` is the next octet to read, `octets` the whole, immutable input.

    `elements_left` is how many more elements of arrays, structures and lists the octets may turn into: an element of one
    octet takes a hundred times as much memory.
    """

    __slots__ = ("elements_left", "end", "octets", "offset")

    def __init__(self, octets: bytes, offset: int = 0) -> None:
        self.octets = octets
        self.offset = offset
        self.end = len(octets)
        self.elements_left = MAX_ELEMENTS

    @property
    def remaining(self) -> int:
        """Number of octets that have not been read."""
        return self.end - self.offset

    def need(self, count: int, expected: str = "") -> int:
        """Claim `count` octets: returns where they start and moves past them."""
        offset = self.offset
        if count > self.end - offset:
            raise DecodeError(expected or f"{count} more octets", f"{self.end - offset} octets", offset)
        self.offset = offset + count
        return offset

    def u8(self) -> int:
        """One octet."""
        offset = self.offset
        if offset >= self.end:
            raise DecodeError("one more octet", "the end", offset)
        self.offset = offset + 1
        return self.octets[offset]

    def u16(self) -> int:
        """Two octets, most significant first."""
        value: int = _U16(self.octets, self.need(2))[0]
        return value

    def u32(self) -> int:
        """Four octets, most significant first."""
        value: int = _U32(self.octets, self.need(4))[0]
        return value

    def take(self, count: int) -> bytes:
        """The next `count` octets."""
        offset = self.need(count)
        return self.octets[offset : offset + count]

    def rest(self) -> bytes:
        """All octets that have not been read."""
        return self.take(self.remaining)

    def window(self, count: int) -> Reader:
        """A reader of the next `count` octets alone, whose offsets count in the whole input."""
        start = self.need(count)
        inside = Reader(self.octets, start)
        inside.end = start + count
        return inside

    def length(self) -> int:
        """A length or count: one octet below 128, else 0x80 + number of octets and then the number itself."""
        offset = self.offset
        first = self.u8()
        if first < 0x80:
            return first
        size = first & 0x7F
        if not 1 <= size <= MAX_LENGTH_OCTETS:
            self.offset = offset
            raise DecodeError(f"a length of 1 to {MAX_LENGTH_OCTETS} octets", f"0x{first:02X}", offset)
        return int.from_bytes(self.take(size), "big")

    def counted(self) -> bytes:
        """A length and as many octets."""
        return self.take(self.length())

    def count(self, at_least: int = 1) -> int:
        """A number of elements, refused at once when that many of `at_least` octets each cannot follow."""
        offset = self.offset
        count = self.length()
        if count * at_least > self.remaining:
            raise DecodeError(f"{count} elements", f"{self.remaining} octets", offset)
        self.elements_left -= count
        if self.elements_left < 0:
            raise DecodeError(f"at most {MAX_ELEMENTS} elements", "more", offset)
        return count

    def finish(self) -> None:
        """Nothing may be left over."""
        if self.offset != self.end:
            raise DecodeError("the end", f"{self.remaining} more octets", self.offset)


def encode_length(length: int) -> bytes:
    """Shortest form of a length or count; the inverse of Reader.length."""
    if 0 <= length < 0x80:
        return _SHORT_LENGTHS[length]
    size = (length.bit_length() + 7) // 8
    if length < 0 or size > MAX_LENGTH_OCTETS:
        raise LocalError(f"a length must fit {MAX_LENGTH_OCTETS} octets: {length}")
    return bytes((0x80 | size,)) + length.to_bytes(size, "big")


def largest_counted(limit: int) -> int:
    """The largest n for which a length and n octets fit into `limit` octets; below 1 when nothing does."""
    largest = limit - 1
    while largest > 0 and len(encode_length(largest)) + largest > limit:
        largest -= 1
    return largest
