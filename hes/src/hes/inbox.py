"""The HES's HTTP side: SOAP in, SOAP out, and the WSDL and XSD that say how.

Two addresses take the same messages: `/cim/ExecuteEndDeviceControls` is described by the typed WSDL, `/cim` by the generic
one. What can't be read gets a SOAP fault with a FaultMessage; what is understood gets a ResponseMessage, also if refused.
No message is read further than its allowed size, and none leaves without having been validated.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

import structlog
from fastapi import FastAPI, Request, Response
from starlette.requests import ClientDisconnect

from cim import edge, soap, wsdl
from cim.errors import CimError, InvalidMessage, LocalError
from cim.schema import Schemas
from hes.jobs import Intake

BODY_S = 30.0
"""How long a message may take to come in."""

DISCARDED = 32_000_000
"""Octets beyond the allowed size that are let pass unread, so that whoever sends them can still hear why; then we hang up."""

DOORS: Mapping[str, str] = {"/cim/ExecuteEndDeviceControls": "ExecuteEndDeviceControls", "/cim": "Generic"}
"""The addresses, and the WSDL of each."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _TooLarge(Exception):
    octets: int


def create_inbox(intake: Intake, schemas: Schemas, *, max_octets: int) -> FastAPI:
    """The ASGI application."""
    inbox = FastAPI(title="HES", docs_url=None, redoc_url=None, openapi_url=None)
    soap_door = _SoapDoor(intake, schemas, max_octets)
    for path in DOORS:
        inbox.add_api_route(path, soap_door.post, methods=["POST"])
        inbox.add_api_route(path, _describe, methods=["GET"])
    inbox.add_api_route("/healthz", _healthz, methods=["GET"])
    inbox.add_exception_handler(Exception, _failed)
    return inbox


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
        octets, seen = bytearray(), 0
        async with asyncio.timeout(BODY_S):
            async for chunk in request.stream():
                seen += len(chunk)
                if seen <= self._max_octets:
                    octets += chunk
                elif seen > self._max_octets + DISCARDED:
                    break
        if seen > self._max_octets:
            raise _TooLarge(seen)
        return bytes(octets)


async def _describe(request: Request) -> Response:
    """`?wsdl`, or `?xsd=` with a file name out of an import."""
    asked = {name.lower(): value for name, value in request.query_params.items()}
    location = str(request.url.replace(query="", fragment=""))
    if "wsdl" not in asked and "xsd" not in asked:
        return Response(f"SOAP by POST; the description is at {location}?wsdl\n", 405, {"Allow": "GET, POST"})
    name = DOORS[request.url.path] if "wsdl" in asked else asked["xsd"]
    try:
        return Response(wsdl.resolve(name, location), media_type=wsdl.CONTENT_TYPE)
    except CimError as problem:
        return Response(f"{problem}\n", 404)


async def _healthz() -> dict[str, str]:
    return {"status": "ok"}


async def _failed(_: Request, problem: Exception) -> Response:
    """A fault of ours still gets an answer that a SOAP client can read; the server logs it."""
    return _fault(LocalError("The head-end system failed itself", type(problem).__name__))


def _fault(problem: CimError, status: int = 500) -> Response:
    """500 is SOAP's own; any other status means that the rest of the message was not read, so the connection ends too."""
    return _xml(edge.write_fault(problem), status, {} if status == 500 else {"Connection": "close"})


def _xml(octets: bytes, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(octets, status, headers, media_type=soap.CONTENT_TYPE)
