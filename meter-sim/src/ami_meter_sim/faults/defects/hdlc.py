"""Defects of the data link of HDLC: frames are changed on their way to the link and from it."""

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

from pydantic import PrivateAttr

from ami_dlms.association import AssociationProfile
from ami_dlms.errors import DecodeError
from ami_dlms.framing.framing import LinkLost, WrapperPdu
from ami_dlms.framing.hdlc import (
    CHECK_SIZE,
    FLAG,
    FORMAT_SIZE,
    FORMAT_TYPE,
    MAX_LENGTH,
    POLL_FINAL,
    Frame,
    FrameKind,
    check_sequence,
    control_of,
    decode,
    encode,
)
from ami_dlms.framing.hdlc_address import address_size
from ami_dlms.framing.hdlc_parameters import INFORMATION_LENGTHS, decode_parameters
from ami_meter_sim.effects import Effect, Send
from ami_meter_sim.faults.defects.defect import Defect
from ami_meter_sim.faults.fault import Arrived, Occasion

LONGEST = INFORMATION_LENGTHS[-1]
_FLAG = bytes((FLAG,))


class FrameDefect(Defect):
    """Changes whole frames as they come, their check sequences aside, and as they go."""

    of_the_line: ClassVar[bool] = True
    _begun: bytes = PrivateAttr(default=b"")

    def on_connection(self) -> None:
        """A frame that was not finished belongs to another line."""
        self._begun = b""

    def on_octets(self, octets: bytes) -> bytes:
        """Frame by frame; what is none passes octet by octet: within what looks like one a good one may begin."""
        there, out = self._begun + octets, b""
        while there:
            size = _size_of(there)
            if len(there) < size:
                break
            changed = self.incoming(there[:size]) if size > 1 else None
            out += there[:1] if changed is None else changed
            there = there[1:] if changed is None else there[size:]
        self._begun = there
        return out

    def on_silence(self) -> bytes:
        """What was begun is for the link, which knows what silence means."""
        there, self._begun = self._begun, b""
        return there

    def incoming(self, octets: bytes) -> bytes | None:
        """What the link gets in place of a frame; None: it is none."""
        try:
            frame = decode(octets)
        except DecodeError:
            return None
        try:
            return b"".join(map(encode, self.received(frame)))
        except DecodeError:
            return octets

    def received(self, frame: Frame) -> Sequence[Frame]:
        """What the link gets in place of a good frame."""
        return (frame,)

    def on_frame(self, leaving: Sequence[Effect], occasion: Occasion) -> Sequence[Effect]:
        """Frames of answers, changed."""
        out: list[Effect] = []
        for one in leaving:
            out += (Send(self._outgoing(one.octets)),) if isinstance(one, Send) else (one,)
        return [one for one in out if not isinstance(one, Send) or one.octets]

    def _outgoing(self, octets: bytes) -> bytes:
        try:
            frame = self.sent(decode(octets))
        except DecodeError:
            return octets
        return b"" if frame is None else encode(frame)

    def sent(self, frame: Frame) -> Frame | None:
        """What leaves in place of a frame of the link; None: nothing."""
        return frame


def _size_of(octets: bytes) -> int:
    """Of the frame that these octets begin with, as far as they say; 1 where none begins."""
    if octets[:1] != _FLAG or (octets[1:2] and octets[1] & 0xF0 != FORMAT_TYPE):
        return 1
    return max((int.from_bytes(octets[1 : 1 + FORMAT_SIZE], "big") & MAX_LENGTH) + 2, 1 + FORMAT_SIZE)


class TakesWrongChecks(FrameDefect):
    """Take frames whose check sequences (HCS, FCS) are wrong."""

    def incoming(self, octets: bytes) -> bytes | None:
        """The same frame with right ones."""
        try:
            destination = 1 + FORMAT_SIZE
            source = destination + (address_size(octets, destination, len(octets)) or 0)
            control = source + (address_size(octets, source, len(octets)) or 0)
        except DecodeError:
            return None
        end, header = len(octets) - CHECK_SIZE - 1, octets[1 : control + 1]
        if end < control + 1 or octets[-1] != FLAG:
            return None
        information = octets[control + 1 + CHECK_SIZE : end]
        body = header + check_sequence(header) + information if information else header
        return _FLAG + body + check_sequence(body) + _FLAG


class IgnoresProposedLength(FrameDefect):
    """Agree to frames of the meter's own length whatever the client proposes."""

    def received(self, frame: Frame) -> Sequence[Frame]:
        """An SNRM that proposes as much as there is."""
        if frame.kind is not FrameKind.SNRM:
            return (frame,)
        proposed = replace(
            decode_parameters(frame.information), max_information_transmit=LONGEST, max_information_receive=LONGEST
        )
        return (replace(frame, information=proposed.encode()),)


class AnswersWithoutLink(FrameDefect):
    """Answer information frames although no link was set up."""

    _linked: bool = PrivateAttr(default=False)
    _silent_once: bool = PrivateAttr(default=False)

    def on_connection(self) -> None:
        """A new line has no link."""
        super().on_connection()
        self._linked = self._silent_once = False

    def received(self, frame: Frame) -> Sequence[Frame]:
        """An information frame, behind the SNRM that it lacks."""
        if frame.kind in (FrameKind.SNRM, FrameKind.DISC):
            self._linked = frame.kind is FrameKind.SNRM
        if frame.kind is not FrameKind.I or self._linked:
            return (frame,)
        self._linked = self._silent_once = True
        return (replace(frame, control=control_of(FrameKind.SNRM), information=b"", segmented=False), frame)

    def sent(self, frame: Frame) -> Frame | None:
        """All but the UA to that SNRM."""
        if frame.kind is FrameKind.UA and self._silent_once:
            self._silent_once = False
            return None
        return frame


class ActsOnRepeatedFrame(FrameDefect):
    """Take an information frame that was sent again (the same N(S)) for a new one."""

    _due: int = PrivateAttr(default=0)
    _last: int = PrivateAttr(default=7)

    def received(self, frame: Frame) -> Sequence[Frame]:
        """The frame under the number that is due."""
        if frame.kind is FrameKind.SNRM:
            self._due, self._last = 0, 7
        if frame.kind is not FrameKind.I:
            return (frame,)
        due, self._due, self._last = self._due, (self._due + 1) % 8, frame.send_number
        return (replace(frame, control=frame.control & 0xF1 | due << 1),)

    def sent(self, frame: Frame) -> Frame | None:
        """N(R) follows the number that came."""
        if frame.kind not in (FrameKind.I, FrameKind.RR, FrameKind.RNR):
            return frame
        return replace(frame, control=frame.control & 0x1F | (self._last + 1) % 8 << 5)


class MissesFinalBit(FrameDefect):
    """End an answer without the final bit, so that the client never gets the turn back."""

    def sent(self, frame: Frame) -> Frame:
        """The same without it."""
        return replace(frame, control=frame.control & ~POLL_FINAL) if frame.kind is FrameKind.I else frame


class AssociationOutlivesLink(Defect):
    """Keep an association open when its data link was set up anew."""

    def on_pdu(self, pdu: WrapperPdu | LinkLost, profile: AssociationProfile | None) -> Sequence[Arrived]:
        """The end of a link is not heard of."""
        return () if isinstance(pdu, LinkLost) else (pdu,)
