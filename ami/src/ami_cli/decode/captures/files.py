"""Records of capture files, pcap and pcapng, one at a time: a file may be larger than memory, cut short, or made by an enemy."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import BinaryIO, NamedTuple

LITTLE = frozenset({b"\xd4\xc3\xb2\xa1", b"\x4d\x3c\xb2\xa1"})
NANOSECONDS = frozenset({b"\x4d\x3c\xb2\xa1", b"\xa1\xb2\x3c\x4d"})
PCAP, PCAPNG = LITTLE | {b"\xa1\xb2\xc3\xd4", b"\xa1\xb2\x3c\x4d"}, b"\x0a\x0d\x0d\x0a"
HEADER, RECORD = 24, 16
INTERFACE, PACKET, SIMPLE, ENHANCED = 1, 2, 3, 6
RESOLUTION, END = 9, 0
MOST_RECORD, MOST_BLOCK = 1 << 18, 1 << 20
MOST_INTERFACES = 1000
MICROSECONDS = 10**6


class Record(NamedTuple):
    """A packet: its number from 1, its time, the link type, its octets, and whether the capture has cut it."""

    number: int
    at: datetime | None
    link: int
    octets: bytes
    is_cut: bool


def is_capture(head: bytes) -> bool:
    """Whether a file is one, by its first octets."""
    return head[:4] in PCAP or head[:4] == PCAPNG


def records(stream: BinaryIO) -> Iterator[Record]:
    """The packets of a file; it ends where the file does, or where a length cannot be."""
    magic = stream.read(4)
    found = _pcapng(stream, magic) if magic == PCAPNG else _pcap(stream, magic)
    for number, (at, link, octets, length) in enumerate(found, 1):
        yield Record(number, at, link, octets, len(octets) < length)


def _pcap(stream: BinaryIO, magic: bytes) -> Iterator[tuple[datetime | None, int, bytes, int]]:
    order = "<" if magic in LITTLE else ">"
    rate = 10**9 if magic in NANOSECONDS else MICROSECONDS
    head = stream.read(HEADER - len(magic))
    if len(head) < HEADER - len(magic):
        return
    link = struct.unpack_from(f"{order}16xI", head)[0] & 0xFFFF
    while len(record := stream.read(RECORD)) == RECORD:
        seconds, fraction, there, length = struct.unpack(f"{order}IIII", record)
        octets = stream.read(there) if there <= MOST_RECORD else b""
        if len(octets) < there:
            return
        yield _moment(seconds * rate + fraction, rate), link, octets, length


def _moment(ticks: int, rate: int) -> datetime | None:
    """None for a time that no calendar has."""
    try:
        return datetime.fromtimestamp(ticks // rate, UTC).replace(microsecond=ticks % rate * MICROSECONDS // rate)
    except (OverflowError, OSError, ValueError):
        return None


@dataclass(frozen=True, slots=True)
class _Interface:
    link: int
    rate: int = MICROSECONDS


def _pcapng(stream: BinaryIO, magic: bytes) -> Iterator[tuple[datetime | None, int, bytes, int]]:
    order, interfaces = "<", list[_Interface]()
    kind = magic
    while len(kind) == 4 and len(size := stream.read(4)) == 4:
        start = b""
        if kind == PCAPNG:
            start = stream.read(4)
            order, interfaces = "<" if start[:1] == b"\x4d" else ">", []
        (length,) = struct.unpack(f"{order}I", size)
        wanted = length - 8 - len(start)
        if not 4 <= wanted <= MOST_BLOCK or length % 4 or len(body := stream.read(wanted)) < wanted:
            return
        (number,) = struct.unpack(f"{order}I", kind)
        if number == INTERFACE and len(body) >= 12 and len(interfaces) < MOST_INTERFACES:
            interfaces.append(_interface(body[:-4], order))
        elif (packet := _packet(number, body[:-4], order, interfaces)) is not None:
            yield packet
        kind = stream.read(4)


def _interface(body: bytes, order: str) -> _Interface:
    (link,) = struct.unpack_from(f"{order}H", body)
    place = 8
    while place + 4 <= len(body):
        code, length = struct.unpack_from(f"{order}HH", body, place)
        if code == END:
            break
        if code == RESOLUTION and length == 1 and place + 5 <= len(body):
            exponent = body[place + 4]
            return _Interface(
                link, min(2 ** (exponent & 0x7F) if exponent & 0x80 else 10 ** min(exponent, 18), 1 << 62)
            )
        place += 4 + length + -length % 4
    return _Interface(link)


def _packet(
    kind: int, body: bytes, order: str, interfaces: list[_Interface]
) -> tuple[datetime | None, int, bytes, int] | None:
    if kind in (ENHANCED, PACKET) and len(body) >= 20:
        form = "IIIII" if kind == ENHANCED else "HxxIIII"
        number, high, low, there, length = struct.unpack_from(order + form, body)
        interface = interfaces[number] if number < len(interfaces) else None
        if interface is not None:
            return _moment(high << 32 | low, interface.rate), interface.link, body[20 : 20 + there], length
    if kind == SIMPLE and len(body) >= 4 and interfaces:
        (length,) = struct.unpack_from(f"{order}I", body)
        return None, interfaces[0].link, body[4 : 4 + length], length
    return None
