"""Good frames in octets of any kind: what a person copies begins in the middle, and other devices speak on the same line.

A frame counts as good when its checks hold. A wrapper header has none, so after octets that belong to nothing it counts only
if its APDU has a known tag and the octets end with it, or another frame follows at once; and never inside what is an HDLC frame from
flag to flag but for a check that does not hold, because that frame carries such octets as its information.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from enum import Enum
from typing import NamedTuple

from ami_dlms.apdu import CODECS
from ami_dlms.errors import DecodeError
from ami_dlms.framing import hdlc, mbus
from ami_dlms.framing.hdlc import FLAG, FORMAT_SIZE
from ami_dlms.framing.wrapper import HEADER_SIZE, VERSION

_VERSION = VERSION.to_bytes(2, "big")
_BEGINNING = re.compile(rb"[\x7e\x68\x10]|\x00\x01", re.DOTALL)
_BROKEN = re.compile(rb"\x7e[\xa0-\xaf]|\x68([\x03-\xff])\1\x68", re.DOTALL)
_STARTS = (bytes((FLAG,)), bytes((mbus.LONG,)), bytes((mbus.SHORT,)), _VERSION)


class ScannedFrame(Enum):
    """Which frame it is."""

    HDLC = "HDLC"
    MBUS = "M-Bus"
    WRAPPER = "wrapper"


class Found(NamedTuple):
    """A good frame; one of HDLC may begin behind the flag that it shares with the frame before it."""

    start: int
    end: int
    kind: ScannedFrame


def good_frames(octets: bytes) -> Iterator[Found]:
    """All of them in order, none within another."""
    place = broken_end = 0
    after_hdlc = False
    while place < len(octets):
        found = _frame_at(octets, place, after_hdlc=after_hdlc)
        if found is None:
            broken_end = max(broken_end, _broken_hdlc_end(octets, place))
        if found is None or (found.kind is ScannedFrame.WRAPPER and place < broken_end):
            after_hdlc = False
            beginning = _BEGINNING.search(octets, place + 1)
            place = beginning.start() if beginning else len(octets)
            continue
        yield found
        place, after_hdlc = found.end, found.kind is ScannedFrame.HDLC


def _frame_at(octets: bytes, place: int, *, after_hdlc: bool) -> Found | None:
    end, kind = hdlc_end(octets, place), ScannedFrame.HDLC
    if end is None and after_hdlc and octets[place] != FLAG:
        end = hdlc_end(octets, place - 1)
    if end is None:
        end, kind = mbus_end(octets, place), ScannedFrame.MBUS
    if end is None:
        end, kind = _wrapper_end(octets, place), ScannedFrame.WRAPPER
    return None if end is None else Found(place, end, kind)


def claimed_hdlc_end(octets: bytes, flag: int) -> int:
    """Where the frame is over that begins with this flag: as its length says, or at the end of the input."""
    head = octets[flag + 1 : flag + 1 + FORMAT_SIZE]
    length = int.from_bytes(head, "big") & hdlc.MAX_LENGTH
    return min(flag + length + 2, len(octets)) if len(head) == FORMAT_SIZE else len(octets)


def _broken_hdlc_end(octets: bytes, flag: int) -> int:
    """Where a frame is over that begins with this flag and has one where its length says; 0 for anything else."""
    if octets[flag] != FLAG or octets[flag + 1 : flag + 2] == b"" or octets[flag + 1] & 0xF0 != hdlc.FORMAT_TYPE:
        return 0
    end = claimed_hdlc_end(octets, flag)
    return end if end > flag + FORMAT_SIZE + 2 and octets[end - 1] == FLAG else 0


def hdlc_end(octets: bytes, flag: int) -> int | None:
    """Where the good frame is over that begins with this flag."""
    if octets[flag] != FLAG:
        return None
    end = claimed_hdlc_end(octets, flag)
    with suppress(DecodeError):
        hdlc.decode(octets[flag:end])
        return end
    return None


def mbus_end(octets: bytes, start: int) -> int | None:
    """Where the good M-Bus frame is over that begins here; of short ones those that a master sends."""
    size = mbus.size_of(octets[start : start + mbus.HEAD_SIZE])
    if size is None:
        return None
    with suppress(DecodeError):
        frame = mbus.decode(octets[start : start + size])
        if frame.ci is not None or frame.control in mbus.SHORT_CONTROLS:
            return start + size
    return None


def _wrapper_end(octets: bytes, start: int) -> int | None:
    if not octets.startswith(_VERSION, start) or len(octets) <= start + HEADER_SIZE:
        return None
    length = int.from_bytes(octets[start + 6 : start + HEADER_SIZE], "big")
    end = start + HEADER_SIZE + length
    if not length or end > len(octets) or octets[start + HEADER_SIZE] not in CODECS:
        return None
    return end if end == len(octets) or octets.startswith(_STARTS, end) else None


def broken_frame(octets: bytes, start: int, end: int) -> int:
    """Where the next frame begins that is not good, but a frame to look at; `end` when there is none before it."""
    beginning = _BROKEN.search(octets, start, end)
    return beginning.start() if beginning else end
