"""What the API takes and gives, as OpenAPI 3.1, from the same models that read and write it."""

from http import HTTPStatus
from importlib.metadata import version
from typing import Any, NamedTuple

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ami_hes.api import paths
from ami_hes.api.controls import ControlAnswer, ControlOrder
from ami_hes.api.pushes import PushList
from ami_hes.api.values.audit import AuditFindings, AuditList, CheckState
from ami_hes.api.values.campaigns import Campaign, CampaignList, EventLogOrder, FirmwareStart, KeyRoll
from ami_hes.api.values.commissioning import CommissionOrder
from ami_hes.api.values.contacts import ContactList
from ami_hes.api.values.device_events import DeviceEvent, DeviceEventList
from ami_hes.api.values.guard import (
    Approval,
    ApprovalList,
    CheckOrder,
    Decision,
    Forecast,
    GuardState,
    StopOrder,
    StopState,
    UseList,
)
from ami_hes.api.values.images import Image, ImageList, ImageOrder, ImagePart
from ami_hes.api.values.live import ChangesFrame
from ami_hes.api.values.meters import GroupCounts, ImportReport, MeterEntry, MeterImport, MeterList, RowResult
from ami_hes.api.values.on_demand import ReadAnswer, ReadOrder
from ami_hes.api.values.outages import OutageList, PingAnswer, PingOrder
from ami_hes.api.values.outgoing import Again, Chosen, DeadLetterList, Dropped, Replay, SubscriberList
from ami_hes.api.values.quarantine import Acceptance, Caller, CallerList
from ami_hes.api.values.requests import Cancelled, JobCounts, RequestDetails, RequestList
from ami_hes.api.values.scalers import ForgottenScalers
from ami_hes.api.values.schedules import Removed, ScheduleEntry, ScheduleList, ScheduleOrder
from ami_hes.api.values.traces import TraceList
from ami_process import clock_api, principal_api
from ami_process.api import EVENT_STREAM, JSON
from ami_process.clock_api import ClockState, Step
from ami_trace.form import Trace

REFUSALS = (
    HTTPStatus.UNAUTHORIZED,
    HTTPStatus.FORBIDDEN,
    HTTPStatus.NOT_FOUND,
    HTTPStatus.REQUEST_TIMEOUT,
    HTTPStatus.CONFLICT,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.UNPROCESSABLE_ENTITY,
    HTTPStatus.SERVICE_UNAVAILABLE,
)


class _Operation(NamedTuple):
    path: str
    method: str
    summary: str
    gives: type[BaseModel] | None
    """None: CSV."""
    takes: type[BaseModel] | None = None
    parameters: tuple[str, ...] = ()
    streamed: bool = False
    """Whether it gives one such value after the other, as server-sent events."""


OPERATIONS = (
    _Operation(paths.METERS, "get", "Meters by name", MeterList, parameters=("limit", "after", "group", "state")),
    _Operation(paths.METER, "get", "One meter, by its name or mRID", MeterEntry),
    _Operation(paths.METERS, "post", "Import rows of a shipment, each for itself", ImportReport, MeterImport),
    _Operation(paths.METER, "delete", "Take an imported meter out, by its name or mRID", MeterEntry),
    _Operation(
        paths.CONTACTS,
        "get",
        "How meters answered last, since this process began",
        ContactList,
        parameters=("limit", "after"),
    ),
    _Operation(paths.LIVE, "get", "What changes: requests, contacts, events", ChangesFrame, streamed=True),
    _Operation(paths.QUARANTINE, "get", "Callers that no entry names, who was heard last first", CallerList),
    _Operation(paths.CALLER, "get", "One caller", Caller),
    _Operation(paths.CALLER, "post", "Take a caller into the registry", RowResult, Acceptance),
    _Operation(paths.CALLER, "delete", "Forget a caller", Caller),
    _Operation(paths.SCALERS_OF, "delete", "Forget the scalers that a meter gave first", ForgottenScalers),
    _Operation(
        paths.READINGS, "get", "Readings that are kept, as CSV", None, parameters=("meter", "type", "from", "to")
    ),
    _Operation(principal_api.PATH, "get", "Who asks, and which operations they may use", principal_api.Asking),
    _Operation(clock_api.PATH, "get", "What time it is for the process", ClockState),
    _Operation(clock_api.PATH, "post", "Move a stepped clock on", ClockState, Step),
    _Operation(paths.READINGS, "post", "Read meters now, and answer when that has an end", ReadAnswer, ReadOrder),
    _Operation(
        paths.CONTROLS,
        "post",
        "Control meters, and answer when that has an end or is accepted",
        ControlAnswer,
        ControlOrder,
    ),
    _Operation(
        paths.DEVICE_EVENTS,
        "get",
        "What has happened to meters, the latest first",
        DeviceEventList,
        parameters=("meter", "group", "type", "from", "to", "open", "limit", "offset"),
    ),
    _Operation(
        paths.DEVICE_EVENT_STREAM,
        "get",
        "The same as it is kept, as server-sent events; Last-Event-ID says behind which one",
        DeviceEvent,
        parameters=("meter", "group", "type"),
        streamed=True,
    ),
    _Operation(paths.GROUPS, "get", "Groups of meters by tag", GroupCounts),
    _Operation(paths.REQUESTS, "get", "Requests, the latest first", RequestList, parameters=("limit", "before")),
    _Operation(paths.REQUEST, "get", "One request by its MessageID, with its commands", RequestDetails),
    _Operation(
        paths.TRACES,
        "get",
        "Requests that have traces, or pushes, the latest first",
        TraceList,
        parameters=("limit", "before", "failed", "noun", "meter", "pushes"),
    ),
    _Operation(
        paths.PUSHES,
        "get",
        "What meters have pushed, the latest first, in words, with what came of it or why it was dropped",
        PushList,
        parameters=("limit", "before", "failed", "meter"),
    ),
    _Operation(
        paths.TRACE,
        "get",
        "What happened for one request, with every APDU",
        Trace,
        parameters=("redacted", "as", "companion"),
    ),
    _Operation(paths.SCHEDULES, "get", "Schedules, each with its latest runs", ScheduleList),
    _Operation(paths.SCHEDULE, "put", "Order a schedule, or another version of it", ScheduleEntry, ScheduleOrder),
    _Operation(paths.SCHEDULE, "delete", "Remove a schedule and its runs", Removed),
    _Operation(paths.CAMPAIGNS, "get", "Campaigns, the latest first", CampaignList, parameters=("limit",)),
    _Operation(paths.CAMPAIGN, "get", "One campaign by its id, with the meters at which it failed", Campaign),
    _Operation(paths.EVENT_LOG_READINGS, "post", "Read event logs of meters, as a campaign", Campaign, EventLogOrder),
    _Operation(paths.KEY_ROLLS, "post", "Change a key of meters, as a campaign", Campaign, KeyRoll),
    _Operation(paths.COMMISSIONINGS, "post", "Commission meters, as a campaign", Campaign, CommissionOrder),
    _Operation(
        paths.FIRMWARE_STARTS, "post", "Bring meters to a firmware image, as a campaign", Campaign, FirmwareStart
    ),
    _Operation(paths.CAMPAIGN_PAUSE, "post", "Begin no more meters of a campaign", Campaign),
    _Operation(paths.CAMPAIGN_RESUME, "post", "Go on with a paused campaign", Campaign),
    _Operation(paths.CAMPAIGN_CANCEL, "post", "End a campaign", Campaign),
    _Operation(paths.OUTAGES, "get", "Places without power, and what waits to be told", OutageList),
    _Operation(paths.OUTAGE_PING, "post", "Ask meters whether they have power", PingAnswer, PingOrder),
    _Operation(paths.IMAGES, "get", "Firmware images", ImageList),
    _Operation(paths.IMAGES, "post", "Declare a firmware image, whose octets come next", Image, ImageOrder),
    _Operation(paths.IMAGE_PARTS, "post", "Add the next octets of a firmware image", Image, ImagePart),
    _Operation(paths.IMAGE, "get", "One firmware image", Image),
    _Operation(paths.IMAGE, "delete", "Remove a firmware image", Image),
    _Operation(paths.DEAD_LETTERS, "get", "Dead letters, the latest first", DeadLetterList, parameters=("limit",)),
    _Operation(paths.DEAD_LETTERS, "post", "Deliver dead letters again", Again, Chosen),
    _Operation(paths.DEAD_LETTERS, "delete", "Keep dead letters no more", Dropped, Chosen),
    _Operation(paths.SUBSCRIBERS, "get", "Subscribers, and what became of their events", SubscriberList),
    _Operation(paths.REPLAY, "post", "Send events of a subscriber again", Again, Replay),
    _Operation(
        paths.AUDIT,
        "get",
        "The audit log, the last entries or those behind a number",
        AuditList,
        parameters=("limit", "after", "request"),
    ),
    _Operation(
        paths.AUDIT_SEARCH,
        "get",
        "Entries of the audit log, the latest first",
        AuditFindings,
        parameters=("principal", "meter", "request", "what", "from", "to", "before", "limit"),
    ),
    _Operation(paths.AUDIT_CHECK, "get", "What the last check of the audit log has found", CheckState),
    _Operation(paths.AUDIT_CHECK, "post", "Check the whole audit log, beside the work", CheckState),
    _Operation(paths.GUARD_USES, "get", "What each principal, group and all have used in the last hour", UseList),
    _Operation(paths.CONTROLS_STOP, "get", "Whether controls are stopped", StopState),
    _Operation(
        paths.GUARD,
        "get",
        "Limits of what is switched at once, and what is used of them",
        GuardState,
        parameters=("principal",),
    ),
    _Operation(paths.GUARD_CHECK, "post", "What would become of an order now: nothing is done", Forecast, CheckOrder),
    _Operation(
        paths.CONTROLS_STOP, "post", "Stop all controls: nothing that changes a meter leaves", StopState, StopOrder
    ),
    _Operation(paths.CONTROLS_RESUME, "post", "Let controls leave again", StopState, StopOrder),
    _Operation(
        paths.APPROVALS,
        "get",
        "What a second person has to approve, the latest first",
        ApprovalList,
        parameters=("state", "limit"),
    ),
    _Operation(paths.APPROVAL, "get", "One of them, by its MessageID or the id of its campaign", Approval),
    _Operation(paths.APPROVE, "post", "Approve it, as somebody else than who asked", Approval, Decision),
    _Operation(paths.REJECT, "post", "Reject it: it ends with 5.2", Approval, Decision),
    _Operation(paths.JOBS, "get", "What is not at its end", JobCounts),
    _Operation(
        paths.JOBS_OF,
        "delete",
        "Cancel what is not begun of a request: its commands, or all of it while it waits for its time or for approval",
        Cancelled,
    ),
)


def openapi_routes() -> list[Route]:
    """GET describes the API."""

    async def describe(_: Request) -> Response:
        return JSONResponse(openapi())

    return [Route(paths.OPENAPI, describe, methods=["GET"])]


def openapi() -> dict[str, Any]:
    """The description."""
    schemas: dict[str, Any] = {}
    served: dict[str, dict[str, Any]] = {}
    for operation in OPERATIONS:
        for model in (operation.gives, operation.takes):
            if model is not None:
                schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
                schemas |= {**schema.pop("$defs", {}), model.__name__: schema}
        served.setdefault(operation.path.replace(":path", ""), {})[operation.method] = _described(operation)
    return {
        "openapi": "3.1.0",
        "info": {"title": "HES", "version": version("ami-hes")},
        "paths": served,
        "components": {"schemas": schemas, "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}},
    }


def _described(operation: _Operation) -> dict[str, Any]:
    refusals = {str(status.value): {"description": f"{status.phrase}: `error` says why"} for status in REFUSALS}
    described: dict[str, Any] = {
        "summary": operation.summary,
        "parameters": [_parameter(name, "query") for name in operation.parameters]
        + [_parameter(name, "path") for name in ("name", "message_id") if f"{{{name}" in operation.path],
        "responses": {
            "200": {"description": "As it is", "content": _given(operation)},
            **refusals,
        },
        "security": [{"token": []}, {}],
    }
    if operation.takes is not None:
        described["requestBody"] = {"required": True, "content": _content(operation.takes)}
    return described


_CSV = {"text/csv": {"schema": {"type": "string"}}}


def _parameter(name: str, place: str) -> dict[str, Any]:
    kind = "integer" if name in ("limit", "offset") else "string"
    return {"name": name, "in": place, "required": place == "path", "schema": {"type": kind}}


def _given(operation: _Operation) -> dict[str, Any]:
    if operation.gives is None:
        return _CSV
    content = _content(operation.gives)
    return {EVENT_STREAM: content[JSON]} if operation.streamed else content


def _content(model: type[BaseModel]) -> dict[str, Any]:
    return {JSON: {"schema": {"$ref": f"#/components/schemas/{model.__name__}"}}}
