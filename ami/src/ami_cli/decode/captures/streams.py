"""Frames out of a capture: segments of TCP put together for each direction, datagrams as they are, in the order of the wire.

What comes twice counts once, what comes early waits, and where octets are missing the next segment begins anew. How many
directions are remembered, and how many octets wait in all, is bounded: the one that was silent longest is forgotten.
"""

from __future__ import annotations

import struct
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import BinaryIO, NamedTuple

from ami_cli.decode.captures.files import EndsEarly, Record, records
from ami_cli.decode.captures.finding import Finder
from ami_cli.decode.captures.layers import TCP, IpPayload, Unknown, segment_of
from ami_cli.decode.captures.seen import Seen

SYN = 0x02
HALF, MODULUS = 1 << 31, 1 << 32
UDP_HEADER, VERSION = 8, b"\0\1"
MOST_EARLY = 500
"""Segments that wait for one that is missing."""
MOST_STREAMS, MOST_HELD = 4096, 1 << 26

Ends = tuple[str, str]


class Message(NamedTuple):
    """One frame: the number and the time of the packet that completed it, and who sent it to whom."""

    number: int
    at: datetime | None
    source: str
    destination: str
    octets: bytes
    protocol: int = TCP


@dataclass(slots=True)
class _Stream:
    """One direction of a connection: the number of its first octet and of the next, and what came early."""

    start: int
    wanted: int
    finder: Finder = field(default_factory=Finder)
    early: dict[int, bytes] = field(default_factory=dict)

    @property
    def held(self) -> int:
        return self.finder.held + sum(map(len, self.early.values()))

    def take(self, number: int, payload: bytes) -> Iterator[bytes]:
        """The frames that a segment completes."""
        if number == self.wanted and not self.early:
            self.wanted = (number + len(payload)) % MODULUS
            yield from self.finder.take(payload)
            return
        self.early[number] = max(payload, self.early.get(number, b""), key=len)
        yield from self._ready()
        if len(self.early) > MOST_EARLY:
            yield from self.skip()

    def skip(self) -> Iterator[bytes]:
        """Wait no longer for what is missing."""
        self.wanted = min(self.early, key=lambda number: (number - self.wanted) % MODULUS)
        self.finder.forget()
        yield from self._ready()

    def _ready(self) -> Iterator[bytes]:
        while ready := [number for number in self.early if (self.wanted - number) % MODULUS < HALF]:
            payload = self.early.pop(ready[0])[(self.wanted - ready[0]) % MODULUS :]
            self.wanted = (self.wanted + len(payload)) % MODULUS
            yield from self.finder.take(payload)


class _Streams:
    """All directions that are remembered, the one that spoke last at the end."""

    def __init__(self) -> None:
        self._streams: OrderedDict[Ends, _Stream] = OrderedDict()
        self._held = 0

    def take(self, ends: Ends, segment: bytes) -> Iterator[bytes]:
        """The frames that a segment completes."""
        (number,) = struct.unpack_from(">4xI", segment)
        payload, syn = segment[4 * (segment[12] >> 4) :], segment[13] & SYN
        first = (number + (1 if syn else 0)) % MODULUS
        stream = self._streams.get(ends)
        if stream is None or (syn and first != stream.start):
            self._held -= stream.held if stream else 0
            stream = self._streams[ends] = _Stream(first, first)
        self._streams.move_to_end(ends)
        if payload:
            before = stream.held
            yield from stream.take(first, payload)
            self._held += stream.held - before
        self._bound()

    def _bound(self) -> None:
        while len(self._streams) > MOST_STREAMS or (self._held > MOST_HELD and len(self._streams) > 1):
            _, oldest = self._streams.popitem(last=False)
            self._held -= oldest.held

    def rest(self) -> Iterator[tuple[Ends, bytes]]:
        """What waits behind a gap at the end of the capture."""
        for ends, stream in self._streams.items():
            while stream.early:
                yield from ((ends, frame) for frame in stream.skip())


def messages(stream: BinaryIO, seen: Seen | None = None) -> Iterator[Message]:
    """The frames in the order in which they were complete; what the capture holds besides goes to `seen`."""
    for _, found in packets(stream, seen):
        yield from found


def packets(stream: BinaryIO, seen: Seen | None = None) -> Iterator[tuple[Record | None, Sequence[Message]]]:
    """Each packet with the frames that it completes; at the end, without a packet, those that waited behind a gap."""
    streams, seen = _Streams(), seen or Seen()
    record: Record | None = None
    try:
        for record in records(stream):
            seen.packet(is_cut=record.is_cut)
            yield record, list(_messages(record, streams, seen))
    except EndsEarly:
        seen.ends_early = True
    if record is not None:
        yield None, [Message(record.number, record.at, *ends, frame) for ends, frame in streams.rest()]


def _messages(record: Record, streams: _Streams, seen: Seen) -> Iterator[Message]:
    try:
        segment = segment_of(record.link, record.octets)
        frames = list(_frames(segment, streams, seen))
    except Unknown as unknown:
        seen.unknown(str(unknown))
    except (struct.error, IndexError):
        seen.unknown("packets that end too soon")
    else:
        ends = segment.source, segment.destination
        yield from (Message(record.number, record.at, *ends, frame, segment.protocol) for frame in frames)


def _frames(segment: IpPayload, streams: _Streams, seen: Seen) -> Iterator[bytes]:
    """The frames that a segment of TCP completes, or those in a datagram."""
    ends = segment.source, segment.destination
    if segment.protocol == TCP:
        seen.segment("TCP", ends, segment.octets[4 * (segment.octets[12] >> 4) :])
        yield from streams.take(ends, segment.octets)
        return
    payload = segment.octets[UDP_HEADER:] if segment.protocol else segment.octets
    seen.segment("UDP" if segment.protocol else "link", ends, payload)
    if payload.startswith(VERSION) and len(payload) > UDP_HEADER:
        yield payload
    else:
        yield from Finder().take(payload)
