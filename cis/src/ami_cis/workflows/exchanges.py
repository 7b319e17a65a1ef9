"""One request seen through, of whatever noun: the RequestMessage, its answer, and if that is an acknowledgement the reply that comes later.

An acknowledgement, silence, or an answer to another request is never taken for a final reply. Nor is a lost answer taken for a
failure: once the request may have reached the HES, it is sent again as it was, under the same MessageID, until an answer
comes or the time is over; then the end is reported as unknown. A request that a former life of the process left
without an end is taken up again in the same way; one that is older than that is sent again only where that can begin nothing: what reads, and a
control that the HES has, which it is asked first.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

from ami_cim import envelope, wire
from ami_cim.codes import Verb
from ami_cim.correlation import correlates
from ami_cim.errors import CimError
from ami_cim.identity import Identifier
from ami_cim.message import Header, RequestMessage, ResponseMessage
from ami_cim.payloads.end_device_controls import NOUN as CONTROLS
from ami_cim.schema import Schemas
from ami_cis import events
from ami_cis.outbox import Outbox, OutboxError, UndecidedError
from ami_cis.pending import ACKNOWLEDGEMENT, INVALID_REQUEST_ID, PARTIAL_MORE_FOLLOW, Pending
from ami_cis.store import MessageIdUsed, SentRequest, State, StoreUnavailable
from ami_process.environment import Environment, real_sleep, real_time
from ami_process.events import Event

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 10.0
"""Between two times of sending the same request; real seconds, as of all that waits for a socket or a store."""
RESUMED_AT_ONCE = 10

T = TypeVar("T")


class NoReplyError(Exception):
    """There was no final reply to the request; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How an exchange ended: with its final response, or without one, and `reason` then says why.

    `unknown` is True where the HES may have carried the request out all the same, `not_sent` where this process did not even try to
    send it.
    """

    response: ResponseMessage | None = None
    reason: str | None = None
    unknown: bool = False
    not_sent: bool = False
    accepted: bool = False
    """It is only acknowledged: what comes of it comes later."""
    ms: float


class Exchanges:
    """Sends requests and sees them through.

    `timeout_s`: how long a reply may take after its acknowledgement; `ask_again_s`: for how long a request is sent again.
    """

    def __init__(
        self,
        outbox: Outbox,
        pending: Pending,
        environment: Environment,
        schemas: Schemas,
        *,
        timeout_s: float,
        ask_again_s: float,
    ) -> None:
        self._outbox = outbox
        self._pending = pending
        self._environment = environment
        self._schemas = schemas
        self._timeout_s = timeout_s
        self._ask_again_s = ask_again_s
        self._of_this_life: Counter[str] = Counter()
        """MessageIDs of requests that are being seen through by who has them sent: a start that takes up what is open leaves them alone."""

    async def run(
        self, request: RequestMessage, sent: SentRequest, sending: Event, *, until_acknowledged: bool = False
    ) -> Ended:
        """Keep a request, report `sending`, send it and wait for its end; never raises for what the HES or the network does.

        `until_acknowledged`: what comes of it is far away, so an acknowledgement is the end for who waits here; its reply is taken by the inbox.
        """
        self._of_this_life[sent.message_id] += 1
        try:
            try:
                octets = wire.write_request(request, envelope.REQUEST_MESSAGE, self._schemas)
                sent_before = await self._pending.add(sent, octets)
            except (CimError, MessageIdUsed, StoreUnavailable) as problem:
                return self._not_sent(request, problem)
            self._environment.emit(sending)
            return await self._see_through(
                request, self._ask_again_s, sent_before=sent_before, until_acknowledged=until_acknowledged
            )
        finally:
            self._of_this_life -= Counter((sent.message_id,))

    async def resume(self, ended: Callable[[RequestMessage, Ended], object]) -> None:
        """Take up what a former life of the process has left without an end; what is too old for that is unknown.

        `ended` gets each request that was taken up, and its end.
        """
        try:
            open_requests = await self._pending.outgoing()
        except StoreUnavailable as problem:
            self._environment.emit(events.NotResumed(reason=str(problem)))
            return
        places = asyncio.Semaphore(RESUMED_AT_ONCE)
        left = [(sent, octets) for sent, octets in open_requests if sent.message_id not in self._of_this_life]
        await asyncio.gather(*(self._resume(sent, octets, places, ended) for sent, octets in left))

    async def _resume(
        self,
        sent: SentRequest,
        octets: bytes,
        places: asyncio.Semaphore,
        ended: Callable[[RequestMessage, Ended], object],
    ) -> None:
        try:
            async with places:
                left_s = self._ask_again_s + self._environment.real_seconds_until(sent.sent_at)
                is_open = sent.state is State.SENT
                request = wire.read_request(octets, self._schemas).message if left_s > 0 or is_open else None
                if request is not None and left_s <= 0 and await self._begins_nothing(request):
                    left_s = max(self._ask_again_s, FIRST_PAUSE_S)
                if request is not None and left_s > 0:
                    reason = "it was sent before a restart"
                    self._environment.emit(events.AskingAgain(message_id=sent.message_id, reason=reason))
                    ended(request, await self._see_through(request, left_s, sent_before=True))
                elif is_open:
                    reason = (
                        "this process ended before an answer came, and the HES does not say that it has the request"
                    )
                    await self._unknown(sent.message_id, reason, 0.0)
        except (StoreUnavailable, CimError) as problem:
            self._environment.emit(events.NotResumed(message_id=sent.message_id, reason=str(problem)))

    async def _begins_nothing(self, request: RequestMessage) -> bool:
        """Whether a request may be sent again however old it is: it only reads, or is a control that the HES has, whose answer is the one that is kept."""
        header = request.header
        if header.verb == Verb.GET:
            return True
        if header.noun != CONTROLS or header.verb not in (Verb.CREATE, Verb.CHANGE):
            return False
        asked, until, pause_s = self._about(header), real_time() + self._ask_again_s, FIRST_PAUSE_S
        while True:
            try:
                response = _correlated(asked.header, await self._outbox.send(asked))
                return any(one.value == header.message_id for one in response.reply.identifiers)
            except (OutboxError, NoReplyError):
                if real_time() + pause_s > until:
                    return False
            await real_sleep(pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    def _about(self, header: Header) -> RequestMessage:
        """The get of a control by its transaction (M-165), which begins nothing."""
        message_id = str(self._environment.new_uuid())
        return RequestMessage(
            header=Header(
                verb=Verb.GET,
                noun=CONTROLS,
                timestamp=self._environment.now(),
                source=header.source,
                message_id=message_id,
                correlation_id=message_id,
            ),
            request_identifiers=(Identifier(value=header.message_id or "", kind="transaction", object_type=CONTROLS),),
        )

    async def _see_through(
        self,
        request: RequestMessage,
        patience_s: float,
        *,
        sent_before: bool = False,
        until_acknowledged: bool = False,
    ) -> Ended:
        """Send it, again if need be, until it has an end."""
        message_id = request.header.message_id or ""
        started, pause_s = self._environment.perf_counter(), FIRST_PAUSE_S
        until = real_time() + patience_s
        with self._pending.expect(message_id) as reply:
            while True:
                try:
                    response = await self._exchange(request, reply, until_acknowledged=until_acknowledged)
                    _demand_known(response, sent_before)
                    return await self._ended(response, reply, started)
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

    async def _exchange(
        self, request: RequestMessage, reply: asyncio.Future[ResponseMessage], *, until_acknowledged: bool
    ) -> ResponseMessage:
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
            await self._take(response)
        if not request.header.async_reply_flag:
            raise NoReplyError("the HES has only acknowledged a request that asked for the result at once")
        await self._recorded(partial(self._pending.acknowledge, request.header.message_id or ""))
        self._environment.emit(events.Acknowledged(message_id=request.header.message_id or ""))
        return response if until_acknowledged else await self._awaited(reply)

    async def _awaited(self, reply: asyncio.Future[ResponseMessage]) -> ResponseMessage:
        try:
            async with asyncio.timeout(self._timeout_s):
                return await asyncio.shield(reply)
        except TimeoutError:
            raise NoReplyError(f"acknowledged, but no reply came within {self._timeout_s:g} s") from None

    async def _ended(self, response: ResponseMessage, reply: asyncio.Future[ResponseMessage], started: float) -> Ended:
        ms = self._ms_since(started)
        if any(error.code == ACKNOWLEDGEMENT for error in response.reply.errors):
            return Ended(response=response, ms=ms, accepted=True)
        if not (reply.done() and reply.result() is response):  # else the inbox has kept it already
            await self._take(response)
        return Ended(response=response, ms=ms)

    async def _take(self, response: ResponseMessage) -> None:
        """Keep what came in the HTTP response to our own request."""
        taken = await self._recorded(partial(self._pending.take, response))
        if taken.request is None:
            return
        message_id, happened = taken.request.message_id, taken.device_events
        if taken.readings or taken.unusable:
            self._environment.emit(
                events.ReadingsKept(message_id=message_id, values=taken.readings, unusable=taken.unusable)
            )
        if happened.events or happened.unusable:
            self._environment.emit(
                events.DeviceEventsKept(message_id=message_id, events=len(happened.events), unusable=happened.unusable)
            )

    async def _failed(self, message_id: str, reason: str, started: float) -> Ended:
        await self._recorded(partial(self._pending.fail, message_id, reason))
        self._environment.emit(events.RequestFailed(message_id=message_id, reason=reason))
        return Ended(reason=reason, ms=self._ms_since(started))

    async def _unknown(self, message_id: str, problem: str, ms: float) -> Ended:
        """The reader has to look at the meters, or to ask again under the same MessageID."""
        reason = f"it is not known what became of the request, which the HES may have carried out: {problem}"
        if not await self._recorded(
            partial(self._pending.is_answered, message_id)
        ):  # by another process on the same store
            await self._recorded(partial(self._pending.give_up, message_id, reason))
            self._environment.emit(events.RequestUnknown(message_id=message_id, reason=reason))
        return Ended(reason=reason, unknown=True, ms=ms)

    def _not_sent(self, request: RequestMessage, problem: StoreUnavailable | MessageIdUsed | CimError) -> Ended:
        """What can't be written or remembered is not sent."""
        message_id, reason = request.header.message_id or "", f"nothing was sent: {problem}"
        if isinstance(problem, StoreUnavailable):
            self._environment.emit(events.StoreOutage(reason=str(problem)))
        self._environment.emit(events.RequestFailed(message_id=message_id, reason=reason))
        return Ended(reason=reason, not_sent=True, ms=0.0)

    def _ms_since(self, started: float) -> float:
        return round((self._environment.perf_counter() - started) * 1000, 3)

    async def _recorded(self, write: Callable[[], Awaitable[T]]) -> T:
        """What has happened is kept, however long the store takes nothing."""
        pause_s = FIRST_PAUSE_S
        while True:
            try:
                return await write()
            except StoreUnavailable as problem:
                self._environment.emit(events.StoreOutage(reason=str(problem)))
            await real_sleep(pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)


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


def _correlated(header: Header, response: ResponseMessage) -> ResponseMessage:
    """The response if it belongs to the request; one that names no request came in our own HTTP response, so it does."""
    answered = response.header.correlation_id
    if answered is None:
        return replace(response, header=replace(response.header, correlation_id=header.message_id))
    if not correlates(response.header, header):
        raise NoReplyError(f"the HES has answered another request: CorrelationID {answered}")
    return response
