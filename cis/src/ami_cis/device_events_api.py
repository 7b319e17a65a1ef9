"""`/api/v1/device-events`: what has happened to meters. `GET` gives what the HES has sent, the latest first; `POST` asks the HES for what it has, which is
kept like what it sends; `/acknowledge` notes that somebody has seen some. Times are of `cis.time_zone`."""

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from http import HTTPStatus
from zoneinfo import ZoneInfo

from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ami_cim.event_type_names import UnknownEvent, event_type_of, is_known
from ami_cis.api_values.device_events import (
    ACKNOWLEDGE,
    DEVICE_EVENTS,
    Acknowledged,
    Acknowledgement,
    DeviceEvent,
    DeviceEventList,
    EventsFetched,
    EventsOrder,
)
from ami_cis.api_values.readings import MAX_TYPES, PeriodQuery
from ami_cis.meters import Meter
from ami_cis.readings_api import in_zone
from ami_cis.store import DeviceEventQuery, Store, StoreUnavailable
from ami_cis.under_way import Asking, UnderWay
from ami_cis.workflows import EventQuestion, EventQuestions, Target
from ami_process.api import ApiRefused, answer_of, read_body
from ami_process.query_parameters import check_known, values_of


def device_event_routes(
    store: Store,
    questions: EventQuestions,
    asking: Asking,
    now: Callable[[], datetime],
    acknowledged: Callable[[Sequence[str]], None],
) -> list[Route]:
    """GET shows the events kept here, POST asks the HES for others or acknowledges some; `acknowledged` is called with their ids."""
    under_way, zone = UnderWay("question", asking.stopping), asking.zone

    async def look(request: Request) -> Response:
        wanted = _wanted(request, zone)
        try:
            found = await store.device_events(wanted)
        except StoreUnavailable as problem:
            raise ApiRefused(HTTPStatus.SERVICE_UNAVAILABLE, str(problem)) from None
        events = tuple(DeviceEvent.of(one, zone) for one in found)
        unlisted = tuple(code for code in wanted.codes if not is_known(code))
        return answer_of(DeviceEventList(events=events, complete=len(events) < wanted.most, unlisted=unlisted))

    async def ask(request: Request) -> Response:
        order = await read_body(request, EventsOrder)
        question = _question_of(order, asking.meters, zone)
        return answer_of(EventsFetched.of(await under_way.end_of(None, partial(questions.run, question))))

    async def acknowledge(request: Request) -> Response:
        wanted = await read_body(request, Acknowledgement)
        by = request.scope["principal"].name
        try:
            number = await store.acknowledge_device_events(wanted.event_ids, now(), by)
        except StoreUnavailable as problem:
            raise ApiRefused(HTTPStatus.SERVICE_UNAVAILABLE, str(problem)) from None
        acknowledged(wanted.event_ids)
        return answer_of(Acknowledged(events=number))

    return [
        Route(DEVICE_EVENTS, look, methods=["GET"]),
        Route(DEVICE_EVENTS, ask, methods=["POST"]),
        Route(ACKNOWLEDGE, acknowledge, methods=["POST"]),
    ]


def _question_of(order: EventsOrder, known: Sequence[Meter], zone: ZoneInfo) -> EventQuestion:
    """The same for the workflow; a meter that the configuration knows is given its mRID too. Raises ApiRefused."""
    mrids = {meter.name: meter.mrid for meter in known}
    start, end = in_zone(order, zone)
    meters = [Target.meter(name, mrids.get(name)) for name in order.meters]
    targets = (*meters, *map(Target.group_of, order.groups))
    return EventQuestion(targets=targets, codes=tuple(dict.fromkeys(order.types)), start=start, end=end)


def _wanted(request: Request, zone: ZoneInfo) -> DeviceEventQuery:
    """The query: `meter` and `type` as often as there are, `from`, `to`. Raises ApiRefused for anything else."""
    check_known(request, ("meter", "type", "from", "to"), several=("meter", "type"))
    meters, types = (values_of(request, name, MAX_TYPES) for name in ("meter", "type"))
    given = {name: request.query_params[name] for name in ("from", "to") if name in request.query_params}
    try:
        codes = list(map(event_type_of, types))
        start, end = in_zone(PeriodQuery.model_validate(given), zone)
    except UnknownEvent as problem:
        raise ApiRefused(HTTPStatus.UNPROCESSABLE_ENTITY, f"type: {problem}") from None
    except ValidationError as problem:
        first = problem.errors(include_url=False, include_input=False, include_context=False)[0]
        reason = f"{'.'.join(map(str, first['loc']))}: {first['msg'].removeprefix('Value error, ')}"
        raise ApiRefused(HTTPStatus.UNPROCESSABLE_ENTITY, reason) from None
    return DeviceEventQuery(meters=tuple(meters), codes=tuple(codes), since=start, until=end)
