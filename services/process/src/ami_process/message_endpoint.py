"""HTTP addresses that take one message and answer with one, within bounds of size, time and work.

A body is read no further than allowed and no longer than it may take; a message that takes long is read by the worker. What can't
be used gets a fault with the HTTP status that says why, and so does what comes while too many wait, and a failure of ours. A GET
gives descriptions. What the messages are, the endpoint doesn't know: it is given pure functions (`Messages`) and a handler.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from enum import Enum
from functools import partial
from http import HTTPStatus
from typing import Generic, Protocol, TypeVar

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from ami_process.bodies import ROOM, Bodies, BodyLate, BodyTooLarge, NoRoom
from ami_process.health import Health
from ami_process.http_entrance import Entrance, Rules, own_url
from ami_process.message_reader import MessageReader, MessageReading
from ami_process.message_security import MessageSecurity
from ami_process.principals import EVERYBODY, Admission, Principal, Refusal
from ami_process.worker import Worker, WorkerBusy, WorkerLost

M = TypeVar("M")
E = TypeVar("E", bound=Exception)


_RECEIVED: ContextVar[float | None] = ContextVar("received", default=None)


def received_time() -> float | None:
    """When the head of the message that is being handled had come, by the event loop's clock; None outside of any."""
    return _RECEIVED.get()


_OCTETS: ContextVar[bytes] = ContextVar("octets", default=b"")


def received_octets() -> bytes:
    """The document of the message that is being handled, as far as it came; empty before that, and outside of any."""
    return _OCTETS.get()


class Why(Enum):
    """Why a message was not read."""

    NOT_LET_IN = "not let in"
    """By the rules, its size, or because it came too slowly or at a bad time."""
    UNUSABLE = "unusable"
    TOO_COSTLY = "too costly"
    """It took more time or memory than a message may."""


class Messages(MessageReading[M], Protocol[M, E]):
    """What an endpoint has to know of its messages: pure functions."""

    @property
    def error(self) -> type[E]:
        """What is raised for a message that cannot be used; it holds what a fault says."""

    @property
    def media_types(self) -> Collection[str]:
        """Content types that are taken."""

    @property
    def content_type(self) -> str:
        """Of answers and faults."""

    @property
    def codings(self) -> str:
        """Content codings that are read, as Accept-Encoding says them."""

    @property
    def max_octets(self) -> int:
        """Of a body."""

    def content(self, octets: bytes, headers: Mapping[str, str]) -> tuple[bytes, str | None]:
        """The document in a body, and its charset."""

    def refusal(self, status: HTTPStatus, reason: str, details: str | None = None) -> E:
        """The error of a message that this endpoint does not read, or fails at."""

    def status(self, problem: E) -> HTTPStatus:
        """The status that goes with the fault of an error of `content`, `read` or the handler."""

    def fault(self, problem: E, message: M | None) -> bytes:
        """The fault, in the form of the message that it answers where that could be read."""

    def description(self, name: str, location: str) -> bytes | None:
        """A description of `location` (absolute, without query) by its name; None if there is none of this name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Where messages are taken. `owner` begins the sentence about a failure of ours."""

    addresses: Mapping[str, str]
    """Paths, and the name of the description of each."""
    names: Collection[str]
    """By which clients reach us; `names_setting` is where further ones can be configured."""
    names_setting: str
    public_url: str | None
    """What descriptions give; None: the address that they are asked at."""
    owner: str
    body_s: float
    """How long a message may take to come in."""
    admission: Admission = EVERYBODY
    """Who may send messages; descriptions and health are for everybody."""
    security: MessageSecurity | None = None
    """What messages prove by themselves; None: nothing is looked at."""


_SEALED = frozenset({HTTPStatus.OK, HTTPStatus.INTERNAL_SERVER_ERROR})
"""Statuses of answers and faults that get the Security header that is wanted; others say that nothing was read."""

Handle = Callable[[M, bytes, Principal], Awaitable[bytes]]
"""Takes a message, the octets that it was read from, and who has sent it; returns the answer, or raises the error of the messages."""
Report = Callable[[Why, HTTPStatus, E], None]
"""Says somewhere that a message was not read."""


class Endpoint(Generic[M, E]):
    """All addresses of one kind of message."""

    def __init__(
        self, messages: Messages[M, E], worker: Worker, handle: Handle[M], report: Report[E], site: Site
    ) -> None:
        self._messages = messages
        self._reader = MessageReader[M](messages, worker)
        most = messages.max_octets
        self._bodies = Bodies(octets=most, seconds=site.body_s, room=max(ROOM, 2 * most))
        self._handle = handle
        self._report = report
        self._site = site

    def application(self, health: Health, ready: Health | None = None) -> ASGIApp:
        """The ASGI application, with `/healthz` beside the addresses, and `/readyz` where it is known when more can be taken."""

        async def healthz(_: Request) -> Response:
            return await health.response()

        routes = [Route("/healthz", healthz, methods=["GET"])]
        if ready is not None:
            routes.append(_ready_route(ready))
        for path, name in self._site.addresses.items():
            routes += [Route(path, self._post, methods=["POST"]), Route(path, self._describing(name), methods=["GET"])]
        application = Starlette(routes=routes, exception_handlers={Exception: self._failed})
        application.router.redirect_slashes = False
        rules = Rules(
            names=self._site.names,
            names_setting=self._site.names_setting,
            media_types=self._messages.media_types,
            max_octets=self._messages.max_octets,
        )
        return Entrance(application, rules, self._refuse)

    async def _post(self, request: Request) -> Response:
        _RECEIVED.set(asyncio.get_running_loop().time())
        response = await self._answered(request)
        security = self._site.security
        if security is None or response.status_code not in _SEALED:
            return response
        sealed = await security.answer(bytes(response.body))
        return Response(sealed, response.status_code, media_type=self._messages.content_type)

    async def _answered(self, request: Request) -> Response:
        sender = await self._site.admission.let_in(request.scope)
        if isinstance(sender, Refusal) and not (sender.unproved and self._reads_security):
            return self._refuse(sender.status, sender.reason)
        received = await self._receive(request, sender)
        if isinstance(received, Response):
            return received
        message, octets, sender = received
        try:
            answer = await self._handle(message, octets, sender)
        except self._messages.error as problem:
            return self._fault(self._messages.status(problem), problem, message)
        return Response(answer, media_type=self._messages.content_type)

    @property
    def _reads_security(self) -> bool:
        return self._site.security is not None and self._site.security.reads

    async def _receive(self, request: Request, sender: Principal | Refusal) -> tuple[M, bytes, Principal] | Response:
        try:
            octets, charset = await self._content(request)
            security = self._site.security
            if security is not None:
                sender = await security.sender(octets, charset, request.scope, sender)
            if isinstance(sender, Refusal):
                return self._refuse(sender.status, sender.reason)
            kept = octets if security is None else security.keepable(octets)
            _OCTETS.set(kept)
            return await self._reader.read(octets, charset), kept, sender
        except self._messages.error as problem:
            status = self._messages.status(problem)
            self._report(Why.UNUSABLE, status, problem)
            return self._fault(status, problem)
        except BodyTooLarge:
            reason = f"the message is too large: at most {self._messages.max_octets} octets are read"
            return self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, reason)
        except BodyLate:
            reason = f"the message did not come in whole within {self._site.body_s:g} s"
            return self._refuse(HTTPStatus.REQUEST_TIMEOUT, reason)
        except (NoRoom, WorkerBusy):
            reason = "other large messages are being read; nothing of this one was taken. Send it again later, or less at once"
            return self._refuse(HTTPStatus.SERVICE_UNAVAILABLE, reason)
        except WorkerLost as lost:
            return self._refuse_costly(str(lost))

    async def _content(self, request: Request) -> tuple[bytes, str | None]:
        content = partial(self._messages.content, await self._bodies.read(request), request.headers)
        # what unpacks lets other threads go on
        return await asyncio.to_thread(content) if "content-encoding" in request.headers else content()

    def _refuse(self, status: HTTPStatus, reason: str) -> Response:
        """What is not read; `reason` is a sentence without its capital."""
        problem = self._messages.refusal(status, reason[0].upper() + reason[1:])
        self._report(Why.NOT_LET_IN, status, problem)
        return self._fault(status, problem)

    def _refuse_costly(self, details: str) -> Response:
        status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
        problem = self._messages.refusal(status, "The message takes too much to read", details)
        self._report(Why.TOO_COSTLY, status, problem)
        return self._fault(status, problem)

    async def _failed(self, _: Request, failure: Exception) -> Response:
        """A fault of ours still gets an answer that the client can read; the server logs it."""
        status = HTTPStatus.INTERNAL_SERVER_ERROR
        reason = f"{self._site.owner} failed itself"
        return self._fault(status, self._messages.refusal(status, reason, type(failure).__name__))

    def _fault(self, status: HTTPStatus, problem: E, message: M | None = None) -> Response:
        headers = {
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE: {"Accept-Encoding": self._messages.codings},
            HTTPStatus.UNAUTHORIZED: {"WWW-Authenticate": "Bearer"},
        }.get(status, {})
        octets = self._messages.fault(problem, message)
        return Response(octets, status, headers, media_type=self._messages.content_type)

    def _describing(self, name: str) -> Callable[[Request], Awaitable[Response]]:
        """`?wsdl`, or `?xsd=` with a file name out of an import."""

        async def describe(request: Request) -> Response:
            asked = {key.lower(): value for key, value in request.query_params.items()}
            location = own_url(request, self._site.public_url)
            if "wsdl" not in asked and "xsd" not in asked:
                reason = f"Messages come by POST; the description is at {location}?wsdl\n"
                return PlainTextResponse(reason, HTTPStatus.METHOD_NOT_ALLOWED, {"Allow": "POST"})
            wanted = name if "wsdl" in asked else asked["xsd"]
            octets = self._messages.description(wanted, location)
            if octets is None:
                return PlainTextResponse(f"There is no description {wanted[:80]!r} here\n", HTTPStatus.NOT_FOUND)
            return Response(octets, media_type=self._messages.content_type)

        return describe


def _ready_route(ready: Health) -> Route:
    async def readyz(_: Request) -> Response:
        return await ready.response()

    return Route("/readyz", readyz, methods=["GET"])
