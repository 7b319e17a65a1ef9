"""The client's end of an HDLC link, the primary station (IEC 62056-46, 6.4.4), without I/O.

The client sends when it has the turn, and gives it away with the P bit of its last frame. When no answer comes the caller
says so by `timeout`: what is unacknowledged goes once more, and each second time the server is asked (RR) for what it has
instead, for some servers drop a segment that they know without a word. A repeated question may be answered twice, so as
many fruitless answers are overlooked as questions were repeated: an answer to an old question must not be taken for the
answer to the new one. For the same reason an answer to a single segment that does not acknowledge it is none: had the
server got the P bit, it would have got the segment.
"""

from __future__ import annotations

from ami_dlms.errors import LocalError
from ami_dlms.framing.hdlc import Frame, FrameKind
from ami_dlms.framing.hdlc_address import HdlcAddress
from ami_dlms.framing.hdlc_link import AnswerPending, HdlcLink, LinkConnected, LinkDisconnected
from ami_dlms.framing.hdlc_parameters import LinkParameters, decode_parameters
from ami_dlms.framing.hdlc_segments import LLC_COMMAND, MAX_APDU, RejectReason, describe
from ami_dlms.framing.hdlc_states import CLIENT_FRAMES, CLIENT_LINK_TABLE, ClientLinkEvent, ClientLinkState
from ami_dlms.transitions import next_state

MAX_RETRIES = 3
CONNECTED = (ClientLinkState.READY, ClientLinkState.WAITING)


class HdlcClient(HdlcLink):
    """The link of one client to one server; after `max_retries` questions without an answer it is given up."""

    def __init__(
        self,
        own: HdlcAddress,
        peer: HdlcAddress,
        parameters: LinkParameters | None = None,
        *,
        max_retries: int = MAX_RETRIES,
        max_apdu: int = MAX_APDU,
    ) -> None:
        if own.size != 1:
            raise LocalError("the address of a client has one octet")
        super().__init__(own, peer, parameters or LinkParameters(), LLC_COMMAND, max_apdu)
        self.state = ClientLinkState.DISCONNECTED
        self._max_retries = max_retries
        self._attempts = 0
        self._overlook = 0
        self._sent_one = False
        self._has_spoken = False
        """The server's last turn has ended with an APDU."""

    @property
    def connected(self) -> bool:
        """Whether APDUs can travel."""
        return self.state in CONNECTED

    # --- sending

    def connect(self) -> bytes:
        """Set the link up: SNRM with the parameters that we offer."""
        self._move(ClientLinkEvent.SEND_CONNECT)
        self._start_over(LinkParameters())
        self._ask_for_link()
        return self.data_to_send()

    def disconnect(self) -> bytes:
        """Take the link down, or make sure that it is: DISC."""
        self._move(ClientLinkEvent.SEND_DISCONNECT)
        self._start_over(self.parameters)
        self._write(FrameKind.DISC)
        return self.data_to_send()

    def send_apdu(self, *apdus: bytes) -> bytes:
        """Send APDUs now, or as soon as the link is set up and the turn is ours; the octets that may go now."""
        following = next_state(CLIENT_LINK_TABLE, self.state, ClientLinkEvent.SEND_APDU)
        self._line_up(apdus)
        self.state = following
        if self.state is ClientLinkState.READY:
            self._take_turn()
        return self.data_to_send()

    def send_unnumbered(self, apdu: bytes, destination: HdlcAddress | None = None) -> bytes:
        """Send an unacknowledged APDU, to the server or, for instance, to all stations."""
        self._move(ClientLinkEvent.SEND_UNNUMBERED)
        self._write_unnumbered(apdu, destination or self.peer, final=False)
        return self.data_to_send()

    def timeout(self) -> bytes:
        """No answer came in time: ask once more, or give up."""
        self._move(ClientLinkEvent.TIMEOUT)
        self._reader.silence()
        if self.state is ClientLinkState.DISCONNECTED or self._exhausted():
            return b""
        if self.state is ClientLinkState.CONNECTING:
            self._ask_for_link()
        elif self.state is ClientLinkState.DISCONNECTING:
            self._write(FrameKind.DISC)
        else:
            self._overlook += self.state is ClientLinkState.WAITING
            self._ask(bare=self._attempts % 2 == 0)
        return self.data_to_send()

    def poll(self) -> bytes:
        """Ask for what the server has to say beyond the APDU that its turn has ended with, such as further blocks of a stream; once for each of them.

        Where it has said nothing, a server that is not ready yet would be asked without end: that is for `timeout`.
        """
        if self.state is not ClientLinkState.READY or not self._has_spoken:
            return b""
        self._ask(bare=True)
        return self.data_to_send()

    def _ask_for_link(self) -> None:
        default = self._offer == LinkParameters()
        self._write(FrameKind.SNRM, b"" if default else self._offer.encode())

    def _ask(self, *, bare: bool = False) -> None:
        """Hand the turn over: with what there is to send, or with the bare question for what the server has."""
        self._move(ClientLinkEvent.SEND_POLL)
        self._sent_one = self._has_spoken = False
        if self._numbering.may_send and not bare:
            self._write_window()
            self._sent_one = self._numbering.unacknowledged == 1
        else:
            self._write(FrameKind.RR)

    def _exhausted(self) -> bool:
        """Count one more question; past the last the link is given up."""
        self._attempts += 1
        if self._attempts <= self._max_retries:
            return False
        wanted = self.state is ClientLinkState.DISCONNECTING
        self._move(ClientLinkEvent.GIVE_UP)
        self._lose(f"no answer after {self._max_retries} repetitions", wanted=wanted)
        return True

    def _start_over(self, parameters: LinkParameters) -> None:
        self._numbering = self._new_numbering(parameters)
        self._attempts = self._overlook = 0

    def _lose(self, reason: str, *, wanted: bool = False) -> None:
        self._start_over(self.parameters)
        self._events.append(LinkDisconnected(reason, wanted))

    # --- receiving

    def receive_frame(self, frame: Frame) -> None:
        """React to a good frame that is for us."""
        event = CLIENT_FRAMES[frame.kind]
        before, after = self.state, next_state(CLIENT_LINK_TABLE, self.state, event)
        if event is ClientLinkEvent.UNNUMBERED:
            self._receive_unnumbered(frame)
        elif before in CONNECTED and event in NUMBERED:
            self._receive_numbered(frame)
        elif before is ClientLinkState.CONNECTING and after is ClientLinkState.READY:
            self._be_connected(frame, after)
        elif before is not ClientLinkState.DISCONNECTED and after is ClientLinkState.DISCONNECTED:
            self.state = after
            self._lose(_reason(frame), wanted=before is ClientLinkState.DISCONNECTING)

    def _be_connected(self, frame: Frame, after: ClientLinkState) -> None:
        agreed = self._offer.agree(decode_parameters(frame.information))
        self.state = after
        self._attempts = 0
        self._numbering.parameters = agreed
        self._events.append(LinkConnected(agreed))
        self._take_turn()

    def _receive_numbered(self, frame: Frame) -> None:
        numbering = self._numbering
        was_busy, numbering.peer_busy = numbering.peer_busy, frame.kind is FrameKind.RNR
        progress = numbering.acknowledge(frame.receive_number) > 0 or was_busy > numbering.peer_busy
        whole, gap = None, False
        if frame.kind is FrameKind.I:
            gap = numbering.is_ahead(frame)
            if numbering.is_due(frame):
                progress, whole = True, numbering.take(frame)
            elif not gap and not progress:
                self.discarded += 1
                return
        if progress:
            self._attempts = 0
        if frame.final:
            self._receive_final(progress, gap=gap, empty=whole is None)
        if whole is not None:
            self._overlook = 0
            self._has_spoken = frame.final and self.state is ClientLinkState.READY
            self._deliver(frame, whole)

    def _receive_final(self, progress: bool, *, gap: bool, empty: bool) -> None:
        """The turn is ours again, unless this is a second answer to a question that was repeated."""
        fruitless = not progress and self._numbering.unacknowledged and not self._numbering.peer_busy
        if fruitless and (self._overlook or self._sent_one):
            self._overlook = max(self._overlook - 1, 0)
            return
        self._move(ClientLinkEvent.FINAL)
        if not fruitless and not gap:
            self._attempts = 0
        elif self._exhausted():
            return
        self._take_turn(empty=empty, gap=gap)

    def _take_turn(self, *, empty: bool = False, gap: bool = False) -> None:
        """Send what waits, or ask for the rest of what has begun; else the turn stays ours.

        `empty`: the server gave the turn back without an APDU; `gap`: a segment before the last one is missing.
        """
        if self._numbering.may_send or self._numbering.half_received or gap:
            self._ask()
        elif empty:
            self._events.append(AnswerPending(self._numbering.peer_busy))

    def _move(self, event: ClientLinkEvent) -> None:
        self.state = next_state(CLIENT_LINK_TABLE, self.state, event)


NUMBERED = (ClientLinkEvent.INFORMATION, ClientLinkEvent.READY, ClientLinkEvent.NOT_READY)


def _reason(frame: Frame) -> str:
    if frame.kind is FrameKind.FRMR:
        bits = frame.information[2] & 0x0F if len(frame.information) > 2 else 0
        return f"the server rejected a frame: {describe(RejectReason(bits))}"
    if frame.kind is FrameKind.DM:
        return "the server has no link with us"
    return "the server agreed to disconnect"
