"""Faults of what a meter sends unasked."""

from typing import Any, ClassVar

from ami_meter_sim.faults.connections import Duration, Silent, Slow
from ami_meter_sim.faults.fault import Direction, Occasion
from ami_meter_sim.faults.line import Duplicate

OF_A_PUSH: tuple[Direction, ...] = ("push",)
UNASKED: dict[str, Any] = {"service": "push"}
POWER_DOWN = "power-down"
"""Why a last gasp is sent."""


class LatePush(Slow):
    """Send it late, with the time at which it happened."""

    directions: ClassVar[tuple[Direction, ...]] = OF_A_PUSH
    about: ClassVar[dict[str, Any]] = UNASKED

    seconds: Duration = 60.0
    """How late at least."""


class DuplicatePush(Duplicate):
    """Send it twice, octet for octet."""

    directions: ClassVar[tuple[Direction, ...]] = OF_A_PUSH
    about: ClassVar[dict[str, Any]] = UNASKED
    usual_probability: ClassVar[float] = 1.0


class LastGaspLost(Silent):
    """Lose the push of a power-down, because the capacitor was empty before."""

    directions: ClassVar[tuple[Direction, ...]] = OF_A_PUSH
    about: ClassVar[dict[str, Any]] = UNASKED

    def concerns(self, occasion: Occasion) -> bool:
        """A last gasp."""
        return occasion.push == POWER_DOWN
