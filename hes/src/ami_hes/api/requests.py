"""`/api/v1/requests` and `/api/v1/jobs`: what was asked, what came of it, and what is not at its end."""

from collections.abc import Awaitable, Callable
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ami_hes.api import paths, query
from ami_hes.api.values import (
    MAX_LISTED,
    Cancelled,
    CommandEntry,
    DeliveryState,
    JobCounts,
    RequestDetails,
    RequestEntry,
    RequestList,
)
from ami_hes.store.history import SqlHistory
from ami_process.api import ApiRefused

DEFAULT_LISTED = 50
UNDELIVERED = 100


Cancel = Callable[[str], Awaitable[int]]
"""End the commands of a request that are not begun; how many."""


def request_routes(history: SqlHistory, cancel: Cancel) -> list[Route]:
    """GET lists and shows, DELETE cancels."""

    async def list_requests(request: Request) -> Response:
        query.known(request, ("limit", "before"))
        limit = query.number(request, "limit", DEFAULT_LISTED, MAX_LISTED)
        with query.looking():
            lines = await history.requests(limit, request.query_params.get("before"))
        following = lines[-1].message_id if len(lines) == limit else None
        return query.given(RequestList(requests=tuple(map(RequestEntry.of, lines)), next=following))

    async def show_request(request: Request) -> Response:
        message_id = request.path_params["message_id"]
        with query.looking():
            line = await history.request(message_id)
            if line is None:
                reason = f"no request with the MessageID {message_id[:100]} is kept"
                raise ApiRefused(HTTPStatus.NOT_FOUND, reason)
            commands = await history.commands(message_id)
            delivery = await history.delivery(message_id)
        return query.given(
            RequestDetails(
                request=RequestEntry.of(line),
                reply_address=line.reply_address,
                commands=tuple(map(CommandEntry.of, commands)),
                delivery=None if delivery is None else DeliveryState.of(delivery),
            )
        )

    async def show_jobs(_: Request) -> Response:
        with query.looking():
            backlog, undelivered = await history.backlog(), await history.undelivered(UNDELIVERED)
        return query.given(JobCounts.of(backlog, undelivered))

    async def cancel_jobs(request: Request) -> Response:
        message_id = request.path_params["message_id"]
        with query.looking():
            if await history.request(message_id) is None:
                raise ApiRefused(HTTPStatus.NOT_FOUND, f"no request with the MessageID {message_id[:100]} is kept")
        return query.given(Cancelled(commands=await cancel(message_id)))

    return [
        Route(paths.REQUESTS, list_requests, methods=["GET"]),
        Route(paths.REQUEST, show_request, methods=["GET"]),
        Route(paths.JOBS, show_jobs, methods=["GET"]),
        Route(paths.JOBS_OF, cancel_jobs, methods=["DELETE"]),
    ]
