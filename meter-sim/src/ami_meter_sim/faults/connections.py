"""Faults of time and of connections: a meter is silent or slow, hangs up, restarts, or is no longer where it was."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, PrivateAttr

from ami_dlms.association import ItemResult
from ami_dlms.data import Data
from ami_meter_sim.effects import Die, Effect, HangUp, Wait
from ami_meter_sim.faults.answers import DISCONNECT_CONTROL, is_voltage, scaled
from ami_meter_sim.faults.fault import Direction, Fault, Item, Occasion

Duration = Annotated[float, Field(ge=0, le=86_400, allow_inf_nan=False)]
"""Seconds."""


class Silent(Fault):
    """Answer nothing."""

    directions: ClassVar[tuple[Direction, ...]] = ("answer", "request", "push")

    def on_arrival(self) -> Sequence[Effect] | None:
        """The request is lost."""
        return None

    def on_frame(self, leaving: Sequence[Effect], occasion: Occasion) -> Sequence[Effect]:
        """Nothing of it leaves."""
        return ()


class Slow(Fault):
    """Wait before every frame, or before a request is carried out."""

    directions: ClassVar[tuple[Direction, ...]] = ("answer", "request", "push")

    seconds: Duration = 2.0
    """How long at least."""
    jitter_s: Duration = 0.0
    """Up to this much longer."""

    def on_arrival(self) -> Sequence[Effect]:
        """It is carried out later."""
        return (self._wait(),)

    def on_frame(self, leaving: Sequence[Effect], occasion: Occasion) -> Sequence[Effect]:
        """The same, later; nothing is not waited for."""
        return (self._wait(), *leaving) if leaving else leaving

    def _wait(self) -> Wait:
        return Wait(self.seconds + self.jitter_s * self._dice.fraction() if self.jitter_s else self.seconds)


class SlowThenDoubleAnswer(Slow):
    """Wait, then answer twice."""

    directions: ClassVar[tuple[Direction, ...]] = ("answer",)
    about: ClassVar[dict[str, Any]] = {"service": ["get", "set", "action"]}

    seconds: Duration = 8.0
    """How long at least: longer than the time limit of the client."""

    def on_frame(self, leaving: Sequence[Effect], occasion: Occasion) -> Sequence[Effect]:
        """The same octets again behind the first ones."""
        return (self._wait(), *leaving, *leaving)


class ResetAfterAction(Fault):
    """Carry out an ACTION, and lose the connection before the answer."""

    about: ClassVar[dict[str, Any]] = {"service": "action", "class": DISCONNECT_CONTROL}

    how: Literal["reset", "close", "exit"] = "reset"
    """Reset the connection, close it, or end the process with all its meters."""

    def on_outcome(self, occasion: Occasion) -> Sequence[Effect]:
        """The end, in place of the answer."""
        if self.how == "exit":
            return (Die(),)
        return (HangUp(abrupt=self.how == "reset"),)


class HalfOpen(Fault):
    """Hold a connection open on which nothing is answered any more; a new one works."""

    once_per_connection: ClassVar[bool] = True

    after: int = Field(default=1, ge=0, le=1_000_000)
    """Number of requests that are answered before."""

    def concerns(self, occasion: Occasion) -> bool:
        """All that comes after those."""
        return occasion.answers >= self.after

    def on_frame(self, leaving: Sequence[Effect], occasion: Occasion) -> Sequence[Effect]:
        """Nothing of it leaves."""
        return ()


class AddressChanged(Fault):
    """Be no longer where it was: whatever comes to its address is reset."""

    directions: ClassVar[tuple[Direction, ...]] = ("request",)
    about: ClassVar[dict[str, Any]] = {"service": "association"}
    once_per_connection: ClassVar[bool] = True

    def on_connection(self) -> Effect | None:
        """The end of the connection."""
        return HangUp(abrupt=True)


class BrownOut(Fault):
    """Have too little voltage: it reads low, and the meter restarts in the middle of requests."""

    about: ClassVar[dict[str, Any]] = {"service": ["get", "set", "action"]}

    percent: int = Field(default=70, ge=1, le=99)
    """Of the voltage that there would be."""
    restart_probability: float = Field(default=0.25, ge=0, le=1)
    """That it restarts at a request."""
    restart_s: Duration = 10.0
    """How long that takes; connections are reset meanwhile."""
    _down_until: datetime | None = PrivateAttr(default=None)

    def is_down(self, at: datetime) -> bool:
        """While it restarts."""
        return self._down_until is not None and at < self._down_until

    def on_result(self, item: Item, result: ItemResult) -> ItemResult:
        """The low voltage."""
        return scaled(result, self.percent / 100) if isinstance(result, Data) and is_voltage(item) else result

    def on_outcome(self, occasion: Occasion) -> Sequence[Effect] | None:
        """A restart, now and then."""
        if self._dice.fraction() >= self.restart_probability:
            return None
        self._down_until = occasion.at + timedelta(seconds=self.restart_s)
        return (HangUp(abrupt=True),)
