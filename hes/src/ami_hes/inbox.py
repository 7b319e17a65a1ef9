"""The HES's HTTP side: SOAP in, SOAP out, and the WSDL and XSD that say how.

Two addresses take the same messages: `/cim/ExecuteEndDeviceControls` is described by the typed WSDL, `/cim` by the generic
one. What can't be read gets a SOAP fault with a FaultMessage; what is understood gets a ResponseMessage, also if refused.
No message is read further than its allowed size, and none leaves without having been validated. A message that takes long to
read is read in another process, one at a time; who comes when too many wait is refused, and nothing of it is done.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus

import structlog
from fastapi import FastAPI, Request, Response
from starlette.types import ASGIApp

from ami_cim import media, reading, soap, transfer, wire, wsdl
from ami_cim.envelope import Received
from ami_cim.errors import CimError, InvalidMessage, LocalError, UnsupportedMedia
from ami_cim.limits import Limits
from ami_cim.schema import Schemas
from ami_cim.transfer import Order
from ami_hes.jobs import Intake
from ami_process.bodies import Bodies, BodyLate, BodyTooLarge, NoRoom
from ami_process.health import Health
from ami_process.http_entrance import Entrance, Rules, own_url
from ami_process.turns import Turns
from ami_process.worker import Worker, WorkerBusy, WorkerLost

BODY_S = 30.0
"""How long a message may take to come in."""

DOORS: Mapping[str, str] = {"/cim/ExecuteEndDeviceControls": "ExecuteEndDeviceControls", "/cim": "Generic"}
"""The addresses, and the WSDL of each."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class InboxSettings:
    """How much is read, by which names clients reach us, and the URL that the WSDL gives (None: the one it is asked at)."""

    limits: Limits
    names: Collection[str] = ()
    public_url: str | None = None


def create_inbox(intake: Intake, schemas: Schemas, worker: Worker, health: Health, settings: InboxSettings) -> ASGIApp:
    """The ASGI application; `worker` calls `ami_cim.reading:read`."""
    inbox = FastAPI(title="HES", docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False)
    soap_door = _SoapDoor(intake, schemas, worker, settings.limits)
    for path in DOORS:
        inbox.add_api_route(path, soap_door.post, methods=["POST"])
        inbox.add_api_route(path, _description(settings.public_url), methods=["GET"])
    inbox.add_api_route("/healthz", health.response, methods=["GET"], response_model=None)
    inbox.add_exception_handler(Exception, _failed)
    rules = Rules(
        names=settings.names,
        names_setting="hes.host_names",
        media_types=soap.MEDIA_TYPES,
        max_octets=settings.limits.octets,
    )
    return Entrance(inbox, rules, _refuse)


class _SoapDoor:
    def __init__(self, intake: Intake, schemas: Schemas, worker: Worker, limits: Limits) -> None:
        self._intake = intake
        self._schemas = schemas
        self._worker = worker
        self._limits = limits
        self._bodies = Bodies(octets=limits.octets, seconds=BODY_S)
        self._turns = Turns()

    async def post(self, request: Request) -> Response:
        """One SOAP message in, one out."""
        try:
            received = await self._receive(request)
        except CimError as problem:
            log.info("request_unreadable", code=problem.code, reason=str(problem))
            return _fault(problem, 415 if isinstance(problem, UnsupportedMedia) else 500)
        except BodyTooLarge:
            reason = f"The message is too large: at most {self._limits.octets} octets are read"
            return _fault(InvalidMessage("3.1", reason), 413)
        except BodyLate:
            return _fault(InvalidMessage("1.8", f"The message did not come in whole within {BODY_S:g} s"), 408)
        except (NoRoom, WorkerBusy):
            log.info("request_refused", reason="busy with other large messages")
            reason = "Other large messages are being read; nothing was accepted. Try again later, or send less at once"
            return _fault(CimError("5.1", reason), 503)
        except WorkerLost as problem:
            log.warning("request_too_costly", reason=str(problem))
            return _fault(InvalidMessage("3.1", "The message takes too much to read", str(problem)), 413)
        return await self._answer(received)

    async def _receive(self, request: Request) -> Received:
        octets = await self._bodies.read(request)
        content = partial(media.content, octets, request.headers, self._limits)
        # what unpacks lets other threads go on
        octets, charset = await asyncio.to_thread(content) if "content-encoding" in request.headers else content()
        if reading.is_light(octets):
            return await self._turns.call(
                lambda: wire.read_request(octets, self._schemas, self._limits, charset=charset)
            )
        order = Order(kind="request", limits=self._limits, charset=charset)
        answer = await self._worker.call(transfer.write_order(order), octets, room=order.room(octets))
        return transfer.read_request(answer)

    async def _answer(self, received: Received) -> Response:
        try:
            answer = await self._intake.handle(received.message)
        except CimError as problem:
            problem.wrapper = received.wrapper.text
            return _fault(problem)
        try:
            return _xml(wire.write_response(answer, received.wrapper, self._schemas))
        except CimError as problem:
            log.error("answer_invalid", message_id=answer.header.correlation_id, reason=str(problem))
            return _fault(LocalError("The answer could not be written", problem.reason))


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
    """500 is SOAP's own; any other status means that the message was not read to its end."""
    headers = {"Accept-Encoding": media.ACCEPTED_CODINGS} if status == HTTPStatus.UNSUPPORTED_MEDIA_TYPE else {}
    return Response(wire.write_fault(problem), status, headers, media_type=soap.CONTENT_TYPE)


def _xml(octets: bytes) -> Response:
    return Response(octets, media_type=soap.CONTENT_TYPE)
