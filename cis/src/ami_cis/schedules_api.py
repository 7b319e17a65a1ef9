"""Schedules over the REST API: ordered of the HES, listed, shown with what has come of them, cancelled and deleted.

A time of day is one of `time_zone`, or of `cis.time_zone` where an order names none. What is shown is what the HES says of its schedules.
"""

from collections.abc import Sequence
from functools import partial
from http import HTTPStatus
from typing import Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ami_cim.identity import mrid_key
from ami_cis.api_values.schedules import (
    MAX_METERS,
    SCHEDULE,
    SCHEDULES,
    KeptSeries,
    ScheduleDetails,
    ScheduleEnded,
    ScheduleLine,
    ScheduleList,
    ScheduleOrder,
    ScheduleOrdered,
)
from ami_cis.meters import Meter
from ami_cis.store import Store, StoreUnavailable
from ami_cis.under_way import Asking, UnderWay
from ami_cis.workflows import FoundSchedule, ReadSchedule, ReadSchedules, Target, device_label
from ami_process.api import ApiRefused, answer_of, read_body
from ami_process.query_parameters import check_known, values_of


def schedule_routes(schedules: ReadSchedules, store: Store, asking: Asking) -> list[Route]:
    """POST orders, GET looks, DELETE deletes, or with ?keep=true cancels."""
    under_way = UnderWay("schedule", asking.stopping)
    return _order_routes(schedules, asking, under_way) + _look_routes(schedules, store, asking, under_way)


def _order_routes(schedules: ReadSchedules, asking: Asking, under_way: UnderWay) -> list[Route]:
    """What changes a schedule."""

    async def create(request: Request) -> Response:
        order = await read_body(request, ScheduleOrder)
        wanted = _schedule_of(order, asking, order.message_id or asking.new_id())
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
        lines = [_line(one, asking) for one in found.schedules]
        return answer_of(ScheduleList.of(found.outcome, schedules=lines, further=found.further))

    async def show(request: Request) -> Response:
        check_known(request, ())
        outcome, found = await under_way.end_of(None, partial(schedules.find, request.path_params["name"]))
        if found is None:
            return answer_of(ScheduleDetails.of(outcome, schedule=None, kept=()))
        line = _line(found, asking)
        try:
            counted = await store.count_readings(line.meters, line.reading_types) if line.meters else ()
        except StoreUnavailable as problem:
            raise ApiRefused(HTTPStatus.SERVICE_UNAVAILABLE, str(problem)) from None
        kept = [KeptSeries.of(one, asking.zone) for one in counted]
        return answer_of(ScheduleDetails.of(outcome, schedule=line, kept=kept))

    return [Route(SCHEDULES, look, methods=["GET"]), Route(SCHEDULE, show, methods=["GET"])]


def _schedule_of(order: ScheduleOrder, asking: Asking, name: str) -> ReadSchedule:
    """The same for the workflow; raises ApiRefused for a meter whose mRID is not known."""
    return ReadSchedule(
        targets=(*_by_name(order.meters, asking.meters), *map(Target.mrid, order.mrids)),
        group=_group(order.group),
        reading_types=tuple(dict.fromkeys(order.reading_types)),
        every=order.every,
        at=order.at,
        zone=asking.zone if order.time_zone is None else ZoneInfo(order.time_zone),
        name=name,
    )


def _line(found: FoundSchedule, asking: Asking) -> ScheduleLine:
    """As the HES has it; meters by the names that the CIS has for them, where it has one."""
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
    return ScheduleLine(
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
