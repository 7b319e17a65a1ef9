"""The little BER (ISO/IEC 8825-1) that ACSE needs: tag-length-value with one-octet tags and definite lengths of any form.

The contents of an element are a window of the reader it came from, so every offset counts in the whole APDU.
"""

from __future__ import annotations

from ami_dlms.cursor import Reader, encode_length
from ami_dlms.errors import DecodeError, LocalError

INTEGER = 0x02
OCTET_STRING = 0x04
OBJECT_IDENTIFIER = 0x06
CONSTRUCTED_CONTEXT = 0xA0
PRIMITIVE_CONTEXT = 0x80


def encode(tag: int, contents: bytes | bytearray) -> bytes:
    """One element; the length in its shortest form."""
    return bytes((tag,)) + encode_length(len(contents)) + contents


def read(reader: Reader) -> tuple[int, Reader]:
    """The next element: its tag octet and a window on its contents."""
    offset = reader.offset
    tag = reader.u8()
    if tag & 0x1F == 0x1F:
        raise DecodeError("a tag of one octet", f"0x{tag:02X}", offset)
    return tag, reader.window(reader.length())


def only(tag: int, reader: Reader) -> Reader:
    """A window on the contents of the one element that the rest of `reader` must be."""
    start = reader.offset
    found, contents = read(reader)
    if found != tag:
        raise DecodeError(f"BER tag 0x{tag:02X}", f"0x{found:02X}", start)
    reader.finish()
    return contents


def encode_integer(value: int) -> bytes:
    """Contents of an INTEGER, shortest two's complement."""
    significant = value if value >= 0 else ~value
    return value.to_bytes(significant.bit_length() // 8 + 1, "big", signed=True)


def decode_integer(contents: bytes) -> int:
    """Inverse of encode_integer; at most 8 octets."""
    if not 1 <= len(contents) <= 8:
        raise DecodeError("an integer of 1 to 8 octets", f"{len(contents)} octets")
    return int.from_bytes(contents, "big", signed=True)


def encode_bits(bits: tuple[bool, ...]) -> bytes:
    """Contents of a BIT STRING: the number of unused bits, then the bits from the most significant one."""
    octets = pack_bits(bits)
    return bytes((8 * len(octets) - len(bits),)) + octets


def decode_bits(contents: bytes) -> tuple[bool, ...]:
    """Inverse of encode_bits."""
    if not contents or contents[0] > 7 or (contents[0] and len(contents) == 1):
        raise DecodeError("a bit string with 0 to 7 unused bits", contents[:2].hex())
    return unpack_bits(contents[1:], 8 * (len(contents) - 1) - contents[0])


def pack_bits(bits: tuple[bool, ...]) -> bytes:
    """Bits to octets, the first bit is the most significant one, the rest of the last octet is 0."""
    size = (len(bits) + 7) // 8
    if not size:
        return b""
    number = int("".join("1" if bit else "0" for bit in bits), 2)
    return (number << (8 * size - len(bits))).to_bytes(size, "big")


def unpack_bits(octets: bytes, count: int) -> tuple[bool, ...]:
    """The first `count` bits of the octets."""
    if not 0 <= count <= 8 * len(octets):
        raise LocalError(f"{len(octets)} octets do not hold {count} bits")
    text = f"{int.from_bytes(octets, 'big'):0{8 * len(octets)}b}" if octets else ""
    return tuple([bit == "1" for bit in text[:count]])
