"""What came instead of an answer: an APDU or a frame that was dropped is reported as what it is, and not as silence.

The protocol core says what it dropped and why (`ClientConnection.discarded`, `HdlcLink.passed_over`); octets that never
became a frame are looked through here.
"""

from collections.abc import Sequence
from typing import NamedTuple

from ami_dlms.association import Cause, Discarded
from ami_dlms.errors import DecodeError
from ami_dlms.framing import hdlc
from ami_dlms.framing.hdlc import FLAG, FrameKind
from ami_dlms.framing.hdlc_address import HdlcAddress
from ami_dlms.framing.hdlc_link import HdlcLink, PassedOver
from ami_dlms.framing.wrapper import HEADER_SIZE

SHOWN = 16
HINTS = {
    Cause.ADDRESS: "check --client and --server against the meter's numbers; --any-address takes its answers",
    Cause.INVOKE_ID: "--any-invoke-id takes it; a late answer to an earlier request would then count too",
    Cause.NOT_AGREED: "the meter sends what it did not agree to; see it with -v",
    Cause.NOTHING_ASKED: "see it with -v; another client may be at work over the same line",
    Cause.OTHER: "see it with -v",
}


class Dropped(NamedTuple):
    """What came, and what to do about it."""

    what: str
    hint: str


def of_association(discarded: Sequence[Discarded]) -> Dropped | None:
    """The last APDU that was dropped."""
    return Dropped(discarded[-1].reason, HINTS[discarded[-1].cause]) if discarded else None


def of_wrapper(octets: bytes) -> Dropped | None:
    """The end of what came, when it is no whole APDU."""
    if not octets:
        return None
    if len(octets) < HEADER_SIZE:
        what = f"{len(octets)} octets came, which are no whole wrapper header: {_shown(octets)}"
    else:
        size = int.from_bytes(octets[6:HEADER_SIZE], "big")
        what = f"the answer is incomplete: its header says {size} octets, {len(octets) - HEADER_SIZE} came"
    return Dropped(what, "give it longer with --timeout; -v shows the octets; --transport may be another one")


def of_hdlc(link: HdlcLink, octets: bytes) -> Dropped | None:
    """A frame from or for another station, one whose check is wrong or that is cut short, an echo, or no frame at all."""
    foreign = [one for one in link.passed_over if not link.own.is_same_station(one.source)]
    if foreign:
        return _foreign_frame(link, foreign[-1])
    bad = _bad_frame(octets) if octets else None
    if bad is None and link.passed_over:
        what = "our own frames came back and no answer: the line gives back what is sent"
        return Dropped(what, "is the meter on the line? Else --server, --physical or --address-size are others")
    return bad


def _foreign_frame(link: HdlcLink, frame: PassedOver) -> Dropped:
    if not link.own.is_same_station(frame.destination):
        what = f"a frame came for client {_name(frame.destination)}, and not for {_name(link.own)}"
        return Dropped(what, "another client may use the line; --any-address takes it")
    what = f"a frame came from {_name(frame.source)}, and not from {_name(link.peer)}"
    return Dropped(what, f"that would be {_options(frame.source)}; --any-address takes it")


def _bad_frame(octets: bytes) -> Dropped | None:
    """What is wrong after the last good frame with information; None when nothing is."""
    found, good = None, False
    start = octets.find(FLAG)
    while 0 <= start < len(octets) - hdlc.MIN_LENGTH:
        end = start + 2 + (int.from_bytes(octets[start + 1 : start + 3], "big") & hdlc.MAX_LENGTH)
        try:
            frame = hdlc.decode(octets[start:end])
        except DecodeError as error:
            found = _explained(octets[start:end], end - start, error) or found
            start = octets.find(FLAG, start + 1)
        else:
            good, found = True, None if frame.kind is FrameKind.I else found
            start = octets.find(FLAG, end - 1)
    if found is not None or good:
        return found
    what = f"{len(octets)} octets came that hold no HDLC frame: {_shown(octets)}"
    return Dropped(what, "--transport, --baud or --mode-e may be another one")


def _explained(frame: bytes, size: int, error: DecodeError) -> Dropped | None:
    if error.field == "format":
        return None
    if len(frame) < size or error.field == "closing flag":
        what = f"a frame came that is cut short: its length says {size} octets, and there it does not end"
        return Dropped(what, "give it longer with --timeout; on a serial line see --baud")
    if error.field not in ("FCS", "HCS"):
        return Dropped(f"a frame came that can't be read: {error}", "see it with -v")
    end = error.offset or 0
    right, received = hdlc.check_sequence(frame[1:end]), frame[end : end + hdlc.CHECK_SIZE]
    check = f"its check ({error.field}) is {received.hex().upper()}, by its octets it would be {right.hex().upper()}"
    return Dropped(f"a frame came and was dropped: {check}", "a disturbed line; see --baud, and the octets with -v")


def _name(address: HdlcAddress) -> str:
    return str(address.upper) if address.lower is None else f"{address.upper}/{address.lower}"


def _options(address: HdlcAddress) -> str:
    physical = "" if address.lower is None else f" --physical {address.lower}"
    return f"--server {address.upper}{physical}"


def _shown(octets: bytes) -> str:
    return octets[:SHOWN].hex(" ").upper() + (" ..." if len(octets) > SHOWN else "")
