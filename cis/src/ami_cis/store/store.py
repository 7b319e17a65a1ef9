"""What the CIS remembers across a restart: requests, the replies to them, and events, in one SQLite file.

SQLAlchemy Core over aiosqlite, write-ahead log, one transaction per call. A reply counts once: (request, digest of what it
says) is unique, so that a reply which is delivered twice leaves one row. Nothing grows without end: what is older than
`Retention.age` is forgotten, and of the events, which anyone can send, the newest are kept as far as there is room.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Self

from sqlalchemy import RowMapping, delete, event, func, or_, select, update
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry

from ami_cis.store.tables import EVENTS, HEARTBEAT, OUTGOING, REPLIES, REQUESTS, SCHEMA
from ami_process.store.errors import StoreUnavailable
from ami_process.store.opening import StoreMigrated, ready_store

PRUNE_PARTS = 10
"""Events are pruned whenever this part of the room has been filled anew."""


@dataclass(frozen=True, slots=True)
class Retention:
    """How much is kept: everything up to this age, and of the events at most this many and this much."""

    age: timedelta = timedelta(days=30)
    events: int = 10_000
    event_octets: int = 64_000_000


KEEP = Retention()


class State(StrEnum):
    """How far a request has come; `answered` is the end, and the others may still become it by a late reply.

    `failed` was surely not taken by the HES; `unknown` may have been, and nobody says what became of it.
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


class Store:
    """The one place with SQL."""

    def __init__(self, engine: AsyncEngine, retention: Retention, migrated: StoreMigrated | None) -> None:
        self.migrated = migrated
        self._engine = engine
        self._retention = retention
        self._new_events = 0
        self._new_octets = 0

    @classmethod
    @asynccontextmanager
    async def opened(cls, path: Path, retention: Retention = KEEP, *, may_migrate: bool = True) -> AsyncIterator[Self]:
        """Open or create the file, for its owner alone; closes it at the end. StoreUnavailable, StoreUnusable."""
        migrated = await asyncio.to_thread(ready_store, path, SCHEMA, may_migrate=may_migrate)
        engine = create_async_engine(f"sqlite+aiosqlite:///{path}")
        event.listen(engine.sync_engine, "connect", _prepare)
        try:
            yield cls(engine, retention, migrated)
        finally:
            await engine.dispose()

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[AsyncConnection]:
        try:
            async with self._engine.begin() as connection:
                yield connection
        except OperationalError as problem:
            raise StoreUnavailable(f"the store can't be used now: {problem.orig}") from None

    async def check(self) -> None:
        """Write one row; StoreUnavailable when the store does not take it."""
        async with self._transaction() as connection:
            await connection.execute(HEARTBEAT.delete())
            await connection.execute(HEARTBEAT.insert())

    async def forget(self, now: datetime) -> int:
        """Drop requests with their replies, and events, that are older than the retention says; how many."""
        before = (now - self._retention.age).isoformat()
        old = select(REQUESTS.c.message_id).where(REQUESTS.c.sent_at < before)
        async with self._transaction() as connection:
            await connection.execute(delete(REPLIES).where(REPLIES.c.request.in_(old)))
            requests = await connection.execute(delete(REQUESTS).where(REQUESTS.c.sent_at < before))
            events = await connection.execute(delete(EVENTS).where(EVENTS.c.received_at < before))
            return requests.rowcount + events.rowcount

    async def add_request(self, request: SentRequest, octets: bytes | None = None) -> None:
        """Remember before sending, with the message itself where it may have to be sent again; the same MessageID sent once more is the same request."""
        row = {
            "correlation_id": request.correlation_id,
            "verb": request.verb,
            "noun": request.noun,
            "code": request.code,
            "meters": list(request.meters),
            "asynchronous": request.asynchronous,
            "sent_at": request.sent_at.isoformat(),
            "state": request.state.value,
            "reason": request.reason,
        }
        statement = insert(REQUESTS).values(message_id=request.message_id, **row)
        async with self._transaction() as connection:
            await connection.execute(statement.on_conflict_do_update(index_elements=["message_id"], set_=row))
            if octets is None:
                return
            kept = insert(OUTGOING).values(message_id=request.message_id, octets=octets)
            await connection.execute(kept.on_conflict_do_update(index_elements=["message_id"], set_={"octets": octets}))

    async def outgoing(self) -> list[tuple[SentRequest, bytes]]:
        """Requests whose end is not known, oldest first, each as it went out."""
        joined = REQUESTS.join(OUTGOING, OUTGOING.c.message_id == REQUESTS.c.message_id)
        ended = (State.ANSWERED.value, State.FAILED.value)
        query = select(REQUESTS, OUTGOING.c.octets).select_from(joined).where(REQUESTS.c.state.not_in(ended))
        async with self._transaction() as connection:
            found = await connection.execute(query.order_by(REQUESTS.c.sent_at))
            return [(_request(row), row["octets"]) for row in found.mappings()]

    async def move(self, message_id: str, state: State, reason: str | None = None) -> None:
        """Note how far a request has come; an answered one stays answered."""
        statement = update(REQUESTS).where(
            REQUESTS.c.message_id == message_id, REQUESTS.c.state != State.ANSWERED.value
        )
        async with self._transaction() as connection:
            await connection.execute(statement.values(state=state.value, reason=reason))

    async def find_request(self, identifiers: Sequence[str]) -> SentRequest | None:
        """The request whose MessageID or CorrelationID is one of these; the first identifier that fits decides."""
        async with self._transaction() as connection:
            for identifier in identifiers:
                fits = or_(REQUESTS.c.message_id == identifier, REQUESTS.c.correlation_id == identifier)
                newest = select(REQUESTS).where(fits).order_by(REQUESTS.c.sent_at.desc()).limit(1)
                row = (await connection.execute(newest)).mappings().first()
                if row is not None:
                    return _request(row)
        return None

    async def count(self, state: State) -> int:
        """How many requests are in this state."""
        async with self._transaction() as connection:
            found = select(func.count()).select_from(REQUESTS).where(REQUESTS.c.state == state.value)
            return (await connection.execute(found)).scalar_one()

    async def add_reply(self, message_id: str, reply: TakenReply) -> bool:
        """Keep the reply and, if it is final, close the request; False if the very same reply was kept before."""
        row = {
            "request": message_id,
            "digest": reply.digest,
            "final": reply.final,
            "result": reply.result,
            "errors": list(reply.errors),
            "received_at": reply.received_at.isoformat(),
        }
        async with self._transaction() as connection:
            inserted = await connection.execute(insert(REPLIES).values(row).on_conflict_do_nothing())
            if reply.final:
                close = update(REQUESTS).where(REQUESTS.c.message_id == message_id)
                await connection.execute(close.values(state=State.ANSWERED.value, reason=None))
                await connection.execute(delete(OUTGOING).where(OUTGOING.c.message_id == message_id))
            return inserted.rowcount == 1

    async def replies(self, message_id: str) -> list[TakenReply]:
        """What has been kept for a request, oldest first."""
        async with self._transaction() as connection:
            found = select(REPLIES).where(REPLIES.c.request == message_id).order_by(REPLIES.c.number)
            return [_reply(row) for row in (await connection.execute(found)).mappings()]

    async def add_event(self, taken: TakenEvent) -> bool:
        """Keep an event; False if one with this MessageID was kept before."""
        row = {
            "message_id": taken.message_id,
            "verb": taken.verb,
            "noun": taken.noun,
            "octets": taken.octets,
            "received_at": taken.received_at.isoformat(),
        }
        async with self._transaction() as connection:
            inserted = await connection.execute(insert(EVENTS).values(row).on_conflict_do_nothing())
            if inserted.rowcount != 1:
                return False
            await self._make_room(connection, len(taken.octets))
            return True

    async def _make_room(self, connection: AsyncConnection, octets: int) -> None:
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
        await connection.execute(
            delete(EVENTS).where(EVENTS.c.message_id.in_(select(ranked.c.message_id).where(beyond)))
        )


def _prepare(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def _request(row: RowMapping) -> SentRequest:
    return SentRequest(
        message_id=row["message_id"],
        correlation_id=row["correlation_id"],
        verb=row["verb"],
        noun=row["noun"],
        code=row["code"],
        meters=tuple(row["meters"]),
        asynchronous=row["asynchronous"],
        sent_at=datetime.fromisoformat(row["sent_at"]),
        state=State(row["state"]),
        reason=row["reason"],
    )


def _reply(row: RowMapping) -> TakenReply:
    return TakenReply(
        digest=row["digest"],
        final=row["final"],
        result=row["result"],
        errors=tuple(row["errors"]),
        received_at=datetime.fromisoformat(row["received_at"]),
    )
