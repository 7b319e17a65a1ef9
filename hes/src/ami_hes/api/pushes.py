"""`/api/v1/pushes`: what meters have pushed, the latest first: whose, when, what it says in words, what came of it or why it was dropped.

What is kept of pushes are their traces, so what is listed here has one: `/api/v1/traces/PUSH_ID` has every octet of it.
"""

from collections.abc import Callable
from datetime import tzinfo
from http import HTTPStatus
from typing import Self

from pydantic import BaseModel, ConfigDict
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ami_hes.api import paths, query
from ami_hes.api.moments import given
from ami_hes.api.values.moments import Moment
from ami_hes.store import RequestFilter
from ami_hes.traces import RETRY_AFTER_S, ToldPush, TraceBook, TracesBusy
from ami_process.query_parameters import check_known

DEFAULT_LISTED, MOST_LISTED = 50, 200


class PushedEvent(BaseModel):
    """An event that came of a push: its EndDeviceEventType, and what it says."""

    model_config = ConfigDict(frozen=True)

    event_id: str
    type: str
    reason: str


class Push(BaseModel):
    """One push. `meter` is whose keys vouch for it, None where none do; `words` are the values that it has, in its order; `reason` says why it was dropped, where it was."""

    model_config = ConfigDict(frozen=True)

    push_id: str
    received_at: Moment
    meter: str | None
    service: str
    peer: str | None
    transport: str | None
    taken: bool
    reason: str | None
    words: tuple[str, ...]
    events: tuple[PushedEvent, ...]

    @classmethod
    def of(cls, told: ToldPush) -> Self:
        push = told.push
        return cls(
            push_id=push.push_id,
            received_at=push.kept.began_at,
            meter=push.kept.meter_name or None,
            service=push.service,
            peer=told.peer,
            transport=told.transport,
            taken=push.kept.ok,
            reason=None if push.kept.ok else push.reason,
            words=told.words,
            events=tuple(PushedEvent(event_id=one.event_id, type=one.code, reason=one.reason) for one in push.events),
        )


class PushList(BaseModel):
    """The latest first; `next` is what to ask for `before` to have older ones, where there may be some."""

    model_config = ConfigDict(frozen=True)

    pushes: tuple[Push, ...]
    next: str | None


def push_routes(book: TraceBook, zone: tzinfo, name_of: Callable[[str], str | None] = lambda _: None) -> list[Route]:
    """GET lists. `zone`: in which times are given; `name_of`: how the meter of an mRID is called."""

    async def listed(request: Request) -> Response:
        check_known(request, ("limit", "before", "failed", "meter"))
        of_meter = query.text(request, "meter")
        wanted = RequestFilter(
            limit=query.number(request, "limit", DEFAULT_LISTED, MOST_LISTED),
            failed=query.truth(request, "failed"),
            meter=None if of_meter is None else name_of(of_meter) or of_meter,
            before=query.text(request, "before"),
        )
        try:
            async with book.turns.turn():
                with query.looking():
                    told = await book.told_pushes(wanted)
        except TracesBusy as busy:
            headers = {"Retry-After": str(RETRY_AFTER_S)}
            return JSONResponse({"error": str(busy)}, HTTPStatus.SERVICE_UNAVAILABLE, headers)
        following = told[-1].push.push_id if len(told) == wanted.limit else None
        return given(PushList(pushes=tuple(map(Push.of, told)), next=following), zone)

    return [Route(paths.PUSHES, listed, methods=["GET"])]
