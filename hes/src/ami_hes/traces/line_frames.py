"""Octets of a line of HDLC cut into frames, for traces: a piece that came may hold several of them, or the middle of one.

A frame is what stands between two flags by the length that its head says, good or not: what is wrong with it is said where it is shown.
Frames that share a flag stay together, for none of them is whole without it.
"""

from __future__ import annotations

import re

from ami_dlms.errors import DecodeError
from ami_dlms.framing import hdlc
from ami_dlms.framing.hdlc import FLAG, FORMAT_SIZE, FORMAT_TYPE, MAX_LENGTH, FrameKind

_FLAG = bytes((FLAG,))
_FILL = re.compile(_FLAG + b"+")
_BARE = frozenset({FrameKind.SNRM, FrameKind.UA, FrameKind.DISC, FrameKind.DM, FrameKind.RR, FrameKind.RNR})
"""Kinds that carry nothing of an APDU."""


class FrameCutter:
    """One direction of a line; it keeps no more than has no end yet, and looks at no frame again when more comes."""

    __slots__ = ("_kept", "_next")

    def __init__(self) -> None:
        self._kept = b""
        self._next = 0
        """Where, in what is kept, the frame begins that has no end yet; those before it share its flag."""

    @property
    def keeps(self) -> bool:
        """Whether something came that has no end yet."""
        return bool(self._kept)

    def take(self, octets: bytes) -> list[bytes]:
        """The frames that are whole with these octets, and what is between them."""
        kept, found, first = self._kept + octets, list[bytes](), 0
        while (end := self._end(kept, first)) is not None:
            found.append(kept[first:end])
            first = end
        self._kept, self._next = kept[first:], self._next - first
        return found

    def rest(self) -> bytes:
        """What is left, once nothing more comes."""
        kept, self._kept, self._next = self._kept, b"", 0
        return kept

    def _end(self, octets: bytes, first: int) -> int | None:
        """Behind the frame that begins at `first`, or behind what is before it; None as long as that can't be said."""
        if first == len(octets):
            return None
        if octets[first] != FLAG:
            noise = octets.find(_FLAG, first)
            return None if noise < 0 else noise
        if octets[first + 1 : first + 2] == _FLAG:
            filled = _FILL.match(octets, first)
            assert filled is not None
            return None if filled.end() == len(octets) else filled.end() - 1
        self._next = max(self._next, first + 1)
        while True:  # as long as the next frame begins with the flag at which this one ends
            begins = self._next
            if len(octets) < begins + FORMAT_SIZE:
                return None
            length = int.from_bytes(octets[begins : begins + FORMAT_SIZE], "big") & MAX_LENGTH
            is_frame = octets[begins] & 0xF0 == FORMAT_TYPE
            closing = begins + length if is_frame else octets.find(_FLAG, begins)
            if closing < 0 or closing >= len(octets):
                return None
            self._next = end = closing + 1
            if octets[closing] != FLAG or not is_frame or octets[end : end + 1] in (b"", _FLAG):
                return end


def carries_nothing(octets: bytes) -> bool:
    """Whether it is a good frame of a kind that carries no APDU, or a part of one."""
    try:
        return hdlc.decode(octets).kind in _BARE
    except DecodeError:
        return octets.strip(_FLAG) == b""
