"""EndDeviceEvents in the database: the DeviceEvents port. What comes at once from many meters shares a transaction."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID, uuid5

from sqlalchemy import ColumnElement, Connection, Row, Select, case, delete, func, insert, literal, or_, select, update

from ami_hes.store.database import Database
from ami_hes.store.device_events_port import ChangeVerb, EventChange, EventQuery, Happened, StoredDeviceEvent
from ami_hes.store.tables import device_event_changes, device_event_journal, device_events, event_log_marks, requests
from ami_process.store.group_commit import GroupCommit

GATHER_S = 0.025
"""How long a transaction waits for the events of further meters, when many come."""
AT_ONCE = 500
"""Ids of one statement."""
_COLUMNS = tuple(StoredDeviceEvent.__slots__)


class SqlDeviceEvents:
    """The DeviceEvents port."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._keeping: GroupCommit[Happened] = GroupCommit(database, keep_device_events, gather_s=GATHER_S)

    async def keep(self, happened: Happened) -> None:
        await self._keeping.add(happened)

    async def changes(self, most: int, first: Sequence[Sequence[str]] = ()) -> list[EventChange]:
        joined = device_event_changes.join(device_events)
        query = select(device_event_changes.c.number, device_event_changes.c.verb, device_events).select_from(joined)
        ordered = query.order_by(_rank(first), device_event_changes.c.number).limit(most)
        return await self._database.transaction(
            lambda c: [EventChange(row.number, row.verb, _event(row)) for row in c.execute(ordered)]
        )

    async def waiting(self, first: Sequence[Sequence[str]] = ()) -> list[int]:
        ranks = select(_rank(first).label("rank")).select_from(device_event_changes.join(device_events)).subquery()
        query = select(ranks.c.rank, func.count()).group_by(ranks.c.rank)
        found = await self._database.transaction(lambda c: {row[0]: row[1] for row in c.execute(query)})
        return [found.get(place, 0) for place in range(len(first) + 1)]

    async def handed_on(self, numbers: Sequence[int]) -> None:
        these = delete(device_event_changes).where(device_event_changes.c.number.in_(numbers))
        await self._database.transaction(lambda c: c.execute(these).close())

    async def all_handed_on(self) -> None:
        await self._database.transaction(lambda c: c.execute(delete(device_event_changes)).close())

    async def changes_after(self, number: int, most: int) -> list[EventChange]:
        return await self._database.transaction(lambda c: _changes_after(c, number, most))

    async def latest_change(self) -> int:
        query = select(func.coalesce(func.max(device_event_journal.c.number), 0))
        return await self._database.transaction(lambda c: int(c.execute(query).scalar_one()))

    async def log_marks(self, mrid: str) -> dict[str, datetime]:
        query = select(event_log_marks.c.log, event_log_marks.c.seen_at).where(event_log_marks.c.mrid == mrid)
        return await self._database.transaction(lambda c: {row.log: row.seen_at for row in c.execute(query)})

    async def mark_log(self, mrid: str, log: str, *, seen_at: datetime, read_at: datetime) -> None:
        values = {"mrid": mrid, "log": log, "seen_at": seen_at, "read_at": read_at}
        await self._database.transaction(lambda c: _mark_log(c, values))

    async def find(self, query: EventQuery) -> list[StoredDeviceEvent]:
        return await self._database.transaction(lambda c: [_event(row) for row in c.execute(_found(query))])

    async def forget(self, before: datetime) -> int:
        open_alarm = device_events.c.alarm.is_not(None) & device_events.c.closed_at.is_(None)
        latest = select(device_event_journal.c.event_id).order_by(device_event_journal.c.number.desc()).limit(1)
        kept = open_alarm | device_events.c.event_id.in_(latest)  # numbers of changes go on behind the latest one
        old = delete(device_events).where(device_events.c.received_at < before, ~kept)
        return await self._database.transaction(lambda c: c.execute(old).rowcount)


def _changes_after(connection: Connection, number: int, most: int) -> list[EventChange]:
    joined = device_event_journal.join(device_events)
    query = select(device_event_journal.c.number, device_event_journal.c.verb, device_events).select_from(joined)
    ordered = query.where(device_event_journal.c.number > number).order_by(device_event_journal.c.number).limit(most)
    return [EventChange(row.number, row.verb, _event(row)) for row in connection.execute(ordered)]


def _mark_log(connection: Connection, values: dict[str, object]) -> None:
    this = (event_log_marks.c.mrid == values["mrid"], event_log_marks.c.log == values["log"])
    if not connection.execute(update(event_log_marks).where(*this).values(values)).rowcount:
        connection.execute(insert(event_log_marks).values(values))


def _found(query: EventQuery) -> Select[*tuple[object, ...]]:
    times = (device_events.c.created_at, device_events.c.event_id)
    found = select(device_events).order_by(*((one.desc() for one in times) if query.newest_first else times))
    for column, wanted in (
        (device_events.c.mrid, query.mrids),
        (device_events.c.event_id, query.event_ids),
    ):
        if wanted:
            found = found.where(column.in_(wanted))
    if query.codes or query.code_tails:
        found = found.where(device_events.c.code.in_(query.codes) | device_events.c.code_tail.in_(query.code_tails))
    if query.since is not None:
        found = found.where(device_events.c.created_at >= query.since)
    if query.until is not None:
        found = found.where(device_events.c.created_at < query.until)
    if query.open_alarms:
        found = found.where(device_events.c.alarm.is_not(None), device_events.c.closed_at.is_(None))
    return found.limit(query.most).offset(query.offset)


def _rank(first: Sequence[Sequence[str]]) -> ColumnElement[int]:
    """By the code of an event."""
    tail = device_events.c.code_tail
    ranks = [
        (or_(*(tail.like(f"{one}%") if one.endswith(".") else tail == one for one in names)), rank)
        for rank, names in enumerate(first)
    ]
    return case(*ranks, else_=len(ranks)) if ranks else literal(0)


def keep_device_events(connection: Connection, batch: Sequence[Happened]) -> None:
    """As of the DeviceEvents port, in a transaction that may do more. Alarms in their order, since one may begin and end in one transaction."""
    if not any(map(_has_alarms, batch)):
        _add(connection, batch)
        return
    for happened in batch:
        _close(connection, happened)
        standing = _open_alarms(connection, happened)
        new = [one for one in happened.events if one.alarm is None or one.alarm not in standing]
        _add(connection, [replace(happened, events=[_begun(connection, one) for one in new])])


_AGAIN = UUID("5b0c9f1e-3d53-4f0e-9a55-2f8d4c1b7a60")
"""Of ids of events that follow from those of others; never to be changed."""


def _begun(connection: Connection, one: StoredDeviceEvent) -> StoredDeviceEvent:
    """An alarm that is set again in the second in which it was set and has ended is another event, with another id."""
    while one.alarm is not None and _known(connection, [one.event_id]):
        one = replace(one, event_id=str(uuid5(_AGAIN, one.event_id)))
    return one


def _has_alarms(happened: Happened) -> bool:
    return bool(happened.cleared) or any(one.alarm for one in happened.events)


def _add(connection: Connection, batch: Sequence[Happened]) -> None:
    """Those that are not kept yet, each as it came first."""
    known = _known(connection, [one.event_id for happened in batch for one in happened.events])
    issuers = _issuers(connection, [one.of_request for one in batch if one.of_request is not None])
    new: dict[str, dict[str, object]] = {}
    for happened in batch:
        for one in happened.events:
            if one.event_id not in known:
                new.setdefault(one.event_id, _row(one) | issuers.get(happened.of_request, {}))
    if new:
        connection.execute(insert(device_events), list(new.values()))
        _change(connection, "created", list(new))


def _issuers(connection: Connection, request_ids: Sequence[str]) -> dict[str | None, dict[str, object]]:
    """By request, what goes along with what it has brought about."""
    columns = requests.c.request_id, requests.c.source, requests.c.correlation_id
    return {
        row.request_id: {"issuer_id": row.source, "issuer_tracking_id": row.correlation_id}
        for some in _parts(list(dict.fromkeys(request_ids)))
        for row in connection.execute(select(*columns).where(requests.c.request_id.in_(some)))
    }


def _close(connection: Connection, happened: Happened) -> None:
    if not happened.cleared:
        return
    ended = (
        device_events.c.mrid == happened.mrid,
        device_events.c.alarm.in_(happened.cleared),
        device_events.c.closed_at.is_(None),
    )
    ids = list(connection.execute(select(device_events.c.event_id).where(*ended)).scalars())
    if ids:
        these = update(device_events).where(device_events.c.event_id.in_(ids))
        connection.execute(these.values(closed_at=happened.at))
        _change(connection, "closed", ids)


def _open_alarms(connection: Connection, happened: Happened) -> set[str | None]:
    if not any(one.alarm for one in happened.events):
        return set()
    this = (device_events.c.mrid == happened.mrid, device_events.c.alarm.is_not(None))
    query = select(device_events.c.alarm).where(*this, device_events.c.closed_at.is_(None))
    return set(connection.execute(query).scalars())


def _known(connection: Connection, ids: Sequence[str]) -> set[str]:
    return {
        one
        for some in _parts(ids)
        for one in connection.execute(
            select(device_events.c.event_id).where(device_events.c.event_id.in_(some))
        ).scalars()
    }


def _parts(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    return (ids[start : start + AT_ONCE] for start in range(0, len(ids), AT_ONCE))


def _change(connection: Connection, verb: ChangeVerb, ids: Sequence[str]) -> None:
    rows = [{"verb": verb, "event_id": one} for one in ids]
    for table in (device_event_changes, device_event_journal):
        connection.execute(insert(table), rows)


def _row(one: StoredDeviceEvent) -> dict[str, object]:
    row: dict[str, object] = {name: getattr(one, name) for name in _COLUMNS}
    row["code_tail"] = one.code.partition(".")[2]
    return row


def _event(row: Row[*tuple[object, ...]]) -> StoredDeviceEvent:
    values = row._mapping
    return StoredDeviceEvent(**{name: values[name] for name in _COLUMNS})
