"""`/api/v1/schedules`: what is collected when, and how much of it came by its deadline."""

import re
from datetime import tzinfo
from http import HTTPStatus
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ami_hes.api import paths, query
from ami_hes.api.moments import Moment, given
from ami_hes.api.reading_types import Type
from ami_hes.meters.registry import Registry
from ami_hes.schedules import Definition, Every, ListedSchedule, NotASchedule, Schedule, ScheduleBook
from ami_hes.store import StoredRun
from ami_process.api import ApiRefused, answer_of, read_body
from ami_process.query_parameters import check_known

MOST_TYPES, MOST_METERS = 200, 5_000
_TIME_OF_DAY = re.compile(r"(?:[01][0-9]|2[0-3]):[0-5][0-9]")


def _local_time(value: str) -> str:
    if _TIME_OF_DAY.fullmatch(value) is None:
        raise ValueError("a time of day as 00:30 was expected")
    return value


def _group(value: str) -> str:
    tag, _, wanted = value.partition("=")
    if not (tag and wanted):
        raise ValueError("TAG=VALUE was expected, as feeder=F12")
    return value


class ScheduleOrder(BaseModel):
    """What is to be collected: by meters (names or mRIDs) or of a group, every day for the day before, or every hour for the hour before."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    reading_types: Annotated[tuple[Type, ...], Field(min_length=1, max_length=MOST_TYPES)]
    meters: Annotated[tuple[str, ...], Field(max_length=MOST_METERS)] = ()
    group: Annotated[str | None, AfterValidator(lambda one: one and _group(one))] = None
    every: Every = Every.DAY
    at: Annotated[str, AfterValidator(_local_time)] = "00:30"
    time_zone: Annotated[str, Field(min_length=1, max_length=100)]
    deadline_s: Annotated[float, Field(gt=0, le=7 * 86_400)] = 3600.0
    target_percent: Annotated[float, Field(ge=0, le=100)] = 99.0
    back_fill_days: Annotated[float, Field(ge=0, le=60)] = 7.0
    enabled: bool = True

    def definition(self, registry: Registry) -> Definition:
        """Raises NotASchedule for a meter that is not known."""
        mrids: list[str] = []
        for one in self.meters:
            meter = registry.find_by_name(one) or registry.find_by_mrid(one)
            if meter is None:
                raise NotASchedule(f"there is no meter with the name or mRID {one[:100]}")
            mrids.append(meter.mrid)
        tag, _, value = (self.group or "").partition("=")
        return Definition(
            reading_types=tuple(dict.fromkeys(self.reading_types)),
            mrids=tuple(dict.fromkeys(mrids)),
            group=(tag, value) if self.group else None,
            every=str(self.every),
            at=self.at,
            time_zone=self.time_zone,
            deadline_s=self.deadline_s,
            target_percent=self.target_percent,
            back_fill_days=self.back_fill_days,
        )


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
    def of(cls, schedule: Schedule, registry: Registry, runs: tuple[Run, ...] = ()) -> Self:
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
            meters=_number_of_meters(what, registry),
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


def schedule_routes(book: ScheduleBook, registry: Registry, zone: tzinfo) -> list[Route]:
    """GET lists; PUT orders or changes; DELETE removes. `zone`: in which times are given."""

    async def list_schedules(request: Request) -> Response:
        check_known(request, ())
        with query.looking():
            listed = await book.listed()
            return given(ScheduleList(schedules=tuple(_entry(one, registry) for one in listed)), zone)

    async def put_schedule(request: Request) -> Response:
        order = await read_body(request, ScheduleOrder)
        with query.looking():
            try:
                definition = order.definition(registry)
                schedule = await book.put(request.path_params["name"], definition, enabled=order.enabled)
            except NotASchedule as problem:
                raise ApiRefused(HTTPStatus.UNPROCESSABLE_ENTITY, str(problem)) from None
        return given(ScheduleEntry.of(schedule, registry), zone)

    async def remove_schedule(request: Request) -> Response:
        name = request.path_params["name"]
        with query.looking():
            if not await book.remove(name):
                raise ApiRefused(HTTPStatus.NOT_FOUND, f"there is no schedule {name[:100]}")
        return answer_of(Removed(name=name))

    return [
        Route(paths.SCHEDULES, list_schedules, methods=["GET"]),
        Route(paths.SCHEDULE, put_schedule, methods=["PUT"]),
        Route(paths.SCHEDULE, remove_schedule, methods=["DELETE"]),
    ]


def _entry(listed: ListedSchedule, registry: Registry) -> ScheduleEntry:
    return ScheduleEntry.of(listed.schedule, registry, tuple(map(Run.of, listed.runs)))


def _number_of_meters(what: Definition, registry: Registry) -> int:
    """Of those that are registered."""
    if what.group is None:
        return sum(map(registry.knows, what.mrids))
    return registry.number_of(*what.group, at_usage_points=what.of_usage_points)
