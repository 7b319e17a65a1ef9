"""The narrow port to the store of schedules, and the plain values that pass through it.

A schedule is due at a moment, and what is done then is a run: its commands are in requests of the store like any others
(`ami_hes.store.ports`), which are the parts of the run.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredSchedule:
    """A schedule; `definition` is what was ordered, in the form of its owner."""

    schedule_id: str
    """Its mRID."""
    name: str
    definition: str
    enabled: bool
    next_due_at: datetime
    """When it has to be worked next; it may be past."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRun:
    """What was done when a schedule was due."""

    run_id: str
    schedule_id: str
    due_at: datetime
    period_start: datetime
    period_end: datetime
    deadline_at: datetime
    parts: int
    """Requests that its commands are in."""
    meters: int
    """Meters that were asked."""
    delivered: int | None = None
    """Of these, meters that gave everything by the deadline; None while it is under way."""
    ended_at: datetime | None = None


class Collected(NamedTuple):
    """What came of a command of a run."""

    mrid: str
    meter_name: str
    operation: str
    body: str
    ok: bool
    reason: str
    payload: str
    finished_at: datetime


class NameTaken(Exception):
    """Another schedule has this name."""


class Schedules(Protocol):
    """Schedules and their runs. Every method has committed when it returns, or raises StoreUnavailable."""

    async def put(self, schedule: StoredSchedule) -> None:
        """Keep a new schedule, or another version of one; raises NameTaken."""

    async def remove(self, schedule_id: str) -> bool:
        """With its runs; False if there is none."""

    async def everything(self) -> list[StoredSchedule]:
        """All schedules by name."""

    async def begin(self, run: StoredRun, next_due_at: datetime) -> None:
        """Keep a run and when its schedule is due next. The same run again changes nothing."""

    async def end(self, run: StoredRun, delivered: int, ended_at: datetime, *, forget_before: datetime) -> None:
        """All parts of a run are handed on; runs of its schedule that were due before are dropped."""

    async def open_runs(self) -> list[StoredRun]:
        """Runs without an end, oldest first."""

    async def runs(self, schedule_id: str, limit: int) -> list[StoredRun]:
        """Of one schedule, the latest first."""

    async def collected(self, request_id: str) -> Sequence[Collected]:
        """What came of the commands of a part that have an end, in their order."""

    async def drop_collected(self, request_id: str) -> None:
        """What the commands of a part have read is dropped, once its run has ended: values and events are kept by themselves."""

    async def complete_until(self, schedule_id: str, mrids: Collection[str]) -> Mapping[str, datetime]:
        """By mRID: up to when each of these meters has given everything; without those that never have."""

    async def completed(self, schedule_id: str, until: Mapping[str, datetime]) -> None:
        """These meters have given everything up to these moments; an earlier moment than the kept one changes nothing."""
