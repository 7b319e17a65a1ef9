"""What is kept for traces, in the database."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    ScalarSelect,
    Select,
    and_,
    collate,
    delete,
    exists,
    func,
    insert,
    or_,
    select,
)

from ami_hes.store.database import Database
from ami_hes.store.tables import commands, requests, trace_arrivals, trace_attempts
from ami_hes.store.traces_port import MOST_REFUSALS, PUSH, REFUSAL, KeptArrival, KeptAttempt, RequestFilter
from ami_process.store.columns import UtcDateTime

_ATTEMPT = (
    trace_attempts.c.request_id,
    trace_attempts.c.meter_name,
    trace_attempts.c.began_at,
    trace_attempts.c.ok,
    trace_attempts.c.octets,
)
_ARRIVAL = (trace_arrivals.c.request_id, trace_arrivals.c.began_at, trace_arrivals.c.octets)


class SqlTraces:
    """The TraceStore port."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def keep(
        self, attempts: Sequence[KeptAttempt], arrivals: Sequence[KeptArrival], refusals: Sequence[KeptArrival] = ()
    ) -> None:
        def work(connection: Connection) -> None:
            _keep(connection, attempts, arrivals)
            if refusals:
                _keep_refusals(connection, refusals)

        await self._database.transaction(work)

    async def attempts(self, request_id: str, limit: int) -> list[KeptAttempt]:
        these = select(*_ATTEMPT).where(trace_attempts.c.request_id == request_id)
        query = these.order_by(trace_attempts.c.number).limit(limit)
        return await self._database.transaction(lambda c: [KeptAttempt(*row) for row in c.execute(query)])

    async def arrival(self, request_id: str) -> KeptArrival | None:
        query = select(*_ARRIVAL).where(trace_arrivals.c.request_id == request_id)
        row = await self._database.transaction(lambda c: c.execute(query).one_or_none())
        return None if row is None else KeptArrival(*row)

    async def requests(self, wanted: RequestFilter) -> list[str]:
        return await self._database.transaction(lambda c: list(c.execute(_wanted(wanted)).scalars()))

    async def refusals(self, limit: int, before: str | None, offset: int = 0) -> list[KeptArrival]:
        return await self._database.transaction(lambda c: _refusals(c, limit, before, offset))

    async def pushes(self, limit: int, meter: str | None, before: str | None, *, failed: bool) -> list[KeptAttempt]:
        return await self._database.transaction(lambda c: _pushes(c, limit, meter, before, failed=failed))

    async def forget(self, before: datetime, most_octets: int) -> int:
        return await self._database.transaction(lambda c: _forget(c, before, most_octets))


def _keep(connection: Connection, attempts: Sequence[KeptAttempt], arrivals: Sequence[KeptArrival]) -> None:
    if attempts:
        rows = [one._asdict() | {"size": len(one.octets)} for one in attempts]
        connection.execute(insert(trace_attempts), rows)
    ids = [one.request_id for one in arrivals]
    known = select(trace_arrivals.c.request_id).where(trace_arrivals.c.request_id.in_(ids))
    there = set(connection.execute(known).scalars()) if ids else set()
    new = {one.request_id: one._asdict() for one in reversed(arrivals) if one.request_id not in there}
    if new:
        connection.execute(insert(trace_arrivals), list(new.values()))


def _begins(connection: Connection, column: ColumnElement[str], key: str) -> ColumnElement[bool]:
    """A range of an index by octets: SQLite compares texts so, and in PostgreSQL the index of the kinds does."""
    if connection.dialect.name != "sqlite":
        column = collate(column, "C")
    return and_(column >= key, column < key[:-1] + chr(ord(key[-1]) + 1))


def _refusals(connection: Connection, limit: int, before: str | None, offset: int) -> list[KeptArrival]:
    query = select(*_ARRIVAL).where(_begins(connection, trace_arrivals.c.request_id, REFUSAL))
    if before is not None:
        query = query.where(trace_arrivals.c.began_at < _place(before))
    query = query.order_by(trace_arrivals.c.began_at.desc(), trace_arrivals.c.request_id.desc())
    return [KeptArrival(*row) for row in connection.execute(query.limit(limit).offset(offset))]


def _pushes(
    connection: Connection, limit: int, meter: str | None, before: str | None, *, failed: bool
) -> list[KeptAttempt]:
    """Their numbers first, so that no octets are put in order."""
    numbers = select(trace_attempts.c.number).where(_begins(connection, trace_attempts.c.request_id, PUSH))
    if meter is not None:
        numbers = numbers.where(trace_attempts.c.meter_name == meter)
    if failed:
        numbers = numbers.where(trace_attempts.c.ok.is_(False))
    if before is not None:
        number = select(trace_attempts.c.number).where(trace_attempts.c.request_id == f"{PUSH}{before}")
        numbers = numbers.where(trace_attempts.c.number < number.scalar_subquery())
    latest = numbers.order_by(trace_attempts.c.number.desc()).limit(limit).subquery()
    query = select(*_ATTEMPT).where(trace_attempts.c.number.in_(select(latest.c.number)))
    return [KeptAttempt(*row) for row in connection.execute(query.order_by(trace_attempts.c.number.desc()))]


def _place(message_id: str) -> ScalarSelect[datetime]:
    """The time of a request, or of one that was refused."""
    accepted = select(requests.c.accepted_at).where(requests.c.request_id == message_id).scalar_subquery()
    refused = select(trace_arrivals.c.began_at).where(trace_arrivals.c.request_id == f"{REFUSAL}{message_id}")
    return select(func.coalesce(accepted, refused.scalar_subquery(), type_=UtcDateTime)).scalar_subquery()


def _keep_refusals(connection: Connection, refusals: Sequence[KeptArrival]) -> None:
    latest = {one.request_id: one._asdict() for one in refusals}
    connection.execute(delete(trace_arrivals).where(trace_arrivals.c.request_id.in_(latest)))
    connection.execute(insert(trace_arrivals), list(latest.values()))
    kept = select(trace_arrivals.c.request_id).where(_begins(connection, trace_arrivals.c.request_id, REFUSAL))
    kept = kept.order_by(trace_arrivals.c.began_at.desc(), trace_arrivals.c.request_id.desc())
    beyond = list(connection.execute(kept.limit(len(latest)).offset(MOST_REFUSALS)).scalars())
    if beyond:
        connection.execute(delete(trace_arrivals).where(trace_arrivals.c.request_id.in_(beyond)))


def _wanted(wanted: RequestFilter) -> Select[Any]:
    conditions = []
    if wanted.noun is not None:
        conditions.append(requests.c.noun == wanted.noun)
    of_request = commands.c.request_id == requests.c.request_id
    if wanted.meter is not None:
        named = or_(commands.c.meter_name == wanted.meter, commands.c.mrid == wanted.meter)
        conditions.append(exists().where(of_request, named))
    if wanted.failed:
        conditions.append(or_(requests.c.result == "FAILED", exists().where(of_request, commands.c.ok.is_(False))))
    if wanted.before is not None:
        place = _place(wanted.before)
        earlier = and_(requests.c.accepted_at == place, requests.c.request_id < wanted.before)
        conditions.append(or_(requests.c.accepted_at < place, earlier))
    query = select(requests.c.request_id).where(*conditions)
    return query.order_by(requests.c.accepted_at.desc(), requests.c.request_id.desc()).limit(wanted.limit)


def _forget(connection: Connection, before: datetime, most_octets: int) -> int:
    connection.execute(delete(trace_arrivals).where(trace_arrivals.c.began_at < before))
    forgotten = connection.execute(delete(trace_attempts).where(trace_attempts.c.began_at < before)).rowcount
    behind = func.sum(trace_attempts.c.size).over(order_by=trace_attempts.c.number.desc())
    summed = select(trace_attempts.c.number, behind.label("octets")).subquery()
    last = connection.execute(select(func.max(summed.c.number)).where(summed.c.octets > most_octets)).scalar()
    if last is not None:
        forgotten += connection.execute(delete(trace_attempts).where(trace_attempts.c.number <= last)).rowcount
    return forgotten
