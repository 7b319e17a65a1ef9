"""What a module of this package offers to the table `OPERATIONS` (`ami_hes.served`)."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from ami_hes.commands import Command, CommandJob, Lane, Outcome
from ami_hes.meters import Meter, Meters
from ami_hes.operations.assignment import Assignment

Recipe = Callable[[Meters, Assignment], Awaitable[Outcome]]
"""Carries a command out. A MeterFault that it does not end in an Outcome itself becomes one by the fault table."""
Describe = Callable[[Command, Meter | None, Outcome], Mapping[str, object]]
"""The `details` of the event `meter_done`: what it says beside what it says of every command; values of JSON, short.

The meter is None when no registry entry has its mRID any more.
"""

EndsAs = Callable[[Command, Outcome], str | None]
"""The EndDeviceEventType that the end of a command is for who wants events of it; None where it is none."""


def _no_event(_: Command, __: Outcome) -> str | None:
    return None


def always_at_meter(_: CommandJob) -> bool:
    """None of its commands may be done without its meter."""
    return False


@dataclass(frozen=True, slots=True)
class Operation:
    """A row of the table."""

    run: Recipe
    describe: Describe
    lane: Lane
    """In which its commands are dispatched."""
    acts: bool
    """Whether it may change the meter: then each failure has to say whether it may have (docs/mapping.md, M-021)."""
    meterless: Callable[[CommandJob], bool] = always_at_meter
    """Whether a command may be done without its meter; then its recipe is tried so first, and raises MeterNeeded where it may not."""
    switches: bool = True
    """Whether what it may change is a switch: it only words such a failure."""
    ends_as: EndsAs = _no_event
    control_type: Callable[[Command], str] | None = None
    """The EndDeviceControlType of a command, where the end of each is an event of the meter, with a type of its own or without."""
