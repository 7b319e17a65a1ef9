"""`/api/v1/device-events`: what has happened to meters. `GET` gives what the HES has sent, the latest first; `POST` asks the HES for what it has, which is
kept like what it sends; `/acknowledge` notes that somebody has seen some. Times are of `cis.time_zone`."""

from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime
from functools import partial
from http import HTTPStatus
from typing import Annotated, Self
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ami_cim.event_type_names import UnknownEvent, event_type_of, is_known
from ami_cis.meters import Meter
from ami_cis.readings_api import MAX_TYPES, PeriodQuery, ReadingError, Text
from ami_cis.store import DeviceEventQuery, KeptDeviceEvent, Store, StoreUnavailable
from ami_cis.under_way import Asking, UnderWay
from ami_cis.workflows import EventQuestion, EventQuestions, EventsOutcome, Target
from ami_process.api import ApiRefused, answer_of, read_body
from ami_process.query_parameters import check_known, values_of

DEVICE_EVENTS = "/api/v1/device-events"
ACKNOWLEDGE = f"{DEVICE_EVENTS}/acknowledge"
MAX_TARGETS = 1_000


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
    acknowledged_at: datetime | None
    acknowledged_by: str | None

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
            acknowledged_at=None if kept.acknowledged_at is None else kept.acknowledged_at.astimezone(zone),
            acknowledged_by=kept.acknowledged_by,
        )


class DeviceEventList(BaseModel):
    """What the CIS has; `complete` is False where there is more than is given at once, `unlisted` are types that were asked for and that no list here has."""

    events: tuple[DeviceEvent, ...]
    complete: bool
    unlisted: tuple[str, ...] = ()


class Acknowledgement(BaseModel):
    """That somebody has seen these events."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    event_ids: tuple[Text, ...] = Field(min_length=1, max_length=MAX_TARGETS)


class Acknowledged(BaseModel):
    """How many of them nobody had acknowledged before; one that is acknowledged stays so by who was first."""

    events: int


class EventsOrder(PeriodQuery):
    """Which events the HES is asked for: of meters and groups (none: of all), of types by code or name, of a time."""

    meters: tuple[Text, ...] = Field(default=(), max_length=MAX_TARGETS)
    groups: tuple[Text, ...] = Field(default=(), max_length=MAX_TARGETS)
    """VALUE or TAG=VALUE of the registry of the HES."""
    types: tuple[Annotated[Text, AfterValidator(event_type_of)], ...] = Field(default=(), max_length=MAX_TARGETS)

    def question(self, known: tuple[Meter, ...], zone: ZoneInfo) -> EventQuestion:
        """The same for the workflow; a meter that the configuration knows is given its mRID too. Raises ApiRefused."""
        mrids = {meter.name: meter.mrid for meter in known}
        start, end = self.in_zone(zone)
        meters = [Target.meter(name, mrids.get(name)) for name in self.meters]
        targets = (*meters, *map(Target.group_of, self.groups))
        return EventQuestion(targets=targets, codes=tuple(dict.fromkeys(self.types)), start=start, end=end)


class EventsFetched(BaseModel):
    """How asking ended, and how many events came, those that were known already included; not `complete` where the HES has more."""

    message_id: str
    result: str | None
    errors: tuple[ReadingError, ...]
    reason: str | None
    unknown: bool
    not_sent: bool = False
    ms: float
    came: int
    complete: bool

    @classmethod
    def of(cls, fetched: EventsOutcome) -> Self:
        """The same for a program."""
        return cls.model_validate(asdict(fetched.outcome) | {"came": fetched.came, "complete": fetched.complete})


def device_event_routes(
    store: Store, questions: EventQuestions, asking: Asking, now: Callable[[], datetime]
) -> list[Route]:
    """GET looks at what is kept, POST asks the HES, and acknowledges."""
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
        question = order.question(tuple(asking.meters), zone)
        return answer_of(EventsFetched.of(await under_way.end_of(None, partial(questions.run, question))))

    async def acknowledge(request: Request) -> Response:
        wanted = await read_body(request, Acknowledgement)
        by = request.scope["principal"].name
        try:
            number = await store.acknowledge_device_events(wanted.event_ids, now(), by)
        except StoreUnavailable as problem:
            raise ApiRefused(HTTPStatus.SERVICE_UNAVAILABLE, str(problem)) from None
        return answer_of(Acknowledged(events=number))

    return [
        Route(DEVICE_EVENTS, look, methods=["GET"]),
        Route(DEVICE_EVENTS, ask, methods=["POST"]),
        Route(ACKNOWLEDGE, acknowledge, methods=["POST"]),
    ]


def _wanted(request: Request, zone: ZoneInfo) -> DeviceEventQuery:
    """The query: `meter` and `type` as often as there are, `from`, `to`. Raises ApiRefused for anything else."""
    check_known(request, ("meter", "type", "from", "to"), several=("meter", "type"))
    meters, types = (values_of(request, name, MAX_TYPES) for name in ("meter", "type"))
    given = {name: request.query_params[name] for name in ("from", "to") if name in request.query_params}
    try:
        codes = list(map(event_type_of, types))
        start, end = PeriodQuery.model_validate(given).in_zone(zone)
    except UnknownEvent as problem:
        raise ApiRefused(HTTPStatus.UNPROCESSABLE_ENTITY, f"type: {problem}") from None
    except ValidationError as problem:
        first = problem.errors(include_url=False, include_input=False, include_context=False)[0]
        reason = f"{'.'.join(map(str, first['loc']))}: {first['msg'].removeprefix('Value error, ')}"
        raise ApiRefused(HTTPStatus.UNPROCESSABLE_ENTITY, reason) from None
    return DeviceEventQuery(meters=tuple(meters), codes=tuple(codes), since=start, until=end)
