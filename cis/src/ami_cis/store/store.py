"""What the CIS remembers across a restart: requests, the replies to them, events, and the readings that came with either.

One transaction per call. A reply counts once: (request, digest of what it
says) is unique, so that a reply which is delivered twice leaves one row. Nothing grows without end: what is older than
`Retention.age` is forgotten, and of the events, which anyone can send, the newest are kept as far as there is room.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Self

from sqlalchemy import Connection, RowMapping, Select, delete, func, insert, or_, select, update

from ami_cis.store.device_events import (
    DeviceEventQuery,
    KeptDeviceEvent,
    acknowledge_device_events,
    add_device_events,
    device_events_with,
    find_device_events,
    forget_device_events,
    some_device_events,
)
from ami_cis.store.places import KeptPlace, find_places, forget_place, keep_places
from ami_cis.store.readings import (
    CountedReadings,
    KeptReading,
    ReadingQuery,
    add_readings,
    count_readings,
    find_readings,
    forget_readings,
    keep_newest,
)
from ami_cis.store.sent_requests import RequestLine, list_requests, some_requests
from ami_cis.store.tables import EVENTS, OUTGOING, REPLIES, REQUESTS, SCHEMA
from ami_process.store.database import Database
from ami_process.store.events import StoreMigrated
from ami_process.store.places import Place

PRUNE_PARTS = 10
"""Events are pruned whenever this part of the room has been filled anew."""


@dataclass(frozen=True, slots=True)
class Retention:
    """How much is kept: readings up to an age of their own, everything else up to this age, and of the events at most this many and this much."""

    age: timedelta = timedelta(days=30)
    events: int = 10_000
    event_octets: int = 64_000_000
    readings_age: timedelta = timedelta(days=800)
    """Of the moment that a value is of."""
    readings: int = 10_000_000
    """Beyond this, those of the oldest moments go."""


KEEP = Retention()


class State(StrEnum):
    """How far a request has come; `answered` is the end, and the others may still become it by a late reply.

    `failed` was surely not taken by the HES; `unknown` may have been, without word of its outcome.
    """

    SENT = "sent"
    ACKNOWLEDGED = "acknowledged"
    FAILED = "failed"
    UNKNOWN = "unknown"
    ANSWERED = "answered"


@dataclass(frozen=True, slots=True)
class SentRequest:
    """A request as it went out; `meters` are the labels by which the operator knows the targets."""

    message_id: str
    correlation_id: str
    verb: str
    noun: str
    code: str
    meters: tuple[str, ...]
    asynchronous: bool
    sent_at: datetime
    state: State = State.SENT
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class TakenReply:
    """A reply as it came; `final` is False for a part that announces more (code 0.1)."""

    digest: str
    final: bool
    result: str
    errors: tuple[dict[str, str | None], ...]
    received_at: datetime


@dataclass(frozen=True, slots=True)
class TakenEvent:
    """An EventMessage as it came."""

    message_id: str
    verb: str
    noun: str
    octets: bytes
    received_at: datetime


class MessageIdUsed(Exception):
    """Another request of ours has this MessageID; what is kept of it stays as it is."""

    def __init__(self, message_id: str) -> None:
        super().__init__(
            f"the MessageID {message_id} belongs to another request that was sent before, and serves once, "
            "also where what that one ordered was deleted; take another one"
        )


class Store:
    """The one place with SQL. Every method has committed when it returns, or raises StoreUnavailable."""

    def __init__(self, database: Database, retention: Retention) -> None:
        self._database = database
        self._retention = retention
        self._new_events = 0
        self._new_octets = 0
        self._new_readings = 0

    @classmethod
    @asynccontextmanager
    async def opened(cls, place: Place, retention: Retention = KEEP) -> AsyncIterator[Self]:
        """Open or create the store; closes it at the end. StoreUnavailable, and StoreUnusable also while it is open."""
        async with Database(place, SCHEMA) as database, database.watched():
            yield cls(database, retention)

    @property
    def migrated(self) -> StoreMigrated | None:
        """The upgrade that was made when the store was opened."""
        return self._database.migrated

    async def check(self) -> None:
        """Write one row; StoreUnavailable when the store does not take it."""
        await self._database.check()

    async def forget(self, now: datetime) -> int:
        """Drop requests with their replies, events, and readings that are older than the retention says; how many."""
        before, readings_before = now - self._retention.age, now - self._retention.readings_age
        return await self._database.transaction(
            lambda c: (
                _forget(c, before) + forget_device_events(c, readings_before) + forget_readings(c, readings_before)
            )
        )

    async def add_request(self, request: SentRequest, octets: bytes | None = None) -> bool:
        """Remember before sending, with the message itself where it may have to be sent again; whether it may have been sent before.

        The same request once more is on its way again, unless it is answered already. Raises MessageIdUsed for another
        request under a MessageID that is kept.
        """
        return await self._database.settled(lambda c: _add_request(c, request, octets))

    async def outgoing(self) -> list[tuple[SentRequest, bytes]]:
        """Requests whose end is not known, oldest first, each as it went out."""
        joined = REQUESTS.join(OUTGOING, OUTGOING.c.message_id == REQUESTS.c.message_id)
        ended = (State.ANSWERED.value, State.FAILED.value)
        query = select(REQUESTS, OUTGOING.c.octets).select_from(joined).where(REQUESTS.c.state.not_in(ended))
        rows = await self._rows(query.order_by(REQUESTS.c.sent_at))
        return [(_request(row), row["octets"]) for row in rows]

    async def move(self, message_id: str, state: State, reason: str | None = None) -> None:
        """Note how far a request has come; an answered one stays answered."""
        unanswered = REQUESTS.c.message_id == message_id, REQUESTS.c.state != State.ANSWERED.value
        moved = update(REQUESTS).where(*unanswered).values(state=state.value, reason=reason)
        await self._database.transaction(lambda c: c.execute(moved).close())

    async def find_request(self, identifiers: Sequence[str]) -> SentRequest | None:
        """The request whose MessageID or CorrelationID is one of these; the first identifier that fits decides."""
        return await self._database.transaction(lambda c: _find_request(c, identifiers))

    async def count(self, state: State) -> int:
        """How many requests are in this state."""
        found = select(func.count()).select_from(REQUESTS).where(REQUESTS.c.state == state.value)
        return await self._database.transaction(lambda c: c.execute(found).scalar_one())

    async def add_reply(
        self,
        message_id: str,
        reply: TakenReply,
        readings: Sequence[KeptReading] = (),
        device_events: Sequence[KeptDeviceEvent] = (),
    ) -> bool:
        """Keep the reply with its readings or events of meters and, if it is final, close the request.

        False if the very same reply was kept before.
        """
        return await self._database.transaction(
            lambda c: self._add_reply(c, message_id, reply, readings, device_events)
        )

    async def replies(self, message_id: str) -> list[TakenReply]:
        """What has been kept for a request, oldest first."""
        query = select(REPLIES).where(REPLIES.c.request == message_id).order_by(REPLIES.c.number)
        return [_reply(row) for row in await self._rows(query)]

    async def add_event(
        self,
        taken: TakenEvent,
        readings: Sequence[KeptReading] = (),
        device_events: Sequence[KeptDeviceEvent] = (),
    ) -> bool:
        """Keep an event with its readings or events of meters; False if one with this MessageID was kept before."""
        return await self._database.transaction(lambda c: self._add_event(c, taken, readings, device_events))

    async def device_events(self, wanted: DeviceEventQuery) -> list[KeptDeviceEvent]:
        """The latest first."""
        return await self._database.transaction(lambda c: find_device_events(c, wanted))

    async def acknowledge_device_events(self, event_ids: Sequence[str], at: datetime, by: str) -> int:
        """Note who has seen these; how many nobody had acknowledged before."""
        return await self._database.transaction(lambda c: acknowledge_device_events(c, event_ids, at, by))

    async def keep_places(self, places: Sequence[KeptPlace]) -> None:
        """Where these usage points are; what was said before of them is gone."""
        if places:
            await self._database.transaction(lambda c: keep_places(c, places))

    async def places(self) -> list[KeptPlace]:
        """Of all usage points that have one."""
        return await self._database.transaction(find_places)

    async def forget_place(self, usage_point: str) -> bool:
        """Whether it had one."""
        return await self._database.transaction(lambda c: forget_place(c, usage_point))

    async def latest_device_events(self, most: int) -> list[KeptDeviceEvent]:
        """The latest first."""
        return await self.device_events(DeviceEventQuery(most=most))

    async def some_device_events(self, event_ids: Sequence[str]) -> list[KeptDeviceEvent]:
        """Those of these that are kept."""
        return await self._database.transaction(lambda c: some_device_events(c, event_ids))

    async def device_events_with(self, message_ids: Sequence[str]) -> list[KeptDeviceEvent]:
        """Those that came with these messages first, in the order in which they happened."""
        return await self._database.transaction(lambda c: device_events_with(c, message_ids)) if message_ids else []

    async def requests(self, limit: int, before: str | None = None) -> list[RequestLine]:
        """The latest ones with their latest replies, or those sent before this one."""
        return await self._database.transaction(lambda c: list_requests(c, limit, before))

    async def some_requests(self, message_ids: Sequence[str]) -> list[RequestLine]:
        """Those of these that are kept."""
        return await self._database.transaction(lambda c: some_requests(c, message_ids)) if message_ids else []

    async def readings(self, wanted: ReadingQuery) -> list[KeptReading]:
        """By meter, ReadingType and time."""
        return await self._database.transaction(lambda c: find_readings(c, wanted))

    async def count_readings(self, meters: Sequence[str], reading_types: Sequence[str]) -> list[CountedReadings]:
        """By meter and ReadingType; of all meters where none is named."""
        return await self._database.transaction(lambda c: count_readings(c, meters, reading_types))

    async def _rows(self, query: Select[*tuple[object, ...]]) -> Sequence[RowMapping]:
        return await self._database.transaction(lambda c: c.execute(query).mappings().all())

    def _add_event(
        self,
        connection: Connection,
        taken: TakenEvent,
        readings: Sequence[KeptReading],
        device_events: Sequence[KeptDeviceEvent],
    ) -> bool:
        same = select(EVENTS.c.message_id).where(EVENTS.c.message_id == taken.message_id)
        if connection.execute(same).first() is not None:
            return False
        connection.execute(insert(EVENTS), asdict(taken))
        self._add_readings(connection, readings)
        add_device_events(connection, device_events)
        self._make_room(connection, len(taken.octets))
        return True

    def _add_reply(
        self,
        connection: Connection,
        message_id: str,
        reply: TakenReply,
        readings: Sequence[KeptReading],
        device_events: Sequence[KeptDeviceEvent],
    ) -> bool:
        same = select(REPLIES.c.number).where(REPLIES.c.request == message_id, REPLIES.c.digest == reply.digest)
        new = connection.execute(same).first() is None
        if new:
            values = asdict(reply) | {"request": message_id, "errors": list(reply.errors)}
            connection.execute(insert(REPLIES), values)
            self._add_readings(connection, readings)
            add_device_events(connection, device_events)
        if reply.final:
            close = update(REQUESTS).where(REQUESTS.c.message_id == message_id)
            connection.execute(close.values(state=State.ANSWERED.value, reason=None))
            connection.execute(delete(OUTGOING).where(OUTGOING.c.message_id == message_id))
        return new

    def _add_readings(self, connection: Connection, readings: Sequence[KeptReading]) -> None:
        """And now and then drop the oldest that no longer fit."""
        add_readings(connection, readings)
        self._new_readings += len(readings)
        if self._new_readings * PRUNE_PARTS > self._retention.readings:
            self._new_readings = 0
            keep_newest(connection, self._retention.readings)

    def _make_room(self, connection: Connection, octets: int) -> None:
        """Now and then drop the oldest events that no longer fit."""
        keep = self._retention
        self._new_events += 1
        self._new_octets += octets
        if self._new_events * PRUNE_PARTS <= keep.events and self._new_octets * PRUNE_PARTS <= keep.event_octets:
            return
        self._new_events = self._new_octets = 0
        newest_first = (EVENTS.c.received_at.desc(), EVENTS.c.message_id)
        size = func.length(EVENTS.c.octets)
        ranked = select(
            EVENTS.c.message_id,
            func.row_number().over(order_by=newest_first).label("rank"),
            func.sum(size).over(order_by=newest_first).label("octets"),
        ).subquery()
        beyond = or_(ranked.c.rank > keep.events, ranked.c.octets > keep.event_octets)
        connection.execute(delete(EVENTS).where(EVENTS.c.message_id.in_(select(ranked.c.message_id).where(beyond))))


def _forget(connection: Connection, before: datetime) -> int:
    old = select(REQUESTS.c.message_id).where(REQUESTS.c.sent_at < before)
    connection.execute(delete(REPLIES).where(REPLIES.c.request.in_(old)))
    requests = connection.execute(delete(REQUESTS).where(REQUESTS.c.sent_at < before))
    events = connection.execute(delete(EVENTS).where(EVENTS.c.received_at < before))
    return requests.rowcount + events.rowcount


def _add_request(connection: Connection, request: SentRequest, octets: bytes | None) -> bool:
    """Who holds the store is its only writer, so what is looked up here stays so until it is written."""
    this = REQUESTS.c.message_id == request.message_id
    kept = connection.execute(select(REQUESTS).where(this)).mappings().first()
    if kept is None:
        values = asdict(request) | {"meters": list(request.meters), "state": request.state.value}
        connection.execute(insert(REQUESTS).values(values))
    elif not _same(_request(kept), request):
        raise MessageIdUsed(request.message_id)
    elif kept["state"] == State.ANSWERED.value:
        return True
    else:
        again = {"state": request.state.value, "reason": request.reason, "sent_at": request.sent_at}
        connection.execute(update(REQUESTS).where(this).values(again))
    if octets is not None:
        connection.execute(delete(OUTGOING).where(OUTGOING.c.message_id == request.message_id))
        connection.execute(insert(OUTGOING), {"message_id": request.message_id, "octets": octets})
    return kept is not None and kept["state"] != State.FAILED.value


def _same(kept: SentRequest, request: SentRequest) -> bool:
    """Whether both ask for the same; when, and what came of it, does not matter."""
    return replace(request, sent_at=kept.sent_at, state=kept.state, reason=kept.reason) == kept


def _find_request(connection: Connection, identifiers: Sequence[str]) -> SentRequest | None:
    for identifier in identifiers:
        fits = or_(REQUESTS.c.message_id == identifier, REQUESTS.c.correlation_id == identifier)
        newest = select(REQUESTS).where(fits).order_by(REQUESTS.c.sent_at.desc()).limit(1)
        row = connection.execute(newest).mappings().first()
        if row is not None:
            return _request(row)
    return None


def _request(row: RowMapping) -> SentRequest:
    return SentRequest(
        message_id=row["message_id"],
        correlation_id=row["correlation_id"],
        verb=row["verb"],
        noun=row["noun"],
        code=row["code"],
        meters=tuple(row["meters"]),
        asynchronous=row["asynchronous"],
        sent_at=row["sent_at"],
        state=State(row["state"]),
        reason=row["reason"],
    )


def _reply(row: RowMapping) -> TakenReply:
    return TakenReply(
        digest=row["digest"],
        final=row["final"],
        result=row["result"],
        errors=tuple(row["errors"]),
        received_at=row["received_at"],
    )
