"""`/api/v1/requests` and `/api/v1/jobs`: what was asked, what came of it, and what is not at its end."""

from collections.abc import Awaitable, Callable
from datetime import tzinfo
from http import HTTPStatus
from typing import Protocol

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ami_hes.api import paths, query
from ami_hes.api.moments import given
from ami_hes.api.values.meters import MAX_LISTED
from ami_hes.api.values.requests import (
    PROBLEMS,
    Cancelled,
    CommandEntry,
    DeliveryState,
    JobCounts,
    RequestDetails,
    RequestEntry,
    RequestList,
)
from ami_hes.store.history import RequestLine, SqlHistory
from ami_process.api import ApiRefused, answer_of
from ami_process.query_parameters import check_known

DEFAULT_LISTED = 50
UNDELIVERED = 100


class _TakenBack(Protocol):
    @property
    def waiting(self) -> bool: ...
    @property
    def commands(self) -> int: ...


Cancel = Callable[[str], Awaitable[_TakenBack]]
"""End what is not begun of a request: whether it waited as a whole, else how many of its commands."""


def request_routes(history: SqlHistory, cancel: Cancel, zone: tzinfo) -> list[Route]:
    """GET lists and shows, DELETE cancels. `zone`: in which times are given."""
    requests = _Requests(history, cancel, zone)
    return [
        Route(paths.REQUESTS, requests.list, methods=["GET"]),
        Route(paths.REQUEST, requests.show, methods=["GET"]),
        Route(paths.JOBS, requests.show_jobs, methods=["GET"]),
        Route(paths.JOBS_OF, requests.cancel, methods=["DELETE"]),
    ]


class _Requests:
    """What each route answers."""

    def __init__(self, history: SqlHistory, cancel: Cancel, zone: tzinfo) -> None:
        self._history = history
        self._cancel = cancel
        self._zone = zone

    async def list(self, request: Request) -> Response:
        check_known(request, ("limit", "before"))
        limit = query.number(request, "limit", DEFAULT_LISTED, MAX_LISTED)
        with query.looking():
            lines = await self._history.requests(limit, request.query_params.get("before"))
        following = lines[-1].message_id if len(lines) == limit else None
        return given(RequestList(requests=tuple(map(RequestEntry.of, lines)), next=following), self._zone)

    async def show(self, request: Request) -> Response:
        check_known(request, ())
        with query.looking():
            line = await self._known(request)
            commands = await self._history.commands(line.message_id)
            delivery = await self._history.delivery(line.message_id)
            refused = await self._history.refused_at_once(line.message_id)
        details = RequestDetails(
            request=RequestEntry.of(line),
            errors=PROBLEMS.validate_json(refused)[:MAX_LISTED],
            reply_address=line.reply_address,
            commands=tuple(map(CommandEntry.of, commands)),
            delivery=None if delivery is None else DeliveryState.of(delivery),
        )
        return given(details, self._zone)

    async def show_jobs(self, request: Request) -> Response:
        check_known(request, ())
        with query.looking():
            backlog, undelivered = await self._history.backlog(), await self._history.undelivered(UNDELIVERED)
        return given(JobCounts.of(backlog, undelivered), self._zone)

    async def cancel(self, request: Request) -> Response:
        with query.looking():
            line = await self._known(request)
        done = await self._cancel(line.message_id)
        return answer_of(Cancelled(commands=done.commands, waiting=done.waiting))

    async def _known(self, request: Request) -> RequestLine:
        message_id = request.path_params["message_id"]
        line = await self._history.request(message_id)
        if line is None:
            raise ApiRefused(HTTPStatus.NOT_FOUND, f"no request with the MessageID {message_id[:100]} is kept")
        return line
