"""Octets of a line of HDLC cut into frames, for traces: a piece that came may hold several of them, or the middle of one.

A frame is what stands between two flags by the length that its head says, good or not: what is wrong with it is said where it is shown.
Frames that share a flag stay together, for none of them is whole without it.
"""

from __future__ import annotations

from ami_dlms.errors import DecodeError
from ami_dlms.framing import hdlc
from ami_dlms.framing.hdlc import FLAG, FORMAT_SIZE, FORMAT_TYPE, MAX_LENGTH, FrameKind

_FLAG = bytes((FLAG,))
_BARE = frozenset({FrameKind.SNRM, FrameKind.UA, FrameKind.DISC, FrameKind.DM, FrameKind.RR, FrameKind.RNR})
"""Kinds that carry nothing of an APDU."""


class FrameCutter:
    """One direction of a line; it keeps no more than has no end yet."""

    __slots__ = ("_kept",)

    def __init__(self) -> None:
        self._kept = b""

    def take(self, octets: bytes) -> list[bytes]:
        """The frames that are whole with these octets, and what is between them."""
        kept, found = self._kept + octets, []
        while (end := _end(kept)) is not None:
            found.append(kept[:end])
            kept = kept[end:]
        self._kept = kept
        return found

    def rest(self) -> bytes:
        """What is left, once nothing more comes."""
        kept, self._kept = self._kept, b""
        return kept


def _end(octets: bytes) -> int | None:
    """Behind the first frame, or behind what is before it; None as long as that can't be said."""
    if not octets:
        return None
    if octets[0] != FLAG:
        noise = octets.find(_FLAG)
        return noise if noise > 0 else None
    if octets[1:2] == _FLAG:
        return 1 if octets.strip(_FLAG) else None
    end = 1
    while True:  # as long as the next frame begins with the flag at which this one ends
        if len(octets) < end + FORMAT_SIZE:
            return None
        length = int.from_bytes(octets[end : end + FORMAT_SIZE], "big") & MAX_LENGTH
        is_frame = octets[end] & 0xF0 == FORMAT_TYPE
        closing = end + length if is_frame else octets.find(_FLAG, end)
        if closing < 0 or closing >= len(octets):
            return None
        end = closing + 1
        if octets[closing] != FLAG or not is_frame or octets[end : end + 1] in (b"", _FLAG):
            return end


def carries_nothing(octets: bytes) -> bool:
    """Whether it is a good frame of a kind that carries no APDU, or a part of one."""
    try:
        return hdlc.decode(octets).kind in _BARE
    except DecodeError:
        return octets.strip(_FLAG) == b""
