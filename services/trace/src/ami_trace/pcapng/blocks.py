"""Blocks and options of a pcapng file (draft-ietf-opsawg-pcapng), little-endian: values in, octets out.

Every block repeats its length at its end and is padded to four octets, and so is every option.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from enum import IntEnum
from ipaddress import IPv4Address, IPv6Address

SECTION_HEADER, INTERFACE, NAME_RESOLUTION, ENHANCED_PACKET, DECRYPTION_SECRETS = 0x0A0D0D0A, 1, 4, 6, 10
BYTE_ORDER, UNKNOWN_LENGTH = 0x1A2B3C4D, 0xFFFFFFFFFFFFFFFF
TLS_KEY_LOG = 0x544C534B
END, COMMENT = 0, 1
HARDWARE, SYSTEM, APPLICATION = 2, 3, 4
IF_NAME, IF_DESCRIPTION, IF_RESOLUTION = 2, 3, 9
FLAGS, PACKET_ID = 2, 5
NANOSECONDS = 9
"""if_tsresol: time stamps count in units of 10 to the power of -9 seconds."""
SNAP_LENGTH = 262_144
"""The longest packet that Wireshark reads of an interface."""
MOST_TEXT = 4_000
"""Octets of a comment or a name."""
MOST_TIME = (1 << 64) - 1
"""In the year 2554."""
MOST_SECRETS = 1 << 24

Option = tuple[int, bytes]


class Direction(IntEnum):
    """Bits 0 and 1 of epb_flags, seen from the head-end."""

    UNKNOWN = 0
    INBOUND = 1
    OUTBOUND = 2


def text(words: str) -> bytes:
    """UTF-8 of one line without control characters, cut between characters at MOST_TEXT octets."""
    line = "".join(letter if letter.isprintable() else " " for letter in words)
    return line.encode("utf-8", "replace")[:MOST_TEXT].decode("utf-8", "ignore").encode()


def block(kind: int, body: bytes) -> bytes:
    """A block of any kind."""
    padded = _padded(body)
    length = struct.pack("<I", len(padded) + 12)
    return struct.pack("<I", kind) + length + padded + length


def section_header(application: str, comment: str, system: str = "") -> bytes:
    """The beginning of a file; its length is not known yet."""
    named = [(SYSTEM, text(system))] if system else []
    options = [*named, (APPLICATION, text(application)), (COMMENT, text(comment))]
    return block(SECTION_HEADER, struct.pack("<IHHQ", BYTE_ORDER, 1, 0, UNKNOWN_LENGTH) + _options(options))


def interface(link: int, name: str, description: str = "") -> bytes:
    """An interface of a link type; its packets are numbered by the order of these blocks. Times in nanoseconds."""
    described = [(IF_DESCRIPTION, text(description))] if description else []
    options = [(IF_NAME, text(name)), *described, (IF_RESOLUTION, bytes((NANOSECONDS,)))]
    return block(INTERFACE, struct.pack("<HHI", link, 0, SNAP_LENGTH) + _options(options))


def names(known: Iterable[tuple[IPv4Address | IPv6Address, str]]) -> bytes:
    """A name resolution block."""
    records = b"".join(
        _option(1 if address.version == 4 else 2, address.packed + text(name) + b"\0") for address, name in known
    )
    return block(NAME_RESOLUTION, records + _option(END, b""))


def secrets(kind: int, octets: bytes) -> bytes:
    """A decryption secrets block, such as a TLS key log; it has to stand before the packets that need it."""
    return block(DECRYPTION_SECRETS, struct.pack("<II", kind, len(octets)) + _padded(octets))


def packet(interface: int, nanoseconds: int, octets: bytes, length: int, options: Iterable[Option] = ()) -> bytes:
    """An enhanced packet; `length` is what it had on the line, which may be more than is here."""
    nanoseconds = min(nanoseconds, MOST_TIME)
    head = struct.pack(
        "<IIIII", interface, nanoseconds >> 32 & 0xFFFFFFFF, nanoseconds & 0xFFFFFFFF, len(octets), length
    )
    return block(ENHANCED_PACKET, head + _padded(octets) + _options(options))


def packet_options(comments: Iterable[str], direction: Direction, packet_id: int | None) -> Iterator[Option]:
    """What is known of a packet besides its octets."""
    yield from ((COMMENT, text(comment)) for comment in comments if comment)
    if direction:
        yield FLAGS, struct.pack("<I", direction)
    if packet_id is not None:
        yield PACKET_ID, struct.pack("<Q", packet_id)


def _options(options: Iterable[Option]) -> bytes:
    found = b"".join(_option(code, value) for code, value in options)
    return found + _option(END, b"") if found else b""


def _option(code: int, value: bytes) -> bytes:
    return struct.pack("<HH", code, len(value)) + _padded(value)


def _padded(octets: bytes) -> bytes:
    return octets + bytes(-len(octets) % 4)
