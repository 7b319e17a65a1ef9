"""`/api/v1/schedules`: what is collected when, and how much of it came by its deadline."""

from datetime import tzinfo
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ami_hes.api import paths, query
from ami_hes.api.moments import given
from ami_hes.api.values.schedules import Removed, Run, ScheduleEntry, ScheduleList, ScheduleOrder
from ami_hes.meters.registry import Registry
from ami_hes.schedules import Definition, ListedSchedule, NotASchedule, ScheduleBook
from ami_process.api import ApiRefused, answer_of, read_body
from ami_process.query_parameters import check_known


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
                definition = _definition(order, registry)
                schedule = await book.put(request.path_params["name"], definition, enabled=order.enabled)
            except NotASchedule as problem:
                raise ApiRefused(HTTPStatus.UNPROCESSABLE_ENTITY, str(problem)) from None
        return given(ScheduleEntry.of(schedule, _number_of_meters(schedule.definition, registry)), zone)

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


def _definition(order: ScheduleOrder, registry: Registry) -> Definition:
    """Raises NotASchedule for a meter that is not known."""
    mrids: list[str] = []
    for one in order.meters:
        meter = registry.find_by_name(one) or registry.find_by_mrid(one)
        if meter is None:
            raise NotASchedule(f"there is no meter with the name or mRID {one[:100]}")
        mrids.append(meter.mrid)
    tag, _, value = (order.group or "").partition("=")
    return Definition(
        reading_types=tuple(dict.fromkeys(order.reading_types)),
        mrids=tuple(dict.fromkeys(mrids)),
        group=(tag, value) if order.group else None,
        every=str(order.every),
        at=order.at,
        time_zone=order.time_zone,
        deadline_s=order.deadline_s,
        target_percent=order.target_percent,
        back_fill_days=order.back_fill_days,
    )


def _entry(listed: ListedSchedule, registry: Registry) -> ScheduleEntry:
    meters = _number_of_meters(listed.schedule.definition, registry)
    return ScheduleEntry.of(listed.schedule, meters, tuple(map(Run.of, listed.runs)))


def _number_of_meters(what: Definition, registry: Registry) -> int:
    """Of those that are registered."""
    if what.group is None:
        return sum(map(registry.knows, what.mrids))
    return registry.number_of(*what.group, at_usage_points=what.of_usage_points)
