"""What is asked of one meter, and what truthfully came of it. Plain values: whoever keeps them can store them."""

from dataclasses import dataclass

from dlms.enums import ActionResult
from mapping.controls import DisconnectState


@dataclass(frozen=True, slots=True)
class Command:
    """One control for one meter; `attempted` when an earlier run may already have sent it to the meter."""

    request_id: str
    meter_name: str
    control_code: str
    attempted: bool = False


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
