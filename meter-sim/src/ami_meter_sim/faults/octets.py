"""Faults of the octets of a frame: noise, half of it, too much of it, or in very small pieces.

All of them know the wrapper's header (8 octets, the last two are the length of the APDU) and keep it right unless they say otherwise.
"""

from collections.abc import Iterator, Sequence
from typing import ClassVar

from pydantic import Field

from ami_meter_sim.effects import Effect, HangUp, Send, Wait
from ami_meter_sim.faults.connections import Duration
from ami_meter_sim.faults.fault import FRAME_HEADER, FrameFault, Occasion, with_apdu

MOST_PIECES = 4096
"""What is left after this number of pieces leaves in one."""
MOST_OCTETS = 0xFFFF


class Garbage(FrameFault):
    """Send octets without meaning in place of an APDU."""

    framed: bool = True
    """Behind a header that is right; else the header is noise as well."""

    def disturbed(self, frame: bytes, occasion: Occasion) -> Sequence[Effect]:
        """Noise of the same length."""
        if not self.framed:
            return (Send(self._dice.octets(len(frame))),)
        return (Send(frame[:FRAME_HEADER] + self._dice.octets(len(frame) - FRAME_HEADER)),)


class Truncated(FrameFault):
    """Send the first part of an APDU."""

    keep: float = Field(default=0.5, ge=0, lt=1)
    """Which share of its octets."""
    framed: bool = True
    """Behind a header with the shorter length; else the header promises all of it, and the connection ends."""

    def disturbed(self, frame: bytes, occasion: Occasion) -> Sequence[Effect]:
        """The first part, and the end where that was promised."""
        apdu = frame[FRAME_HEADER:]
        kept = apdu[: int(len(apdu) * self.keep)]
        if self.framed:
            return (Send(with_apdu(frame, kept)),)
        return (Send(frame[:FRAME_HEADER] + kept), HangUp())


class Oversized(FrameFault):
    """Send an APDU that is longer than the client takes: filled up with zeros."""

    octets: int = Field(default=MOST_OCTETS, ge=1, le=MOST_OCTETS)
    """How long at least."""

    def disturbed(self, frame: bytes, occasion: Occasion) -> Sequence[Effect]:
        """The same with zeros behind it, and a header that counts them."""
        return (Send(with_apdu(frame, frame[FRAME_HEADER:].ljust(self.octets, b"\0"))),)


class Slice(FrameFault):
    """Send a frame in pieces."""

    of_the_line: ClassVar[bool] = True

    size: int = Field(default=16, ge=1, le=MOST_OCTETS)
    """Octets of each."""
    pause_s: Duration = 0.0
    """Between two of them."""

    def disturbed(self, frame: bytes, occasion: Occasion) -> Sequence[Effect]:
        """The pieces."""
        return list(self._pieces(frame))

    def _pieces(self, frame: bytes) -> Iterator[Effect]:
        last = min(-(-len(frame) // self.size), MOST_PIECES) - 1
        for number in range(last):
            yield Send(frame[number * self.size : (number + 1) * self.size])
            if self.pause_s:
                yield Wait(self.pause_s)
        yield Send(frame[last * self.size :])


class SplitsEveryByte(Slice):
    """Send a frame octet by octet."""

    size: int = Field(default=1, ge=1, le=1)
    """Always 1."""
