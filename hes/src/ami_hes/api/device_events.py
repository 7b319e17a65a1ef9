"""`/api/v1/events`: what has happened to meters, from the store, and `/api/v1/events/stream`: the same as it is kept, as server-sent events.

A follower is given what the store has behind the change that it saw last (Last-Event-ID), as fast as it takes it; so one that is slow, or
was away, costs no memory and misses nothing that is still kept.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from datetime import tzinfo
from http import HTTPStatus
from typing import Self
from zoneinfo import ZoneInfo

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from ami_cim.event_type_names import UnknownEvent, event_type_of, is_known, near
from ami_hes.api import paths, query
from ami_hes.api.moments import given
from ami_hes.api.readings import moment
from ami_hes.api.values.device_events import DeviceEvent, DeviceEventList
from ami_hes.api.values.moments import ZONE
from ami_hes.end_device_events import EventTaker
from ami_hes.meters.registry import Registry
from ami_hes.store import EventChange, EventQuery, StoredDeviceEvent, StoreUnavailable
from ami_process.api import EVENT_STREAM, ApiRefused
from ami_process.query_parameters import check_known, values_of, wrong

DEFAULT_LISTED, MOST_LISTED = 100, 1_000
MOST_OFFSET = 1_000_000_000
MOST_NAMED = 1_000
MOST_MEMBERS = 5_000
"""Meters of a group."""
MOST_FOLLOWERS = 20
AT_ONCE = 200
"""Changes that are read of the store together."""
QUIET_S = 5.0
"""After so long without an event a comment says that there is still somebody, and shows whether there is."""
LAST_SEEN = "last-event-id"
_CHOICES = ("meter", "group", "type")
_SEVERAL = ("meter", "type")


def device_event_routes(taker: EventTaker, registry: Registry, zone: ZoneInfo) -> list[Route]:
    """GET lists, and follows until `taker` is closed. `zone` is that of times."""
    followers = _Followers()

    async def list_events(request: Request) -> Response:
        check_known(request, (*_CHOICES, "from", "to", "open", "limit", "offset"), _SEVERAL)
        limit = query.number(request, "limit", DEFAULT_LISTED, MOST_LISTED)
        wanted = _query_of(request, registry, zone, limit)
        if wanted is None:
            return given(DeviceEventList(events=(), more=False), zone)
        with query.looking():
            found = await taker.store.find(wanted)
        events = tuple(DeviceEvent.of(one, registry) for one in found[:limit])
        if not events:
            _check_listed(_types(request))
        return given(DeviceEventList(events=events, more=len(found) > limit), zone)

    async def follow(request: Request) -> Response:
        check_known(request, _CHOICES, _SEVERAL)
        wanted = _Wanted.of(request, registry)
        with query.looking():
            after = _last_seen(request, await taker.store.latest_change())
        return followers.streamed(_written(taker, wanted, registry, zone, after))

    return [
        Route(paths.DEVICE_EVENTS, list_events, methods=["GET"]),
        Route(paths.DEVICE_EVENT_STREAM, follow, methods=["GET"]),
    ]


class _Wanted:
    """Which events a follower wants."""

    def __init__(self, mrids: set[str] | None, tag: tuple[str, str] | None, codes: tuple[str, ...]) -> None:
        self._mrids = mrids
        self._tag = tag
        self._codes, self._tails = _codes(codes)

    @classmethod
    def of(cls, request: Request, registry: Registry) -> Self:
        """Raises ApiRefused."""
        names = values_of(request, "meter", MOST_NAMED)
        mrids = {_mrid(name, registry) for name in names} if names else None
        return cls(mrids, query.group(request, "group"), _types(request))

    def has(self, one: StoredDeviceEvent, registry: Registry) -> bool:
        """A meter is in the group that it is in now."""
        if self._mrids is not None and one.mrid not in self._mrids:
            return False
        if (self._codes or self._tails) and one.code not in self._codes and _tail(one.code) not in self._tails:
            return False
        if self._tag is None:
            return True
        meter, (tag, value) = registry.find_by_mrid(one.mrid), self._tag
        return meter is not None and meter.tags.get(tag) == value


class _Followers:
    """Those who follow, and no more than may."""

    def __init__(self) -> None:
        self._number = 0

    def streamed(self, parts: AsyncIterator[str]) -> Response:
        """Raises ApiRefused beyond the most."""
        if self._number >= MOST_FOLLOWERS:
            raise ApiRefused(HTTPStatus.SERVICE_UNAVAILABLE, f"{MOST_FOLLOWERS} follow already; ask again later")
        self._number += 1
        return _Stream(parts, self._left)

    def _left(self) -> None:
        self._number -= 1


class _Stream(StreamingResponse):
    """Ends with the next comment or event after its reader has gone: a connection that is closed on one side may still be read."""

    def __init__(self, parts: AsyncIterator[str], left: Callable[[], None]) -> None:
        super().__init__(parts, media_type=EVENT_STREAM, headers={"Cache-Control": "no-store"})
        self._left = left

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._left()


async def _written(
    taker: EventTaker, wanted: _Wanted, registry: Registry, zone: tzinfo, after: int
) -> AsyncIterator[str]:
    """Until its reader goes or the store does: then it ends, and who follows asks again with what it saw last."""
    woken = asyncio.Event()
    taker.followers.add(woken)
    try:
        yield f"id: {after}\n: these are the changes from here on\n\n"
        while not taker.is_closed:
            woken.clear()
            changes = await taker.store.changes_after(after, AT_ONCE)
            theirs = [one for one in changes if wanted.has(one.event, registry)]
            for one in theirs:
                yield _message(one, registry, zone)
            after = changes[-1].number if changes else after
            if changes and not theirs:  # among many that others want it is still to be seen that there is somebody
                yield f"id: {after}\n: nothing that was asked for\n\n"
            if not changes and not await _within(woken, QUIET_S):
                yield f"id: {after}\n: nothing new\n\n"
    except StoreUnavailable:
        return
    finally:
        taker.followers.discard(woken)


async def _within(woken: asyncio.Event, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            await woken.wait()
    except TimeoutError:
        return False
    return True


def _message(change: EventChange, registry: Registry, zone: tzinfo) -> str:
    body = DeviceEvent.of(change.event, registry).model_dump_json(context={ZONE: zone})
    return f"id: {change.number}\nevent: {change.verb}\ndata: {body}\n\n"


def _last_seen(request: Request, latest: int) -> int:
    """Where the follower goes on: behind what it saw last, or at the end of what there is."""
    text = request.headers.get(LAST_SEEN)
    if text is None:
        return latest
    if not (text.isascii() and text.isdecimal() and len(text) <= 18):
        raise wrong("Last-Event-ID: a number that this stream has given was expected")
    return int(text)


def _query_of(request: Request, registry: Registry, zone: ZoneInfo, limit: int) -> EventQuery | None:
    """None where nobody is meant. Raises ApiRefused."""
    since, until = (moment(request, name, zone) for name in ("from", "to"))
    if since is not None and until is not None and until <= since:
        raise wrong(f"to: {until.isoformat()} is not after {since.isoformat()}")
    mrids = {_mrid(name, registry) for name in values_of(request, "meter", MOST_NAMED)}
    if (tag := query.group(request, "group")) is not None:
        if registry.number_of(*tag) > MOST_MEMBERS:
            raise wrong(f"group: it has more than {MOST_MEMBERS} meters; ask by a smaller one")
        mrids |= {one.mrid for one in registry.members(*tag)}
        if not mrids:
            return None
    codes, tails = _codes(_types(request))
    only_open = request.query_params.get("open", "false")
    if only_open not in ("true", "false"):
        raise wrong("open: true or false was expected")
    return EventQuery(
        mrids=tuple(mrids),
        codes=codes,
        code_tails=tails,
        since=since,
        until=until,
        open_alarms=only_open == "true",
        most=limit + 1,
        offset=query.number_from_0(request, "offset", MOST_OFFSET),
        newest_first=True,
    )


def _types(request: Request) -> tuple[str, ...]:
    try:
        return tuple(event_type_of(one) for one in values_of(request, "type", MOST_NAMED))
    except UnknownEvent as problem:
        raise wrong(f"type: {problem}") from None


def _check_listed(codes: Iterable[str]) -> None:
    """Raises ApiRefused for a code that no list here has, where nothing was found: it may be misspelt."""
    for code in codes:
        if not is_known(code):
            raise wrong(f"type: there are no such events, and no list here has {code}; near it: {near(code)}")


def _codes(types: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Codes, and codes without their device type: one of a device finds what is kept for any (M-156)."""
    tails = tuple(_tail(one) for one in types if one.partition(".")[0] in ("0", "*"))
    of_device = [one for one in types if one.partition(".")[0] not in ("0", "*")]
    return tuple(code for one in of_device for code in (one, f"0.{_tail(one)}")), tails


def _tail(code: str) -> str:
    return code.partition(".")[2]


def _mrid(name: str, registry: Registry) -> str:
    meter = registry.find_by_name(name) or registry.find_by_mrid(name)
    if meter is None:
        raise ApiRefused(HTTPStatus.NOT_FOUND, f"there is no meter with the name or mRID {name[:100]}")
    return meter.mrid
