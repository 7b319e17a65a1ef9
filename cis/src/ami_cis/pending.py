"""Which reply belongs to which request (IEC 61968-100: Header.CorrelationID), also when it comes late, twice, or after a restart.

Products differ in what they echo, so a reply matches if its CorrelationID, or failing that its MessageID, is the MessageID
or the CorrelationID of a request of ours. The store decides, not the memory: a reply whose request was sent before a restart
is still a reply. A workflow of this process that waits for it gets it as well.
"""

import asyncio
import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime
from enum import StrEnum

from ami_cim.message import Reply, ReplyError, ResponseMessage
from ami_cim.payloads import Payload
from ami_cis.store import SentRequest, State, Store, TakenReply
from ami_cis.taken_events import TakenDeviceEvents, device_events_of
from ami_cis.taken_readings import Names, readings_of
from ami_cis.taken_readings import TakenReadings as TakenReadings

PARTIAL_MORE_FOLLOW = "0.1"
ACKNOWLEDGEMENT = "0.3"
INVALID_REQUEST_ID = "2.15"


class Disposition(StrEnum):
    """What a reply turned out to be."""

    TAKEN = "taken"
    PART = "part"
    LATE = "late"
    REPEATED = "repeated"
    CONTRADICTING = "contradicting"
    UNKNOWN = "unknown"


COMPLETING = frozenset({Disposition.TAKEN, Disposition.LATE, Disposition.REPEATED})
NOTHING_NEW = frozenset({Disposition.REPEATED, Disposition.CONTRADICTING})


@dataclass(frozen=True, slots=True)
class ReplyVerdict:
    """The verdict on one reply; `awaited` says that somebody in this process was waiting for it."""

    disposition: Disposition
    request: SentRequest | None
    awaited: bool = False
    readings: int = 0
    """Values that were kept with it."""
    unusable: int = 0
    """Values in it that can't be kept."""
    device_events: TakenDeviceEvents = TakenDeviceEvents()  # noqa: RUF009  # it is frozen
    """Events of meters that were kept with it."""

    def answer(self) -> Reply:
        """What the sender of the reply gets as its answer: the truth about whether it was kept."""
        if self.disposition is Disposition.UNKNOWN:
            return _refusal("no request of ours has this CorrelationID or MessageID")
        if self.disposition is Disposition.CONTRADICTING:
            return _refusal("this request has been answered before, and differently; the first answer remains")
        return Reply(result="OK")


def _refusal(reason: str) -> Reply:
    return Reply(result="FAILED", errors=(ReplyError(code=INVALID_REQUEST_ID, reason=reason),))


class Pending:
    """Requests that wait for their reply."""

    def __init__(self, store: Store, now: Callable[[], datetime], names: Names | None = None) -> None:
        """`names` are those by which the meters of readings are known."""
        self._store = store
        self._now = now
        self._names = names or Names(())
        self._waiting: dict[str, list[asyncio.Future[ResponseMessage]]] = {}
        """By MessageID: a request that is sent while a start takes up what is open is waited for twice."""
        self._one_by_one = asyncio.Lock()

    async def add(self, request: SentRequest, octets: bytes | None = None) -> bool:
        """Remember a request and the message that it is; call before sending it. Whether it may have been sent before. Raises MessageIdUsed, StoreUnavailable."""
        return await self._store.add_request(request, octets)

    async def outgoing(self) -> list[tuple[SentRequest, bytes]]:
        """Requests whose end is not known, also of a former life of the process."""
        return await self._store.outgoing()

    async def is_answered(self, message_id: str) -> bool:
        """Whether a final reply is kept, by whichever way it came."""
        request = await self._store.find_request([message_id])
        return request is not None and request.state is State.ANSWERED

    async def acknowledge(self, message_id: str) -> None:
        """The HES has accepted the request and will reply later."""
        await self._store.move(message_id, State.ACKNOWLEDGED)

    async def fail(self, message_id: str, reason: str) -> None:
        """The HES has not taken it; a reply that comes nevertheless is taken as late."""
        await self._store.move(message_id, State.FAILED, reason)

    async def give_up(self, message_id: str, reason: str) -> None:
        """We have given up asking, and its outcome is unknown; a reply that still comes is taken as late."""
        await self._store.move(message_id, State.UNKNOWN, reason)

    @contextmanager
    def expect(self, message_id: str) -> Iterator[asyncio.Future[ResponseMessage]]:
        """Wait for the final reply to a request; begin before sending, for the reply may overtake the acknowledgement."""
        waiter: asyncio.Future[ResponseMessage] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(message_id, []).append(waiter)
        try:
            yield waiter
        finally:
            waiter.cancel()
            self._waiting[message_id].remove(waiter)
            if not self._waiting[message_id]:
                del self._waiting[message_id]

    async def take(self, response: ResponseMessage) -> ReplyVerdict:
        """Keep a reply, once; the caller may tell the sender the verdict, for it is on disk."""
        identifiers = [one for one in (response.header.correlation_id, response.header.message_id) if one]
        async with self._one_by_one:
            request = await self._store.find_request(identifiers)
            if request is None:
                return ReplyVerdict(Disposition.UNKNOWN, None)
            kept = await self._store.replies(request.message_id)
            now = self._now()
            reply = await asyncio.to_thread(_summarise, response, now)
            readings = await asyncio.to_thread(
                readings_of, response.payload, response.header, request.message_id, self._names, now
            )
            happened = device_events_of(response.payload, response.header, request.message_id, self._names, now)
            disposition = await self._keep(request, reply, kept, (readings, happened))
        awaited = disposition in COMPLETING and self._hand_over(request.message_id, _with_parts(response, kept))
        if disposition in NOTHING_NEW:
            return ReplyVerdict(disposition, request, awaited)
        return ReplyVerdict(disposition, request, awaited, len(readings.readings), readings.unusable, happened)

    async def _keep(
        self,
        request: SentRequest,
        reply: TakenReply,
        kept: Sequence[TakenReply],
        said: tuple[TakenReadings, TakenDeviceEvents],
    ) -> Disposition:
        readings, happened = said
        if any(reply.digest == earlier.digest for earlier in kept):
            await self._store.add_reply(request.message_id, reply)
            return Disposition.REPEATED
        if any(earlier.final for earlier in kept):
            return Disposition.CONTRADICTING
        await self._store.add_reply(request.message_id, reply, readings.readings, happened.events)
        if not reply.final:
            return Disposition.PART
        return Disposition.LATE if request.state in (State.FAILED, State.UNKNOWN) else Disposition.TAKEN

    def _hand_over(self, message_id: str, response: ResponseMessage) -> bool:
        waiters = [one for one in self._waiting.get(message_id, ()) if not one.done()]
        for waiter in waiters:
            waiter.set_result(response)
        return bool(waiters)


def _summarise(response: ResponseMessage, now: datetime) -> TakenReply:
    """What is kept of a reply; its digest is the same for the same content."""
    reply = response.reply
    content = json.dumps([asdict(reply), _payload_digest(response.payload)], sort_keys=True, default=str)
    return TakenReply(
        digest=hashlib.sha256(content.encode()).hexdigest(),
        final=all(error.code != PARTIAL_MORE_FOLLOW for error in reply.errors),
        result=reply.result,
        errors=tuple(
            {"code": e.code, "reason": e.reason, "meter": e.identifier.value if e.identifier else None}
            for e in reply.errors
        ),
        received_at=now,
    )


def _payload_digest(payload: Payload | None) -> str | None:
    """Of everything in it; of a load profile in a fraction of the time that `asdict` takes."""
    if payload is None:
        return None
    content = repr([getattr(payload, field.name) for field in fields(payload)])
    return hashlib.sha256(content.encode()).hexdigest()


def _with_parts(response: ResponseMessage, kept: Sequence[TakenReply]) -> ResponseMessage:
    """The final reply with the parts before it: it is OK only if all of them were."""
    if response.reply.result == "OK" and any(part.result != "OK" for part in kept if not part.final):
        return replace(response, reply=replace(response.reply, result="PARTIAL"))
    return response
