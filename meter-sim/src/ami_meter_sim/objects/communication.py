"""What of a meter's inside concerns its connections: the keys of its setup, and what a session has to do when an object has changed them.

Strategy: objects count what happened, and who serves the meter compares; so an object needs no session, and every session of a
meter that restarts notices it when its next octets come.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from os import urandom
from typing import TYPE_CHECKING

from ami_dlms.association import AssociationProfile, Security
from ami_dlms.obis import Obis
from ami_meter_sim.objects.cosem_object import ITSELF, ReadContext

if TYPE_CHECKING:
    from ami_meter_sim.objects.device import Device

SECURITY_SETUP = Obis(bytes((0, 0, 43, 0, 0, 255)))
SECURITY_SETUPS = {1: SECURITY_SETUP, 2: Obis(bytes((0, 0, 43, 0, 2, 255)))}
"""The two that a meter may have, by the number that models call them."""
"""The security setup of associations that name no other."""


def _nothing(_device: "Device", _name: str) -> AssociationProfile | None:
    return None


def _nobody_sends() -> None:
    """It waits until somebody does."""


@dataclass(slots=True)
class Communication:
    """`securities`: what the meter's setup gives each security setup. `offered`: an association of a device, by its name, as it is offered now."""

    securities: Mapping[Obis, Security] = field(default_factory=dict, repr=False)
    offered: Callable[["Device", str], AssociationProfile | None] = _nothing
    issued: Callable[[], Sequence[bytes]] = tuple
    """The certificates (DER) that its maker has put into the first security setup."""
    asked_by: ReadContext = ITSELF
    """Through which association the request came that is being worked on."""
    random_bytes: Callable[[int], bytes] = urandom
    restarts: int = 0
    """How often the meter has restarted: every connection that is older ends."""
    security_changes: int = 0
    """How often keys, policy, certificates or a secret have changed: associations are offered anew."""
    changes_at_once: int = 0
    """How many of them count from the next request on, in open associations too."""
    new_counters: set[Obis] = field(default_factory=set)
    """Security setups whose invocation counters begin anew, because their key is another one; who has done so takes them out."""

    pushes_wanted: dict[Obis, datetime] = field(default_factory=dict)
    """Push setups whose method was called, each with the instant of the first call; the first one first."""
    when_push_wanted: Callable[[], None] = _nobody_sends
    """What is called when there is one more; who sends it looks when the meter is done."""

    def want_push(self, setup: Obis, at: datetime) -> None:
        """A push is wanted at this instant; one that is wanted already is not sent twice."""
        if setup not in self.pushes_wanted:
            self.pushes_wanted[setup] = at
            self.when_push_wanted()

    def forget_push(self, setup: Obis) -> None:
        """It is not wanted any more."""
        self.pushes_wanted.pop(setup, None)

    def restart(self) -> None:
        """The meter goes down and comes back: no connection survives it."""
        self.restarts += 1

    def security_changed(self, *, at_once: bool = False, new_counters_of: Obis | None = None) -> None:
        """What is offered is another thing now."""
        self.security_changes += 1
        self.changes_at_once += at_once
        if new_counters_of is not None:
            self.new_counters.add(new_counters_of)
