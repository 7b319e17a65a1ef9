"""The REST API of the CIS below /api/v1, which its own command line asks: JSON both ways, described at /api/v1/openapi.json.

`POST /api/v1/controls` sends one control to the HES and answers when it has an end, which takes as long as the HES does;
`/api/v1/readings` is in `ami_cis.readings_api`, `/api/v1/schedules` in `ami_cis.schedules_api`. Nothing is lost when the caller goes away meanwhile: the control is seen through all the same, and asking again under its MessageID gets
the same answer. All that comes in is bounded in size, time and number, and validated before anything is sent.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from http import HTTPStatus
from importlib.metadata import version
from types import MappingProxyType
from typing import Any, NamedTuple

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ami_cim.payloads.control_parameters import ControlParameters
from ami_cis.api_values.controls import CONTROL, CONTROLS, ControlOrder, ControlOutcome
from ami_cis.api_values.device_events import ACKNOWLEDGE, DEVICE_EVENTS, Acknowledged, Acknowledgement, DeviceEventList
from ami_cis.api_values.meters import (
    HES_USAGE_POINT,
    HES_USAGE_POINTS,
    METER,
    METER_EXCHANGES,
    METERS,
    Exchanged,
    ExchangeWanted,
    HesUsagePointDetails,
    HesUsagePointList,
    MeterDetails,
    MeterList,
)
from ami_cis.api_values.readings import READINGS, KeptReadings, ReadingsOrder, ReadingsOutcome
from ami_cis.api_values.requests import (
    LIVE,
    REQUEST,
    REQUESTS,
    USAGE_POINTS,
    ChangesFrame,
    RequestDetails,
    RequestList,
    UsagePointList,
)
from ami_cis.api_values.schedules import (
    SCHEDULE,
    SCHEDULES,
    ScheduleDetails,
    ScheduleEnded,
    ScheduleList,
    ScheduleOrder,
    ScheduleOrdered,
)
from ami_cis.meters import Meter
from ami_cis.places_api import PLACE, PLACES, PlacesKept, PlacesSaid
from ami_cis.under_way import Asking, UnderWay
from ami_cis.workflows import Controls, Order, OrderOutcome, Target
from ami_process import clock_api, principal_api
from ami_process.api import EVENT_STREAM, JSON, answer_of, read_body
from ami_process.clock_api import ClockState, Step
from ami_process.query_parameters import check_known

PREFIX = "/api/v1"
OPENAPI = f"{PREFIX}/openapi.json"

REFUSALS = (
    HTTPStatus.UNAUTHORIZED,
    HTTPStatus.FORBIDDEN,
    HTTPStatus.REQUEST_TIMEOUT,
    HTTPStatus.CONFLICT,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.UNPROCESSABLE_ENTITY,
    HTTPStatus.SERVICE_UNAVAILABLE,
)


def control_routes(controls: Controls, asking: Asking) -> list[Route]:
    """POST sends a control, GET says how far one is, DELETE cancels what of one is not begun."""
    under_way = UnderWay("control", asking.stopping)

    async def send(request: Request) -> Response:
        asked = await read_body(request, ControlOrder)
        asking.demand_replies(asynchronous=asked.asynchronous)
        order = _order_of(asked, asking.meters)
        outcome = await under_way.end_of(order.message_id, partial(controls.run, order))
        return answer_of(ControlOutcome.of(order, outcome))

    def about(verb: str, work: Callable[[str], Awaitable[OrderOutcome]]) -> Callable[[Request], Awaitable[Response]]:
        async def done(request: Request) -> Response:
            check_known(request, ())
            name = request.path_params["name"]
            outcome = await under_way.end_of(None, partial(work, name))
            ended = ControlOutcome.of(Order(code=name, targets=(), verb=verb), outcome)
            return answer_of(ended)

        return done

    async def describe(_: Request) -> Response:
        return JSONResponse(openapi())

    return [
        Route(CONTROLS, send, methods=["POST"]),
        Route(CONTROL, about("get", controls.show), methods=["GET"]),
        Route(CONTROL, about("cancel", controls.cancel), methods=["DELETE"]),
        Route(OPENAPI, describe, methods=["GET"]),
    ]


def _order_of(asked: ControlOrder, known: Sequence[Meter]) -> Order:
    """The same for the workflow; a meter that the configuration knows is given its mRID too."""
    mrids = {meter.name: meter.mrid for meter in known}
    return Order(
        code=asked.code,
        targets=(
            *(Target.meter(name, mrids.get(name)) for name in asked.meters),
            *(Target.mrid(mrid) for mrid in asked.mrids),
            *(Target.point(name) for name in asked.usage_points),
            *(Target.group_of(text) for text in asked.groups),
            *(Target.point_group_of(text) for text in asked.usage_point_groups),
        ),
        verb=asked.verb if asked.changes is None else "change",
        changes=asked.changes,
        parameters=_parameters(asked),
        start_at=asked.start_at,
        end_at=asked.end_at,
        text=asked.text,
        asynchronous=asked.asynchronous,
        until_acknowledged=asked.until_acknowledged,
        message_id=asked.message_id,
        correlation_id=asked.correlation_id,
    )


def _parameters(asked: ControlOrder) -> ControlParameters | None:
    """Those that the request has beside its controls; None where they take none."""
    given = ControlParameters(
        asked.limiter, asked.limiter_emergency, asked.time_of_use, asked.key_change, asked.firmware_image
    )
    return given if given.by_element else None


class _Operation(NamedTuple):
    path: str
    method: str
    summary: str
    answer: str
    gives: type[BaseModel]
    takes: type[BaseModel] | None = None
    query: Mapping[str, str] = MappingProxyType({})
    streamed: bool = False
    """Whether it gives one such value after the other, as server-sent events."""


_OPERATIONS = (
    _Operation(
        principal_api.PATH, "get", "Who asks, and which operations they may use", "As it is", principal_api.Asking
    ),
    _Operation(clock_api.PATH, "get", "What time it is for the process", "As it is", ClockState),
    _Operation(clock_api.PATH, "post", "Move a stepped clock on", "As it is then", ClockState, Step),
    _Operation(
        REQUESTS,
        "get",
        "Requests to the HES, with their latest replies",
        "The latest first",
        RequestList,
        query={"limit": "at most this number", "before": "those sent before the one with this MessageID"},
    ),
    _Operation(REQUEST, "get", "One request, and why it was not done at which meter", "As it is", RequestDetails),
    _Operation(
        USAGE_POINTS,
        "get",
        "How meters stand, by what the CIS was told",
        "In the order of the configuration",
        UsagePointList,
        query={"limit": "at most this number", "offset": "those behind this number"},
    ),
    _Operation(
        PLACES,
        "post",
        "Say where usage points are; the configuration has the say again at the next start",
        "How many have a place by it",
        PlacesKept,
        PlacesSaid,
    ),
    _Operation(PLACE, "delete", "Forget where a usage point is", "How many have none by it", PlacesKept),
    _Operation(
        LIVE, "get", "What changes: requests, usage points, events of meters", "Frames", ChangesFrame, streamed=True
    ),
    _Operation(
        CONTROLS,
        "post",
        "Send one EndDeviceControl and wait for its end",
        "How it ended",
        ControlOutcome,
        ControlOrder,
    ),
    _Operation(
        CONTROL,
        "get",
        "Who has ordered a control, and how far it is, by its MessageID",
        "An entry with code 0.0 for the control, and one for each meter",
        ControlOutcome,
    ),
    _Operation(
        CONTROL,
        "delete",
        "Cancel what of a control is not begun, by its MessageID",
        "How it ended: an error for each meter of which it could not be taken back",
        ControlOutcome,
    ),
    _Operation(
        READINGS,
        "post",
        "Ask meters for readings by way of the HES, and wait for the end",
        "How it ended, and the values",
        ReadingsOutcome,
        ReadingsOrder,
    ),
    _Operation(
        READINGS,
        "get",
        "Readings that are kept",
        "By meter, ReadingType and time",
        KeptReadings,
        query={
            "meter": "the name of a meter; may be repeated",
            "type": "a ReadingType by code, OBIS code or alias; may be repeated",
            "request": "the MessageID of the request that brought them",
            "from": "values of moments after this one",
            "to": "values of moments up to this one",
        },
    ),
    _Operation(
        ACKNOWLEDGE,
        "post",
        "Note that somebody has seen these events",
        "How many nobody had acknowledged before",
        Acknowledged,
        Acknowledgement,
    ),
    _Operation(
        DEVICE_EVENTS,
        "get",
        "What has happened to meters",
        "The latest first",
        DeviceEventList,
        query={
            "meter": "the name of a meter; may be repeated",
            "type": "an EndDeviceEventType; may be repeated",
            "from": "events of this moment and after it",
            "to": "events before this moment",
        },
    ),
    _Operation(
        METERS,
        "get",
        "Meters of the HES",
        "As the HES has them, by name",
        MeterList,
        query={
            "limit": "at most this number",
            "offset": "those behind this number",
            "group": "VALUE or TAG=VALUE",
        },
    ),
    _Operation(METER, "get", "One meter of the HES, and its usage point", "As the HES has it", MeterDetails),
    _Operation(
        HES_USAGE_POINTS,
        "get",
        "Usage points of the HES",
        "Those that it keeps by name, then those that only a meter names",
        HesUsagePointList,
        query={"limit": "at most this number", "offset": "those behind this number"},
    ),
    _Operation(
        HES_USAGE_POINT, "get", "One usage point of the HES, and its meter", "As the HES has it", HesUsagePointDetails
    ),
    _Operation(
        METER_EXCHANGES,
        "post",
        "Put a meter in the place of another one at a usage point",
        "How far it came",
        Exchanged,
        ExchangeWanted,
    ),
    _Operation(SCHEDULES, "post", "Order a schedule of the HES", "How it ended", ScheduleOrdered, ScheduleOrder),
    _Operation(
        SCHEDULES,
        "get",
        "Schedules of the HES that collect from some meters",
        "As the HES has them",
        ScheduleList,
        query={
            "meter": "the name of a meter; may be repeated; none: all that the CIS knows",
            "group": "a group in place of meters: VALUE or TAG=VALUE",
        },
    ),
    _Operation(SCHEDULE, "get", "One schedule, and what has come of it", "As the HES has it", ScheduleDetails),
    _Operation(
        SCHEDULE,
        "delete",
        "Delete a schedule of the HES",
        "How it ended",
        ScheduleEnded,
        query={"keep": "true: cancel it, so that it stays and is due no more"},
    ),
)


def openapi() -> dict[str, Any]:
    """What this API takes and gives, as OpenAPI 3.1."""
    schemas: dict[str, Any] = {}
    served: dict[str, dict[str, Any]] = {}
    for operation in _OPERATIONS:
        for model in (operation.gives, operation.takes):
            if model is not None:
                schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
                schemas |= {**schema.pop("$defs", {}), model.__name__: schema}
        served.setdefault(operation.path.replace(":path", ""), {})[operation.method] = _described(operation)
    return {
        "openapi": "3.1.0",
        "info": {"title": "CIS", "version": version("ami-cis")},
        "paths": served,
        "components": {"schemas": schemas, "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}},
    }


def _described(operation: _Operation) -> dict[str, Any]:
    refusals = {str(status.value): {"description": f"{status.phrase}: `error` says why"} for status in REFUSALS}
    content = _content(operation.gives, EVENT_STREAM if operation.streamed else JSON)
    answer = {"200": {"description": operation.answer, "content": content}}
    parameters = [
        {"name": name, "in": "query", "required": False, "schema": {"type": "string"}, "description": meaning}
        for name, meaning in operation.query.items()
    ]
    for name in ("name", "message_id"):
        if f"{{{name}" in operation.path:
            parameters.append({"name": name, "in": "path", "required": True, "schema": {"type": "string"}})
    described = {"summary": operation.summary, "responses": answer | refusals, "security": [{"token": []}, {}]}
    if parameters:
        described["parameters"] = parameters
    if operation.takes is not None:
        described["requestBody"] = {"required": True, "content": _content(operation.takes)}
    return described


def _content(model: type[BaseModel], media_type: str = JSON) -> dict[str, Any]:
    return {media_type: {"schema": {"$ref": f"#/components/schemas/{model.__name__}"}}}
