"""The numbered frames of one HDLC link, for either role (IEC 62056-46, 6.4.4): windows and acknowledgements.

At most a window of segments is on the way unacknowledged; after a gap all from the first missing one go again. Numbers run
from 0 to 7, and only the number that is due is ever taken.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from ami_dlms.errors import LocalError
from ami_dlms.framing.hdlc import Frame
from ami_dlms.framing.hdlc_parameters import LinkParameters
from ami_dlms.framing.hdlc_segments import Assembler, FrameRejected, RejectReason, Segment, segments

MODULUS = 8
MAX_QUEUED = 64
ENOUGH_QUEUED = 16


class NumberedSegment(NamedTuple):
    """A segment with the number N(S) that it is sent with."""

    number: int
    segment: Segment


class Numbering:
    """Send and receive state of one link since it was set up."""

    def __init__(self, parameters: LinkParameters, llc: bytes, max_apdu: int) -> None:
        self.parameters = parameters
        self.peer_busy = False
        self.receive_number = 0
        self._llc = llc
        self._apdus: deque[bytes] = deque()
        self._waiting: deque[Segment] = deque()
        self._sent: deque[Segment] = deque()
        self._first_sent = 0
        self._assembler = Assembler(max_apdu)

    # --- sending

    def enqueue(self, *apdus: bytes) -> None:
        """Line APDUs up behind those that wait; LocalError when too many do."""
        if len(self._apdus) + len(apdus) > MAX_QUEUED:
            raise LocalError("the link does not get rid of its APDUs: too many wait")
        self._apdus.extend(apdus)

    @property
    def crowded(self) -> bool:
        """Whether enough APDUs are waiting that no more should be requested."""
        return len(self._apdus) >= ENOUGH_QUEUED

    @property
    def send_number(self) -> int:
        """V(S): the number of the next new segment."""
        return (self._first_sent + len(self._sent)) % MODULUS

    @property
    def unacknowledged(self) -> int:
        """How many segments are on the way."""
        return len(self._sent)

    @property
    def may_send(self) -> bool:
        """Whether there is something to send that the peer would take."""
        return not self.peer_busy and bool(self._sent or self._waiting or self._apdus)

    def window(self) -> list[NumberedSegment]:
        """Everything that may go now: what is unacknowledged once more, and new segments while the window is open."""
        while len(self._sent) < self.parameters.window_transmit and self._cut():
            self._sent.append(self._waiting.popleft())
        return [
            NumberedSegment((self._first_sent + place) % MODULUS, segment) for place, segment in enumerate(self._sent)
        ]

    def _cut(self) -> bool:
        """Have a segment ready, if there is any; an APDU is cut when its turn comes."""
        if not self._waiting and self._apdus:
            self._waiting.extend(segments(self._llc, self._apdus.popleft(), self.parameters.max_information_transmit))
        return bool(self._waiting)

    def acknowledge(self, receive_number: int) -> int:
        """How many segments N(R) newly acknowledges."""
        count = (receive_number - self._first_sent) % MODULUS
        if count > len(self._sent):
            raise FrameRejected(RejectReason.WRONG_RECEIVE_NUMBER)
        for _ in range(count):
            self._sent.popleft()
        self._first_sent = receive_number
        return count

    # --- receiving

    @property
    def half_received(self) -> bool:
        """Whether the peer has begun an APDU and not finished it."""
        return self._assembler.half_done

    def is_due(self, frame: Frame) -> bool:
        """Whether the frame is the next in order."""
        return frame.send_number == self.receive_number

    def is_ahead(self, frame: Frame) -> bool:
        """Whether a frame before this one is missing; what is neither due nor ahead comes for the second time."""
        return 0 < (frame.send_number - self.receive_number) % MODULUS < self.parameters.window_receive

    def take(self, frame: Frame) -> bytes | None:
        """Take the frame that is due; the whole octets of an APDU when it was the last segment."""
        self.receive_number = (self.receive_number + 1) % MODULUS
        return self._assembler.take(frame)
