"""Octets that pass in one direction, seen from beside: whole frames as they were, and the APDUs in them; nothing is answered or held up.

What is no framing ends the tap of its direction, and the octets go on passing. Memory is bounded by the longest APDU and one read.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple, Protocol

from ami_dlms.errors import DecodeError
from ami_dlms.framing import hdlc, wrapper
from ami_dlms.framing.framing import WrapperPdu
from ami_dlms.framing.hdlc import Frame, FrameKind, FrameReader
from ami_dlms.framing.hdlc_segments import LLC_COMMAND, LLC_RESPONSE, MAX_APDU

MOST_LINKS = 64
NUMBERS = 8
"""Of send numbers; with a window several frames are sent again, and each of them is passed over until the expected one comes."""
CARRIES = (FrameKind.I, FrameKind.UI)


class Framing(StrEnum):
    """What carries the APDUs."""

    WRAPPER = "wrapper"
    HDLC = "hdlc"


class Tapped(NamedTuple):
    """Frames that passed, and the APDU that is whole with the last of them; None where they carry none.

    `again`: one frame that was sent before, or out of its order; `held` are what the information fields hold.
    """

    frames: tuple[bytes, ...]
    pdu: WrapperPdu | None
    held: tuple[bytes, ...] = ()
    again: bool = False


class Tap(Protocol):
    """One direction of one connection."""

    def take(self, octets: bytes) -> Iterator[Tapped]:
        """What is whole with these octets; DecodeError when nothing sensible can come any more."""


class WrapperTap:
    """The wrapper over TCP: a frame is a PDU."""

    def __init__(self) -> None:
        self._deframer = wrapper.Deframer()

    def take(self, octets: bytes) -> Iterator[Tapped]:
        self._deframer.receive_data(octets)
        while (pdu := self._deframer.next_pdu()) is not None:
            yield Tapped((wrapper.encode(pdu),), pdu)


@dataclass(slots=True)
class _Link:
    """What of one APDU has passed between two stations."""

    frames: list[bytes] = field(default_factory=list)
    held: list[bytes] = field(default_factory=list)
    information: bytearray = field(default_factory=bytearray)
    last: int | None = None


class HdlcTap:
    """HDLC: segments are put together, and a frame that was sent again counts once."""

    def __init__(self) -> None:
        self._reader = FrameReader()
        self._links: dict[tuple[int, int], _Link] = {}

    def take(self, octets: bytes) -> Iterator[Tapped]:
        self._reader.receive_data(octets)
        while (frame := self._reader.next_frame()) is not None:
            yield from self._frame(frame)

    def _frame(self, frame: Frame) -> Iterator[Tapped]:
        key, raw = (frame.source.upper, frame.destination.upper), hdlc.encode(frame)
        if frame.kind in (FrameKind.SNRM, FrameKind.UA):
            self._links.pop(key, None)
        if frame.kind not in CARRIES:
            yield Tapped((raw,), None)
            return
        if key not in self._links and len(self._links) >= MOST_LINKS:
            self._links.pop(next(iter(self._links)))
        link = self._links.setdefault(key, _Link())
        if frame.kind is FrameKind.I and link.last is not None and frame.send_number != (link.last + 1) % NUMBERS:
            yield Tapped((raw,), None, (frame.information,), again=True)
            return
        link.last = frame.send_number if frame.kind is FrameKind.I else link.last
        link.frames.append(raw)
        link.held.append(frame.information)
        link.information += frame.information
        if len(link.information) > MAX_APDU:
            raise DecodeError(f"an APDU of {MAX_APDU} octets at most", "more", field="segments")
        if not frame.segmented:
            yield Tapped(tuple(link.frames), _pdu(key, bytes(link.information)), tuple(link.held))
            self._links[key] = _Link(last=link.last)


def _pdu(key: tuple[int, int], information: bytes) -> WrapperPdu | None:
    for header in (LLC_COMMAND, LLC_RESPONSE):
        if information.startswith(header) and len(information) > len(header):
            return WrapperPdu(*key, information[len(header) :])
    return None


def tap_of(framing: Framing) -> Tap:
    """A new one."""
    return WrapperTap() if framing is Framing.WRAPPER else HdlcTap()
