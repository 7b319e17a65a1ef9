"""The audit log in the database: the AuditLog port, and `write`, which other transactions call as the last thing that they do.

The row of the chain is locked before it is read (PostgreSQL; a SQLite store has one writer), so that entries of several processes come
one after the other. It is the last lock of any transaction, so two of them can't wait for each other.
"""

import json
import re
from collections.abc import Iterator, Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, Row, delete, exists, func, insert, or_, select, text, update

from ami_hes.audit import BEGINNING, AuditEntry, Chain, Link, MetersOf, What, canonical, hash_of, parse_entry
from ami_hes.audit.entries import MOST_TEXT
from ami_hes.commands import CommandJob
from ami_hes.store.audit_port import AuditFound, AuditPage, AuditSearch
from ami_hes.store.database import Database
from ami_hes.store.ports import StoredRequest
from ami_hes.store.tables import audit, audit_chain, commands

NOT_AUDITED = frozenset({"get"})
"""Verbs of requests that ask for something and change nothing."""
MOST_ASKED = 5
"""Different things that a request asks of its meters, in its entry."""
MOST_SEARCHED = 50_000
"""Entries that one search looks through."""
_LIKE, _AS_IT_IS = re.compile(r"([/%_])"), r"/\1"
"""What LIKE takes for more than itself."""
_FIRST = {"number": 1, "base_seq": 0, "base_hash": BEGINNING, "seq": 0, "hash": BEGINNING}
_BEGIN = text(
    "INSERT INTO audit_chain (number, base_seq, base_hash, seq, hash) VALUES (:number, :base_seq, :base_hash, :seq, :hash)"
    " ON CONFLICT DO NOTHING"
)
"""The same in SQLite and in PostgreSQL."""
_LOCKED = select(audit_chain).where(audit_chain.c.number == 1).with_for_update()


class SqlAudit:
    """The AuditLog port."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def append(self, entries: Sequence[AuditEntry]) -> None:
        await self._database.transaction(lambda c: write(c, entries))

    async def page(self, after: int, limit: int, *, until: datetime | None = None) -> AuditPage:
        query = select(audit).where(audit.c.seq > after).order_by(audit.c.seq).limit(limit)
        if until is not None:
            query = query.where(audit.c.at <= until)
        return await self._database.transaction(lambda c: AuditPage(list(map(_link, c.execute(query))), chain_of(c)))

    async def latest(self, limit: int) -> AuditPage:
        query = select(audit).order_by(audit.c.seq.desc()).limit(limit)
        last = await self._database.transaction(lambda c: AuditPage(list(map(_link, c.execute(query))), chain_of(c)))
        return last._replace(links=list(reversed(last.links)))

    async def of_request(self, request_id: str, after: int, limit: int) -> AuditPage:
        these = (audit.c.request_id == request_id, audit.c.seq > after)
        query = select(audit).where(*these).order_by(audit.c.seq).limit(limit)
        return await self._database.transaction(lambda c: AuditPage(list(map(_link, c.execute(query))), chain_of(c)))

    async def search(self, search: AuditSearch, before: int | None, limit: int) -> AuditFound:
        return await self._database.transaction(lambda c: _search(c, search, before, limit))

    async def forget(self, before: datetime, now: datetime) -> int:
        return await self._database.transaction(lambda c: _forget(c, before, now))


def write(connection: Connection, entries: Sequence[AuditEntry]) -> None:
    """Put entries behind the last one, as a part of the transaction of `connection`."""
    if not entries:
        return
    chain = lock(connection)
    previous, rows = chain.hash, []
    for seq, entry in enumerate(entries, chain.seq + 1):
        said = canonical(seq, entry)
        previous = hash_of(previous, said)
        rows.append({"seq": seq, "at": entry.at, "request_id": entry.request or None, "entry": said, "hash": previous})
    connection.execute(insert(audit), rows)
    connection.execute(update(audit_chain).values(seq=chain.seq + len(rows), hash=previous))


def lock(connection: Connection) -> Chain:
    """The chain, which nobody else goes on with before this transaction ends."""
    found = connection.execute(_LOCKED).first()
    if found is None:
        connection.execute(_BEGIN, _FIRST)  # another process may do so at the same moment
        found = connection.execute(_LOCKED).one()
    return _chain(found)


def chain_of(connection: Connection) -> Chain:
    """The chain as it is now; one without an entry is as it begins."""
    found = connection.execute(select(audit_chain)).first()
    return Chain(0, BEGINNING, 0, BEGINNING) if found is None else _chain(found)


def is_audited(request: StoredRequest) -> bool:
    """Whether what becomes of a request is written down: somebody asked for it, and it may change something."""
    return request.principal is not None and request.verb not in NOT_AUDITED


def accepted(request: StoredRequest, jobs: Sequence[CommandJob], approved_by: str = "") -> AuditEntry:
    """That a request is kept, and for which meters."""
    asked = sorted({f"{job.command.operation} {job.command.body}".strip() for job in jobs})
    more = [f"and {len(asked) - MOST_ASKED} more"] if len(asked) > MOST_ASKED else []
    return AuditEntry(
        what=What.ACCEPTED,
        at=request.accepted_at,
        principal=request.principal or "",
        by=request.principal_by or "",
        verb=request.verb,
        noun=request.noun,
        asked="; ".join([one[:80] for one in asked[:MOST_ASKED]] + more) or request.query,
        meters=MetersOf.of((job.command.meter.name, job.command.meter.mrid) for job in jobs),
        request=request.request_id,
        approved_by=approved_by,
    )


def ended(connection: Connection, request_id: str, request: Row[*tuple[object, ...]], at: datetime) -> AuditEntry:
    """That a request has its answer; `request` are its principal, principal_by, verb, noun and result."""
    counts = select(func.count(), func.count(commands.c.finished_at).filter(commands.c.ok)).where(
        commands.c.request_id == request_id
    )
    meters, done = connection.execute(counts).one()
    found = request._mapping
    return AuditEntry(
        what=What.ENDED,
        at=at,
        principal=str(found["principal"]),
        by=str(found["principal_by"] or ""),
        verb=str(found["verb"]),
        noun=str(found["noun"]),
        request=request_id,
        outcome=str(found["result"]),
        reason=f"{done} of {meters} meters OK" if meters else "",
    )


def _search(connection: Connection, search: AuditSearch, before: int | None, limit: int) -> AuditFound:
    """Texts are looked through, so only so many entries at once; the database leaves out most, and what it can't tell is told here."""
    chain = chain_of(connection)
    first, last = chain.base_seq + 1, min(chain.seq, chain.seq if before is None else before - 1)
    if search.until is not None:
        there = connection.execute(select(func.max(audit.c.seq)).where(audit.c.at <= search.until)).scalar()
        last = min(last, there or 0)
    if search.since is not None:
        there = connection.execute(select(func.min(audit.c.seq)).where(audit.c.at >= search.since)).scalar()
        first = max(first, chain.seq + 1 if there is None else there)
    least = max(first, last - MOST_SEARCHED + 1)
    query = select(audit).where(audit.c.seq.between(least, last), *_so(search)).order_by(audit.c.seq.desc())
    found = [_link(row) for row in connection.execute(query.limit(limit))]
    goes_on = found[-1].seq if len(found) == limit else least
    wanted = [link for link in found if search.wants(parse_entry(link.text))]
    return AuditFound(wanted, chain, goes_on if goes_on > first else None)


def _so(search: AuditSearch) -> Iterator[ColumnElement[bool]]:
    if search.request:
        yield audit.c.request_id == search.request
    for name, value in (("principal", search.principal), ("what", search.what)):
        if value:
            yield audit.c.entry.contains(f'"{name}":{json.dumps(value)}', autoescape=True)
    if search.meter:
        of_request = (commands.c.request_id == audit.c.request_id, commands.c.meter_name == search.meter)
        listed = f'"meters_listed":[%{_LIKE.sub(_AS_IT_IS, json.dumps(search.meter))}%]'
        yield or_(audit.c.entry.like(f"%{listed}%", escape="/"), exists().where(*of_request))


def _forget(connection: Connection, before: datetime, now: datetime) -> int:
    chain = lock(connection)
    newer = select(func.min(audit.c.seq)).where(audit.c.at >= before)
    first_kept = (
        connection.execute(newer).scalar() or chain.seq
    )  # the last one stays, so that there is one to go on from
    row = connection.execute(select(audit).where(audit.c.seq == first_kept - 1)).first()
    if (
        row is None or (last := _link(row)).misfiled
    ):  # what was made to look old stays, and whoever checks the chain is told
        return 0
    dropped = connection.execute(delete(audit).where(audit.c.seq < first_kept)).rowcount
    connection.execute(update(audit_chain).values(base_seq=last.seq, base_hash=last.hash))
    reason = f"older than {before.isoformat(timespec='seconds')}"
    note = AuditEntry(
        what=What.CUT, at=now, principal="hes", asked=f"{last.seq}:{last.hash}", reason=reason, number=dropped
    )
    write(connection, [note])
    return dropped


def _link(row: Row[*tuple[object, ...]]) -> Link:
    found = row._mapping
    said = str(found["entry"])
    return Link(int(found["seq"]), said, str(found["hash"]), _is_misfiled(said, found["at"], found["request_id"]))


def _is_misfiled(said: str, at: datetime, request_id: str | None) -> bool:
    """Whether the columns by which an entry is found and dropped are not its own."""
    try:
        entry = parse_entry(said)
        return datetime.fromisoformat(entry["at"]) != at or entry.get("request", "") != (request_id or "")[:MOST_TEXT]
    except ValueError:
        return True


def _chain(row: Row[*tuple[object, ...]]) -> Chain:
    found = row._mapping
    return Chain(int(found["base_seq"]), str(found["base_hash"]), int(found["seq"]), str(found["hash"]))
