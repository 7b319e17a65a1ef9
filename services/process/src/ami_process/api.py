"""A JSON API of a process, beside whatever else its HTTP server serves: an entrance, then who asks, then its routes.

Refusals are JSON objects with an `error` for a person. Nothing here is reached by somebody whom the admission does not let in.
"""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import suppress
from functools import partial
from http import HTTPStatus
from typing import TypeVar

from pydantic import BaseModel, ValidationError
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ami_process.bodies import Bodies, BodyLate, BodyTooLarge, NoRoom
from ami_process.http_entrance import Entrance, Rules
from ami_process.principals import Admission, Principal, Refusal, Role, Roles, lacking

MAX_BODY = 100_000
BODY_S = 10.0
JSON = "application/json"
EVENT_STREAM = "text/event-stream"

Body = TypeVar("Body", bound=BaseModel)
ExceptionHandler = Callable[[Request, Exception], Awaitable[Response]]


Admits = Callable[[Headers], Principal | None]
"""Who a request with these headers comes from, though it brings no token."""


def nobody(_: Headers) -> Principal | None:
    """Without a token it comes from nobody."""
    return None


class ApiRefused(Exception):
    """A request can't be carried out, or where it is `undecided` may have been, and can't be answered; the text says why.

    `retry_after_s`: when it is worth another try, where it is likely to be.
    """

    def __init__(
        self, status: HTTPStatus, reason: str, *, undecided: bool = False, retry_after_s: int | None = None
    ) -> None:
        super().__init__(reason)
        self.status = status
        self.undecided = undecided
        self.retry_after_s = retry_after_s


def create_api(
    routes: Sequence[BaseRoute],
    admission: Admission,
    *,
    names: Collection[str] = (),
    names_setting: str,
    admits: Admits = nobody,
    roles: Roles | None = None,
) -> ASGIApp:
    """The ASGI application. `roles` says what a route takes, and one without a row takes an admin; None: whoever is let in may do everything.

    `admits`: who is let in without a token.
    """
    if roles is not None:
        for route in routes:
            _demand(route, roles)
    application = Starlette(routes=list(routes), exception_handlers=exception_handlers())
    application.router.redirect_slashes = False
    return guarded(application, admission, names=names, names_setting=names_setting, admits=admits)


def guarded(
    application: ASGIApp,
    admission: Admission,
    *,
    names: Collection[str] = (),
    names_setting: str,
    bounded: bool = False,
    admits: Admits = nobody,
) -> ASGIApp:
    """Any application behind the entrance and the admission of an API; `bounded`: one that reads bodies without a bound."""
    rules = Rules(names=names, names_setting=names_setting, media_types=(JSON,), max_octets=MAX_BODY)
    return Entrance(_Guard(Bounded(application) if bounded else application, admission, admits), rules, refuse)


def exception_handlers() -> dict[type[Exception], ExceptionHandler]:
    """Refusals and faults in the words of an API."""
    return {ApiRefused: _refused, HTTPException: _not_served, Exception: _failed}


class Bounded:
    """Reads the body of each request within bounds before the application sees it."""

    def __init__(self, application: ASGIApp) -> None:
        self._application = application

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._application(scope, receive, send)
            return
        try:
            body = await _read(Request(scope, receive))
        except ApiRefused as problem:
            await refuse(problem.status, str(problem))(scope, receive, send)
            return
        parts = iter([{"type": "http.request", "body": body, "more_body": False}])

        async def replay() -> Message:
            return next(parts, None) or await receive()

        await self._application(scope, replay, send)


class Branch:
    """An HTTP server's application: one below this path, another one elsewhere."""

    def __init__(self, path: str, below: ASGIApp, elsewhere: ASGIApp) -> None:
        self._path = path
        self._below = below
        self._elsewhere = elsewhere

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"] if scope["type"] == "http" else ""
        is_below = path == self._path or path.startswith(f"{self._path}/")
        await (self._below if is_below else self._elsewhere)(scope, receive, send)


_BODIES = Bodies(octets=MAX_BODY, seconds=BODY_S)


async def read_body(request: Request, model: type[Body]) -> Body:
    """The body of a request as this model; raises ApiRefused."""
    body = await _read(request)
    try:
        return model.model_validate_json(body, strict=True)  # else true is 1, and "1" is true
    except ValidationError as problem:
        wrong = problem.errors(include_url=False, include_input=False, include_context=False)[0]
        where = ".".join(map(str, wrong["loc"])) or "body"
        raise ApiRefused(
            HTTPStatus.UNPROCESSABLE_ENTITY, f"{where}: {wrong['msg'].removeprefix('Value error, ')}"
        ) from None


async def _read(request: Request) -> bytes:
    """The body of a request, within bounds; raises ApiRefused."""
    try:
        return await _BODIES.read(request)
    except BodyTooLarge:
        reason = f"the body has more than {MAX_BODY} octets"
        raise ApiRefused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, reason) from None
    except BodyLate as problem:
        raise ApiRefused(HTTPStatus.REQUEST_TIMEOUT, str(problem)) from None
    except NoRoom:
        raise ApiRefused(HTTPStatus.SERVICE_UNAVAILABLE, "other bodies fill the room; ask again later") from None


def answer_of(value: BaseModel) -> Response:
    """An answer with this value."""
    return Response(value.model_dump_json(), media_type=JSON)


def refuse(status: HTTPStatus, reason: str) -> Response:
    """A refusal as this API words it."""
    headers = {"WWW-Authenticate": "Bearer"} if status is HTTPStatus.UNAUTHORIZED else None
    return JSONResponse({"error": reason}, status, headers)


class _Guard:
    """Refuses requests of nobody; the others have their principal in `scope["principal"]` from here on."""

    def __init__(self, application: ASGIApp, admission: Admission, admits: Admits) -> None:
        self._application = application
        self._admission = admission
        self._admits = admits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            admitted = await self._admitted(scope)
            if isinstance(admitted, Refusal):
                await refuse(admitted.status, admitted.reason)(scope, receive, send)
                return
            scope["principal"] = admitted
            scope.setdefault("state", {})["principal"] = admitted  # which a middleware around the API sees too
            send = _Followed(send, partial(self._still_admitted, scope))
        with suppress(_NotLetIn):
            await self._application(scope, receive, send)

    async def _admitted(self, scope: Scope) -> Principal | Refusal:
        headers = Headers(scope=scope)
        known = None if "authorization" in headers else self._admits(headers)
        return known or await self._admission.let_in(scope)

    async def _still_admitted(self, scope: Scope) -> bool:
        """Whether who was let in would be now; over TLS, where files have changed since the handshake, the next one says so."""
        is_current: Callable[[], bool] | None = scope.get("peer_is_current")
        return (is_current is None or is_current()) and not isinstance(await self._admitted(scope), Refusal)


class _NotLetIn(Exception):
    """Who follows a stream would not be let in any more."""


class _Followed:
    """Sends an answer; one without an end (server-sent events) ends with what lets its reader in: a session, a token of an issuer, a certificate."""

    def __init__(self, send: Send, still_admitted: Callable[[], Awaitable[bool]]) -> None:
        self._send, self._still_admitted = send, still_admitted
        self._has_no_end = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._has_no_end = (
                Headers(raw=list(message.get("headers", ()))).get("content-type", "").startswith(EVENT_STREAM)
            )
        elif self._has_no_end and not await self._still_admitted():
            await self._send({"type": "http.response.body", "body": b"", "more_body": False})
            raise _NotLetIn
        await self._send(message)


def _demand(route: BaseRoute, roles: Roles) -> None:
    """Have a route served to those alone who have its role."""
    if isinstance(route, Route):
        needed = {method: roles.get((route.path, method), Role.ADMIN) for method in route.methods or ()}
        if "GET" in needed:
            needed["HEAD"] = needed["GET"]
        route.app = _Demanding(route.app, needed)


class _Demanding:
    """Refuses who lacks the role of a method; `_Guard` comes before it."""

    def __init__(self, application: ASGIApp, needed: Mapping[str, Role]) -> None:
        self._application = application
        self._needed = needed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        principal: Principal = scope["principal"]
        needed = self._needed.get(scope["method"], Role.ADMIN)
        application = self._application
        if not principal.may(needed):
            application = refuse(HTTPStatus.FORBIDDEN, lacking(principal, needed))
        await application(scope, receive, send)


async def _refused(request: Request, problem: Exception) -> Response:
    if not isinstance(problem, ApiRefused):
        return await _failed(request, problem)
    if problem.undecided:
        return JSONResponse({"error": str(problem), "undecided": True}, problem.status)
    refusal = refuse(problem.status, str(problem))
    if problem.retry_after_s is not None:
        refusal.headers["Retry-After"] = str(problem.retry_after_s)
    return refusal


async def _not_served(_: Request, problem: Exception) -> Response:
    status = problem.status_code if isinstance(problem, HTTPException) else HTTPStatus.NOT_FOUND
    return refuse(HTTPStatus(status), f"{HTTPStatus(status).phrase.lower()}: nothing is served there like that")


async def _failed(_: Request, problem: Exception) -> Response:
    """A fault of ours still gets an answer of this API; the server logs it."""
    return refuse(HTTPStatus.INTERNAL_SERVER_ERROR, f"the process failed itself: {type(problem).__name__}")
