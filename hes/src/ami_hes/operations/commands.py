"""What is asked of one meter, and what truthfully came of it. Plain values: whoever keeps them can store them."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Self

from ami_dlms.enums import ActionResult
from ami_mapping.controls import DisconnectState
from ami_mapping.faults import Fault


@dataclass(frozen=True, slots=True)
class Command:
    """One control for one meter."""

    request_id: str
    meter_name: str
    control_code: str


class Attempt:
    """Whether the control of one command may have left for its meter, in this life of the process or an earlier one.

    The only place that knows: whoever words an outcome asks here (docs/mapping.md, M-021). `keep` commits to the store that
    the control is about to leave.
    """

    def __init__(self, keep: Callable[[], Awaitable[None]], *, begun: bool) -> None:
        self._keep = keep
        self._begun = begun

    @property
    def begun(self) -> bool:
        return self._begun

    async def begin(self) -> None:
        """To be done right before the first octet leaves; what `keep` raises means that it must not leave."""
        if not self._begun:
            await self._keep()
            self._begun = True


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a command.

    `ok` only when the meter said so and was seen so. An OK with a `reply_code` (0.0) has something to add that the
    requester must read: ready for reconnection. `attempted` when the control may have reached the meter.
    """

    ok: bool
    reply_code: str | None = None
    level: str | None = None
    reason: str = ""
    before: DisconnectState | None = None
    after: DisconnectState | None = None
    action_result: ActionResult | None = None
    took_ms: float = 0.0
    attempted: bool = False

    @classmethod
    def failed(cls, fault: Fault, attempt: Attempt) -> Self:
        """The end of a command that came to no recipe, or whose recipe came to no end."""
        return cls(False, fault.code, fault.level, fault.reason, attempted=attempt.begun)
