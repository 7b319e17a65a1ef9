"""What is collected by schedule."""

from dataclasses import dataclass
from typing import ClassVar

from ami_process.events import Event, Severity


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleBegun(Event):
    """A schedule was due: its meters are asked."""

    severity: ClassVar[Severity | None] = "info"

    schedule: str
    """Its name."""
    due_at: str
    """When it was due, in UTC; the last time, where it was so several times meanwhile."""
    since: str
    """Values after this moment (UTC) are asked for, and those that a meter owes from before."""
    until: str
    """Up to this moment."""
    meters: int
    """How many are asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleCollected(Event):
    """Everything that was collected is handed on; the target was met."""

    severity: ClassVar[Severity | None] = "info"

    schedule: str
    """Its name."""
    due_at: str
    """When it was due, in UTC."""
    meters: int
    """How many were asked."""
    delivered: int
    """Of these, how many gave everything by the deadline."""
    target_percent: float
    """What was to be delivered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleBehind(ScheduleCollected):
    """Everything that was collected is handed on, and it is less than the target; later runs ask again."""

    severity: ClassVar[Severity | None] = "warning"


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleFailed(Event):
    """A fault of ours kept a schedule, or a part of what it has collected, from being worked."""

    severity: ClassVar[Severity | None] = "error"

    schedule: str
    """Its name, or its mRID."""
    exception: str | None = None
    """The traceback of the fault."""
