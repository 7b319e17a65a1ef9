"""What a simulated meter does wrong on purpose, only at its edge: the objects inside are always right.

Strategy: a frozen record of switches, looked at by the session between the objects and the wire. What a real meter does
by accident (dying, lying, being slow) happens here at the same places.
"""

from dataclasses import dataclass
from enum import StrEnum

from ami_dlms.enums import ActionResult


class Silence(StrEnum):
    """What stays without an answer."""

    NEVER = "never"
    REQUESTS = "requests"
    """Associations open, every request after that is swallowed."""
    ALWAYS = "always"
    """Nothing is answered, not even the association."""


class Death(StrEnum):
    """What dies between carrying out an ACTION of the disconnect control and its answer."""

    NOTHING = "nothing"
    CONNECTION = "connection"
    PROCESS = "process"


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """The faults of one meter; the default is a meter without any."""

    after_action: Death = Death.NOTHING
    lie_about_action: bool = False
    """Answer success and leave the switch as it is."""
    refuse_action: ActionResult | None = None
    """Answer this and leave the switch as it is."""
    answer_delay_s: float = 0.0
    silence: Silence = Silence.NEVER
    lock_out_after: int | None = None
    """After so many wrong keys in a row the management client is not let in for a time that doubles."""
    lock_out_s: float = 60.0
