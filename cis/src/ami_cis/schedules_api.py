"""Schedules over the REST API: ordered of the HES, listed, shown with what has come of them, cancelled and deleted.

A time of day is one of `time_zone`, or of `cis.time_zone` where an order names none. What is shown is what the HES says of its schedules.
"""

import re
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from functools import partial
from http import HTTPStatus
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ami_cim.identity import mrid_key
from ami_cis.meters import Meter
from ami_cis.readings_api import ReadingError, Text, Type
from ami_cis.store import CountedReadings, Store, StoreUnavailable
from ami_cis.under_way import Asking, UnderWay
from ami_cis.workflows import Every, FoundSchedule, OrderOutcome, ReadSchedule, ReadSchedules, Target, device_label
from ami_process.api import ApiRefused, answer_of, read_body
from ami_process.query_parameters import check_known, values_of

SCHEDULES = "/api/v1/schedules"
SCHEDULE = f"{SCHEDULES}/{{name:path}}"
MAX_METERS, MAX_TYPES = 5_000, 200
_AT = re.compile(r"(?:[01]\d|2[0-3]):[0-5]\d", re.ASCII)


def _time_of_day(value: str) -> str:
    if _AT.fullmatch(value) is None:
        raise ValueError("a time of day as 00:30 was expected")
    return value


def _zone(value: str) -> str:
    try:
        return ZoneInfo(value).key
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError("expected a time zone of IANA, as Europe/Berlin") from None


class ScheduleOrder(BaseModel):
    """What is to be collected: of meters, or of a group (VALUE, or TAG=VALUE), every day for the day before or every hour for the hour before."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    reading_types: tuple[Type, ...] = Field(min_length=1, max_length=MAX_TYPES)
    meters: tuple[Text, ...] = Field(default=(), max_length=MAX_METERS)
    mrids: tuple[Text, ...] = Field(default=(), max_length=MAX_METERS)
    group: Text | None = None
    every: Every = "day"
    at: Annotated[str, AfterValidator(_time_of_day)] = "00:30"
    time_zone: Annotated[Text, AfterValidator(_zone)] | None = None
    message_id: Text | None = None

    @model_validator(mode="after")
    def _has_meters(self) -> Self:
        if bool(self.meters or self.mrids) == (self.group is not None):
            raise ValueError("name meters or mrids, or a group")
        return self

    def schedule(self, asking: Asking, name: str) -> ReadSchedule:
        """The same for the workflow; raises ApiRefused for a meter whose mRID is not known."""
        return ReadSchedule(
            targets=(*_by_name(self.meters, asking.meters), *map(Target.mrid, self.mrids)),
            group=_group(self.group),
            reading_types=tuple(dict.fromkeys(self.reading_types)),
            every=self.every,
            at=self.at,
            zone=asking.zone if self.time_zone is None else ZoneInfo(self.time_zone),
            name=name,
        )


class _Ended(BaseModel):
    """How the exchange with the HES ended; without a final reply `result` is None, and `reason` says why."""

    message_id: str
    result: str | None
    errors: tuple[ReadingError, ...]
    reason: str | None
    unknown: bool
    not_sent: bool = False
    ms: float

    @classmethod
    def of(cls, outcome: OrderOutcome, **more: Any) -> Self:
        return cls.model_validate(asdict(outcome) | more)


class ScheduleOrdered(_Ended):
    """A schedule that was ordered; `first_due_at` is in its zone."""

    name: str
    first_due_at: datetime


class ScheduleEnded(_Ended):
    """A schedule that was cancelled or deleted, as the verb says."""

    name: str
    verb: Literal["cancel", "delete"]


class ScheduleLine(BaseModel):
    """A schedule as the HES has it; times are of its zone."""

    name: str
    enabled: bool
    next_due_at: datetime | None
    every: str
    at: str | None
    time_zone: str
    reading_types: tuple[str, ...]
    meters: tuple[str, ...]
    group: str | None

    @classmethod
    def of(cls, found: FoundSchedule, asking: Asking) -> Self:
        """Meters by the names that the CIS has for them, where it has one."""
        content, zone = found.content, asking.zone
        names = {mrid_key(meter.mrid): meter.name for meter in asking.meters if meter.mrid}
        (when,) = content.schedules[:1] or (None,)
        named = zone.key if when is None or not when.recurrence_pattern else when.recurrence_pattern
        try:
            shown_in = ZoneInfo(named)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            shown_in = zone
        due_at = None if when is None else when.interval.start
        local = None if due_at is None else due_at.astimezone(shown_in)
        seconds = 0 if when is None or when.recurrence_period is None else when.recurrence_period.total_seconds()
        groups = [name for one in content.end_device_groups for name in one.names]
        return cls(
            name=found.name,
            enabled=when is None or not when.disabled,
            next_due_at=local,
            every={86_400: "day", 3_600: "hour"}.get(int(seconds), f"{seconds:g} s"),
            at=None if local is None else local.strftime("%H:%M"),
            time_zone=named,
            reading_types=tuple(one.mrid or "" for one in content.reading_types),
            meters=tuple(names.get(mrid_key(one.mrid or "")) or device_label(one) for one in content.end_devices),
            group="=".join(filter(None, (groups[0].name_type, groups[0].name))) if groups else None,
        )


class ScheduleList(_Ended):
    """The schedules that collect from the meters that were named, or from all that the CIS knows; `further` are not shown."""

    schedules: tuple[ScheduleLine, ...]
    further: int


class KeptSeries(BaseModel):
    """What the CIS has of a meter and a ReadingType, however it came."""

    meter: str
    reading_type: str
    values: int
    first_at: datetime
    last_at: datetime

    @classmethod
    def of(cls, counted: CountedReadings, zone: ZoneInfo) -> Self:
        first, last = counted.first_at.astimezone(zone), counted.last_at.astimezone(zone)
        return cls.model_validate(counted._asdict() | {"first_at": first, "last_at": last})


class ScheduleDetails(_Ended):
    """A schedule, if the HES has it, and what the CIS has of its ReadingTypes and meters."""

    schedule: ScheduleLine | None
    kept: tuple[KeptSeries, ...]


def schedule_routes(schedules: ReadSchedules, store: Store, asking: Asking) -> list[Route]:
    """POST orders, GET looks, DELETE deletes, or with ?keep=true cancels."""
    under_way = UnderWay("schedule", asking.stopping)
    return _order_routes(schedules, asking, under_way) + _look_routes(schedules, store, asking, under_way)


def _order_routes(schedules: ReadSchedules, asking: Asking, under_way: UnderWay) -> list[Route]:
    """What changes a schedule."""

    async def create(request: Request) -> Response:
        order = await read_body(request, ScheduleOrder)
        wanted = order.schedule(asking, order.message_id or asking.new_id())
        outcome, due_at = await under_way.end_of(wanted.name, partial(schedules.create, wanted))
        return answer_of(ScheduleOrdered.of(outcome, name=wanted.name, first_due_at=due_at.astimezone(wanted.zone)))

    async def end(request: Request) -> Response:
        check_known(request, ("keep",))
        name, keep = request.path_params["name"], request.query_params.get("keep", "false")
        if keep not in ("true", "false"):
            raise ApiRefused(HTTPStatus.UNPROCESSABLE_ENTITY, "keep: true or false was expected")
        verb: Literal["cancel", "delete"] = "cancel" if keep == "true" else "delete"
        outcome = await under_way.end_of(None, partial(schedules.end, verb, name))
        return answer_of(ScheduleEnded.of(outcome, name=name, verb=verb))

    return [Route(SCHEDULES, create, methods=["POST"]), Route(SCHEDULE, end, methods=["DELETE"])]


def _look_routes(schedules: ReadSchedules, store: Store, asking: Asking, under_way: UnderWay) -> list[Route]:
    """What shows them."""

    async def look(request: Request) -> Response:
        targets, group = _asked(request, asking.meters)
        found = await under_way.end_of(None, partial(schedules.among, targets, group))
        lines = [ScheduleLine.of(one, asking) for one in found.schedules]
        return answer_of(ScheduleList.of(found.outcome, schedules=lines, further=found.further))

    async def show(request: Request) -> Response:
        check_known(request, ())
        outcome, found = await under_way.end_of(None, partial(schedules.find, request.path_params["name"]))
        if found is None:
            return answer_of(ScheduleDetails.of(outcome, schedule=None, kept=()))
        line = ScheduleLine.of(found, asking)
        try:
            counted = await store.count_readings(line.meters, line.reading_types) if line.meters else ()
        except StoreUnavailable as problem:
            raise ApiRefused(HTTPStatus.SERVICE_UNAVAILABLE, str(problem)) from None
        kept = [KeptSeries.of(one, asking.zone) for one in counted]
        return answer_of(ScheduleDetails.of(outcome, schedule=line, kept=kept))

    return [Route(SCHEDULES, look, methods=["GET"]), Route(SCHEDULE, show, methods=["GET"])]


def _asked(request: Request, known: Sequence[Meter]) -> tuple[tuple[Target, ...], tuple[str | None, str] | None]:
    """Of a query: `meter` as often as there are, or `group`; none: all that the HES has."""
    check_known(request, ("meter", "group"), several=("meter",))
    names, group = values_of(request, "meter", MAX_METERS), request.query_params.get("group")
    if names and group:
        raise ApiRefused(HTTPStatus.UNPROCESSABLE_ENTITY, "name meters or a group")
    if group is not None:
        return (), _group(group)
    return _by_name(names, known), None


def _by_name(names: Sequence[str], known: Sequence[Meter]) -> tuple[Target, ...]:
    """The payload knows meters by their mRIDs; raises ApiRefused for one that the CIS doesn't know."""
    mrids = {meter.name: meter.mrid for meter in known if meter.mrid}
    for name in names:
        if name not in mrids:
            reason = f"{name[:100]}: the CIS knows no mRID of it, which a schedule needs; name it by its mRID"
            raise ApiRefused(HTTPStatus.UNPROCESSABLE_ENTITY, reason)
    return tuple(Target.meter(name, mrids[name]) for name in names)


def _group(text: str | None) -> tuple[str | None, str] | None:
    if text is None:
        return None
    tag, separator, value = text.rpartition("=")
    return (tag or None, value) if separator else (None, text)
