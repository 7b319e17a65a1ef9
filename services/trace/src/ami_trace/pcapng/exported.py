"""Exported PDUs (link type 252, LINKTYPE_WIRESHARK_UPPER_PDU): an upper-layer PDU behind tags that say what reads it.

Tag, length, value, big-endian, until tag 0 (Wireshark, wsutil/exported_pdu_tlvs.h). Texts are padded with NUL to four octets.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from ami_trace.pcapng.blocks import text
from ami_trace.pcapng.packets import Endpoint, Transport

EXPORTED_PDU = 252
DISSECTOR, IPV4_SOURCE, IPV4_DESTINATION, IPV6_SOURCE, IPV6_DESTINATION = 12, 20, 21, 22, 23
PORT_TYPE, SOURCE_PORT, DESTINATION_PORT, ORIGINAL_FRAME, PROTOCOL, INFORMATION = 24, 25, 26, 30, 33, 36
END = 0
PORT_TYPES = {Transport.TCP: 2, Transport.UDP: 3}
MOST_TAGS = 64


@dataclass(frozen=True, slots=True)
class ExportedPdu:
    """A PDU, the name of the dissector that reads it, its ends, the number of the frame it comes from, and texts for the list."""

    dissector: str
    octets: bytes
    source: Endpoint | None = None
    destination: Endpoint | None = None
    transport: Transport = Transport.TCP
    original_frame: int = 0
    protocol: str = ""
    information: str = ""

    def encode(self) -> bytes:
        """The tags, then the PDU."""
        return b"".join(_tag(code, value) for code, value in self._tags()) + _tag(END, b"") + self.octets

    def _tags(self) -> Iterator[tuple[int, bytes]]:
        yield DISSECTOR, _padded(self.dissector)
        for end, by_version, port in (
            (self.source, {4: IPV4_SOURCE, 6: IPV6_SOURCE}, SOURCE_PORT),
            (self.destination, {4: IPV4_DESTINATION, 6: IPV6_DESTINATION}, DESTINATION_PORT),
        ):
            if end is not None:
                yield by_version[end.address.version], end.address.packed
                yield port, struct.pack(">I", end.port)
        yield PORT_TYPE, struct.pack(">I", PORT_TYPES[self.transport])
        if self.original_frame:
            yield ORIGINAL_FRAME, struct.pack(">I", self.original_frame)
        for code, words in ((PROTOCOL, self.protocol), (INFORMATION, self.information)):
            if words:
                yield code, _padded(words)

    @staticmethod
    def decode(octets: bytes) -> ExportedPdu:
        """What is in a packet of link type 252; ValueError for tags that do not end, or name no dissector."""
        tags, place = dict[int, bytes](), 0
        for _ in range(MOST_TAGS):
            if place + 4 > len(octets):
                raise ValueError("the tags of an exported PDU do not end")
            code, length = struct.unpack_from(">HH", octets, place)
            place += 4
            if code == END:
                return _of_tags(tags, octets[place:])
            tags[code] = octets[place : place + length]
            place += length
        raise ValueError(f"an exported PDU with more than {MOST_TAGS} tags")


def _of_tags(tags: dict[int, bytes], rest: bytes) -> ExportedPdu:
    if DISSECTOR not in tags:
        raise ValueError("an exported PDU without a dissector")
    port_type = _number(tags, PORT_TYPE)
    return ExportedPdu(
        _words(tags, DISSECTOR),
        rest,
        _end(tags, IPV4_SOURCE, IPV6_SOURCE, SOURCE_PORT),
        _end(tags, IPV4_DESTINATION, IPV6_DESTINATION, DESTINATION_PORT),
        Transport.UDP if port_type == PORT_TYPES[Transport.UDP] else Transport.TCP,
        _number(tags, ORIGINAL_FRAME),
        _words(tags, PROTOCOL),
        _words(tags, INFORMATION),
    )


def _end(tags: dict[int, bytes], ipv4: int, ipv6: int, port: int) -> Endpoint | None:
    packed = tags.get(ipv4) or tags.get(ipv6) or b""
    if len(packed) not in (4, 16):
        return None
    return Endpoint.of_packed(packed, _number(tags, port) & 0xFFFF)


def _number(tags: dict[int, bytes], code: int) -> int:
    return int.from_bytes(tags.get(code, b"")[:4], "big")


def _words(tags: dict[int, bytes], code: int) -> str:
    return tags.get(code, b"").rstrip(b"\0").decode("utf-8", "replace")


def _tag(code: int, value: bytes) -> bytes:
    return struct.pack(">HH", code, len(value)) + value


def _padded(words: str) -> bytes:
    octets = text(words)
    return octets + bytes(-len(octets) % 4)
