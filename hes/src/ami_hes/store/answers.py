"""From the results of a request to its answer: what is complete, its commands some at a time, and the parts of the answer.

Payloads of a large request are never in memory all at once, and neither are the parts of its answer: each is kept as soon as it is written, and all of
them count with the answer. Octets go to the database beside a statement and not in it: SQLAlchemy remembers compiled statements, each with
the values that it was first built with.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import Connection, bindparam, delete, exists, func, insert, literal, select, text, update

from ami_hes.audit import AuditEntry
from ami_hes.store.audit import NOT_AUDITED, ended, write
from ami_hes.store.ports import AT_ONCE, AnswerPart, Completed, StoredAnswer, StoredCommand
from ami_hes.store.request_rows import command_of, request_of
from ami_hes.store.tables import commands, further_parts, replies, requests
from ami_process.store.columns import PackedOctets

_COMPLETE = select(requests).where(
    requests.c.request_id.in_(bindparam("of_requests", expanding=True)),
    requests.c.answered_at.is_(None),
    ~exists().where(commands.c.request_id == requests.c.request_id, commands.c.finished_at.is_(None)),
)
_THESE = commands.c.request_id.in_(bindparam("of_requests", expanding=True))
_SIZE = func.coalesce(func.length(commands.c.payload), 0).label("size")
_SIZES = select(commands.c.request_id, func.sum(_SIZE)).where(_THESE).group_by(commands.c.request_id)
_WHOLE = select(commands, _SIZE).where(_THESE).order_by(commands.c.position)
_EACH_SIZE = select(commands.c.request_id, commands.c.operation, _SIZE).where(_THESE).order_by(commands.c.position)
_AUDITED = (requests.c.principal, requests.c.principal_by, requests.c.verb, requests.c.noun, requests.c.result)
"""What the audit log says of a request that has its answer."""
_OWE = insert(replies).from_select(
    ["request_id", "parts_taken"],
    select(requests.c.request_id, literal(0)).where(
        requests.c.request_id == bindparam("of_request"), requests.c.reply_address.is_not(None)
    ),
)
_KEEP_PART = text(
    "INSERT INTO further_parts (request_id, number, octets)"
    " SELECT request_id, :number, :octets FROM requests WHERE request_id = :request_id AND answered_at IS NULL"
    " ON CONFLICT (request_id, number) DO UPDATE SET octets = excluded.octets"
).bindparams(bindparam("octets", type_=PackedOctets()))
"""The same in SQLite and in PostgreSQL."""


def completed(connection: Connection, request_ids: Sequence[str]) -> list[Completed]:
    """As of the Results port."""
    rows = connection.execute(_COMPLETE, {"of_requests": request_ids})
    complete = {request.request_id: request for request in map(request_of, rows)}
    if not complete:
        return []
    sums = connection.execute(_SIZES, {"of_requests": list(complete)}).all()
    large = {request_id for request_id, size in sums if size > AT_ONCE}
    theirs: dict[str, list[StoredCommand]] = {request_id: [] for request_id in complete}
    sizes: dict[str, list[int]] = {request_id: [] for request_id in complete}
    operations: dict[str, set[str]] = {request_id: set() for request_id in complete}
    for query, ids in ((_WHOLE, complete.keys() - large), (_EACH_SIZE, large)):
        for row in connection.execute(query, {"of_requests": list(ids)}) if ids else ():
            request_id = row.request_id
            sizes[request_id].append(row.size)
            operations[request_id].add(row.operation)
            if request_id not in large:
                theirs[request_id].append(command_of(row))
    return [
        Completed(request, tuple(theirs[one]), tuple(sizes[one]), frozenset(operations[one]))
        for one, request in complete.items()
    ]


def commands_of(connection: Connection, request_id: str, first: int, end: int) -> list[StoredCommand]:
    """As of the Results port; all of them have their results."""
    these = (commands.c.request_id == request_id, commands.c.position >= first, commands.c.position < end)
    return [command_of(row) for row in connection.execute(select(commands).where(*these).order_by(commands.c.position))]


def keep_part(connection: Connection, request_id: str, number: int, octets: bytes) -> None:
    """Unless the request has its answer already, whose parts stay."""
    connection.execute(_KEEP_PART, {"request_id": request_id, "number": number, "octets": octets})


def answer(connection: Connection, answers: Mapping[str, StoredAnswer], answered_at: datetime) -> None:
    """As of the Results port; parts that an earlier attempt has left behind the last one go. What was asked by somebody is audited."""
    entries: list[AuditEntry] = []
    for request_id, one in answers.items():
        unanswered = update(requests).where(requests.c.request_id == request_id, requests.c.answered_at.is_(None))
        values = {"answer": one.octets, "result": one.result, "answered_at": answered_at}
        request = connection.execute(unanswered.returning(*_AUDITED), values).first()
        if request is None:
            continue
        connection.execute(_OWE, {"of_request": request_id})
        left = (further_parts.c.request_id == request_id, further_parts.c.number > 1 + one.kept)
        connection.execute(delete(further_parts).where(*left))
        for number, octets in enumerate(one.further, 2 + one.kept):
            connection.execute(insert(further_parts), {"request_id": request_id, "number": number, "octets": octets})
        if request.principal is not None and request.verb not in NOT_AUDITED:
            entries.append(ended(connection, request_id, request, answered_at))
    write(connection, entries)


def next_part(connection: Connection, request_id: str) -> AnswerPart | None:
    """As of the Results port."""
    taken = connection.execute(select(replies.c.parts_taken).where(replies.c.request_id == request_id)).scalar()
    number = (taken or 0) + 1
    if number == 1:
        query = select(requests.c.answer).where(requests.c.request_id == request_id)
    else:
        this = (further_parts.c.request_id == request_id, further_parts.c.number == number)
        query = select(further_parts.c.octets).where(*this)
    octets = connection.execute(query).scalar()
    if octets is None:
        return None
    behind = (further_parts.c.request_id == request_id, further_parts.c.number > number)
    last = connection.execute(select(further_parts.c.number).where(*behind).limit(1)).first() is None
    return AnswerPart(number, octets, last)
