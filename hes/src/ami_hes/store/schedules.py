"""Schedules and their runs in the database: the Schedules port."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime

from sqlalchemy import Connection, Delete, Row, Select, Update, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from ami_hes.store.database import Database
from ami_hes.store.schedules_port import Collected, NameTaken, StoredRun, StoredSchedule
from ami_hes.store.tables import commands, schedule_meters, schedule_runs, schedules

_COLLECTED = (
    commands.c.mrid,
    commands.c.meter_name,
    commands.c.operation,
    commands.c.body,
    commands.c.ok,
    commands.c.reason,
    commands.c.payload,
    commands.c.finished_at,
)


_COMPLETE = select(schedule_meters.c.mrid, schedule_meters.c.complete_until)


class SqlSchedules:
    """The Schedules port."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def put(self, schedule: StoredSchedule) -> None:
        try:
            await self._database.transaction(lambda c: _put(c, schedule))
        except IntegrityError:
            raise NameTaken(schedule.name) from None

    async def remove(self, schedule_id: str) -> bool:
        this = delete(schedules).where(schedules.c.schedule_id == schedule_id)
        return await self._database.transaction(lambda c: c.execute(this).rowcount > 0)

    async def everything(self) -> list[StoredSchedule]:
        query = select(schedules).order_by(schedules.c.name)
        return await self._database.transaction(lambda c: [StoredSchedule(**one._mapping) for one in c.execute(query)])

    async def begin(self, run: StoredRun, next_due_at: datetime) -> None:
        await self._database.transaction(lambda c: _begin(c, run, next_due_at))

    async def end(self, run: StoredRun, delivered: int, ended_at: datetime, *, forget_before: datetime) -> None:
        this = update(schedule_runs).where(schedule_runs.c.run_id == run.run_id)
        ended = this.values(delivered=delivered, ended_at=ended_at)
        old = (schedule_runs.c.schedule_id == run.schedule_id, schedule_runs.c.due_at < forget_before)
        forgotten = delete(schedule_runs).where(*old, schedule_runs.c.ended_at.is_not(None))
        await self._database.transaction(lambda c: _both(c, ended, forgotten))

    async def open_runs(self) -> list[StoredRun]:
        query = select(schedule_runs).where(schedule_runs.c.ended_at.is_(None)).order_by(schedule_runs.c.due_at)
        return await self._database.transaction(lambda c: list(map(_run, c.execute(query))))

    async def runs(self, schedule_id: str, limit: int) -> list[StoredRun]:
        query = select(schedule_runs).where(schedule_runs.c.schedule_id == schedule_id)
        latest = query.order_by(schedule_runs.c.due_at.desc()).limit(limit)
        return await self._database.transaction(lambda c: list(map(_run, c.execute(latest))))

    async def collected(self, request_id: str) -> Sequence[Collected]:
        this = (commands.c.request_id == request_id, commands.c.finished_at.is_not(None))
        query = select(*_COLLECTED).where(*this).order_by(commands.c.position)
        return await self._database.transaction(lambda c: [Collected(*one) for one in c.execute(query)])

    async def drop_collected(self, request_id: str) -> None:
        these = update(commands).where(commands.c.request_id == request_id, commands.c.payload != "")
        await self._database.transaction(lambda c: c.execute(these.values(payload="")).close())

    async def complete_until(self, schedule_id: str, mrids: Collection[str]) -> Mapping[str, datetime]:
        this = _COMPLETE.where(schedule_meters.c.schedule_id == schedule_id, schedule_meters.c.mrid.in_(list(mrids)))
        return await self._database.transaction(lambda c: _moments(c, this))

    async def completed(self, schedule_id: str, until: Mapping[str, datetime]) -> None:
        await self._database.transaction(lambda c: _completed(c, schedule_id, until))


def _both(connection: Connection, ended: Update, forgotten: Delete) -> None:
    connection.execute(ended)
    connection.execute(forgotten)


def _run(row: Row[*tuple[object, ...]]) -> StoredRun:
    return StoredRun(**row._mapping)


def _moments(connection: Connection, query: Select[*tuple[object, ...]]) -> dict[str, datetime]:
    return {one.mrid: one.complete_until for one in connection.execute(query)}


def _put(connection: Connection, schedule: StoredSchedule) -> None:
    values = asdict(schedule)
    this = update(schedules).where(schedules.c.schedule_id == schedule.schedule_id)
    if not connection.execute(this.values(values)).rowcount:
        connection.execute(insert(schedules).values(values))


def _begin(connection: Connection, run: StoredRun, next_due_at: datetime) -> None:
    """A schedule that was removed meanwhile has no runs."""
    due = update(schedules).where(schedules.c.schedule_id == run.schedule_id).values(next_due_at=next_due_at)
    there = connection.execute(due).rowcount
    kept = connection.execute(select(schedule_runs.c.run_id).where(schedule_runs.c.run_id == run.run_id)).first()
    if there and kept is None:
        connection.execute(insert(schedule_runs).values(asdict(run)))


def _completed(connection: Connection, schedule_id: str, until: Mapping[str, datetime]) -> None:
    of_schedule = schedule_meters.c.schedule_id == schedule_id
    there = select(schedules.c.schedule_id).where(schedules.c.schedule_id == schedule_id)
    if connection.execute(there).first() is None:
        return
    kept = _moments(connection, _COMPLETE.where(of_schedule, schedule_meters.c.mrid.in_(list(until))))
    for mrid, moment in until.items():
        if mrid not in kept:
            row = {"schedule_id": schedule_id, "mrid": mrid, "complete_until": moment}
            connection.execute(insert(schedule_meters).values(row))
        elif kept[mrid] < moment:
            this = update(schedule_meters).where(of_schedule, schedule_meters.c.mrid == mrid)
            connection.execute(this.values(complete_until=moment))
