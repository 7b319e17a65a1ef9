"""Wrapper frames out of a capture file: pcap and pcapng; Ethernet, cooked, loopback, raw IP; TCP put together, UDP.

Each direction of a TCP connection is a stream of its own: what comes twice counts once, what comes early waits, and where
octets are missing the next segment that begins with a wrapper header begins anew. Ports do not matter: whatever begins
like a wrapper frame is one. Fragments of IP and extension headers of IPv6 are left out.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from ipaddress import IPv6Address
from typing import NamedTuple

LITTLE = frozenset({b"\xd4\xc3\xb2\xa1", b"\x4d\x3c\xb2\xa1"})
PCAP, PCAPNG = LITTLE | {b"\xa1\xb2\xc3\xd4", b"\xa1\xb2\x3c\x4d"}, b"\x0a\x0d\x0d\x0a"
INTERFACE, ENHANCED = 1, 6
LINKS = {1: (12, 14), 113: (14, 16), 276: (0, 20)}  # where a header tells the protocol, and where it ends
LOOPBACK, RAW = frozenset({0, 108}), frozenset({12, 14, 101, 228, 229})
IPV4, IPV6, TCP, UDP, SYN = 0x0800, 0x86DD, 6, 17, 0x02
HALF, MODULUS = 1 << 31, 1 << 32
HEADER, VERSION, VLAN = 8, b"\0\1", b"\x81\0"
MOST_EARLY = 500  # segments that wait for one that is missing


Ends = tuple[str, str]


class Message(NamedTuple):
    """One wrapper frame and who sent it to whom."""

    source: str
    destination: str
    octets: bytes


@dataclass(slots=True)
class _Stream:
    """One direction of a connection: the number of its first octet and of the next, a frame begun, and what came early."""

    start: int
    wanted: int
    begun: bytes = b""
    early: dict[int, bytes] = field(default_factory=dict)

    def take(self, number: int, payload: bytes) -> Iterator[bytes]:
        """The frames that a segment completes."""
        self.early[number] = max(payload, self.early.get(number, b""), key=len)
        yield from self._ready()
        if len(self.early) > MOST_EARLY:
            yield from self.skip()

    def skip(self) -> Iterator[bytes]:
        """Wait no longer for what is missing."""
        self.wanted, self.begun = min(self.early, key=lambda number: (number - self.wanted) % MODULUS), b""
        yield from self._ready()

    def _ready(self) -> Iterator[bytes]:
        while ready := [number for number in self.early if (self.wanted - number) % MODULUS < HALF]:
            payload = self.early.pop(ready[0])[(self.wanted - ready[0]) % MODULUS :]
            self.wanted = (self.wanted + len(payload)) % MODULUS
            self.begun += payload
            while self.begun:
                end = HEADER + int.from_bytes(self.begun[6:HEADER], "big")
                if self.begun[:2] != VERSION[: len(self.begun)] or end == HEADER <= len(self.begun):
                    self.begun = b""
                if len(self.begun) < end:
                    break
                yield self.begun[:end]
                self.begun = self.begun[end:]


def is_capture(octets: bytes) -> bool:
    """Whether a file is one, by its first octets."""
    return octets[:4] in PCAP or octets[:4] == PCAPNG


def messages(octets: bytes) -> Iterator[Message]:
    """The wrapper frames in the order in which they were complete; what is cut short or no IP is passed over."""
    streams: dict[Ends, _Stream] = {}
    for link, frame in _pcapng(octets) if octets[:4] == PCAPNG else _pcap(octets):
        try:
            source, destination, protocol, segment = _ip(*_network(link, frame))
            ports = struct.unpack_from(">HH", segment)
            ends = f"{source}:{ports[0]}", f"{destination}:{ports[1]}"
            found = list(_segment(protocol, segment, streams, ends))
        except (struct.error, IndexError):
            continue
        yield from (Message(*ends, one) for one in found)
    for ends, stream in streams.items():
        while stream.early:
            yield from (Message(*ends, one) for one in stream.skip())


def _pcap(octets: bytes) -> Iterator[tuple[int, bytes]]:
    order, place = "<" if octets[:4] in LITTLE else ">", 24
    link = octets[20:24][:: 1 if order == "<" else -1]
    while len(octets) >= place + 16:
        (length,) = struct.unpack_from(f"{order}8xI", octets, place)
        yield int.from_bytes(link[:2], "little"), octets[place + 16 : place + 16 + length]
        place += 16 + length


def _pcapng(octets: bytes) -> Iterator[tuple[int, bytes]]:
    order, place, links = "<", 0, list[int]()
    while len(octets) >= place + 12:
        if octets[place : place + 4] == PCAPNG:
            order, links = "<" if octets[place + 8] == 0x4D else ">", []
        kind, length = struct.unpack_from(f"{order}II", octets, place)
        body = octets[place + 8 : place + length - 4]
        if length < 12 or len(body) != length - 12:
            return
        if kind == INTERFACE and len(body) >= 2:
            links += struct.unpack_from(f"{order}H", body)
        elif kind == ENHANCED and len(body) >= 20:
            interface, captured = struct.unpack_from(f"{order}I8xI", body)
            yield links[interface] if interface < len(links) else -1, body[20 : 20 + captured]
        place += length


def _network(link: int, frame: bytes) -> tuple[int, bytes]:
    """The protocol and what it carries."""
    if link in RAW | LOOPBACK:
        packet = frame if link in RAW else frame[4:]
        return {4: IPV4, 6: IPV6}.get(packet[0] >> 4, 0), packet
    place, end = LINKS.get(link, (0, len(frame)))
    if link == 1 and frame[place : place + 2] == VLAN:
        place, end = place + 4, end + 4
    return int.from_bytes(frame[place : place + 2], "big"), frame[end:]


def _ip(protocol: int, packet: bytes) -> tuple[str, str, int, bytes]:
    """From, to, the protocol inside, and what that carries, without what pads a short frame."""
    if protocol == IPV4 and not int.from_bytes(packet[6:8], "big") & 0x3FFF:
        total = int.from_bytes(packet[2:4], "big") or len(packet)
        source, destination = (".".join(map(str, packet[place : place + 4])) for place in (12, 16))
        return source, destination, packet[9], packet[4 * (packet[0] & 15) : total]
    if protocol == IPV6 and len(packet) >= 40:
        source, destination = (f"[{IPv6Address(packet[place : place + 16])}]" for place in (8, 24))
        return source, destination, packet[6], packet[40 : 40 + int.from_bytes(packet[4:6], "big")]
    raise IndexError


def _segment(protocol: int, segment: bytes, streams: dict[Ends, _Stream], ends: Ends) -> Iterator[bytes]:
    """The frames that a segment of TCP completes, or the one in a datagram."""
    if protocol == UDP and segment[8:10] == VERSION and len(segment) > 8 + HEADER:
        yield segment[8:]
    if protocol != TCP:
        return
    (number,) = struct.unpack_from(">4xI", segment)
    payload, syn = segment[4 * (segment[12] >> 4) :], segment[13] & SYN
    first = (number + (1 if syn else 0)) % MODULUS
    stream = streams.get(ends)
    if stream is None or (syn and first != stream.start):
        stream = streams[ends] = _Stream(first, first)
    if payload:
        yield from stream.take(first, payload)
