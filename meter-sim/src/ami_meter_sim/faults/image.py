"""Faults of a firmware update (class 18)."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, ClassVar

from pydantic import Field, PrivateAttr

from ami_dlms.association import Action, ItemResult
from ami_meter_sim.effects import Effect, HangUp
from ami_meter_sim.faults.answers import success
from ami_meter_sim.faults.connections import Duration
from ami_meter_sim.faults.fault import Direction, Fault, Item, Occasion

IMAGE_TRANSFER = 18
BLOCK_TRANSFER = 2
A_BLOCK: dict[str, Any] = {"service": "action", "class": IMAGE_TRANSFER, "method": BLOCK_TRANSFER}


class LosesImageBlocks(Fault):
    """Answer a block of an image with success and forget it."""

    directions: ClassVar[tuple[Direction, ...]] = ("request",)
    about: ClassVar[dict[str, Any]] = A_BLOCK
    usual_probability: ClassVar[float] = 0.1

    def on_request(self, item: Item) -> ItemResult | None:
        """The false success."""
        return success(item) if isinstance(item, Action) else None


class RebootsInImageTransfer(Fault):
    """Restart in the middle of an image transfer, once."""

    about: ClassVar[dict[str, Any]] = A_BLOCK

    blocks: int = Field(default=5, ge=1, le=1_000_000)
    """Number of blocks taken before."""
    restart_s: Duration = 30.0
    """How long that takes; connections are reset meanwhile."""
    _taken: int = PrivateAttr(default=0)
    _down_until: datetime | None = PrivateAttr(default=None)

    def is_down(self, at: datetime) -> bool:
        """While it restarts."""
        return self._down_until is not None and at < self._down_until

    def on_outcome(self, occasion: Occasion) -> Sequence[Effect] | None:
        """The restart, in place of the answer to the last of these blocks, which has been taken."""
        self._taken += 1
        if self._taken != self.blocks:
            return None
        self._down_until = occasion.at + timedelta(seconds=self.restart_s)
        return (HangUp(abrupt=True),)
