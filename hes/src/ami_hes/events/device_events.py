"""What has happened to meters, on its way to subscribers."""

from dataclasses import dataclass
from typing import ClassVar

from ami_process.events import Event, Severity


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceEventsNotWritten(Event):
    """An event of a meter makes no valid message, and is not sent to a subscriber; `hes events` has it. The others of its message are sent without it."""

    severity: ClassVar[Severity | None] = "error"

    subscriber: str
    """Who would have got it."""
    meter: str
    """As it was called then."""
    event_id: str
    """Its mRID."""
    reason: str
    """What was wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RestorationsAsked(Event):
    """Meters that have said that their power is back were asked (`hes.outages.verify_every_s`)."""

    severity: ClassVar[Severity | None] = "info"

    asked: int
    """How many."""
    answered: int
    """Of these; the others are asked again, up to three times."""
