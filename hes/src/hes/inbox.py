"""The HES's HTTP side: SOAP in, SOAP out, and the WSDL and XSD that say how.

Two addresses take the same messages: `/cim/ExecuteEndDeviceControls` is described by the typed WSDL, `/cim` by the generic
one. What can't be read gets a SOAP fault with a FaultMessage; what is understood gets a ResponseMessage, also if refused.
No message is read further than its allowed size, and none leaves without having been validated.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from http import HTTPStatus

import structlog
from fastapi import FastAPI, Request, Response
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp

from ami_process.health import Health
from ami_process.http_entrance import Entrance, Rules, own_url
from cim import edge, soap, wsdl
from cim.errors import CimError, InvalidMessage, LocalError
from cim.schema import Schemas
from hes.jobs import Intake

BODY_S = 30.0
"""How long a message may take to come in."""

DOORS: Mapping[str, str] = {"/cim/ExecuteEndDeviceControls": "ExecuteEndDeviceControls", "/cim": "Generic"}
"""The addresses, and the WSDL of each."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _TooLarge(Exception):
    octets: int


@dataclass(frozen=True, slots=True, kw_only=True)
class InboxSettings:
    """How much is read, by which names clients reach us, and the URL that the WSDL gives (None: the one it is asked at)."""

    max_octets: int
    names: Collection[str] = ()
    public_url: str | None = None


def create_inbox(intake: Intake, schemas: Schemas, health: Health, settings: InboxSettings) -> ASGIApp:
    """The ASGI application."""
    inbox = FastAPI(title="HES", docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False)
    soap_door = _SoapDoor(intake, schemas, settings.max_octets)
    for path in DOORS:
        inbox.add_api_route(path, soap_door.post, methods=["POST"])
        inbox.add_api_route(path, _description(settings.public_url), methods=["GET"])
    inbox.add_api_route("/healthz", health.response, methods=["GET"], response_model=None)
    inbox.add_exception_handler(Exception, _failed)
    rules = Rules(
        names=settings.names,
        names_setting="hes.host_names",
        media_types=soap.MEDIA_TYPES,
        max_octets=settings.max_octets,
    )
    return Entrance(inbox, rules, _refuse)


class _SoapDoor:
    def __init__(self, intake: Intake, schemas: Schemas, max_octets: int) -> None:
        self._intake = intake
        self._schemas = schemas
        self._max_octets = max_octets

    async def post(self, request: Request) -> Response:
        """One SOAP message in, one out."""
        try:
            received = edge.read_request(await self._body(request), self._schemas)
        except CimError as problem:
            log.info("request_unreadable", code=problem.code, reason=str(problem))
            return _fault(problem)
        except _TooLarge:
            reason = f"The message is too large: at most {self._max_octets} octets are read"
            return _fault(InvalidMessage("3.1", reason), status=413)
        except (TimeoutError, ClientDisconnect):
            return _fault(InvalidMessage("1.8", f"The message did not come in whole within {BODY_S:g} s"), status=408)
        try:
            answer = await self._intake.handle(received.message)
        except CimError as problem:
            problem.wrapper = received.wrapper.text
            return _fault(problem)
        try:
            return _xml(edge.write_response(answer, received.wrapper, self._schemas))
        except CimError as problem:
            log.error("answer_invalid", message_id=answer.header.correlation_id, reason=str(problem))
            return _fault(LocalError("The answer could not be written", problem.reason))

    async def _body(self, request: Request) -> bytes:
        octets = bytearray()
        async with asyncio.timeout(BODY_S):
            async for chunk in request.stream():
                octets += chunk
                if len(octets) > self._max_octets:
                    raise _TooLarge(len(octets))
        return bytes(octets)


def _description(public_url: str | None) -> Callable[[Request], Awaitable[Response]]:
    """`?wsdl`, or `?xsd=` with a file name out of an import."""

    async def describe(request: Request) -> Response:
        asked = {name.lower(): value for name, value in request.query_params.items()}
        location = own_url(request, public_url)
        if "wsdl" not in asked and "xsd" not in asked:
            return Response(f"SOAP by POST; the description is at {location}?wsdl\n", 405, {"Allow": "GET, POST"})
        name = DOORS[request.url.path] if "wsdl" in asked else asked["xsd"]
        try:
            return Response(wsdl.resolve(name, location), media_type=wsdl.CONTENT_TYPE)
        except CimError as problem:
            return Response(f"{problem}\n", 404)

    return describe


def _refuse(status: HTTPStatus, reason: str) -> Response:
    """What the entrance does not let in; `reason` is a sentence without its capital."""
    code = "3.1" if status is HTTPStatus.REQUEST_ENTITY_TOO_LARGE else "1.8"
    log.info("request_refused", status=int(status), reason=reason)
    return _fault(InvalidMessage(code, reason[0].upper() + reason[1:]), status)


async def _failed(_: Request, problem: Exception) -> Response:
    """A fault of ours still gets an answer that a SOAP client can read; the server logs it."""
    return _fault(LocalError("The head-end system failed itself", type(problem).__name__))


def _fault(problem: CimError, status: int = 500) -> Response:
    """500 is SOAP's own; any other status means that the rest of the message was not read."""
    return _xml(edge.write_fault(problem), status)


def _xml(octets: bytes, status: int = 200) -> Response:
    return Response(octets, status, media_type=soap.CONTENT_TYPE)
