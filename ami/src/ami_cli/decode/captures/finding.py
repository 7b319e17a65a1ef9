"""Frames in one direction of a connection, whatever its port is: the wrapper, HDLC, M-Bus.

The wrapper has no check, so it counts where a segment or the frame before it says that something begins. Frames of HDLC and
M-Bus count anywhere when their checks hold; once one was there, the line is theirs, and one with a wrong check is shown too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from ami_dlms.errors import DecodeError
from ami_dlms.explain.scanning import ScannedFrame, mbus_end
from ami_dlms.framing import hdlc, mbus
from ami_dlms.framing.hdlc import FLAG, FORMAT_SIZE, FORMAT_TYPE, MAX_LENGTH
from ami_dlms.framing.wrapper import HEADER_SIZE, VERSION

_VERSION = VERSION.to_bytes(2, "big")
_BEGINNING = re.compile(rb"[\x7e\x68]")
_MORE = -1


class Finder:
    """Takes octets as they come; what begins no frame is dropped at once, so a frame is the most that is kept."""

    __slots__ = ("_begun", "_kind", "_starts")

    def __init__(self) -> None:
        self._begun = b""
        self._starts: list[int] = []
        """Where else a wrapper PDU may begin: at segments that came while something else seemed to have begun."""
        self._kind: ScannedFrame | None = None

    @property
    def held(self) -> int:
        """Octets of a frame that has begun."""
        return len(self._begun)

    def forget(self) -> None:
        """Octets are missing: what has begun will not be finished."""
        self._begun, self._starts = b"", []

    def take(self, payload: bytes) -> Iterator[bytes]:
        """The frames that are complete now."""
        if self._begun and payload.startswith(_VERSION):
            self._starts.append(len(self._begun))
        self._begun += payload
        while self._begun:
            end, kind = self._end()
            if end == _MORE:
                return
            if end:
                self._kind = kind
                yield self._begun[:end]
                shares_flag = (
                    kind is ScannedFrame.HDLC and self._begun[end : end + 1] and self._begun[end] & 0xF0 == FORMAT_TYPE
                )
                self._drop(end - 1 if shares_flag else end)
                continue
            beginning = _BEGINNING.search(self._begun, 1)
            self._drop(min([beginning.start() if beginning else len(self._begun), *self._starts]))

    def _drop(self, count: int) -> None:
        """This number of octets will not be searched again."""
        self._begun = self._begun[count:]
        self._starts = [start - count for start in self._starts if start > count]

    def _end(self) -> tuple[int, ScannedFrame | None]:
        """Where the frame at the beginning of what is there is over, 0 when there is none, _MORE when it is not yet complete."""
        begun = self._begun
        if begun[0] == FLAG:
            return self._hdlc(begun), ScannedFrame.HDLC
        if begun[0] in (mbus.LONG, mbus.SHORT):
            return self._mbus(begun), ScannedFrame.MBUS
        if begun[:2] == _VERSION[: len(begun)]:
            return _wrapper(begun), ScannedFrame.WRAPPER
        return 0, None

    def _hdlc(self, begun: bytes) -> int:
        if len(begun) <= FORMAT_SIZE:
            return _MORE if len(begun) < 2 or begun[1] & 0xF0 == FORMAT_TYPE else 0
        end = (int.from_bytes(begun[1:3], "big") & MAX_LENGTH) + 2
        if begun[1] & 0xF0 != FORMAT_TYPE:
            return 0
        try:
            hdlc.decode(begun[:end])
        except DecodeError as error:
            if len(begun) < end:
                return _MORE if error.field == "frame" else 0
            is_damaged = self._kind is ScannedFrame.HDLC and begun[end - 1] == FLAG and end > FORMAT_SIZE + 2
            return end if is_damaged else 0
        return end

    def _mbus(self, begun: bytes) -> int:
        size = mbus.size_of(begun[: mbus.HEAD_SIZE])
        if size is None:
            return 0
        if len(begun) < size:
            return _MORE if begun[0] == mbus.LONG or self._kind is ScannedFrame.MBUS else 0
        is_frame = mbus_end(begun, 0) == size or (self._kind is ScannedFrame.MBUS and size > mbus.SHORT_SIZE)
        return size if is_frame else 0


def _wrapper(begun: bytes) -> int:
    if len(begun) < HEADER_SIZE:
        return _MORE
    length = int.from_bytes(begun[6:HEADER_SIZE], "big")
    if not length:
        return 0
    return HEADER_SIZE + length if len(begun) >= HEADER_SIZE + length else _MORE
