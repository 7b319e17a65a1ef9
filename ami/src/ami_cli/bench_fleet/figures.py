"""What is measured of one population."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Dialogues:
    """`seconds` of each, from connecting to the answer to the release; `cpu_s`: what the simulator needed for all of them."""

    seconds: tuple[float, ...]
    cpu_s: float

    def percentile(self, percent: float) -> float:
        """The time that this percentage of all did not exceed."""
        ordered = sorted(self.seconds)
        return ordered[min(int(len(ordered) * percent / 100), len(ordered) - 1)]

    @property
    def per_core_second(self) -> float:
        """How many one core of the simulator's can do in a second."""
        return len(self.seconds) / self.cpu_s if self.cpu_s else float("inf")


@dataclass(frozen=True, slots=True)
class Inside:
    """`gasps` ciphered notifications have left in `gasps_s`; `longest_turn_s`: of the loop while many meters have something to do.

    `profile_rows` of a year by range were there as octets after `profile_s`.
    """

    gasps: int
    gasps_s: float
    longest_turn_s: float
    profile_rows: int
    profile_s: float


@dataclass(frozen=True, slots=True)
class FleetFigures:
    """One size. Memory in octets (resident), times in seconds by the wall clock."""

    meters: int
    new_ready_s: float
    """Until a new population is ready."""
    full_ready_s: float
    """Until it is ready from a store that has a changed row of every meter."""
    memory: int
    """Of the process that has read it."""
    alone: Dialogues
    """One after the other, each with another meter."""
    together: Dialogues
    """32 at once."""
    open_sessions: int
    open_memory: int
    """What these add, with a ciphered association each."""
    inside: Inside
    """What needs no client."""
