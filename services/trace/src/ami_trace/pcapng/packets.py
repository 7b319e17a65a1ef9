"""Synthetic packets: messages of two ends as IP with TCP or UDP, with running sequence numbers and good checksums.

For what was seen above the network, where no packets are known. Each direction of a TCP connection counts from 1, as if the
handshake had been at 0; the acknowledgement is what the other direction has sent.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import IntEnum
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

RAW_IP = 101
HOP_LIMIT, WINDOW, DO_NOT_FRAGMENT = 64, 65_535, 0x4000
SYN, PUSH, ACK = 2, 8, 16
SEGMENT = 60_000
"""Octets of a TCP segment: the fewer frames, the better a list reads, and IPv4 has no room for more than 65,495."""
MOST_DATAGRAM = 65_507
MODULUS = 1 << 32
SUBSTITUTES = ip_network("198.18.0.0/15")
"""For ends without an IP address: kept for tests of devices (RFC 2544), so it is nobody's."""


class Transport(IntEnum):
    """How a message travels: IP protocol numbers."""

    TCP = 6
    UDP = 17


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One end of a conversation: an address (or anything that names it), a port, and its name for readers."""

    host: str
    port: int
    name: str = ""

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 0xFFFF:
            raise ValueError(f"{self.port} is no port")

    @property
    def address(self) -> IPv4Address | IPv6Address:
        """ValueError when the host is none."""
        return ip_address(self.host)

    @staticmethod
    def of_packed(packed: bytes, port: int) -> Endpoint:
        """From the 4 or 16 octets of an address."""
        return Endpoint(str(ip_address(packed)), port)


@dataclass(slots=True)
class Substitutes:
    """Addresses for hosts that have none, in the order in which they come; ValueError when there are no more."""

    _given: dict[str, str] = field(default_factory=dict)

    def address_of(self, end: Endpoint) -> str:
        """The host itself when it is an address (a zone is left out), else its substitute; ends on one machine differ by name."""
        key = end.host
        try:
            address = ip_address(end.host.strip("[]").partition("%")[0])
            if not (address.is_loopback and end.name):
                return str(address)
            key = end.name
        except ValueError:
            pass
        if key not in self._given:
            if len(self._given) >= SUBSTITUTES.num_addresses - 2:
                raise ValueError("too many ends without an address")
            self._given[key] = str(SUBSTITUTES[len(self._given) + 1])
        return self._given[key]


def same_family(source: Endpoint, destination: Endpoint) -> tuple[Endpoint, Endpoint]:
    """Both as IPv6 when only one of them is."""
    if source.address.version == destination.address.version:
        return source, destination
    mapped = [
        end if end.address.version == 6 else Endpoint(f"::ffff:{end.host}", end.port, end.name)
        for end in (source, destination)
    ]
    return mapped[0], mapped[1]


@dataclass(slots=True)
class Conversations:
    """What each direction of each connection has sent."""

    handshake: bool = False
    _sent: dict[tuple[str, int, str, int], int] = field(default_factory=dict)

    def packets(self, source: Endpoint, destination: Endpoint, transport: Transport, octets: bytes) -> Iterator[bytes]:
        """The packets of a message: a datagram, or segments, before the first of which a handshake may stand."""
        if transport is Transport.UDP:
            yield ip_packet(source, destination, transport, _udp(source, destination, octets))
            return
        there = (source.host, source.port, destination.host, destination.port)
        back = (*there[2:], *there[:2])
        if there not in self._sent:
            self._sent[there] = self._sent[back] = 1
            if self.handshake:
                yield from _handshake(source, destination)
        for place in range(0, len(octets), SEGMENT):
            piece = octets[place : place + SEGMENT]
            flags = ACK | (PUSH if place + SEGMENT >= len(octets) else 0)
            yield _segment(source, destination, self._sent[there], self._sent[back], flags, piece)
            self._sent[there] = (self._sent[there] + len(piece)) % MODULUS


def _handshake(source: Endpoint, destination: Endpoint) -> Iterator[bytes]:
    yield _segment(source, destination, 0, 0, SYN, b"")
    yield _segment(destination, source, 0, 1, SYN | ACK, b"")
    yield _segment(source, destination, 1, 1, ACK, b"")


def _segment(source: Endpoint, destination: Endpoint, sent: int, seen: int, flags: int, octets: bytes) -> bytes:
    head = struct.pack(">HHIIBBHHH", source.port, destination.port, sent, seen, 5 << 4, flags, WINDOW, 0, 0)
    check = _checksum(_pseudo_header(source, destination, Transport.TCP, len(head) + len(octets)) + head + octets)
    segment = head[:16] + struct.pack(">H", check) + head[18:] + octets
    return ip_packet(source, destination, Transport.TCP, segment)


def _udp(source: Endpoint, destination: Endpoint, octets: bytes) -> bytes:
    if len(octets) > MOST_DATAGRAM:
        raise ValueError(f"a datagram has no room for {len(octets):,} octets")
    length = 8 + len(octets)
    head = struct.pack(">HHH", source.port, destination.port, length)
    check = _checksum(_pseudo_header(source, destination, Transport.UDP, length) + head + b"\0\0" + octets)
    return head + struct.pack(">H", check or 0xFFFF) + octets


def ip_packet(source: Endpoint, destination: Endpoint, transport: Transport, carried: bytes) -> bytes:
    """IPv4 or IPv6 around a segment or datagram; both ends are of one family."""
    if source.address.version == 6:
        head = struct.pack(">IHBB", 6 << 28, len(carried), transport, HOP_LIMIT)
        return head + source.address.packed + destination.address.packed + carried
    head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(carried), 0, DO_NOT_FRAGMENT, HOP_LIMIT, transport, 0)
    check = _checksum(head + source.address.packed + destination.address.packed)
    return head[:10] + struct.pack(">H", check) + source.address.packed + destination.address.packed + carried


def _pseudo_header(source: Endpoint, destination: Endpoint, transport: Transport, length: int) -> bytes:
    form = ">HH" if source.address.version == 4 else ">II"
    last = (transport, length) if source.address.version == 4 else (length, transport)
    return source.address.packed + destination.address.packed + struct.pack(form, *last)


def _checksum(octets: bytes) -> int:
    padded = octets + bytes(len(octets) % 2)
    total = sum(struct.unpack(f">{len(padded) // 2}H", padded))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return int(~total & 0xFFFF)
