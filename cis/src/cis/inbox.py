"""Where the HES delivers: late replies (generic operation Response) and events, over SOAP at /cim.

IEC 61968-100 ed. 1 has no event that could carry a failure, so an asynchronous result comes as a ResponseMessage; the typed
events of Reply{Noun} are taken as well. What is kept is answered OK, what is not is answered FAILED with the reason, and what
cannot be read at all gets a SOAP Fault. Everything that comes in is bounded in size and time, parsed by the hardened parser
and validated against the XSD before anybody looks at it.
"""

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import FastAPI, Query, Request, Response
from lxml import etree
from starlette.requests import ClientDisconnect

from cim import envelope, ns, soap, wsdl, xml
from cim.errors import CimError, InvalidMessage
from cim.message import EventMessage, FaultMessage, Header, Reply, ReplyError, ResponseMessage
from cim.schema import Schemas
from cis.pending import Disposition, Pending, Taken
from cis.store import Store, TakenEvent
from cis.workflows import Emit

MAX_OCTETS = xml.MAX_OCTETS
BODY_TIMEOUT_S = 15.0
XML = "text/xml; charset=utf-8"
EVENT_VERBS = frozenset({"created", "changed", "canceled", "closed", "deleted"})
SERVICES = {"/cim": "Generic", "/cim/ReplyEndDeviceControls": "ReplyEndDeviceControls"}


class Inbox:
    """Takes what the HES sends of its own accord."""

    def __init__(
        self, pending: Pending, store: Store, *, now: Callable[[], datetime], new_uuid: Callable[[], UUID], emit: Emit
    ) -> None:
        self._pending = pending
        self._store = store
        self._now = now
        self._new_uuid = new_uuid
        self._emit = emit
        self._schemas = Schemas()

    def application(self) -> FastAPI:
        """The HTTP side; there is no page to try it out, since nothing here is for a browser."""
        application = FastAPI(title="CIS", docs_url=None, redoc_url=None, openapi_url=None)
        for path, service in SERVICES.items():
            application.add_api_route(path, self.deliver, methods=["POST"])
            application.add_api_route(path, _description(service), methods=["GET"])
        application.add_api_route("/healthz", _healthz, methods=["GET"])
        return application

    async def deliver(self, request: Request) -> Response:
        """One SOAP message and its answer."""
        try:
            async with asyncio.timeout(BODY_TIMEOUT_S):
                octets = await _bounded_body(request)
            body = soap.unwrap(xml.parse(octets))
            self._schemas.validate(body)
            answer = await self._answer(body, octets)
        except TimeoutError:
            return self._fault(CimError("4.1", "The message did not arrive in time"), 408)
        except ClientDisconnect:
            return Response(status_code=400)
        except CimError as error:
            return self._fault(error, 413 if error.code == TOO_MANY else 500)
        return Response(answer, media_type=XML)
