"""Requests, commands and replies as the store has them, to be looked at: nothing here changes anything."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, Select, and_, exists, func, or_, select

from ami_hes.store.database import Database
from ami_hes.store.tables import commands, deliveries, published, replies, requests

LISTED = (
    requests.c.request_id,
    requests.c.verb,
    requests.c.noun,
    requests.c.source,
    requests.c.reply_address,
    requests.c.accepted_at,
    requests.c.deadline_at,
    requests.c.answered_at,
    requests.c.result,
)


class RequestLine(NamedTuple):
    """A request and how far it is."""

    message_id: str
    verb: str
    noun: str
    source: str | None
    reply_address: str | None
    accepted_at: datetime
    deadline_at: datetime
    answered_at: datetime | None
    result: str | None
    """Reply.result, once there is an answer."""
    meters: int
    done: int
    ok: int


class CommandLine(NamedTuple):
    """A command of a request; what follows `lane` is unset until it has its result."""

    meter: str
    mrid: str
    operation: str
    lane: str
    ok: bool | None
    reply_code: str | None
    reason: str | None
    attempted: bool | None
    took_ms: float | None
    finished_at: datetime | None


class DeliveryLine(NamedTuple):
    """A reply that its receiver has not taken so far; given up, it is a dead letter."""

    message_id: str
    attempts: int
    first_failed_at: datetime
    last_reason: str
    given_up_at: datetime | None


class DeadLetterLine(NamedTuple):
    """A message that was given up: a late reply, or an event for a subscriber."""

    message_id: str
    noun: str
    subscriber: str | None
    """None for a late reply."""
    address: str
    attempts: int
    first_failed_at: datetime
    given_up_at: datetime
    reason: str


class SubscriberLine(NamedTuple):
    """The events of a subscriber, by what became of them."""

    subscriber: str
    events: int
    taken: int
    dead_letters: int
    last_taken_at: datetime | None


class Backlog(NamedTuple):
    """What is not at its end."""

    commands: dict[str, int]
    """Commands without a result, by lane."""
    requests: int
    """Requests without an answer."""
    replies_owed: int
    dead_letters: int


class SqlHistory:
    """Looks into the tables. Every method raises StoreUnavailable."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def requests(self, limit: int, before: str | None = None) -> list[RequestLine]:
        """The latest ones, or those accepted before this one."""
        return await self._database.transaction(lambda connection: _requests(connection, limit, before))

    async def request(self, message_id: str) -> RequestLine | None:
        return await self._database.transaction(lambda connection: _request(connection, message_id))

    async def some(self, message_ids: Sequence[str]) -> list[RequestLine]:
        """Those of these that are kept."""
        query = select(*LISTED).where(requests.c.request_id.in_(message_ids))
        return await self._database.transaction(lambda connection: _lines(connection, query))

    async def commands(self, message_id: str) -> list[CommandLine]:
        """Those of a request, in their order."""
        return await self._database.transaction(lambda connection: _commands(connection, message_id))

    async def refused_at_once(self, message_id: str) -> str:
        """What of a request was refused when it was planned, as its row has it: JSON."""
        query = select(requests.c.errors).where(requests.c.request_id == message_id)
        return await self._database.transaction(lambda connection: connection.execute(query).scalar() or "[]")

    async def failures(self, message_id: str, limit: int) -> list[CommandLine]:
        """The commands of a request that failed, in their order."""
        return await self._database.transaction(lambda connection: _failures(connection, message_id, limit))

    async def open_bodies(self, operation: str) -> list[str]:
        """The different bodies of commands of an operation that have no end."""
        query = select(commands.c.body).distinct()
        query = query.where(commands.c.operation == operation, commands.c.finished_at.is_(None))
        return await self._database.transaction(lambda connection: list(connection.execute(query).scalars()))

    async def open_meters(self, operation: str) -> frozenset[str]:
        """The mRIDs of meters with a command of an operation that has no end."""
        query = select(commands.c.mrid).distinct()
        query = query.where(commands.c.operation == operation, commands.c.finished_at.is_(None))
        return await self._database.transaction(lambda connection: frozenset(connection.execute(query).scalars()))

    async def open_commands_of(self, mrid: str) -> int:
        """How many commands of the meter with this mRID, as its entry spells it, are not at their end."""
        this = commands.c.mrid == mrid, commands.c.finished_at.is_(None)
        query = select(func.count()).select_from(commands).where(*this)
        return await self._database.transaction(lambda connection: connection.execute(query).scalar_one())

    async def undelivered(self, limit: int) -> list[DeliveryLine]:
        """Replies whose delivery failed so far, the latest first."""
        return await self._database.transaction(lambda connection: _undelivered(connection, limit))

    async def delivery(self, message_id: str) -> DeliveryLine | None:
        return await self._database.transaction(lambda connection: _delivery(connection, message_id))

    async def taken_at(self, message_id: str) -> datetime | None:
        """When the late reply to a request was taken."""
        query = select(replies.c.taken_at).where(replies.c.request_id == message_id)
        return await self._database.transaction(lambda connection: connection.execute(query).scalar())

    async def dead_letters(self, limit: int) -> list[DeadLetterLine]:
        """The latest first."""
        return await self._database.transaction(lambda connection: _dead_letters(connection, limit))

    async def subscribers(self) -> list[SubscriberLine]:
        """Those that events are kept of, by name."""
        return await self._database.transaction(_subscribers)

    async def backlog(self) -> Backlog:
        return await self._database.transaction(_backlog)


def _requests(connection: Connection, limit: int, before: str | None) -> list[RequestLine]:
    query = select(*LISTED).order_by(requests.c.accepted_at.desc(), requests.c.request_id.desc()).limit(limit)
    if before is not None:
        place = select(requests.c.accepted_at, requests.c.request_id).where(requests.c.request_id == before)
        found = connection.execute(place).one_or_none()
        if found is None:
            return []
        query = query.where(
            or_(
                requests.c.accepted_at < found.accepted_at,
                and_(requests.c.accepted_at == found.accepted_at, requests.c.request_id < found.request_id),
            )
        )
    return _lines(connection, query)


def _request(connection: Connection, message_id: str) -> RequestLine | None:
    return next(iter(_lines(connection, select(*LISTED).where(requests.c.request_id == message_id))), None)


def _lines(connection: Connection, query: Select[Any]) -> list[RequestLine]:
    found = connection.execute(query).all()
    counted: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
    ids = [row.request_id for row in found]
    counts = (
        select(commands.c.request_id, commands.c.ok, func.count())
        .where(commands.c.request_id.in_(ids))
        .group_by(commands.c.request_id, commands.c.ok)
    )
    for request_id, ok, number in connection.execute(counts) if ids else ():
        of = counted[request_id]
        of[0] += number
        of[1] += 0 if ok is None else number
        of[2] += number if ok else 0
    return [RequestLine(*row, *counted[row.request_id]) for row in found]


def _commands(connection: Connection, message_id: str) -> list[CommandLine]:
    return [CommandLine(*row) for row in connection.execute(_commands_of(message_id))]


def _failures(connection: Connection, message_id: str, limit: int) -> list[CommandLine]:
    failed = _commands_of(message_id).where(commands.c.ok.is_(False)).limit(limit)
    return [CommandLine(*row) for row in connection.execute(failed)]


def _commands_of(message_id: str) -> Select[Any]:
    columns = ("mrid", "operation", "lane", "ok", "reply_code", "reason", "attempted", "took_ms", "finished_at")
    query = select(commands.c.meter_name, *(commands.c[name] for name in columns))
    return query.where(commands.c.request_id == message_id).order_by(commands.c.position)


def _undelivered(connection: Connection, limit: int) -> list[DeliveryLine]:
    query = select(deliveries).order_by(deliveries.c.first_failed_at.desc()).limit(limit)
    return [_delivery_line(row) for row in connection.execute(query)]


def _delivery(connection: Connection, message_id: str) -> DeliveryLine | None:
    row = connection.execute(select(deliveries).where(deliveries.c.request_id == message_id)).one_or_none()
    return None if row is None else _delivery_line(row)


def _delivery_line(row: Row[Any]) -> DeliveryLine:
    return DeliveryLine(row.request_id, row.attempts, row.first_failed_at, row.last_reason, row.given_up_at)


def _dead_letters(connection: Connection, limit: int) -> list[DeadLetterLine]:
    columns = (
        deliveries.c.request_id,
        requests.c.noun,
        published.c.subscriber,
        requests.c.reply_address,
        deliveries.c.attempts,
        deliveries.c.first_failed_at,
        deliveries.c.given_up_at,
        deliveries.c.last_reason,
    )
    joined = deliveries.join(requests, requests.c.request_id == deliveries.c.request_id)
    joined = joined.outerjoin(published, published.c.request_id == deliveries.c.request_id)
    query = select(*columns).select_from(joined).where(deliveries.c.given_up_at.is_not(None))
    latest = query.order_by(deliveries.c.given_up_at.desc(), deliveries.c.request_id).limit(limit)
    return [DeadLetterLine(*row) for row in connection.execute(latest)]


def _subscribers(connection: Connection) -> list[SubscriberLine]:
    joined = published.join(replies, replies.c.request_id == published.c.request_id)
    joined = joined.outerjoin(deliveries, deliveries.c.request_id == published.c.request_id)
    counted = (
        func.count(),
        func.count(replies.c.taken_at),
        func.count(deliveries.c.given_up_at),
        func.max(replies.c.taken_at),
    )
    query = select(published.c.subscriber, *counted).select_from(joined).group_by(published.c.subscriber)
    return [SubscriberLine(*row) for row in connection.execute(query.order_by(published.c.subscriber))]


def _backlog(connection: Connection) -> Backlog:
    waiting = select(commands.c.lane, func.count()).where(commands.c.finished_at.is_(None)).group_by(commands.c.lane)
    lanes = {row[0]: row[1] for row in connection.execute(waiting)}
    unanswered = _count(connection, select(func.count()).select_from(requests).where(requests.c.answered_at.is_(None)))
    given_up = exists().where(deliveries.c.request_id == replies.c.request_id, deliveries.c.given_up_at.is_not(None))
    owed = select(func.count()).select_from(replies).where(replies.c.taken_at.is_(None))
    still = _count(connection, owed.where(~given_up))
    dead = select(func.count()).select_from(deliveries).where(deliveries.c.given_up_at.is_not(None))
    return Backlog(lanes, unanswered, still, _count(connection, dead))


def _count(connection: Connection, query: Select[Any]) -> int:
    return int(connection.execute(query).scalar_one())
