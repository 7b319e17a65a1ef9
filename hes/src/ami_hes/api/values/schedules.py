"""Schedules and their runs, as `/api/v1/schedules` takes and gives them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from ami_hes.api.values.campaigns import checked_group
from ami_hes.api.values.moments import Moment
from ami_hes.api.values.reading_types import Type
from ami_hes.enums import Every

if TYPE_CHECKING:
    from ami_hes.schedules import Schedule
    from ami_hes.store import StoredRun


MOST_TYPES, MOST_METERS = 200, 5_000
_TIME_OF_DAY = re.compile(r"(?:[01][0-9]|2[0-3]):[0-5][0-9]")


def _local_time(value: str) -> str:
    if _TIME_OF_DAY.fullmatch(value) is None:
        raise ValueError("a time of day as 00:30 was expected")
    return value


class ScheduleOrder(BaseModel):
    """What is to be collected: by meters (names or mRIDs) or of a group, every day for the day before, or every hour for the hour before."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    reading_types: Annotated[tuple[Type, ...], Field(min_length=1, max_length=MOST_TYPES)]
    meters: Annotated[tuple[str, ...], Field(max_length=MOST_METERS)] = ()
    group: Annotated[str | None, AfterValidator(lambda one: one and checked_group(one))] = None
    every: Every = Every.DAY
    at: Annotated[str, AfterValidator(_local_time)] = "00:30"
    time_zone: Annotated[str, Field(min_length=1, max_length=100)]
    deadline_s: Annotated[float, Field(gt=0, le=7 * 86_400)] = 3600.0
    target_percent: Annotated[float, Field(ge=0, le=100)] = 99.0
    back_fill_days: Annotated[float, Field(ge=0, le=60)] = 7.0
    enabled: bool = True


class Run(BaseModel):
    """What was done when a schedule was due; `delivered` is unset while it is under way."""

    model_config = ConfigDict(frozen=True)

    due_at: Moment
    since: Moment
    until: Moment
    deadline_at: Moment
    ended_at: Moment | None
    meters: int
    delivered: int | None
    percent: float | None

    @classmethod
    def of(cls, run: StoredRun) -> Self:
        percent = None if run.delivered is None or not run.meters else round(100 * run.delivered / run.meters, 3)
        return cls(
            due_at=run.due_at,
            since=run.period_start,
            until=run.period_end,
            deadline_at=run.deadline_at,
            ended_at=run.ended_at,
            meters=run.meters,
            delivered=run.delivered,
            percent=percent,
        )


class ScheduleEntry(BaseModel):
    """A schedule; `runs` are its latest, the last one first."""

    model_config = ConfigDict(frozen=True)

    name: str
    mrid: str
    enabled: bool
    next_due_at: Moment
    reading_types: tuple[str, ...]
    mrids: tuple[str, ...]
    group: str | None
    of_usage_points: bool = False
    """Whether it is a group of usage points."""
    meters: int = 0
    """That it has at the moment; those of a group are looked up each time that it is due."""
    every: str
    at: str
    time_zone: str
    deadline_s: float
    target_percent: float
    back_fill_days: float
    runs: tuple[Run, ...] = ()

    @classmethod
    def of(cls, schedule: Schedule, meters: int, runs: tuple[Run, ...] = ()) -> Self:
        what = schedule.definition
        return cls(
            name=schedule.name,
            mrid=schedule.schedule_id,
            enabled=schedule.enabled,
            next_due_at=schedule.next_due_at,
            reading_types=what.reading_types,
            mrids=what.mrids,
            group=None if what.group is None else "=".join(what.group),
            of_usage_points=what.of_usage_points,
            meters=meters,
            every=what.every,
            at=what.at,
            time_zone=what.time_zone,
            deadline_s=what.deadline_s,
            target_percent=what.target_percent,
            back_fill_days=what.back_fill_days,
            runs=runs,
        )


class ScheduleList(BaseModel):
    """All schedules by name."""

    model_config = ConfigDict(frozen=True)

    schedules: tuple[ScheduleEntry, ...]


class Removed(BaseModel):
    """A schedule that is no more."""

    model_config = ConfigDict(frozen=True)

    name: str
