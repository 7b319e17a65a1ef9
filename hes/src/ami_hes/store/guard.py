"""Limits, approvals and the stop of all controls in the database: the GuardStore port, and what `Results.accept` and `Results.attempt` check.

Whatever is checked before something is counted is read behind the lock of the audit chain (`ami_hes.store.audit.lock`), so it is true
until the transaction ends, on every kind of store.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from sqlalchemy import Connection, Row, bindparam, delete, exists, func, insert, select, text, update

from ami_hes.audit import AuditEntry, MetersOf, What
from ami_hes.enums import ApprovalOf, ApprovalState
from ami_hes.store.audit import lock, write
from ami_hes.store.database import Database
from ami_hes.store.guard_port import ControlsStopped, Gate, GuardMarks, LimitReached, Stop, StoredApproval
from ami_hes.store.ports import StoredRequest
from ami_hes.store.tables import approvals, controls_stop, guard_uses, requests
from ami_process.store.columns import UtcDateTime

_STOPPED = select(controls_stop).where(controls_stop.c.stopped)
_SAY_STOP = text(
    "INSERT INTO controls_stop (number, stopped, by, at, reason) VALUES (1, :stopped, :by, :at, :reason)"
    " ON CONFLICT (number) DO UPDATE SET stopped = excluded.stopped, by = excluded.by, at = excluded.at, reason = excluded.reason"
).bindparams(bindparam("at", type_=UtcDateTime()))
_DECIDED = {
    ApprovalState.APPROVED: What.APPROVED,
    ApprovalState.REJECTED: What.REJECTED,
    ApprovalState.EXPIRED: What.EXPIRED,
    ApprovalState.WITHDRAWN: What.REJECTED,
}


class SqlGuard:
    """The GuardStore port."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def used(self, since: datetime) -> Mapping[tuple[str, str], int]:
        sums = select(guard_uses.c.guarded, guard_uses.c.scope, func.sum(guard_uses.c.meters))
        query = sums.where(guard_uses.c.at > since).group_by(guard_uses.c.guarded, guard_uses.c.scope)
        rows = await self._database.transaction(lambda c: c.execute(query).all())
        return {(guarded, scope): int(meters) for guarded, scope, meters in rows}

    async def stopped(self) -> Stop | None:
        return await self._database.transaction(_stop_of)

    async def say_stop(self, stop: Stop, principal_by: str) -> bool:
        return await self._database.transaction(lambda c: _say_stop(c, stop, principal_by))

    async def want_approval(self, approval: StoredApproval, principal_by: str) -> None:
        await self._database.transaction(lambda c: _want(c, approval, principal_by))

    async def approval(self, request_id: str) -> StoredApproval | None:
        query = select(approvals).where(approvals.c.request_id == request_id)
        found = await self._database.transaction(lambda c: c.execute(query).first())
        return None if found is None else _approval(found)

    async def asked_by(self, request_id: str) -> str | None:
        query = select(requests.c.principal_by).where(requests.c.request_id == request_id)
        found: str | None = await self._database.transaction(lambda c: c.execute(query).scalar())
        return found

    async def approvals(self, states: Collection[ApprovalState], limit: int) -> Sequence[StoredApproval]:
        these = approvals.c.state.in_([str(one) for one in states])
        query = select(approvals).where(these).order_by(approvals.c.asked_at.desc(), approvals.c.request_id)
        return await self._database.transaction(lambda c: list(map(_approval, c.execute(query.limit(limit)))))

    async def marks(self) -> GuardMarks:
        waiting = select(func.count()).where(approvals.c.state == str(ApprovalState.WAITING)).scalar_subquery()
        latest = (
            select(func.max(column)).scalar_subquery() for column in (approvals.c.asked_at, approvals.c.decided_at)
        )
        query = select(waiting, *latest)  # each by an index of its own
        row = await self._database.transaction(lambda c: c.execute(query).one())
        return GuardMarks(*row)

    async def decide(
        self, request_id: str, state: ApprovalState, by: str, at: datetime, note: str = "", principal_by: str = ""
    ) -> bool:
        return await self._database.transaction(lambda c: _decide(c, request_id, state, (by, principal_by), at, note))

    async def overdue(self, now: datetime) -> Sequence[StoredApproval]:
        waiting = (approvals.c.state == str(ApprovalState.WAITING), approvals.c.expires_at <= now)
        query = select(approvals).where(*waiting)
        return await self._database.transaction(lambda c: list(map(_approval, c.execute(query))))

    async def forget(self, before: datetime) -> None:
        await self._database.transaction(lambda c: _forget(c, before))


def check_stop(connection: Connection) -> None:
    """Raises ControlsStopped."""
    found = connection.execute(_STOPPED).first()
    if found is not None:
        raise ControlsStopped(_stop(found))


def pass_gate(connection: Connection, request: StoredRequest, gate: Gate) -> list[AuditEntry]:
    """Check a request that is being kept, and count it; what is to be audited of it beside itself. Raises ControlsStopped and LimitReached."""
    lock(connection)
    check_stop(connection)
    for use in gate.uses:
        these = (guard_uses.c.guarded == use.guarded, guard_uses.c.scope == use.scope, guard_uses.c.at > gate.since)
        used = connection.execute(select(func.coalesce(func.sum(guard_uses.c.meters), 0)).where(*these)).scalar_one()
        if used + use.meters > use.limit:
            raise LimitReached(use, int(used))
    rows = [
        {
            "request_id": request.request_id,
            "guarded": use.guarded,
            "scope": use.scope,
            "at": request.accepted_at,
            "meters": use.meters,
        }
        for use in gate.uses
    ]
    if rows:
        connection.execute(insert(guard_uses), rows)
    if gate.approval is None:
        return []
    connection.execute(insert(approvals).values(_values(gate.approval)))
    return [_wanted(gate.approval, request.principal_by or "")]


def _want(connection: Connection, approval: StoredApproval, principal_by: str) -> None:
    lock(connection)
    there = select(approvals.c.request_id).where(approvals.c.request_id == approval.request_id)
    if connection.execute(there).first() is None:
        connection.execute(insert(approvals).values(_values(approval)))
        write(connection, [_wanted(approval, principal_by)])


def _decide(
    connection: Connection, request_id: str, state: ApprovalState, who: tuple[str, str], at: datetime, note: str
) -> bool:
    by, principal_by = who
    lock(connection)
    waiting = (approvals.c.request_id == request_id, approvals.c.state == str(ApprovalState.WAITING))
    values = {"state": str(state), "decided_by": by, "decided_at": at, "note": note}
    if connection.execute(update(approvals).where(*waiting).values(values)).rowcount == 0:
        return False
    found = _approval(connection.execute(select(approvals).where(approvals.c.request_id == request_id)).one())
    entry = AuditEntry(
        what=_DECIDED[state],
        at=at,
        principal=by,
        by=principal_by,
        asked=f"{found.guarded} asked by {found.principal}",
        meters=found.meters,
        request=request_id,
        outcome=str(state),
        reason=note,
    )
    write(connection, [entry])
    return True


def _say_stop(connection: Connection, stop: Stop, principal_by: str) -> bool:
    lock(connection)
    before = _stop_of(connection)
    if (before is not None and before.stopped) == stop.stopped:
        return False
    connection.execute(_SAY_STOP, stop._asdict())
    what = What.CONTROLS_STOPPED if stop.stopped else What.CONTROLS_RESUMED
    write(connection, [AuditEntry(what=what, at=stop.at, principal=stop.by, by=principal_by, reason=stop.reason)])
    return True


def _forget(connection: Connection, before: datetime) -> None:
    """A decision stays as long as its request has no answer: one for a time ahead hears of it only then, months later perhaps."""
    connection.execute(delete(guard_uses).where(guard_uses.c.at < before))
    still_open = exists().where(requests.c.request_id == approvals.c.request_id, requests.c.answered_at.is_(None))
    old = (approvals.c.state != str(ApprovalState.WAITING), approvals.c.decided_at < before)
    connection.execute(delete(approvals).where(*old, ~still_open))


def _wanted(approval: StoredApproval, principal_by: str) -> AuditEntry:
    return AuditEntry(
        what=What.APPROVAL_WANTED,
        at=approval.asked_at,
        principal=approval.principal,
        by=principal_by,
        asked=approval.summary,
        meters=approval.meters,
        request=approval.request_id,
        reason=approval.why,
    )


def _stop_of(connection: Connection) -> Stop | None:
    found = connection.execute(select(controls_stop)).first()
    return None if found is None else _stop(found)


def _stop(row: Row[*tuple[object, ...]]) -> Stop:
    found = row._mapping
    return Stop(found["stopped"], found["by"], found["at"], found["reason"])


def _values(approval: StoredApproval) -> dict[str, object]:
    return {
        "request_id": approval.request_id,
        "kind": str(approval.kind),
        "guarded": approval.guarded,
        "principal": approval.principal,
        "summary": approval.summary,
        "meters": approval.meters.number,
        "meters_digest": approval.meters.digest,
        "meters_listed": json.dumps(approval.meters.listed),
        "why": approval.why,
        "asked_at": approval.asked_at,
        "expires_at": approval.expires_at,
        "state": str(approval.state),
    }


def _approval(row: Row[*tuple[object, ...]]) -> StoredApproval:
    found = row._mapping
    listed = tuple(json.loads(found["meters_listed"]))
    return StoredApproval(
        request_id=found["request_id"],
        kind=ApprovalOf(found["kind"]),
        guarded=found["guarded"],
        principal=found["principal"],
        summary=found["summary"],
        meters=MetersOf(found["meters"], found["meters_digest"], listed),
        why=found["why"],
        asked_at=found["asked_at"],
        expires_at=found["expires_at"],
        state=ApprovalState(found["state"]),
        decided_by=found["decided_by"],
        decided_at=found["decided_at"],
        note=found["note"],
    )
