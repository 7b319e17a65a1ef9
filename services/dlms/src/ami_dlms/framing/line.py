"""What carries the APDUs of one client association over a link of octets: a framing, and what to do when nothing comes.

The wrapper repeats nothing: TCP does so itself, and over UDP a repeated ACTION might act twice. HDLC numbers its frames, so
asking again is safe there, and its data link has to be taken down at the end.
"""

from __future__ import annotations

from typing import Protocol

from ami_dlms.framing.framing import Framing
from ami_dlms.framing.hdlc_framing import HdlcClientFraming
from ami_dlms.framing.wrapper import HEADER_SIZE, MAX_APDU, WrapperFraming

LONGEST_EMPTY_FRAME = 1 + 2 + 4 + 1 + 1 + 2 + 1
"""Flag, format, both addresses, control, check, flag: more octets bring something."""
MAX_PDU = HEADER_SIZE + MAX_APDU
MOST_KEPT = 4096
"""Octets of one exchange that are kept for an explanation: two of the longest frames of HDLC."""


class Line(Protocol):
    """One association's way over a link."""

    @property
    def framing(self) -> Framing:
        """How APDUs become octets."""

    def wait_s(self, timeout_s: float) -> float:
        """How long to wait for octets, when an answer may take `timeout_s`."""

    def begin(self) -> None:
        """A request goes out: what came before is of no more interest."""

    def heard(self, octets: bytes) -> None:
        """Octets that came."""

    def go_on(self) -> bytes:
        """An APDU came and more is awaited: octets by which the meter may go on, none where it does so by itself."""

    def ask_again(self) -> bytes:
        """Nothing came: octets that ask once more, none when that is of no use."""

    @property
    def is_up(self) -> bool:
        """Whether there is a data link that has to be taken down."""

    def take_down(self) -> bytes:
        """Octets that take it down."""


class WrapperLine:
    """The wrapper over TCP or UDP."""

    def __init__(self, framing: WrapperFraming | None = None) -> None:
        self.framing = WrapperFraming() if framing is None else framing
        self.kept = b""

    def wait_s(self, timeout_s: float) -> float:
        return timeout_s

    def begin(self) -> None:
        return

    def heard(self, octets: bytes) -> None:
        self.kept = (self.kept + octets)[-MAX_PDU:]

    def go_on(self) -> bytes:
        return b""

    def ask_again(self) -> bytes:
        return b""

    @property
    def is_up(self) -> bool:
        return False

    def take_down(self) -> bytes:
        return b""


class HdlcLine:
    """HDLC over TCP or a serial line, with at most `retries` repetitions of one question."""

    def __init__(self, framing: HdlcClientFraming, retries: int) -> None:
        self.framing = framing
        self.kept = b""
        self._retries = retries
        self._in_vain = 0

    def wait_s(self, timeout_s: float) -> float:
        return timeout_s / (self._retries + 1)

    def begin(self) -> None:
        self.kept, self._in_vain = b"", 0
        self.framing.link.passed_over.clear()

    def heard(self, octets: bytes) -> None:
        if len(octets) > LONGEST_EMPTY_FRAME:
            self._in_vain = 0
        self.kept = (self.kept + octets)[-MOST_KEPT:]

    def go_on(self) -> bytes:
        return self.framing.link.poll()

    def ask_again(self) -> bytes:
        """Up to the link's own limit, and no oftener where the meter says again and again that it has nothing yet."""
        self._in_vain += 1
        return self.framing.timeout() if self._in_vain <= self._retries else b""

    @property
    def is_up(self) -> bool:
        return not self.framing.disconnected

    def take_down(self) -> bytes:
        return self.framing.disconnect()
