"""`/api/v1/requests`: what was sent to the HES and what came of it; `/api/v1/usage-points`: how meters stand by what the CIS was told;
`/api/v1/live`: what of both has changed, and what has happened to meters, as server-sent events.

Times are of `cis.time_zone`. A frame of the stream names each thing that has changed once, as the lists have it.
"""

import re
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from http import HTTPStatus
from typing import Any, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ami_cim.control_names import name_of
from ami_cim.reading_type_words import describe
from ami_cis import events
from ami_cis.device_events_api import DeviceEvent
from ami_cis.standings import Standing, Standings, Switch
from ami_cis.store import KeptDeviceEvent, RequestLine, Store, StoreUnavailable
from ami_console import Live, live_response
from ami_process.api import ApiRefused, answer_of
from ami_process.environment import real_sleep
from ami_process.events import Emit, Event
from ami_process.query_parameters import check_known, whole_number

REQUESTS = "/api/v1/requests"
REQUEST = f"{REQUESTS}/{{message_id:path}}"
USAGE_POINTS = "/api/v1/usage-points"
LIVE = "/api/v1/live"
DEFAULT_LISTED, MAX_LISTED = 100, 1_000
MAX_OFFSET = 10**9
MOST_REQUESTS = 50
"""Looked up at once."""
MOST_TOLD, MOST_POINTS = 100, 2_000
"""Requests and events, and usage points, in one frame."""
MOST_LOADED = 5_000
"""Requests and events that are looked at when the process starts."""
SETTLE_S = 1.0


class RequestError(BaseModel):
    """An error of a reply; `meter` is the name by which the request named it, where it is about one."""

    model_config = ConfigDict(frozen=True)

    code: str | None
    reason: str | None
    meter: str | None


class RequestEntry(BaseModel):
    """A request; `control` is its code in a word, `words` are the ReadingTypes of one that reads, `meters` are counted, `failed` those of them that an error is about. `state` is that of the exchange, `result` that of the latest reply."""

    model_config = ConfigDict(frozen=True)

    message_id: str
    verb: str
    noun: str
    code: str
    control: str | None
    words: str | None
    meters: int
    failed: int
    asynchronous: bool
    sent_at: datetime
    state: Literal["sent", "acknowledged", "failed", "unknown", "answered"]
    reason: str | None
    result: str | None
    replied_at: datetime | None

    @classmethod
    def of(cls, line: RequestLine, zone: ZoneInfo) -> Self:
        failing = {one["meter"] for one in line.errors if one["meter"] and not (one["code"] or "").startswith("0.")}
        of_all = line.result == "FAILED" and not failing
        return cls.model_validate(
            line._asdict()
            | {
                "control": name_of(line.code),
                "words": _in_words(line.code),
                "meters": len(line.meters),
                "failed": len(line.meters) if of_all else len(failing),
                "sent_at": line.sent_at.astimezone(zone),
                "replied_at": None if line.replied_at is None else line.replied_at.astimezone(zone),
            }
        )


class RequestList(BaseModel):
    """The latest first; `next` is what to ask for `before` to have older ones, where there may be some."""

    model_config = ConfigDict(frozen=True)

    requests: tuple[RequestEntry, ...]
    next: str | None


class RequestDetails(BaseModel):
    """A request, whom it was for, and the errors of its latest reply."""

    model_config = ConfigDict(frozen=True)

    request: RequestEntry
    meters: tuple[str, ...]
    errors: tuple[RequestError, ...]


class UsagePoint(BaseModel):
    """A meter and its usage points: what its switch and its power were when the CIS was told last (unset: never), and how the latest request to it ended."""

    model_config = ConfigDict(frozen=True)

    meter: str
    mrid: str | None
    usage_points: tuple[str, ...]
    switch: Switch | None
    switched_at: datetime | None
    powered: bool | None
    power_at: datetime | None
    answered: bool | None
    asked_at: datetime | None
    code: str | None
    reason: str | None
    requests: int
    failures: int

    @classmethod
    def of(cls, one: Standing, zone: ZoneInfo) -> Self:
        found = {name: getattr(one, name) for name in Standing.__slots__}
        return cls(**{name: _home(value, zone) for name, value in found.items()})


class UsagePointList(BaseModel):
    """In the order of the configuration; `next` is the offset of those behind them, where there are more."""

    model_config = ConfigDict(frozen=True)

    usage_points: tuple[UsagePoint, ...]
    total: int
    next: int | None


class ChangesFrame(BaseModel):
    """What has changed since the previous frame; `more_events`: there are more events than this frame lists."""

    model_config = ConfigDict(frozen=True)

    requests: tuple[RequestEntry, ...] = ()
    usage_points: tuple[UsagePoint, ...] = ()
    events: tuple[DeviceEvent, ...] = ()
    more_events: bool = False


class Changes:
    """Notes what changes, keeps the standings by it, and makes frames of it."""

    _REQUESTS = (
        events.RequestSent,
        events.Acknowledged,
        events.AskingAgain,
        events.ReplyReceived,
        events.RequestFailed,
        events.RequestUnknown,
    )

    def __init__(self, store: Store, standings: Standings, zone: ZoneInfo) -> None:
        self._store = store
        self._standings = standings
        self._zone = zone
        self._requests: dict[str, None] = {}
        self._messages: dict[str, None] = {}
        self._lines: dict[str, RequestLine] = {}
        self._happened: list[KeptDeviceEvent] = []
        self._more = False

    def noting(self, emit: Emit) -> Emit:
        """The sink that notes what it hands on."""

        def noted(event: Event) -> None:
            if isinstance(event, self._REQUESTS):
                self._requests[event.message_id] = None
            elif isinstance(event, events.DeviceEventsKept):
                self._messages[event.message_id] = None
            emit(event)

        return noted

    async def work(self) -> None:
        """Settle what was noted, whether somebody looks or not."""
        while True:
            with suppress(StoreUnavailable):
                await self.settle()
            await real_sleep(SETTLE_S)

    async def load(self) -> None:
        """What the latest requests and events of the store say; from a store that is away nothing, which healthz says."""
        with suppress(StoreUnavailable):
            lines = await self._store.requests(MOST_LOADED)
            self._standings.take_requests(reversed(lines))
            self._standings.take_events(await self._store.latest_device_events(MOST_LOADED))
            self._standings.changed.clear()

    async def settle(self) -> None:
        """Bring the standings up to what was noted, and keep it for the next frame. Raises StoreUnavailable, and notes it again then."""
        while self._requests or self._messages:
            ids, messages = _some(self._requests, MOST_REQUESTS), _some(self._messages, MOST_REQUESTS)
            try:
                lines = await self._store.some_requests(ids)
                happened = await self._store.device_events_with(messages)
            except StoreUnavailable:
                self._requests.update(dict.fromkeys(ids))
                self._messages.update(dict.fromkeys(messages))
                raise
            self._standings.take_requests(sorted(lines, key=lambda one: one.sent_at))
            self._standings.take_events(happened)
            self._lines |= {one.message_id: one for one in lines}
            self._happened += happened
            self._lines = dict(list(self._lines.items())[-MOST_TOLD:])
            self._more, self._happened = self._more or len(self._happened) > MOST_TOLD, self._happened[-MOST_TOLD:]

    async def take(self) -> dict[str, Any] | None:
        """A frame, None when nothing has changed; what the store can't say now, a later one says."""
        with suppress(StoreUnavailable):
            await self.settle()
        lines, happened, more = list(self._lines.values()), self._happened, self._more
        self._lines, self._happened, self._more = {}, [], False
        points = self._standings.of(_some_names(self._standings.changed, MOST_POINTS))
        if not (lines or happened or points or more):
            return None
        frame = ChangesFrame(
            requests=tuple(RequestEntry.of(one, self._zone) for one in lines),
            usage_points=tuple(UsagePoint.of(one, self._zone) for one in points),
            events=tuple(DeviceEvent.of(one, self._zone) for one in happened),
            more_events=more,
        )
        return frame.model_dump(mode="json")


def request_routes(store: Store, changes: Changes, standings: Standings, live: Live, zone: ZoneInfo) -> list[Route]:
    """GET lists, shows and follows."""

    async def list_requests(request: Request) -> Response:
        check_known(request, ("limit", "before"))
        limit = whole_number(request, "limit", DEFAULT_LISTED, 1, MAX_LISTED)
        try:
            lines = await store.requests(limit, request.query_params.get("before"))
        except StoreUnavailable as problem:
            raise _away(problem) from None
        entries = tuple(RequestEntry.of(one, zone) for one in lines)
        return answer_of(RequestList(requests=entries, next=lines[-1].message_id if len(lines) == limit else None))

    async def show_request(request: Request) -> Response:
        check_known(request, ())
        message_id = request.path_params["message_id"]
        try:
            lines = await store.some_requests([message_id])
        except StoreUnavailable as problem:
            raise _away(problem) from None
        if not lines:
            raise ApiRefused(HTTPStatus.NOT_FOUND, f"no request with the MessageID {message_id[:100]} is kept")
        meters = lines[0].meters
        named = [one | {"meter": standings.as_named(one["meter"], meters)} for one in lines[0].errors]
        errors = tuple(map(RequestError.model_validate, named))
        return answer_of(RequestDetails(request=RequestEntry.of(lines[0], zone), meters=meters, errors=errors))

    async def list_usage_points(request: Request) -> Response:
        check_known(request, ("limit", "offset"))
        limit, offset = (
            whole_number(request, "limit", DEFAULT_LISTED, 1, MAX_LISTED),
            whole_number(request, "offset", 0, 0, MAX_OFFSET),
        )
        try:
            await changes.settle()
        except StoreUnavailable as problem:
            raise _away(problem) from None
        found = tuple(UsagePoint.of(one, zone) for one in standings.part(offset, limit))
        following = offset + limit if offset + limit < len(standings) else None
        return answer_of(UsagePointList(usage_points=found, total=len(standings), next=following))

    async def follow(request: Request) -> Response:
        check_known(request, ())
        return live_response(live)

    return [
        Route(REQUESTS, list_requests, methods=["GET"]),
        Route(REQUEST, show_request, methods=["GET"]),
        Route(USAGE_POINTS, list_usage_points, methods=["GET"]),
        Route(LIVE, follow, methods=["GET"]),
    ]


def _home(value: Any, zone: ZoneInfo) -> Any:
    return value.astimezone(zone) if isinstance(value, datetime) else value


def _some(noted: dict[str, None], most: int) -> list[str]:
    taken = [one for one, _ in zip(noted, range(most), strict=False)]
    for one in taken:
        del noted[one]
    return taken


def _some_names(changed: set[str], most: int) -> Sequence[str]:
    taken = [one for one, _ in zip(changed, range(most), strict=False)]
    changed.difference_update(taken)
    return taken


def _away(problem: StoreUnavailable) -> ApiRefused:
    return ApiRefused(HTTPStatus.SERVICE_UNAVAILABLE, str(problem))


_READING_TYPE = re.compile(r"(?:-?\d{1,6}\.){17}-?\d{1,6}", re.ASCII)


def _in_words(code: str) -> str | None:
    """The ReadingTypes of a request that reads; None where there are none."""
    return "; ".join(describe(one) for one in _READING_TYPE.findall(code)) or None
