"""APDUs in the information fields of HDLC frames (IEC 62056-46, 6.4.4.4.4; ISO/IEC 8802-2): LLC header, segments, rejection.

An APDU behind its LLC header is cut to what a frame may hold; all but the last piece say that more follows.
"""

from __future__ import annotations

from enum import IntFlag
from typing import NamedTuple

from ami_dlms.errors import DecodeError, ProtocolError
from ami_dlms.framing.hdlc import Frame

LLC_COMMAND = bytes((0xE6, 0xE6, 0x00))
LLC_RESPONSE = bytes((0xE6, 0xE7, 0x00))
MAX_APDU = 0xFFFF
MAX_SOURCES = 16


class RejectReason(IntFlag):
    """The bits w, x, y and z of a FRMR."""

    UNDEFINED_CONTROL = 1
    INFORMATION_NOT_PERMITTED = 2
    INFORMATION_TOO_LONG = 4
    WRONG_RECEIVE_NUMBER = 8


class FrameRejected(ProtocolError):
    """A frame that a server answers by FRMR."""

    def __init__(self, reason: RejectReason) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return describe(self.reason)


def describe(reason: RejectReason) -> str:
    """The reasons of a FRMR for a person."""
    names = [flag.name or "" for flag in RejectReason if flag in reason]
    return ", ".join(name.lower().replace("_", " ") for name in names) or "no reason given"


class Segment(NamedTuple):
    """The information of one frame; `more` says that the APDU goes on."""

    information: bytes
    more: bool


def segments(llc: bytes, apdu: bytes, length: int) -> list[Segment]:
    """An APDU behind its LLC header in pieces of at most `length` octets."""
    octets = llc + apdu
    starts = range(0, len(octets), length)
    return [Segment(octets[start : start + length], start + length < len(octets)) for start in starts]


def apdu_of(octets: bytes) -> bytes:
    """The APDU behind an LLC header of either direction; DecodeError when there is none."""
    if octets[: len(LLC_COMMAND)] not in (LLC_COMMAND, LLC_RESPONSE):
        raise DecodeError("the LLC header E6 E6 00 or E6 E7 00", octets[: len(LLC_COMMAND)].hex(), 0, "LLC")
    if len(octets) == len(LLC_COMMAND):
        raise DecodeError("an APDU", "the end", len(octets), "LLC")
    return octets[len(LLC_COMMAND) :]


class Assembler:
    """Puts the segments of one APDU together; more octets than an APDU may have are refused."""

    __slots__ = ("_limit", "_octets")

    def __init__(self, max_apdu: int) -> None:
        self._limit = len(LLC_COMMAND) + max_apdu
        self._octets = bytearray()

    @property
    def half_done(self) -> bool:
        """Whether a segment is there whose APDU goes on."""
        return bool(self._octets)

    def take(self, frame: Frame) -> bytes | None:
        """The whole octets once the last segment is there."""
        if len(self._octets) + len(frame.information) > self._limit:
            self._octets.clear()
            raise FrameRejected(RejectReason.INFORMATION_TOO_LONG)
        self._octets += frame.information
        if frame.segmented:
            return None
        whole = bytes(self._octets)
        self._octets.clear()
        return whole


class UnnumberedAssembler:
    """Unnumbered information, put together for each pair of stations.

    Its segments have no numbers, so an LLC header begins an APDU anew whatever came before. What can't be read is dropped.
    """

    __slots__ = ("_assemblers", "_limit")

    def __init__(self, max_apdu: int = MAX_APDU) -> None:
        self._limit = max_apdu
        self._assemblers: dict[tuple[bytes, bytes], Assembler] = {}

    def take(self, frame: Frame) -> bytes | None:
        """The whole APDU once the last segment is there; DecodeError or FrameRejected when it is none."""
        stations = frame.source.encode(), frame.destination.encode()
        assembler = self._assemblers.pop(stations, None)
        if assembler is None or frame.information[: len(LLC_COMMAND)] in (LLC_COMMAND, LLC_RESPONSE):
            assembler = Assembler(self._limit)
        whole = assembler.take(frame)
        if whole is not None:
            return apdu_of(whole)
        if len(self._assemblers) >= MAX_SOURCES:
            del self._assemblers[next(iter(self._assemblers))]
        self._assemblers[stations] = assembler
        return None
