"""What both ends of an HDLC link share (IEC 62056-46): octets in, events out, frames out, unnumbered information.

`HdlcClient` and `HdlcServer` are the two roles. Both take octets with `receive_data`, say with `next_event` what they meant,
and hold in `data_to_send` what the link itself answers. Damaged frames and frames for others are dropped and counted.
Time is not known here: silence is reported to the link by `timeout`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from dataclasses import field

from ami_dlms.errors import DecodeError, LocalError
from ami_dlms.framing.hdlc import Frame, FrameKind, FrameReader, control_of, encode
from ami_dlms.framing.hdlc_address import ALL_STATIONS, HdlcAddress
from ami_dlms.framing.hdlc_numbering import Numbering
from ami_dlms.framing.hdlc_parameters import LinkParameters
from ami_dlms.framing.hdlc_segments import MAX_APDU, FrameRejected, UnnumberedAssembler, apdu_of, segments
from ami_dlms.frozen import frozen

MOST_PASSED_OVER = 4


@frozen
class LinkConnected:
    """Both ends have agreed on these parameters, seen from ours."""

    parameters: LinkParameters


@frozen
class LinkDisconnected:
    """The link is gone; `wanted` says that its client asked for it."""

    reason: str
    wanted: bool = False


@frozen
class ApduReceived:
    """A whole APDU; an unnumbered one may come without a link, and twice, or not at all."""

    source: HdlcAddress
    destination: HdlcAddress
    apdu: bytes = field(repr=False)
    unnumbered: bool = False


@frozen
class PassedOver:
    """A good frame that was not for us, or not from the peer; `discarded` counts it."""

    source: HdlcAddress
    destination: HdlcAddress


@frozen
class AnswerPending:
    """The server has our frames and nothing to say yet (`busy`: takes no more of them): call `timeout` to ask again."""

    busy: bool = False


LinkEvent = LinkConnected | LinkDisconnected | ApduReceived | AnswerPending


class HdlcLink(ABC):
    """One end of a link between `own` and `peer`; `parameters` are the limits that it offers."""

    any_address = False
    """Whether frames count whatever their addresses say: for a line with one station that gets them wrong."""

    def __init__(
        self, own: HdlcAddress, peer: HdlcAddress, parameters: LinkParameters, llc: bytes, max_apdu: int = MAX_APDU
    ) -> None:
        self.own = own
        self.peer = peer
        self.discarded = 0
        self.passed_over: deque[PassedOver] = deque(maxlen=MOST_PASSED_OVER)
        self._offer = parameters
        self._llc = llc
        self._max_apdu = max_apdu
        self._reader = FrameReader()
        self._events: deque[LinkEvent] = deque()
        self._outbox: list[bytes] = []
        self._unnumbered = UnnumberedAssembler(max_apdu)
        self._numbering = self._new_numbering(LinkParameters())

    def _new_numbering(self, parameters: LinkParameters) -> Numbering:
        return Numbering(parameters, self._llc, self._max_apdu)

    @property
    def parameters(self) -> LinkParameters:
        """What the two ends have agreed on; the defaults before."""
        return self._numbering.parameters

    # --- octets

    def receive_data(self, octets: bytes) -> None:
        """Take octets from the line, in any portions; call next_event and data_to_send afterwards."""
        self._reader.receive_data(octets)

    def data_to_send(self) -> bytes:
        """Frames that have to be written."""
        octets = b"".join(self._outbox)
        self._outbox.clear()
        return octets

    def next_event(self) -> LinkEvent | None:
        """What the octets so far mean; None: more octets are needed. ProtocolError for a frame that has no place."""
        while not self._events:
            frame = self._reader.next_frame()
            if frame is None:
                return None
            if self._is_for_us(frame):
                self.receive_frame(frame)
            else:
                self.discarded += 1
                self.passed_over.append(PassedOver(frame.source, frame.destination))
        return self._events.popleft()

    def _is_for_us(self, frame: Frame) -> bool:
        """Numbered frames and commands come from the peer; unnumbered information may come from any station."""
        if self.any_address:
            return not self.own.is_same_station(frame.source)  # which would be the echo of a line with two wires
        if frame.kind is FrameKind.UI:
            return self.own.is_same_station(frame.destination) or frame.destination.upper in ALL_STATIONS
        return self.own.is_same_station(frame.destination) and self.peer.is_same_station(frame.source)

    @abstractmethod
    def receive_frame(self, frame: Frame) -> None:
        """React to a good frame that is for us."""

    @abstractmethod
    def timeout(self) -> bytes:
        """The line was silent for longer than agreed; octets to write."""

    # --- frames

    def _write(
        self, kind: FrameKind, information: bytes = b"", *, final: bool = True, send_number: int = 0, more: bool = False
    ) -> None:
        numbered = kind in (FrameKind.I, FrameKind.RR, FrameKind.RNR)
        received = self._numbering.receive_number if numbered else 0
        control = control_of(kind, final, received, send_number)
        self._outbox.append(encode(Frame(self.peer, self.own, control, information, more)))

    def _write_window(self) -> None:
        """All segments that may go, the last with the P or F bit."""
        window = self._numbering.window()
        for number, segment in window:
            last = number == window[-1].number
            self._write(FrameKind.I, segment.information, final=last, send_number=number, more=segment.more)

    def _write_unnumbered(self, apdu: bytes, destination: HdlcAddress, *, final: bool) -> None:
        self._check_apdu(apdu)
        control = control_of(FrameKind.UI, final)
        for information, more in segments(self._llc, apdu, self.parameters.max_information_transmit):
            self._outbox.append(encode(Frame(destination, self.own, control, information, more)))

    def _line_up(self, apdus: tuple[bytes, ...]) -> None:
        for apdu in apdus:
            self._check_apdu(apdu)
        self._numbering.enqueue(*apdus)

    def _check_apdu(self, apdu: bytes) -> None:
        if not 0 < len(apdu) <= MAX_APDU:
            raise LocalError(f"an APDU has 1 to {MAX_APDU} octets, not {len(apdu)}")

    # --- receiving

    def _receive_unnumbered(self, frame: Frame) -> None:
        """Unnumbered information answers nothing: what can't be read of it is dropped."""
        try:
            apdu = self._unnumbered.take(frame)
        except (DecodeError, FrameRejected):
            self.discarded += 1
            return
        if apdu is not None:
            self._events.append(ApduReceived(frame.source, frame.destination, apdu, unnumbered=True))

    def _deliver(self, frame: Frame, octets: bytes) -> None:
        """Tell of a whole APDU; DecodeError when its LLC header is wrong."""
        self._events.append(ApduReceived(frame.source, frame.destination, apdu_of(octets)))
