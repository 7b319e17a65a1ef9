"""One control seen through: the RequestMessage, its answer, and if that is an acknowledgement the reply that comes later.

A control is one message with one EndDevices element a meter. It counts as confirmed only if the final reply says OK: an
acknowledgement, silence, or an answer to another request is never taken for success. Nor is a lost answer taken for a
failure: once the request may have reached the HES, it is sent again as it was, under the same MessageID, until an answer
comes or the time is over; then the outcome is reported as unknown. A request that a former life of the process left
without an end is taken up again in the same way.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import TypeVar

from ami_cim import envelope, wire
from ami_cim.correlation import correlates
from ami_cim.errors import CimError
from ami_cim.identity import Identifier, Name
from ami_cim.message import Header, Reply, RequestMessage, ResponseMessage
from ami_cim.payloads.end_device_controls import NOUN, EndDeviceControl, EndDeviceControls
from ami_cim.schema import Schemas
from ami_cis import events
from ami_cis.outbox import Outbox, OutboxError, UndecidedError
from ami_cis.pending import ACKNOWLEDGEMENT, INVALID_REQUEST_ID, PARTIAL_MORE_FOLLOW, Pending
from ami_cis.store import MessageIdUsed, SentRequest, State, StoreUnavailable
from ami_cis.workflows.orders import CONTROL_WORDS, MeterError, Order, Outcome, Target
from ami_process.environment import Environment, real_sleep, real_time

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 10.0
"""Between two times of sending the same request; real seconds, as of all that waits for a socket or a store."""
RESUMED_AT_ONCE = 10

T = TypeVar("T")


class NoReplyError(Exception):
    """There was no final reply to the request; the text says why."""


class Controls:
    """Sends controls and sees them through."""

    def __init__(
        self,
        outbox: Outbox,
        pending: Pending,
        environment: Environment,
        schemas: Schemas,
        *,
        reply_address: str | None,
        timeout_s: float,
        ask_again_s: float,
    ) -> None:
        self._outbox = outbox
        self._pending = pending
        self._environment = environment
        self._schemas = schemas
        self._reply_address = reply_address
        self._timeout_s = timeout_s
        self._ask_again_s = ask_again_s

    async def run(self, order: Order) -> Outcome:
        """Send an order and wait for its end; never raises for what the HES or the network does."""
        request = self._request(order)
        try:
            octets = wire.write_request(request, envelope.REQUEST_MESSAGE, self._schemas)
            await self._pending.add(self._sent(order, request), octets)
        except (CimError, MessageIdUsed, StoreUnavailable) as problem:
            return self._not_sent(request, problem)
        self._environment.emit(_sent_event(order, request))
        return await self._see_through(request, order.targets, self._ask_again_s)

    async def resume(self) -> None:
        """Take up what a former life of the process has left without an end; what is too old for that is unknown."""
        try:
            open_requests = await self._pending.outgoing()
        except StoreUnavailable as problem:
            self._environment.emit(events.NotResumed(reason=str(problem)))
            return
        places = asyncio.Semaphore(RESUMED_AT_ONCE)
        await asyncio.gather(*(self._resume(sent, octets, places) for sent, octets in open_requests))

    async def _resume(self, sent: SentRequest, octets: bytes, places: asyncio.Semaphore) -> None:
        try:
            async with places:
                left_s = self._ask_again_s + self._environment.real_seconds_until(sent.sent_at)
                if left_s > 0:
                    request = wire.read_request(octets, self._schemas).message
                    reason = "it was sent before a restart"
                    self._environment.emit(events.AskingAgain(message_id=sent.message_id, reason=reason))
                    await self._see_through(request, _targets(request), left_s, sent_before=True)
                elif sent.state is State.SENT:
                    await self._unknown(sent.message_id, "this process ended before an answer came", 0.0)
        except (StoreUnavailable, CimError) as problem:
            self._environment.emit(events.NotResumed(message_id=sent.message_id, reason=str(problem)))

    async def _see_through(
        self, request: RequestMessage, targets: Sequence[Target], patience_s: float, *, sent_before: bool = False
    ) -> Outcome:
        """Send it, again if need be, until it has an end."""
        message_id = request.header.message_id or ""
        started, pause_s = self._environment.perf_counter(), FIRST_PAUSE_S
        until = real_time() + patience_s
        with self._pending.expect(message_id) as reply:
            while True:
                try:
                    response = await self._exchange(request, reply)
                    _demand_known(response, sent_before)
                    return await self._ended(message_id, targets, response, reply, started)
                except (OutboxError, NoReplyError) as error:
                    problem = str(error)
                    sent_before = sent_before or isinstance(error, UndecidedError | NoReplyError)
                    if not sent_before:
                        return await self._failed(message_id, problem, started)
                if real_time() + pause_s > until:
                    return await self._unknown(message_id, problem, self._ms_since(started))
                self._environment.emit(events.AskingAgain(message_id=message_id, reason=problem, after_s=pause_s))
                await self._pause(reply, pause_s)
                pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    async def _pause(self, reply: asyncio.Future[ResponseMessage], seconds: float) -> None:
        """Until it is time to ask again, or the reply has come by itself."""
        await asyncio.wait([reply], timeout=seconds)

    async def _exchange(self, request: RequestMessage, reply: asyncio.Future[ResponseMessage]) -> ResponseMessage:
        """The final reply: the HTTP response's, or what the inbox has taken meanwhile."""
        if reply.done():
            return reply.result()
        try:
            response = _correlated(request.header, await self._outbox.send(request))
        except OutboxError:
            if reply.done():
                return reply.result()
            raise
        if not _is_acknowledgement(request.header, response):
            return response
        if any(error.code == PARTIAL_MORE_FOLLOW for error in response.reply.errors):
            await self._recorded(partial(self._pending.take, response))
        if not request.header.async_reply_flag:
            raise NoReplyError("the HES has only acknowledged a request that asked for the result at once")
        await self._recorded(partial(self._pending.acknowledge, request.header.message_id or ""))
        self._environment.emit(events.Acknowledged(message_id=request.header.message_id or ""))
        return await self._awaited(reply)

    async def _awaited(self, reply: asyncio.Future[ResponseMessage]) -> ResponseMessage:
        try:
            async with asyncio.timeout(self._timeout_s):
                return await asyncio.shield(reply)
        except TimeoutError:
            raise NoReplyError(f"acknowledged, but no reply came within {self._timeout_s:g} s") from None

    async def _ended(
        self,
        message_id: str,
        targets: Sequence[Target],
        response: ResponseMessage,
        reply: asyncio.Future[ResponseMessage],
        started: float,
    ) -> Outcome:
        ms = self._ms_since(started)
        if not (reply.done() and reply.result() is response):  # else the inbox has kept it already
            await self._recorded(partial(self._pending.take, response))
        outcome = _outcome(targets, message_id, response.reply, ms)
        errors = [events.ReplyProblem(e.code, e.reason, e.meter) for e in outcome.errors if e.is_failure]
        self._environment.emit(
            events.ReplyReceived(message_id=message_id, result=outcome.result, errors=errors, ms=outcome.ms)
        )
        return outcome

    async def _failed(self, message_id: str, reason: str, started: float) -> Outcome:
        await self._recorded(partial(self._pending.fail, message_id, reason))
        self._environment.emit(events.RequestFailed(message_id=message_id, reason=reason))
        return Outcome(message_id=message_id, result=None, reason=reason, ms=self._ms_since(started))

    async def _unknown(self, message_id: str, problem: str, ms: float) -> Outcome:
        """The reader has to look at the meters, or to ask again under the same MessageID."""
        reason = f"it is not known what became of the request, which the HES may have carried out: {problem}"
        if not await self._recorded(
            partial(self._pending.is_answered, message_id)
        ):  # by another process on the same store
            await self._recorded(partial(self._pending.give_up, message_id, reason))
            self._environment.emit(events.RequestUnknown(message_id=message_id, reason=reason))
        return Outcome(message_id=message_id, result=None, reason=reason, unknown=True, ms=ms)

    def _not_sent(self, request: RequestMessage, problem: StoreUnavailable | MessageIdUsed | CimError) -> Outcome:
        """What can't be written or remembered is not sent."""
        message_id, reason = request.header.message_id or "", f"nothing was sent: {problem}"
        if isinstance(problem, StoreUnavailable):
            self._environment.emit(events.StoreUnavailable(reason=str(problem)))
        self._environment.emit(events.RequestFailed(message_id=message_id, reason=reason))
        return Outcome(message_id=message_id, result=None, reason=reason, ms=0.0)

    def _ms_since(self, started: float) -> float:
        return round((self._environment.perf_counter() - started) * 1000, 3)

    async def _recorded(self, write: Callable[[], Awaitable[T]]) -> T:
        """What has happened is kept, however long the store takes nothing."""
        pause_s = FIRST_PAUSE_S
        while True:
            try:
                return await write()
            except StoreUnavailable as problem:
                self._environment.emit(events.StoreUnavailable(reason=str(problem)))
            await real_sleep(pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    def _request(self, order: Order) -> RequestMessage:
        message_id = order.message_id or str(self._environment.new_uuid())
        if order.asynchronous and self._reply_address is None:
            raise ValueError("an asynchronous order needs an address to reply to")
        header = Header(
            verb=order.verb,
            noun=NOUN,
            timestamp=self._environment.now(),
            source="CIS",
            async_reply_flag=order.asynchronous,
            reply_address=self._reply_address if order.asynchronous else None,
            message_id=message_id,
            correlation_id=order.correlation_id or message_id,
        )
        control = EndDeviceControl(
            control_type=order.code,
            issuer_id="CIS",
            issuer_tracking_id=message_id,
            end_devices=tuple(target.device for target in order.targets if target.device),
            usage_points=tuple(target.usage_point for target in order.targets if target.usage_point),
        )
        return RequestMessage(header=header, payload=EndDeviceControls((control,)))

    def _sent(self, order: Order, request: RequestMessage) -> SentRequest:
        header = request.header
        return SentRequest(
            message_id=header.message_id or "",
            correlation_id=header.correlation_id or "",
            verb=header.verb,
            noun=header.noun,
            code=order.code,
            meters=tuple(target.label for target in order.targets),
            asynchronous=order.asynchronous,
            sent_at=self._environment.now(),
        )


def _is_acknowledgement(request: Header, response: ResponseMessage) -> bool:
    """Whether a reply only says that another one will come (docs/mapping.md, M-035).

    Code 0.3 says so. An OK without any code is taken for it where a later reply was asked for, since that is the lesser
    mistake; an OK with code 0.0 (or with a payload) is final, as of a HES that answers everything at once.
    """
    codes = {error.code for error in response.reply.errors}
    if PARTIAL_MORE_FOLLOW in codes:
        return True
    if response.reply.result != "OK" or response.payload is not None:
        return False
    return ACKNOWLEDGEMENT in codes or (bool(request.async_reply_flag) and not codes)


def _demand_known(response: ResponseMessage, sent_before: bool) -> None:
    """A HES that no longer knows a MessageID says nothing about what became of it."""
    codes = {error.code for error in response.reply.errors}
    if sent_before and response.reply.result == "FAILED" and codes == {INVALID_REQUEST_ID}:
        reasons = "; ".join(error.reason or error.code for error in response.reply.errors)
        raise NoReplyError(f"the HES has no answer to it any more: {reasons}")


def _targets(request: RequestMessage) -> tuple[Target, ...]:
    """The targets of a request that is sent again, by the names that it gives them."""
    payload = request.payload
    controls = payload.controls if isinstance(payload, EndDeviceControls) else ()
    devices = [Target(_name(one.names, one.mrid), device=one) for each in controls for one in each.end_devices]
    points = [Target(_name(one.names, one.mrid), usage_point=one) for each in controls for one in each.usage_points]
    return (*devices, *points)


def _name(names: Sequence[Name], mrid: str | None) -> str:
    return names[0].name if names else mrid or ""


def _outcome(targets: Sequence[Target], message_id: str, reply: Reply, ms: float) -> Outcome:
    errors = tuple(
        MeterError(error.code, error.reason, _label(targets, error.identifier), error.level) for error in reply.errors
    )
    return Outcome(message_id=message_id, result=reply.result, errors=errors, ms=ms)


def _sent_event(order: Order, request: RequestMessage) -> events.RequestSent:
    header = request.header
    return events.RequestSent(
        message_id=header.message_id or "",
        correlation_id=header.correlation_id,
        verb=header.verb,
        noun=header.noun,
        code=order.code,
        control=CONTROL_WORDS.get(order.code, order.code),
        meters=[target.label for target in order.targets],
        asynchronous=order.asynchronous,
    )


def _correlated(header: Header, response: ResponseMessage) -> ResponseMessage:
    """The response if it belongs to the request; one that names no request came in our own HTTP response, so it does."""
    answered = response.header.correlation_id
    if answered is None:
        return replace(response, header=replace(response.header, correlation_id=header.message_id))
    if not correlates(response.header, header):
        raise NoReplyError(f"the HES has answered another request: CorrelationID {answered}")
    return response


def _label(targets: Sequence[Target], identifier: Identifier | None) -> str | None:
    if identifier is None:
        return None
    return next((target.label for target in targets if target.is_meant_by(identifier)), identifier.value)
