"""`GET /api/v1/device-events`: what has happened to meters, as the HES has sent it; the latest first, times in `cis.time_zone`."""

from datetime import datetime
from http import HTTPStatus
from typing import Self
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ValidationError
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ami_cis.readings_api import MAX_TYPES, PeriodQuery
from ami_cis.store import DeviceEventQuery, KeptDeviceEvent, Store, StoreUnavailable
from ami_process.api import ApiRefused
from ami_process.query_parameters import check_known, values_of

DEVICE_EVENTS = "/api/v1/device-events"


class DeviceEvent(BaseModel):
    """One event; `details` has what the meter calls it, and whose clock `at` is of."""

    event_id: str
    meter: str
    code: str
    at: datetime
    reason: str | None
    issuer_tracking_id: str | None
    details: dict[str, str]
    closed_at: datetime | None

    @classmethod
    def of(cls, kept: KeptDeviceEvent, zone: ZoneInfo) -> Self:
        """The same in a zone."""
        return cls(
            event_id=kept.event_id,
            meter=kept.meter,
            code=kept.code,
            at=kept.at.astimezone(zone),
            reason=kept.reason,
            issuer_tracking_id=kept.issuer_tracking_id,
            details=dict(kept.details),
            closed_at=None if kept.closed_at is None else kept.closed_at.astimezone(zone),
        )


class DeviceEventList(BaseModel):
    """What the CIS has; `complete` is False where there is more than is given at once."""

    events: tuple[DeviceEvent, ...]
    complete: bool


def device_event_routes(store: Store, zone: ZoneInfo) -> list[Route]:
    """GET looks at what is kept."""

    async def look(request: Request) -> Response:
        wanted = _wanted(request, zone)
        try:
            found = await store.device_events(wanted)
        except StoreUnavailable as problem:
            raise ApiRefused(HTTPStatus.SERVICE_UNAVAILABLE, str(problem)) from None
        events = tuple(DeviceEvent.of(one, zone) for one in found)
        given = DeviceEventList(events=events, complete=len(events) < wanted.most)
        return Response(given.model_dump_json(), media_type="application/json")

    return [Route(DEVICE_EVENTS, look, methods=["GET"])]


def _wanted(request: Request, zone: ZoneInfo) -> DeviceEventQuery:
    """The query: `meter` and `type` as often as there are, `from`, `to`. Raises ApiRefused for anything else."""
    check_known(request, ("meter", "type", "from", "to"))
    meters, codes = (values_of(request, name, MAX_TYPES) for name in ("meter", "type"))
    given = {name: request.query_params[name] for name in ("from", "to") if name in request.query_params}
    try:
        start, end = PeriodQuery.model_validate(given).in_zone(zone)
    except ValidationError as problem:
        first = problem.errors(include_url=False, include_input=False, include_context=False)[0]
        reason = f"{'.'.join(map(str, first['loc']))}: {first['msg'].removeprefix('Value error, ')}"
        raise ApiRefused(HTTPStatus.UNPROCESSABLE_ENTITY, reason) from None
    return DeviceEventQuery(meters=tuple(meters), codes=tuple(codes), since=start, until=end)
