"""`/api/v1/requests`: what was sent to the HES and what came of it; `/api/v1/usage-points`: how meters stand by what the CIS was told;
`/api/v1/live`: what of both has changed, and what has happened to meters, as server-sent events.

Times are of `cis.time_zone`. A frame of the stream names each thing that has changed once, as the lists have it.
"""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from http import HTTPStatus
from typing import Any
from zoneinfo import ZoneInfo

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ami_cis import events
from ami_cis.api_values.device_events import DeviceEvent
from ami_cis.api_values.requests import (
    LIVE,
    REQUEST,
    REQUESTS,
    USAGE_POINTS,
    ChangesFrame,
    RequestDetails,
    RequestEntry,
    RequestError,
    RequestList,
    UsagePoint,
    UsagePointList,
)
from ami_cis.standings import Standings
from ami_cis.store import KeptDeviceEvent, RequestLine, Store, StoreUnavailable
from ami_console import Live, live_response
from ami_process.api import ApiRefused, answer_of
from ami_process.environment import real_sleep
from ami_process.events import Emit, Event
from ami_process.query_parameters import check_known, whole_number

DEFAULT_LISTED, MAX_LISTED = 100, 1_000
MAX_OFFSET = 10**9
MOST_REQUESTS = 50
"""Looked up at once."""
MOST_TOLD, MOST_POINTS = 100, 2_000
"""Requests and events, and usage points, in one frame."""
MOST_LOADED = 5_000
"""Requests and events that are looked at when the process starts."""
SETTLE_S = 1.0


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
        self._seen: dict[str, None] = {}

    def noting(self, emit: Emit) -> Emit:
        """The sink that notes what it hands on."""

        def noted(event: Event) -> None:
            if isinstance(event, self._REQUESTS):
                self._requests[event.message_id] = None
            elif isinstance(event, events.DeviceEventsKept):
                self._messages[event.message_id] = None
            emit(event)

        return noted

    def note_acknowledged(self, event_ids: Iterable[str]) -> None:
        """The next frames have these events as they are then."""
        self._seen |= dict.fromkeys(event_ids)

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
        seen = await self._acknowledged()
        if not (lines or happened or points or more or seen):
            return None
        frame = ChangesFrame(
            requests=tuple(RequestEntry.of(one, self._zone) for one in lines),
            usage_points=tuple(UsagePoint.of(one, self._zone) for one in points),
            events=tuple(DeviceEvent.of(one, self._zone) for one in happened),
            more_events=more,
            acknowledged=tuple(DeviceEvent.of(one, self._zone) for one in seen),
        )
        return frame.model_dump(mode="json")

    async def _acknowledged(self) -> list[KeptDeviceEvent]:
        """Some of those that were noted; from a store that is away none, and they are noted again then."""
        ids = _some(self._seen, MOST_TOLD)
        try:
            return await self._store.some_device_events(ids) if ids else []
        except StoreUnavailable:
            self._seen |= dict.fromkeys(ids)
            return []


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
