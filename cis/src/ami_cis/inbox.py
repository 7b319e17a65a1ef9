"""Where the HES delivers unsolicited messages: late replies (generic operation Response) and events, over SOAP at /cim.

IEC 61968-100 ed. 1 has no event that could carry a failure, so an asynchronous result comes as a ResponseMessage; the events of
Reply{Noun} are taken as well. What is kept is answered OK, what is not is answered FAILED with the reason, and what cannot be
read at all gets a SOAP Fault.
"""

import asyncio
import hashlib
from collections.abc import Collection, Mapping
from http import HTTPStatus

from starlette.types import ASGIApp

from ami_cim import incoming, wire
from ami_cim.codes import Verb
from ami_cim.correlation import reply_header
from ami_cim.envelope import Delivered
from ami_cim.errors import CimError, InvalidMessage
from ami_cim.limits import HEAD_END, Limits
from ami_cim.message import EventMessage, Reply, ReplyError, ResponseMessage
from ami_cim.nouns import BY_NAME, EVENT_VERBS
from ami_cim.schema import Schemas
from ami_cim.services import HOSTED, addresses
from ami_cim.wsse import SECURITY
from ami_cis import events
from ami_cis.pending import Disposition, Pending, ReplyVerdict
from ami_cis.roles import MESSAGES
from ami_cis.store import Store, StoreUnavailable, TakenEvent
from ami_cis.taken_events import TakenDeviceEvents, device_events_of
from ami_cis.taken_readings import NOTHING, Names, readings_of
from ami_process.environment import Environment
from ami_process.events import Event
from ami_process.health import Health
from ami_process.message_endpoint import Endpoint, Site, Why
from ami_process.message_security import MessageSecurity
from ami_process.principals import EVERYBODY, Admission, Principal, lacking
from ami_process.worker import Worker

BODY_TIMEOUT_S = 15.0
MAX_ID = 200
"""Characters of a MessageID that is kept as the key of an event; the HES takes no longer ones either."""
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
        limits: Limits = HEAD_END,
        *,
        names: Names | None = None,
        body_timeout_s: float = BODY_TIMEOUT_S,
    ) -> None:
        """`worker` calls `ami_cim.reading.FUNCTION`; `names` are those by which the meters of readings are known."""
        self._pending = pending
        self._store = store
        self._environment = environment
        self._schemas = schemas
        self._worker = worker
        self._limits = limits
        self._names = names or Names(())
        self._body_timeout_s = body_timeout_s
        self._security: MessageSecurity | None = None

    def application(
        self,
        health: Health,
        names: Collection[str] = (),
        public_url: str | None = None,
        admission: Admission = EVERYBODY,
        security: MessageSecurity | None = None,
    ) -> ASGIApp:
        """The HTTP side, reached by these names; `admission` is of who may send replies and events; `public_url` is what the WSDL gives (None: the one it is asked at)."""
        site = Site(
            addresses=addresses(HOSTED),
            names=names,
            names_setting="cis.host_names",
            public_url=public_url,
            owner="The customer information system",
            body_s=self._body_timeout_s,
            admission=admission,
            security=security,
        )
        self._security = security
        understood = frozenset({SECURITY}) if security is not None and security.reads else frozenset[str]()
        messages = incoming.deliveries(self._schemas, self._limits, understood)
        return Endpoint(messages, self._worker, self._answer, self._not_read, site).application(health)

    async def _answer(self, delivered: Delivered, octets: bytes, sender: Principal) -> bytes:
        message = delivered.message
        try:
            await self._check_sender(message, sender)
        except CimError as problem:
            self._emit_refused(problem)
            raise
        try:
            if isinstance(message, ResponseMessage):
                reply = self._report(message, await self._pending.take(message))
            else:
                reply = await self._take_event(message, octets)
        except StoreUnavailable as problem:
            refusal = CimError("5.1", f"Nothing was kept: {problem}. Send it again later")
            self._emit_refused(refusal)
            raise refusal from None
        environment = self._environment
        header = reply_header(
            message.header, message_id=str(environment.new_uuid()), timestamp=environment.now(), source="CIS"
        )
        return wire.write_response(ResponseMessage(header=header, reply=reply), delivered.wrapper, self._schemas)

    async def _check_sender(self, message: ResponseMessage | EventMessage, sender: Principal) -> None:
        """Raises InvalidMessage for who may not send messages, and for one that has come before by its ReplayDetection."""
        if not sender.may(MESSAGES):
            raise InvalidMessage("7.5", lacking(sender, MESSAGES))
        replay = message.header.replay_detection
        if self._security is not None and self._security.reads and replay is not None:
            await self._security.check_replay(replay.nonce, replay.created_at)

    def _report(self, message: ResponseMessage, taken: ReplyVerdict) -> Reply:
        """The event and the answer; an awaited reply is reported by the waiting workflow."""
        if taken.request is not None:
            self._report_readings(taken.request.message_id, taken.readings, taken.unusable)
            self._report_device_events(taken.request.message_id, taken.device_events)
        if taken.awaited:
            return taken.answer()
        self._environment.emit(self._event(message, taken))
        return taken.answer()

    def _event(self, message: ResponseMessage, taken: ReplyVerdict) -> Event:
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
            ms=round(-self._environment.real_seconds_until(request.sent_at) * 1000, 3),
            late=True,
            final=taken.disposition is not Disposition.PART,
        )

    async def _take_event(self, message: EventMessage, octets: bytes) -> Reply:
        header = message.header
        if header.verb not in EVENT_VERBS:
            return _refusal("2.9", f"an event has one of the verbs {', '.join(EVENT_VERBS)}")
        if header.noun not in BY_NAME:
            return _refusal("2.5", f"events of {header.noun[:80]} are not taken here")
        if len(header.message_id or "") > MAX_ID:
            return _refusal("1.5", f"Header.MessageID has at most {MAX_ID} characters")
        message_id = header.message_id or f"sha256:{hashlib.sha256(octets).hexdigest()}"
        now = self._environment.now()
        is_new_value = header.verb in (Verb.CREATED, Verb.CHANGED)
        said = (message.payload, header, message_id, self._names, now)
        taken = await asyncio.to_thread(readings_of, *said) if is_new_value else NOTHING
        happened = device_events_of(*said)
        event = TakenEvent(message_id, header.verb, header.noun, octets, now)
        new = await self._store.add_event(event, taken.readings, happened.events)
        kind = events.EventReceived if new else events.EventRepeated
        about = {"message_id": message_id, "verb": header.verb, "noun": header.noun}
        self._environment.emit(kind(correlation_id=header.correlation_id, **about))
        if new:
            self._report_readings(message_id, len(taken.readings), taken.unusable)
            self._report_device_events(message_id, happened)
        return Reply(result="OK")

    def _report_device_events(self, message_id: str, taken: TakenDeviceEvents) -> None:
        count = len(taken.events)
        if count or taken.unusable:
            self._environment.emit(
                events.DeviceEventsKept(message_id=message_id, events=count, unusable=taken.unusable)
            )

    def _report_readings(self, message_id: str, values: int, unusable: int) -> None:
        if values or unusable:
            self._environment.emit(events.ReadingsKept(message_id=message_id, values=values, unusable=unusable))

    def _not_read(self, _: Why, __: HTTPStatus, problem: CimError) -> None:
        self._emit_refused(problem)

    def _emit_refused(self, problem: CimError) -> None:
        self._environment.emit(events.MessageRefused(code=problem.code, reason=str(problem)))


def _refusal(code: str, reason: str) -> Reply:
    return Reply(result="FAILED", errors=(ReplyError(code=code, reason=reason),))
