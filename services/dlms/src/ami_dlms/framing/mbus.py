"""Wired M-Bus frames (EN 13757-2: FT 1.2 of IEC 60870-5-2) and how an APDU travels in them (EN 13757-3, CI fields 00 to 1F).

The CI field of such a frame carries the number of the segment and a bit for the last one; the addresses of the two
application processes (STSAP, DTSAP) follow it. The meters of Austrian grid operators push their APDUs this way.
"""

from __future__ import annotations

from dataclasses import field
from typing import NamedTuple

from ami_dlms.errors import DecodeError, LocalError
from ami_dlms.frozen import frozen

LONG, SHORT, STOP, ACKNOWLEDGE = 0x68, 0x10, 0x16, 0xE5
SHORT_SIZE = 5
HEAD_SIZE = 4
OVERHEAD = HEAD_SIZE + 2
MIN_LENGTH, MAX_LENGTH = 3, 0xFF
SND_UD, BROADCAST = 0x53, 0xFF
CONTROLS = {
    0x40: "SND-NKE",
    0x43: "SND-UD2",
    0x53: "SND-UD",
    0x73: "SND-UD",
    0x5A: "REQ-UD1",
    0x7A: "REQ-UD1",
    0x5B: "REQ-UD2",
    0x7B: "REQ-UD2",
    0x08: "RSP-UD",
    0x18: "RSP-UD",
    0x28: "RSP-UD",
    0x38: "RSP-UD",
}
SHORT_CONTROLS = frozenset((0x40, 0x5A, 0x7A, 0x5B, 0x7B))
LAST_SEGMENT, SEGMENT_NUMBER, MAX_SEGMENT_CI = 0x10, 0x0F, 0x1F
SAPS_SIZE = 2
MAX_APDU = 0xFFFF


@frozen
class MbusFrame:
    """One frame; `ci` None: a short frame, which has no user data. The data may hold secrets: not shown."""

    control: int
    address: int
    ci: int | None = None
    data: bytes = field(default=b"", repr=False)


def check_sum(octets: bytes) -> int:
    """The sum of control, address, CI field and data, modulo 256."""
    return sum(octets) & 0xFF


def encode(frame: MbusFrame) -> bytes:
    """All octets from start to stop; LocalError when the data do not fit."""
    if frame.ci is None:
        if frame.data:
            raise LocalError("a short frame of M-Bus has no data")
        body = bytes((frame.control, frame.address))
        return bytes((SHORT,)) + body + bytes((check_sum(body), STOP))
    body = bytes((frame.control, frame.address, frame.ci)) + frame.data
    if len(body) > MAX_LENGTH:
        raise LocalError(
            f"a frame of M-Bus has {MAX_LENGTH - MIN_LENGTH} octets of data at most, not {len(frame.data)}"
        )
    return bytes((LONG, len(body), len(body), LONG)) + body + bytes((check_sum(body), STOP))


def size_of(octets: bytes | bytearray, start: int = 0) -> int | None:
    """How many octets the frame that begins at `start` has, as its first ones say; None when none begins there.

    Where there are too few octets to judge, it is the number that is wanted for that.
    """
    if octets[start : start + 1] == bytes((SHORT,)):
        return SHORT_SIZE
    head = octets[start : start + HEAD_SIZE]
    if head[:1] != bytes((LONG,)):
        return None
    if len(head) < HEAD_SIZE:
        return HEAD_SIZE
    if head[1] != head[2] or head[3] != LONG or head[1] < MIN_LENGTH:
        return None
    return OVERHEAD + head[1]


def decode(octets: bytes) -> MbusFrame:
    """The one frame in `octets`; DecodeError when anything is missing, wrong or left over."""
    size = size_of(octets)
    if size is None or len(octets) < HEAD_SIZE:
        raise DecodeError("68 L L 68 or 10", octets[:HEAD_SIZE].hex() or "the end", 0, "start")
    if len(octets) < size:
        raise DecodeError(f"{size} octets", str(len(octets)), len(octets), "frame")
    if len(octets) > size:
        raise DecodeError("the end", f"{len(octets) - size} more octets", size, "frame")
    body = octets[1 if size == SHORT_SIZE else HEAD_SIZE : -2]
    if octets[-1] != STOP:
        raise DecodeError("the stop 16", f"{octets[-1]:02X}", size - 1, "stop")
    if octets[-2] != check_sum(body):
        raise DecodeError(f"the check sum {check_sum(body):02X}", f"{octets[-2]:02X}", size - 2, "check_sum")
    if octets[0] == SHORT:
        return MbusFrame(body[0], body[1])
    return MbusFrame(body[0], body[1], body[2], body[3:])


class MbusSegment(NamedTuple):
    """A piece of an APDU between two application processes; numbers go round after 15."""

    number: int
    last: bool
    source: int
    destination: int
    octets: bytes

    def __repr__(self) -> str:
        last = ", the last" if self.last else ""
        return f"Segment({self.number}{last}, {self.source} to {self.destination}, {len(self.octets)} octets)"


def segment_of(frame: MbusFrame) -> MbusSegment | None:
    """What a frame carries of an APDU; None for a frame that carries something else, DecodeError without its two SAPs."""
    if frame.ci is None or frame.ci > MAX_SEGMENT_CI:
        return None
    if len(frame.data) < SAPS_SIZE:
        raise DecodeError("STSAP and DTSAP", f"{len(frame.data)} octets", HEAD_SIZE + MIN_LENGTH, "data")
    last = bool(frame.ci & LAST_SEGMENT)
    return MbusSegment(frame.ci & SEGMENT_NUMBER, last, frame.data[0], frame.data[1], frame.data[SAPS_SIZE:])


def frames_of(
    apdu: bytes,
    source: int,
    destination: int,
    *,
    address: int = BROADCAST,
    control: int = SND_UD,
    length: int = MAX_LENGTH,
) -> list[MbusFrame]:
    """An APDU in as many frames as it takes; `length` is what the L field may say at most."""
    room = length - MIN_LENGTH - SAPS_SIZE
    if not 0 < room <= MAX_LENGTH - MIN_LENGTH - SAPS_SIZE or not 0 < len(apdu) <= MAX_APDU:
        raise LocalError(f"{len(apdu)} octets of APDU do not go into frames of length {length}")
    starts = range(0, len(apdu), room)
    return [
        MbusFrame(
            control,
            address,
            number & SEGMENT_NUMBER | (LAST_SEGMENT if start == starts[-1] else 0),
            bytes((source, destination)) + apdu[start : start + room],
        )
        for number, start in enumerate(starts)
    ]


class MbusAssembler:
    """Puts the segments of one pair of application processes together; segment 0 begins anew, and one again counts once."""

    __slots__ = ("_count", "_last", "_octets")

    def __init__(self) -> None:
        self._octets = bytearray()
        self._count = 0
        self._last: MbusSegment | None = None

    @property
    def count(self) -> int:
        """How many segments are there of an APDU that goes on."""
        return self._count

    def take(self, segment: MbusSegment) -> bytes | None:
        """The APDU once its last segment is there; DecodeError when one before it is missing, or it grows too long."""
        if self._count and segment == self._last:
            return None
        if segment.number == 0 and (self._count & SEGMENT_NUMBER or not self._count):
            self._forget()
        expected = self._count & SEGMENT_NUMBER
        if segment.number != expected or len(self._octets) + len(segment.octets) > MAX_APDU:
            self._forget()
            raise DecodeError(f"segment {expected}", str(segment.number), HEAD_SIZE + 2, "ci")
        self._octets += segment.octets
        self._count, self._last = self._count + 1, segment
        if not segment.last:
            return None
        whole = bytes(self._octets)
        self._forget()
        return whole

    def _forget(self) -> None:
        self._octets.clear()
        self._count, self._last = 0, None
