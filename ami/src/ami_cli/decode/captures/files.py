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
RESOLUTION, END, COMMENT, PACKET_ID = 9, 0, 1, 5
MOST_RECORD, MOST_BLOCK = 1 << 18, 1 << 20
MOST_INTERFACES = 1000
MICROSECONDS, SECOND = 10**6, 10**9
MOST_COMMENTS = 100


class EndsEarly(Exception):
    """A file that ends in the middle of a record, or has a length that cannot be; what is before it was read."""


class Record(NamedTuple):
    """A packet: its number from 1, its time, the link type, its octets, and how many it had before the capture cut it.

    What only pcapng can say: comments, and the packet id that ties packets. `nanoseconds` since 1970, None without a time.
    """

    number: int
    nanoseconds: int | None
    link: int
    octets: bytes
    length: int
    comments: tuple[str, ...] = ()
    packet_id: int | None = None

    @property
    def at(self) -> datetime | None:
        """The time in UTC; None for one that no calendar has."""
        return None if self.nanoseconds is None else _moment(self.nanoseconds)

    @property
    def is_cut(self) -> bool:
        """Whether octets are missing at its end."""
        return len(self.octets) < self.length


def is_capture(head: bytes) -> bool:
    """Whether a file is one, by its first octets."""
    return head[:4] in PCAP or head[:4] == PCAPNG


def records(stream: BinaryIO) -> Iterator[Record]:
    """The packets of a file. Raises EndsEarly behind the last one that is whole, where that is not the end of the file."""
    magic = stream.read(4)
    found = _pcapng(stream, magic) if magic == PCAPNG else _pcap(stream, magic)
    for number, record in enumerate(found, 1):
        yield record._replace(number=number)


def _pcap(stream: BinaryIO, magic: bytes) -> Iterator[Record]:
    order = "<" if magic in LITTLE else ">"
    unit = 1 if magic in NANOSECONDS else SECOND // MICROSECONDS
    head = stream.read(HEADER - len(magic))
    if len(head) < HEADER - len(magic):
        raise EndsEarly
    link = struct.unpack_from(f"{order}16xI", head)[0] & 0xFFFF
    while record := stream.read(RECORD):
        if len(record) < RECORD:
            raise EndsEarly
        seconds, fraction, there, length = struct.unpack(f"{order}IIII", record)
        octets = stream.read(there) if there <= MOST_RECORD else b""
        if len(octets) < there:
            raise EndsEarly
        yield Record(0, seconds * SECOND + fraction * unit, link, octets, length)


def _moment(nanoseconds: int) -> datetime | None:
    seconds, fraction = divmod(nanoseconds, SECOND)
    try:
        return datetime.fromtimestamp(seconds, UTC).replace(microsecond=fraction * MICROSECONDS // SECOND)
    except (OverflowError, OSError, ValueError):
        return None


@dataclass(frozen=True, slots=True)
class _Interface:
    link: int
    rate: int = MICROSECONDS


def _pcapng(stream: BinaryIO, magic: bytes) -> Iterator[Record]:
    order, interfaces = "<", list[_Interface]()
    kind = magic
    while kind:
        size, start = stream.read(4), b""
        if len(kind) < 4 or len(size) < 4:
            raise EndsEarly
        if kind == PCAPNG:
            start = stream.read(4)
            order, interfaces = "<" if start[:1] == b"\x4d" else ">", []
        (length,) = struct.unpack(f"{order}I", size)
        wanted = length - 8 - len(start)
        if not 4 <= wanted <= MOST_BLOCK or length % 4 or len(body := stream.read(wanted)) < wanted:
            raise EndsEarly
        (number,) = struct.unpack(f"{order}I", kind)
        if number == INTERFACE and len(body) >= 12 and len(interfaces) < MOST_INTERFACES:
            interfaces.append(_interface(body[:-4], order))
        elif (packet := _packet(number, body[:-4], order, interfaces)) is not None:
            yield packet
        kind = stream.read(4)


def _interface(body: bytes, order: str) -> _Interface:
    (link,) = struct.unpack_from(f"{order}H", body)
    for code, value in _options(body, 8, order):
        if code == RESOLUTION and len(value) == 1:
            exponent = value[0]
            return _Interface(
                link, min(2 ** (exponent & 0x7F) if exponent & 0x80 else 10 ** min(exponent, 18), 1 << 62)
            )
    return _Interface(link)


def _options(body: bytes, place: int, order: str) -> Iterator[tuple[int, bytes]]:
    """Codes and values up to the end, or to one that is longer than the block."""
    while place + 4 <= len(body):
        code, length = struct.unpack_from(f"{order}HH", body, place)
        value = body[place + 4 : place + 4 + length]
        if code == END or len(value) < length:
            return
        yield code, value
        place += 4 + length + -length % 4


def _packet(kind: int, body: bytes, order: str, interfaces: list[_Interface]) -> Record | None:
    if kind in (ENHANCED, PACKET) and len(body) >= 20:
        form = "IIIII" if kind == ENHANCED else "HxxIIII"
        number, high, low, there, length = struct.unpack_from(order + form, body)
        interface = interfaces[number] if number < len(interfaces) else None
        if interface is not None:
            nanoseconds = (high << 32 | low) * SECOND // interface.rate
            found = Record(0, nanoseconds, interface.link, body[20 : 20 + there], length)
            behind = 20 + there + -there % 4
            return found if behind >= len(body) else _with_options(found, kind, body, behind, order)
    if kind == SIMPLE and len(body) >= 4 and interfaces:
        (length,) = struct.unpack_from(f"{order}I", body)
        return Record(0, None, interfaces[0].link, body[4 : 4 + length], length)
    return None


def _with_options(record: Record, kind: int, body: bytes, place: int, order: str) -> Record:
    comments, packet_id = list[str](), None
    for code, value in _options(body, place, order):
        if code == COMMENT and len(comments) < MOST_COMMENTS:
            comments.append(value.decode("utf-8", "replace"))
        elif code == PACKET_ID and kind == ENHANCED and len(value) == 8:
            (packet_id,) = struct.unpack(f"{order}Q", value)
    return record._replace(comments=tuple(comments), packet_id=packet_id)
