"""The server's end of an HDLC link, a secondary station (IEC 62056-46, 6.4.4), without I/O.

A server sends when a P bit has given it the turn, and gives the turn back with the F bit of its last frame. The turn that
comes with a whole APDU is kept until the application answers; asked again meanwhile, the server says that it is still there
(RR), and its answer waits for the next question. A frame that breaks the rules is answered by FRMR until the link is set up
anew.
"""

from __future__ import annotations

from ami_dlms.errors import DecodeError
from ami_dlms.framing.hdlc import Frame, FrameKind
from ami_dlms.framing.hdlc_address import HdlcAddress
from ami_dlms.framing.hdlc_link import HdlcLink, LinkConnected, LinkDisconnected
from ami_dlms.framing.hdlc_parameters import LinkParameters, decode_parameters
from ami_dlms.framing.hdlc_segments import LLC_RESPONSE, MAX_APDU, FrameRejected, RejectReason
from ami_dlms.framing.hdlc_states import SERVER_FRAMES, SERVER_LINK_TABLE, ServerLinkEvent, ServerLinkState
from ami_dlms.transitions import next_state

CONNECTED = (ServerLinkState.LISTENING, ServerLinkState.ANSWERING)


class HdlcServer(HdlcLink):
    """The link of one server to one client. While `busy`, no segments are taken: the client hears RNR."""

    def __init__(
        self,
        own: HdlcAddress,
        peer: HdlcAddress,
        parameters: LinkParameters | None = None,
        *,
        max_apdu: int = MAX_APDU,
    ) -> None:
        super().__init__(own, peer, parameters or LinkParameters(), LLC_RESPONSE, max_apdu)
        self.state = ServerLinkState.DISCONNECTED
        self.busy = False
        self._rejection = b""

    @property
    def connected(self) -> bool:
        """Whether APDUs can travel."""
        return self.state in CONNECTED

    # --- sending

    def send_apdu(self, *apdus: bytes) -> bytes:
        """Send APDUs now if the turn is ours, else when the client asks; the octets that may go now."""
        following = next_state(SERVER_LINK_TABLE, self.state, ServerLinkEvent.SEND_APDU)
        self._line_up(apdus)
        self.state = following
        if self.state is ServerLinkState.ANSWERING and self._numbering.may_send:
            self._answer()
        return self.data_to_send()

    def pass_turn(self) -> bytes:
        """The application has nothing to say to what it got: if the turn is ours, give it back."""
        if self.state is ServerLinkState.ANSWERING:
            self._answer()
        return self.data_to_send()

    def send_unnumbered(self, apdu: bytes, destination: HdlcAddress | None = None) -> bytes:
        """Push an unacknowledged APDU."""
        self._move(ServerLinkEvent.SEND_UNNUMBERED)
        self._write_unnumbered(apdu, destination or self.peer, final=True)
        return self.data_to_send()

    def timeout(self) -> bytes:
        """The client was silent for longer than a link may be idle: the link is gone."""
        before = self.state
        self._move(ServerLinkEvent.TIMEOUT)
        self._reader.silence()
        self._lose(before, "the client was silent for too long")
        return b""

    def silence(self) -> None:
        """The line fell silent for longer than within a frame: a frame that has begun is not waited for any more."""
        self._reader.silence()

    def _answer(self) -> None:
        """Use the turn: segments if there are any, else the bare word that we are there; then the turn is gone."""
        self._move(ServerLinkEvent.SEND_FINAL)
        if self._numbering.may_send:
            self._write_window()
        else:
            self._write(FrameKind.RNR if self._takes_none else FrameKind.RR)

    # --- receiving

    def receive_frame(self, frame: Frame) -> None:
        """React to a good frame that is for us."""
        event = SERVER_FRAMES[frame.kind]
        before, after = self.state, next_state(SERVER_LINK_TABLE, self.state, event)
        if event is ServerLinkEvent.UNNUMBERED:
            self._receive_unnumbered(frame)
        elif event is ServerLinkEvent.SET_MODE:
            self._connect(frame)
        elif event is ServerLinkEvent.DISCONNECT:
            self.state = after
            self._write(FrameKind.DM if before is ServerLinkState.DISCONNECTED else FrameKind.UA)
            self._lose(before, "the client asked for it", wanted=True)
        elif before in CONNECTED:
            self._receive_in_link(frame)
        elif frame.final:
            self._refuse(before)

    def _connect(self, frame: Frame) -> None:
        """SNRM: agree, or say that there will be no link. A link that was up before is gone either way."""
        before = self.state
        try:
            agreed = self._offer.agree(decode_parameters(frame.information))
        except DecodeError as error:
            self._move(ServerLinkEvent.SET_MODE_REFUSED)
            self._write(FrameKind.DM)
            self._lose(before, f"the client offers parameters that can't be read: {error}")
            return
        self._move(ServerLinkEvent.SET_MODE)
        self._lose(before, "the client set it up anew")
        self._numbering = self._new_numbering(agreed)
        self._write(FrameKind.UA, agreed.encode())
        self._events.append(LinkConnected(agreed))

    def _receive_in_link(self, frame: Frame) -> None:
        try:
            whole = self._receive_numbered(frame)
        except FrameRejected as error:
            self._reject(frame, error.reason)
            return
        delivered = whole is not None and self._delivers(frame, whole)
        if frame.final:
            self._move(ServerLinkEvent.POLLED)
            if self._numbering.may_send or not delivered:
                self._answer()

    def _receive_numbered(self, frame: Frame) -> bytes | None:
        numbering = self._numbering
        if frame.kind is FrameKind.UNDEFINED:
            raise FrameRejected(RejectReason.UNDEFINED_CONTROL)
        numbering.acknowledge(frame.receive_number)
        numbering.peer_busy = frame.kind is FrameKind.RNR
        if frame.kind is not FrameKind.I:
            if frame.information:
                raise FrameRejected(RejectReason.INFORMATION_NOT_PERMITTED)
            return None
        if len(frame.information) > numbering.parameters.max_information_receive:
            raise FrameRejected(RejectReason.INFORMATION_TOO_LONG)
        if self._takes_none or not numbering.is_due(frame):
            self.discarded += 1
            return None
        return numbering.take(frame)

    @property
    def _takes_none(self) -> bool:
        """A client that asks and never listens is held back too."""
        return self.busy or self._numbering.crowded

    def _delivers(self, frame: Frame, octets: bytes) -> bool:
        """Whether the application has something to do now; what is no APDU is dropped."""
        try:
            self._deliver(frame, octets)
        except DecodeError:
            self.discarded += 1
            return False
        return True

    def _reject(self, frame: Frame, reason: RejectReason) -> None:
        self._move(ServerLinkEvent.SEND_REJECT)
        numbering = self._numbering
        state = numbering.send_number << 1 | numbering.receive_number << 5
        self._rejection = bytes((frame.control, state, reason))
        self._write(FrameKind.FRMR, self._rejection)

    def _refuse(self, state: ServerLinkState) -> None:
        """Without a link, or with a broken one, every question has the same answer."""
        if state is ServerLinkState.REJECTING:
            self._move(ServerLinkEvent.SEND_REJECT)
            self._write(FrameKind.FRMR, self._rejection)
        else:
            self._write(FrameKind.DM)

    def _lose(self, before: ServerLinkState, reason: str, *, wanted: bool = False) -> None:
        self._numbering = self._new_numbering(LinkParameters())
        if before is not ServerLinkState.DISCONNECTED:
            self._events.append(LinkDisconnected(reason, wanted))

    def _move(self, event: ServerLinkEvent) -> None:
        self.state = next_state(SERVER_LINK_TABLE, self.state, event)
