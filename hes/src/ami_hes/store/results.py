"""Requests, commands and replies in the database: the Results port."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    bindparam,
    delete,
    exists,
    func,
    insert,
    select,
    text,
    tuple_,
    update,
)
from sqlalchemy.exc import IntegrityError

from ami_hes.commands import CommandJob, Lane
from ami_hes.store.answers import answer, commands_of, completed, keep_part, next_part
from ami_hes.store.audit import accepted, is_audited, write
from ami_hes.store.database import Database
from ami_hes.store.device_events import keep_device_events
from ami_hes.store.device_events_port import Happened, StoredDeviceEvent
from ami_hes.store.dialled_in import demand_held
from ami_hes.store.guard import check_stop, pass_gate
from ami_hes.store.guard_port import ControlsStopped, Gate
from ami_hes.store.ownership import demand_owned
from ami_hes.store.ownership_port import NotOwned
from ami_hes.store.ports import (
    AnswerPart,
    Completed,
    NonceUsed,
    SpentId,
    StoredAnswer,
    StoredCommand,
    StoredRequest,
    StoredResult,
)
from ami_hes.store.request_rows import OUTCOME, command_of, request_of
from ami_hes.store.tables import attempts, commands, deliveries, nonces, replies, requests, spent_ids
from ami_process.store.columns import UtcDateTime
from ami_process.store.errors import StoreInDoubt
from ami_process.store.group_commit import GroupCommit
from ami_process.store.shared_transaction import SharedTransaction

_RESULT = (*OUTCOME, "took_ms", "finished_at")

_SAVE = (
    update(commands)
    .where(
        commands.c.request_id == bindparam("of_request"),
        commands.c.meter_name == bindparam("of_meter"),
        commands.c.finished_at.is_(None),
    )
    .values({name: bindparam(f"new_{name}") for name in _RESULT})
)

_SAVE_UNBEGUN = _SAVE.where(
    ~exists().where(attempts.c.request_id == commands.c.request_id, attempts.c.meter_name == commands.c.meter_name)
)
_ENDED = select(commands.c.request_id, commands.c.meter_name).where(
    tuple_(commands.c.request_id, commands.c.meter_name).in_(bindparam("of_commands", expanding=True)),
    commands.c.finished_at.is_not(None),
)

_ATTEMPTED = (
    exists()
    .where(attempts.c.request_id == commands.c.request_id, attempts.c.meter_name == commands.c.meter_name)
    .label("begun")
)
_BEGIN = text(
    "INSERT INTO attempts (request_id, meter_name, begun_at) VALUES (:request_id, :meter_name, :begun_at)"
    " ON CONFLICT DO NOTHING"
).bindparams(bindparam("begun_at", type_=UtcDateTime()))
"""The same in SQLite and in PostgreSQL; SQLAlchemy has an insert of its own for each."""
_OWING = (
    replies.c.taken_at.is_(None),
    ~exists().where(deliveries.c.request_id == replies.c.request_id, deliveries.c.given_up_at.is_not(None)),
)


class StoredAttempt(NamedTuple):
    """A row of the table attempts."""

    request_id: str
    meter_name: str
    begun_at: datetime


class SqlResults:
    """The Results port."""

    def __init__(self, database: Database, *, shared: bool = False) -> None:
        """`shared`: with other processes, each with partitions of its own (`ami_hes.store.ownership`)."""
        self._database = database
        self._shared = shared
        self._attempts: GroupCommit[StoredAttempt] = GroupCommit(database, self._attempt_owned if shared else _attempt)
        self._ended: set[tuple[str, str]] = set()
        """Commands that were about to be attempted, and had ended elsewhere."""
        self._held_attempts = SharedTransaction(database, (NotOwned, ControlsStopped))

    @property
    def is_shared(self) -> bool:
        return self._shared

    async def find(self, request_id: str) -> StoredRequest | None:
        found = await self._requests(select(requests).where(requests.c.request_id == request_id))
        return found[0] if found else None

    async def accept(
        self,
        request: StoredRequest,
        new: Sequence[CommandJob],
        nonce: str | None = None,
        gate: Gate | None = None,
    ) -> StoredRequest | None:
        try:
            await self._database.transaction(lambda c: _accept(c, request, new, nonce, gate))
        except StoreInDoubt:  # neither "accepted" nor "nothing was accepted" would be true until the store says
            return await self._database.record(lambda c: _accept_unless_kept(c, request, new, nonce, gate))
        except IntegrityError:
            kept = await self.find(request.request_id)
            if kept is None:  # not a second message with this id, so it is a fault of ours
                raise
            return kept
        return None

    async def note(self, request_id: str, query: str) -> None:
        statement = update(requests).where(requests.c.request_id == request_id).values(query=query)
        await self._database.record(lambda c: c.execute(statement).close())

    async def has_noted(self, noun: str, query: str) -> bool:
        this = (requests.c.noun == noun, requests.c.query == query, requests.c.result.is_distinct_from("FAILED"))
        found = select(requests.c.request_id).where(*this).limit(1)
        return await self._database.transaction(lambda c: c.execute(found).first() is not None)

    async def requests_at(
        self, noun: str, verbs: Collection[str], mrids: Collection[str], limit: int, *, is_open: bool
    ) -> list[StoredRequest]:
        theirs = exists().where(commands.c.request_id == requests.c.request_id, commands.c.mrid.in_(mrids))
        if is_open:
            theirs = theirs.where(commands.c.finished_at.is_(None))
        query = select(requests).where(requests.c.noun == noun, requests.c.verb.in_(verbs), theirs)
        return await self._requests(query.order_by(requests.c.accepted_at.desc(), requests.c.request_id).limit(limit))

    async def attempt(self, request_id: str, meter_name: str, begun_at: datetime, dialled_in: str = "") -> None:
        begun = StoredAttempt(request_id, meter_name, begun_at)
        if self._shared and dialled_in:  # one that has gone elsewhere is refused, and no other one
            await self._held_attempts.run(lambda connection: _attempt_held(connection, begun, dialled_in))
        else:
            await self._attempts.add(begun)
        if (request_id, meter_name) in self._ended:
            self._ended.discard((request_id, meter_name))
            raise NotOwned

    def _attempt_owned(self, connection: Connection, begun: Sequence[StoredAttempt]) -> None:
        """On the connection that has the partitions, which it therefore had until the commit; what was taken back meanwhile is left out."""
        demand_owned(connection)
        keys = [(row.request_id, row.meter_name) for row in begun]
        ended = {(row.request_id, row.meter_name) for row in connection.execute(_ENDED, {"of_commands": keys})}
        self._ended |= ended
        if left := [row for row, key in zip(begun, keys, strict=True) if key not in ended]:
            _attempt(connection, left)

    async def save(self, results: Sequence[StoredResult]) -> list[Completed]:
        return await self._database.record(lambda c: _save(c, results)) if results else []

    async def take_back(self, results: Sequence[StoredResult]) -> frozenset[tuple[str, str]]:
        return await self._database.record(lambda c: _take_back(c, results)) if results else frozenset()

    async def completed(self, request_ids: Sequence[str]) -> list[Completed]:
        return await self._database.transaction(lambda c: completed(c, request_ids))

    async def command(self, request_id: str, meter_name: str) -> StoredCommand | None:
        this = (commands.c.request_id == request_id, commands.c.meter_name == meter_name)
        found = await self._commands(select(commands, _ATTEMPTED).where(*this))
        return found[0] if found else None

    async def named(self, names: Collection[tuple[str, str]]) -> Mapping[tuple[str, str], StoredCommand]:
        wanted = tuple_(commands.c.request_id, commands.c.meter_name).in_(list(names))
        found = await self._commands(select(commands, _ATTEMPTED).where(wanted))
        return {(one.job.request_id, one.job.subject): one for one in found}

    async def open_in_lanes(self) -> Mapping[Lane, int]:
        query = select(commands.c.lane, func.count()).where(commands.c.finished_at.is_(None)).group_by(commands.c.lane)
        return await self._database.transaction(lambda c: {Lane(lane): number for lane, number in c.execute(query)})

    async def open_commands(self, request_id: str) -> list[StoredCommand]:
        query = select(commands, _ATTEMPTED).where(commands.c.request_id == request_id)
        return await self._commands(query.where(commands.c.finished_at.is_(None)).order_by(commands.c.position))

    async def open_among(self, request_id: str, meter_names: Collection[str]) -> frozenset[str]:
        these = (commands.c.request_id == request_id, commands.c.meter_name.in_(meter_names))
        query = select(commands.c.meter_name).where(*these, commands.c.finished_at.is_(None))
        return await self._database.transaction(lambda c: frozenset(c.execute(query).scalars()))

    async def unanswered(self) -> list[str]:
        unanswered = select(requests.c.request_id).where(requests.c.answered_at.is_(None))
        query = unanswered.order_by(requests.c.accepted_at, requests.c.request_id)
        return await self._database.transaction(lambda c: list(c.execute(query).scalars()))

    async def commands(self, request_id: str, first: int, end: int) -> list[StoredCommand]:
        return await self._database.transaction(lambda c: commands_of(c, request_id, first, end))

    async def keep_part(self, request_id: str, number: int, octets: bytes) -> None:
        await self._database.record(lambda c: keep_part(c, request_id, number, octets))

    async def answer(self, answers: Mapping[str, StoredAnswer], answered_at: datetime) -> None:
        await self._database.record(lambda c: answer(c, answers, answered_at))

    async def owed(self) -> list[str]:
        joined = requests.join(replies, replies.c.request_id == requests.c.request_id)
        query = select(requests.c.request_id).select_from(joined).where(*_OWING)
        query = query.order_by(requests.c.answered_at, requests.c.request_id)
        return await self._database.transaction(lambda c: list(c.execute(query).scalars()))

    async def next_part(self, request_id: str) -> AnswerPart | None:
        return await self._database.transaction(lambda c: next_part(c, request_id))

    async def part_taken(self, request_id: str, number: int) -> None:
        statement = update(replies).where(replies.c.request_id == request_id).values(parts_taken=number)
        await self._database.record(lambda c: c.execute(statement).close())

    async def replied(self, request_id: str, taken_at: datetime) -> None:
        statement = update(replies).where(replies.c.request_id == request_id).values(taken_at=taken_at)
        await self._database.record(lambda c: c.execute(statement).close())

    async def forget(self, answered_before: datetime, *, ids_kept: int) -> int:
        owing = exists().where(replies.c.request_id == requests.c.request_id, *_OWING)
        old = (requests.c.answered_at < answered_before, ~owing)
        return await self._database.transaction(lambda c: _forget(c, old, ids_kept))

    async def drop(self, request_ids: Sequence[str], *, ids_kept: int) -> int:
        dead = exists().where(deliveries.c.request_id == requests.c.request_id, deliveries.c.given_up_at.is_not(None))
        these = (requests.c.request_id.in_(request_ids), dead)
        return await self._database.transaction(lambda c: _forget(c, these, ids_kept))

    async def _commands(self, query: Select[*tuple[object, ...]]) -> list[StoredCommand]:
        return await self._database.transaction(lambda c: [command_of(row) for row in c.execute(query)])

    async def _requests(self, query: Select[*tuple[object, ...]]) -> list[StoredRequest]:
        return await self._database.transaction(lambda c: [request_of(row) for row in c.execute(query)])


def _forget(connection: Connection, old: tuple[ColumnElement[bool], ...], ids_kept: int) -> int:
    """The number of rows bounds what stays of them, and not the clock, which may be wrong."""
    ids = select(requests.c.request_id, requests.c.accepted_at).where(*old).order_by(requests.c.accepted_at)
    connection.execute(insert(spent_ids).from_select(["request_id", "accepted_at"], ids))
    forgotten = connection.execute(delete(requests).where(*old)).rowcount
    newest = select(func.max(spent_ids.c.number)).scalar_subquery()
    connection.execute(delete(spent_ids).where(spent_ids.c.number <= newest - ids_kept))
    return forgotten


def _accept(
    connection: Connection, request: StoredRequest, new: Sequence[CommandJob], nonce: str | None, gate: Gate | None
) -> None:
    spent = select(spent_ids.c.accepted_at).where(spent_ids.c.request_id == request.request_id)
    if (accepted_at := connection.execute(spent).scalar()) is not None:
        raise SpentId(accepted_at)
    connection.execute(insert(requests).values(**asdict(request)))
    if nonce is not None:
        if connection.execute(select(nonces.c.nonce).where(nonces.c.nonce == nonce)).first() is not None:
            raise NonceUsed
        connection.execute(insert(nonces).values(nonce=nonce, request_id=request.request_id))
    rows = [
        {
            "request_id": request.request_id,
            "meter_name": job.command.meter.name,
            "position": position,
            "mrid": job.command.meter.mrid,
            "operation": job.command.operation,
            "body": job.command.body,
            "lane": job.lane,
            "deadline_at": job.deadline_at,
        }
        for position, job in enumerate(new)
    ]
    if rows:
        connection.execute(insert(commands), rows)
    of_gate = [] if gate is None else pass_gate(connection, request, gate)
    if is_audited(request):
        write(connection, [accepted(request, new, "" if gate is None else gate.approved_by), *of_gate])


def _accept_unless_kept(
    connection: Connection, request: StoredRequest, new: Sequence[CommandJob], nonce: str | None, gate: Gate | None
) -> StoredRequest | None:
    """Once more; None when the request is kept as it was to be, whichever time did it."""
    row = connection.execute(select(requests).where(requests.c.request_id == request.request_id)).first()
    if row is None:
        _accept(connection, request, new, nonce, gate)
        return None
    kept = request_of(row)
    return None if kept == request else kept


def _attempt_held(connection: Connection, begun: StoredAttempt, mrid: str) -> None:
    """On the connection that has the number of this listener, which so has the meter until the commit: who claims it then waits for that."""
    demand_held(connection, [mrid])
    if connection.execute(_ENDED, {"of_commands": [(begun.request_id, begun.meter_name)]}).first() is not None:
        raise NotOwned
    _attempt(connection, [begun])


def _attempt(connection: Connection, begun: Sequence[StoredAttempt]) -> None:
    check_stop(connection)
    connection.execute(_BEGIN, [row._asdict() for row in begun])


def _save(connection: Connection, results: Sequence[StoredResult]) -> list[Completed]:
    connection.execute(_SAVE, [_outcome(result) for result in results])
    keep_device_events(connection, [_happened(one, one.event) for one in results if one.event is not None])
    return completed(connection, list(dict.fromkeys(result.request_id for result in results)))


def _take_back(connection: Connection, results: Sequence[StoredResult]) -> frozenset[tuple[str, str]]:
    """Of a statement for many rows nobody says which it has changed."""
    ended = [one for one in results if connection.execute(_SAVE_UNBEGUN, _outcome(one)).rowcount]
    return frozenset((one.request_id, one.meter_name) for one in ended)


def _happened(result: StoredResult, event: StoredDeviceEvent) -> Happened:
    return Happened(mrid=event.mrid, at=result.finished_at, events=(event,), of_request=result.request_id)


def _outcome(result: StoredResult) -> dict[str, object]:
    outcome = result.outcome
    return {
        "of_request": result.request_id,
        "of_meter": result.meter_name,
        "new_ok": outcome.ok,
        "new_reply_code": outcome.code,
        "new_level": outcome.level,
        "new_reason": outcome.reason,
        "new_payload": outcome.payload,
        "new_attempted": outcome.attempted,
        "new_took_ms": result.took_ms,
        "new_finished_at": result.finished_at,
    }
