"""Where the HES delivers of its own accord: late replies (generic operation Response) and events, over SOAP at /cim.

IEC 61968-100 ed. 1 has no event that could carry a failure, so an asynchronous result comes as a ResponseMessage; the events of
Reply{Noun} are taken as well. What is kept is answered OK, what is not is answered FAILED with the reason, and what cannot be
read at all gets a SOAP Fault. All that comes in is bounded in size and time, parsed by the hardened parser and validated
against the XSD before anybody looks at it; what takes long is read in another process, one message at a time.
"""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Collection, Mapping
from functools import partial
from http import HTTPStatus

from fastapi import FastAPI, Request, Response
from fastapi.responses import PlainTextResponse
from starlette.types import ASGIApp

from ami_cim import media, reading, soap, transfer, wire, wsdl
from ami_cim.envelope import Delivered
from ami_cim.errors import CimError, InvalidMessage, UnsupportedMedia
from ami_cim.limits import UNKNOWN_PEER, Limits
from ami_cim.message import EventMessage, Header, Reply, ReplyError, ResponseMessage
from ami_cim.nouns import BY_NAME, EVENT_VERBS
from ami_cim.schema import Schemas
from ami_cim.transfer import Order
from ami_cis import events
from ami_cis.pending import Disposition, Pending, Taken
from ami_cis.store import Store, StoreUnavailable, TakenEvent
from ami_process.bodies import Bodies, BodyLate, BodyTooLarge, NoRoom
from ami_process.environment import Environment
from ami_process.events import Event
from ami_process.health import Health
from ami_process.http_entrance import Entrance, Rules, own_url
from ami_process.turns import Turns
from ami_process.worker import Worker, WorkerBusy, WorkerLost

SERVICES = {"/cim": "Generic", "/cim/ReplyEndDeviceControls": "ReplyEndDeviceControls"}
BODY_TIMEOUT_S = 15.0
NOTHING_NEW: Mapping[Disposition, type[events.ReplyRepeated]] = {
    Disposition.REPEATED: events.ReplyRepeated,
    Disposition.CONTRADICTING: events.ReplyContradicting,
    Disposition.UNKNOWN: events.ReplyUnknown,
}
"""Replies that change nothing, and the event of each."""


class Inbox:
    """Takes replies and events, and tells the sender truthfully what became of them."""

    def __init__(
        self,
        pending: Pending,
        store: Store,
        environment: Environment,
        schemas: Schemas,
        worker: Worker,
        limits: Limits = UNKNOWN_PEER,
        *,
        body_timeout_s: float = BODY_TIMEOUT_S,
    ) -> None:
        """`worker` calls `ami_cim.reading:read`."""
        self._pending = pending
        self._store = store
        self._environment = environment
        self._schemas = schemas
        self._worker = worker
        self._limits = limits
        self._bodies = Bodies(octets=limits.octets, seconds=body_timeout_s)
        self._turns = Turns()

    def application(self, health: Health, names: Collection[str] = (), public_url: str | None = None) -> ASGIApp:
        """The HTTP side, reached by these names; `public_url` is what the WSDL gives (None: the one it is asked at).

        Without pages to try it out, since nothing here is for a browser.
        """
        application = FastAPI(title="CIS", docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False)
        for path, service in SERVICES.items():
            application.add_api_route(path, self.deliver, methods=["POST"], response_model=None)
            application.add_api_route(path, _description(service, public_url), methods=["GET"], response_model=None)
        application.add_api_route("/healthz", health.response, methods=["GET"], response_model=None)
        rules = Rules(
            names=names,
            names_setting="cis.host_names",
            media_types=soap.MEDIA_TYPES,
            max_octets=self._limits.octets,
        )
        return Entrance(application, rules, self._refuse)

    async def deliver(self, request: Request) -> Response:
        """One SOAP message and its answer."""
        try:
            octets = await self._bodies.read(request)
            return Response(await self._answer(request, octets), media_type=soap.CONTENT_TYPE)
        except BodyTooLarge:
            reason = f"The message is too large: at most {self._limits.octets} octets are read"
            return self._fault(InvalidMessage("3.1", reason), status=413)
        except BodyLate:
            return self._fault(InvalidMessage("4.1", "The message did not arrive in time"), status=408)
        except (NoRoom, WorkerBusy):
            reason = "Other large messages are being read; nothing was kept. Send it again later"
            return self._fault(CimError("5.1", reason), status=503)
        except WorkerLost as problem:
            return self._fault(InvalidMessage("3.1", "The message takes too much to read", str(problem)), status=413)
        except CimError as error:
            return self._fault(error, status=415 if isinstance(error, UnsupportedMedia) else 500)
        except StoreUnavailable as problem:
            return self._fault(CimError("5.1", f"Nothing was kept: {problem}. Send it again later"), status=503)

    async def _receive(self, octets: bytes, charset: str | None) -> Delivered:
        if reading.is_light(octets):
            return await self._turns.call(
                lambda: wire.read_delivery(octets, self._schemas, self._limits, charset=charset)
            )
        order = Order(kind="delivery", limits=self._limits, charset=charset)
        answer = await self._worker.call(transfer.write_order(order), octets, room=order.room(octets))
        return transfer.read_delivery(answer)

    async def _answer(self, request: Request, octets: bytes) -> bytes:
        content = partial(media.content, octets, request.headers, self._limits)
        # what unpacks lets other threads go on
        octets, charset = await asyncio.to_thread(content) if "content-encoding" in request.headers else content()
        delivered = await self._receive(octets, charset)
        message = delivered.message
        if isinstance(message, ResponseMessage):
            reply = self._report(message, await self._pending.take(message))
        else:
            reply = await self._take_event(message, octets)
        header = Header(
            verb="reply",
            noun=message.header.noun,
            timestamp=self._environment.now(),
            source="CIS",
            message_id=str(self._environment.new_uuid()),
            correlation_id=message.header.correlation_id or message.header.message_id,
        )
        return wire.write_response(ResponseMessage(header=header, reply=reply), delivered.wrapper, self._schemas)

    def _report(self, message: ResponseMessage, taken: Taken) -> Reply:
        """The event and the answer; of an awaited reply, whoever waits for it reports."""
        if taken.awaited:
            return taken.answer()
        self._environment.emit(self._event(message, taken))
        return taken.answer()

    def _event(self, message: ResponseMessage, taken: Taken) -> Event:
        correlation_id, result = message.header.correlation_id, message.reply.result
        errors = [
            events.ReplyProblem(e.code, e.reason, e.identifier.value if e.identifier else None)
            for e in message.reply.errors
        ]
        request = taken.request
        if request is None or taken.disposition in NOTHING_NEW:
            kind = NOTHING_NEW.get(taken.disposition, events.ReplyUnknown)
            message_id = None if request is None else request.message_id
            return kind(message_id=message_id, correlation_id=correlation_id, result=result, errors=errors)
        return events.ReplyReceived(
            message_id=request.message_id,
            correlation_id=correlation_id,
            result=result,
            errors=errors,
            ms=round((self._environment.now() - request.sent_at).total_seconds() * 1000, 3),
            late=True,
            final=taken.disposition is not Disposition.PART,
        )

    async def _take_event(self, message: EventMessage, octets: bytes) -> Reply:
        header = message.header
        if header.verb not in EVENT_VERBS:
            return _refusal("2.9", f"an event has one of the verbs {', '.join(EVENT_VERBS)}")
        if header.noun not in BY_NAME:
            return _refusal("2.5", f"events of {header.noun[:80]} are not taken here")
        message_id = header.message_id or f"sha256:{hashlib.sha256(octets).hexdigest()}"
        new = await self._store.add_event(
            TakenEvent(message_id, header.verb, header.noun, octets, self._environment.now())
        )
        kind = events.EventReceived if new else events.EventRepeated
        about = {"message_id": message_id, "verb": header.verb, "noun": header.noun}
        self._environment.emit(kind(correlation_id=header.correlation_id, **about))
        return Reply(result="OK")

    def _refuse(self, status: HTTPStatus, reason: str) -> Response:
        """What the entrance does not let in; `reason` is a sentence without its capital."""
        code = "3.1" if status is HTTPStatus.REQUEST_ENTITY_TOO_LARGE else "1.8"
        return self._fault(InvalidMessage(code, reason[0].upper() + reason[1:]), status=status)

    def _fault(self, error: CimError, *, status: int) -> Response:
        self._environment.emit(events.MessageRefused(code=error.code, reason=str(error)))
        headers = {"Accept-Encoding": media.ACCEPTED_CODINGS} if status == 415 else {}
        return Response(wire.write_fault(error), status_code=status, headers=headers, media_type=soap.CONTENT_TYPE)


def _refusal(code: str, reason: str) -> Reply:
    return Reply(result="FAILED", errors=(ReplyError(code=code, reason=reason),))


def _description(service: str, public_url: str | None) -> Callable[[Request], Awaitable[Response]]:
    """`?wsdl` and the schemas that it imports."""

    async def describe(request: Request) -> Response:
        wanted = request.query_params.get("xsd") or next(
            (service for key in request.query_params if key.lower() == "wsdl"), None
        )
        location = own_url(request, public_url)
        if wanted is None:
            return PlainTextResponse(f"POST a SOAP message here; {location}?wsdl describes which\n", status_code=404)
        try:
            return Response(wsdl.resolve(wanted, location), media_type=wsdl.CONTENT_TYPE)
        except CimError as error:
            return PlainTextResponse(f"{error}\n", status_code=404)

    return describe
