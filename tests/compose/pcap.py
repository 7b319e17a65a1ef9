"""Just enough of pcap, Linux cooked capture, IPv4, TCP and UDP to see what passed; one pass, no options."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ETHERNET, COOKED, COOKED_2 = 1, 113, 276
HEADER_OCTETS = {ETHERNET: 14, COOKED: 16, COOKED_2: 20}
PROTOCOL_AT = {ETHERNET: 12, COOKED: 14, COOKED_2: 0}
IPV4, TCP, UDP = 0x0800, 6, 17


@dataclass(frozen=True)
class Segment:
    """One TCP segment or UDP datagram with something in it."""

    source: str
    source_port: int
    destination: str
    destination_port: int
    payload: bytes


def segments(path: Path) -> Iterator[Segment]:
    octets = path.read_bytes()
    order = {b"\xd4\xc3\xb2\xa1": "<", b"\xa1\xb2\xc3\xd4": ">"}[octets[:4]]
    (link_type,) = struct.unpack_from(order + "I", octets, 20)
    position = 24
    while position + 16 <= len(octets):
        _, _, length, _ = struct.unpack_from(order + "IIII", octets, position)
        frame = octets[position + 16 : position + 16 + length]
        position += 16 + length
        if len(frame) == length and (found := _segment(frame, link_type)) and found.payload:
            yield found


def _segment(frame: bytes, link_type: int) -> Segment | None:
    (protocol,) = struct.unpack_from("!H", frame, PROTOCOL_AT[link_type])
    packet = frame[HEADER_OCTETS[link_type] :]
    if protocol != IPV4:
        return None
    header = (packet[0] & 0x0F) * 4
    (total,) = struct.unpack_from("!H", packet, 2)
    source, destination = (".".join(map(str, packet[at : at + 4])) for at in (12, 16))
    inner = packet[header:total]
    if packet[9] not in (TCP, UDP):
        return None
    ports = struct.unpack_from("!HH", inner)
    skip = (inner[12] >> 4) * 4 if packet[9] == TCP else 8
    return Segment(source, ports[0], destination, ports[1], inner[skip:])
