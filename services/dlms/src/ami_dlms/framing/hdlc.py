"""HDLC frames, frame format type 3 (IEC 62056-46, 6.4): flag, format, addresses, control, HCS, information, FCS, flag.

Nothing is stuffed: the length in the format field says where a frame ends, so a flag inside the information is plain
data. `FrameReader` therefore takes a flag for the beginning of a frame only if format, header check, closing flag and
frame check all agree; otherwise it looks for the next flag, and so finds back into a stream after any garbage.
"""

from __future__ import annotations

from binascii import crc_hqx
from collections import deque
from dataclasses import field
from enum import Enum
from typing import NamedTuple

from ami_dlms.errors import DecodeError, LocalError
from ami_dlms.framing.hdlc_address import HdlcAddress, address_size, decode_address
from ami_dlms.frozen import frozen

FLAG = 0x7E
FORMAT_TYPE = 0xA0
SEGMENTED = 0x08
MAX_LENGTH = 0x7FF
FORMAT_SIZE = 2
CHECK_SIZE = 2
MIN_LENGTH = FORMAT_SIZE + 1 + 1 + 1 + CHECK_SIZE
POLL_FINAL = 0x10
_FLAG = bytes((FLAG,))
BITS_REVERSED = bytes(int(f"{octet:08b}"[::-1], 2) for octet in range(256))


class FrameKind(Enum):
    """What a control field says; the value is for a person."""

    I = "information"  # noqa: E741
    RR = "receive ready"
    RNR = "receive not ready"
    SNRM = "set normal response mode"
    DISC = "disconnect"
    UA = "unnumbered acknowledge"
    DM = "disconnected mode"
    FRMR = "frame reject"
    UI = "unnumbered information"
    UNDEFINED = "undefined"


UNNUMBERED = {
    0x83: FrameKind.SNRM,
    0x43: FrameKind.DISC,
    0x63: FrameKind.UA,
    0x0F: FrameKind.DM,
    0x87: FrameKind.FRMR,
    0x03: FrameKind.UI,
}
SUPERVISORY = {0x01: FrameKind.RR, 0x05: FrameKind.RNR}
CONTROLS = {kind: control for control, kind in (UNNUMBERED | SUPERVISORY).items()}


def control_of(kind: FrameKind, final: bool = True, receive_number: int = 0, send_number: int = 0) -> int:
    """The control field; the numbers are N(R) of I, RR and RNR, and N(S) of I."""
    control = receive_number << 5 | send_number << 1 if kind is FrameKind.I else CONTROLS[kind] | receive_number << 5
    return control | POLL_FINAL if final else control


@frozen
class Frame:
    """One frame; `segmented` says that the information goes on in the next. Information may hold secrets: not shown."""

    destination: HdlcAddress
    source: HdlcAddress
    control: int
    information: bytes = field(default=b"", repr=False)
    segmented: bool = False

    @property
    def kind(self) -> FrameKind:
        """What kind of frame it is."""
        if not self.control & 1:
            return FrameKind.I
        supervisory = SUPERVISORY.get(self.control & 0x0F)
        return supervisory or UNNUMBERED.get(self.control & ~POLL_FINAL, FrameKind.UNDEFINED)

    @property
    def final(self) -> bool:
        """The P bit of a command, the F bit of a response: the turn to send goes to the other end."""
        return bool(self.control & POLL_FINAL)

    @property
    def receive_number(self) -> int:
        """N(R) of a numbered frame: the number that its sender expects next."""
        return self.control >> 5

    @property
    def send_number(self) -> int:
        """N(S) of an information frame."""
        return self.control >> 1 & 7


def check_sequence(octets: bytes | bytearray) -> bytes:
    """CRC-16/X.25 as two octets in the order of the wire. It is the library's CRC with the bits of each octet turned."""
    return (
        (crc_hqx(octets.translate(BITS_REVERSED), 0xFFFF) ^ 0xFFFF).to_bytes(CHECK_SIZE, "big").translate(BITS_REVERSED)
    )


def encode(frame: Frame) -> bytes:
    """All octets from flag to flag; LocalError when the information is too long."""
    addresses = frame.destination.encode() + frame.source.encode()
    information = frame.information
    length = FORMAT_SIZE + len(addresses) + 1 + CHECK_SIZE + (len(information) + CHECK_SIZE if information else 0)
    if length > MAX_LENGTH:
        raise LocalError(f"a frame has {MAX_LENGTH} octets at most, not {length}")
    format_field = (FORMAT_TYPE | (SEGMENTED if frame.segmented else 0)) << 8 | length
    body = format_field.to_bytes(FORMAT_SIZE, "big") + addresses + bytes((frame.control,))
    if information:
        body += check_sequence(body) + information
    return _FLAG + body + check_sequence(body) + _FLAG


class _Header(NamedTuple):
    """Where things are in a frame that begins with a flag at `start`; `end` is where the closing flag has to be."""

    start: int
    source: int
    control: int
    end: int

    @property
    def has_information(self) -> bool:
        return self.end > self.control + 1 + CHECK_SIZE


def decode(octets: bytes) -> Frame:
    """The one frame in `octets`, flags included; DecodeError when anything is missing, wrong or left over."""
    if octets[:1] != _FLAG:
        raise DecodeError("the flag 7E", octets[:1].hex() or "the end", 0, "opening flag")
    header = _read_header(octets, 0)
    if header is None or header.end >= len(octets):
        raise DecodeError("more octets", "the end", len(octets), "frame")
    if header.end + 1 != len(octets):
        raise DecodeError("the end", f"{len(octets) - header.end - 1} more octets", header.end + 1, "frame")
    return _read_frame(octets, header)


def _read_header(octets: bytes | bytearray, start: int) -> _Header | None:
    """The header of the frame whose flag is at `start`; None while too little of it is there to judge it."""
    have = len(octets)
    if start + 1 < have and octets[start + 1] & 0xF0 != FORMAT_TYPE:
        raise DecodeError("frame format type 3", f"{octets[start + 1]:#04x}", start + 1, "format")
    if start + 1 + FORMAT_SIZE > have:
        return None
    length = (octets[start + 1] & 0x07) << 8 | octets[start + 2]
    if length < MIN_LENGTH:
        raise DecodeError(f"a length of {MIN_LENGTH} or more", str(length), start + 1, "format")
    destination = start + 1 + FORMAT_SIZE
    size = address_size(octets, destination, have)
    if size is None:
        return None
    source = destination + size
    size = address_size(octets, source, have)
    if size is None:
        return None
    return _check_header(octets, _Header(start, source, source + size, start + 1 + length))


def _check_header(octets: bytes | bytearray, header: _Header) -> _Header | None:
    """The header once its own check sequence is there and right; a frame without information has none."""
    after = header.control + 1
    if header.end < after + CHECK_SIZE or after + CHECK_SIZE < header.end <= after + 2 * CHECK_SIZE:
        raise DecodeError(
            "a length that fits the fields", f"{header.end - header.start - 1}", header.start + 1, "format"
        )
    if not header.has_information:
        return header
    if after + CHECK_SIZE > len(octets):
        return None
    _check(octets, header.start, after, "HCS")
    return header


def _read_frame(octets: bytes | bytearray, header: _Header) -> Frame:
    """The frame whose header is read and whose octets are all there."""
    start, source, control, end = header
    if octets[end] != FLAG:
        raise DecodeError("the flag 7E", f"{octets[end]:#04x}", end, "closing flag")
    check = end - CHECK_SIZE
    _check(octets, start, check, "FCS")
    return Frame(
        decode_address(bytes(octets[start + 1 + FORMAT_SIZE : source])),
        decode_address(bytes(octets[source:control])),
        octets[control],
        bytes(octets[control + 1 + CHECK_SIZE : check]) if header.has_information else b"",
        bool(octets[start + 1] & SEGMENTED),
    )


def _check(octets: bytes | bytearray, flag: int, place: int, name: str) -> None:
    """Whether the check sequence at `place` is that of all octets behind the flag."""
    found, computed = octets[place : place + CHECK_SIZE], check_sequence(octets[flag + 1 : place])
    if found != computed:
        raise DecodeError(f"the check sequence {computed.hex().upper()}", found.hex().upper(), place, name)


class FrameReader:
    """Finds frames in the octets of one direction; memory is bounded by the longest frame and one read.

    `discarded` counts octets that belonged to no good frame: it tells a bad line from a silent one.
    """

    __slots__ = ("_buffer", "_ready", "discarded")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._ready: deque[Frame] = deque()
        self.discarded = 0

    def receive_data(self, octets: bytes) -> None:
        """Take what arrived, however it was cut."""
        self._buffer += octets

    def next_frame(self) -> Frame | None:
        """The next good frame, or None until more octets come."""
        if self._ready:
            return self._ready.popleft()
        frame, start = self._find(0, at_the_end=False)
        self._drop(start)
        return frame

    def silence(self) -> None:
        """The line has fallen silent: a frame that has begun will not be finished, and may hide whole ones."""
        frame, start = self._find(0, at_the_end=True)
        while frame is not None:
            self._ready.append(frame)
            frame, start = self._find(start, at_the_end=True)
        self._drop(len(self._buffer))

    def _drop(self, count: int) -> None:
        if count:
            del self._buffer[:count]

    def _find(self, start: int, *, at_the_end: bool) -> tuple[Frame | None, int]:
        """A frame from `start` on, or None, and where to go on; its closing flag may open the next."""
        buffer = self._buffer
        while (flag := buffer.find(FLAG, start)) >= 0:
            self.discarded += flag - start
            start = flag
            try:
                header = _read_header(buffer, start)
                if header is not None and header.end < len(buffer):
                    return _read_frame(buffer, header), header.end
            except DecodeError:
                start += 1
                continue
            if not at_the_end:
                return None, start
            start += 1
        self.discarded += len(buffer) - start
        return None, len(buffer)
