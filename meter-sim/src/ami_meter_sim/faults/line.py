"""Faults of the line between a meter and its peer, frame by frame: over HDLC of its frames, which the link repairs.

The names are those that are usual for disturbed TCP connections, whose handshakes are not delayed.
"""

from collections.abc import Sequence
from typing import ClassVar

from pydantic import Field

from ami_meter_sim.effects import Effect, HangUp, Send, Wait
from ami_meter_sim.faults.connections import Duration, Silent, Slow
from ami_meter_sim.faults.fault import Direction, FrameFault, Occasion

BOTH: tuple[Direction, ...] = ("answer", "push")


class Latency(Slow):
    """Take longer, each time by another time."""

    of_the_line: ClassVar[bool] = True

    seconds: Duration = 0.2
    """How long at least."""
    jitter_s: Duration = 0.1
    """Up to this much longer."""


class Bandwidth(FrameFault):
    """Let octets through at a rate."""

    of_the_line: ClassVar[bool] = True
    directions: ClassVar[tuple[Direction, ...]] = BOTH

    octets_per_s: int = Field(default=300, ge=1, le=1_000_000_000)
    """The rate; 300 is that of a narrow-band power line."""

    def disturbed(self, frame: bytes, occasion: Occasion) -> Sequence[Effect]:
        """A frame arrives whole when its last octet has come through."""
        return (Wait(len(frame) / self.octets_per_s), Send(frame))


class Cut(FrameFault):
    """Break the connection after a number of octets, in the middle of a frame if need be."""

    of_the_line: ClassVar[bool] = True

    after: int = Field(default=200, ge=0, le=1_000_000_000)
    """Octets from the meter that arrive."""

    def disturbed(self, frame: bytes, occasion: Occasion) -> Sequence[Effect]:
        """What still arrives, and the end."""
        left = self.after - occasion.octets
        if len(frame) <= left:
            return (Send(frame),)
        return (Send(frame[: max(left, 0)]), HangUp())


class Drop(Silent):
    """Lose frames."""

    of_the_line: ClassVar[bool] = True
    usual_probability: ClassVar[float] = 0.1


class Duplicate(FrameFault):
    """Deliver frames twice."""

    of_the_line: ClassVar[bool] = True
    directions: ClassVar[tuple[Direction, ...]] = BOTH
    usual_probability: ClassVar[float] = 0.1

    def disturbed(self, frame: bytes, occasion: Occasion) -> Sequence[Effect]:
        """The same octets again."""
        return (Send(frame), Send(frame))
