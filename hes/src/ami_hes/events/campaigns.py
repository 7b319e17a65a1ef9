"""Events of campaigns."""

from dataclasses import dataclass
from typing import ClassVar

from ami_process.events import Event, Severity


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignBegun(Event):
    """A campaign was ordered; each of its meters has a `meter_done` of its own, with the campaign as message_id."""

    severity: ClassVar[Severity | None] = "info"

    campaign: str
    """Its id."""
    summary: str
    """What is done."""
    meters: int
    """How many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignFailed(Event):
    """A fault of ours kept a campaign from being worked; it is tried again."""

    severity: ClassVar[Severity | None] = "error"

    campaign: str
    """Its id."""
    exception: str | None = None
    """The traceback of the fault."""
