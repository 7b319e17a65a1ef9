"""Schedules at work: what is due is asked of its meters, and what comes is published.

The store says what is due and which runs have no end yet, so a restart goes on with both. One run of a schedule at a time: what becomes
due meanwhile is due when the run has ended, and what was missed several times is caught up once.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import TypeVar

from ami_hes import events
from ami_hes.commands import Lane
from ami_hes.engine import LOST, Engine, Stopping
from ami_hes.meters.registry import Registry
from ami_hes.schedules.definition import Schedule
from ami_hes.schedules.publisher import Publisher
from ami_hes.schedules.runs import Planned, is_in_time, part_ids, planned
from ami_hes.store import Results, Schedules, StoredRun, StoredSchedule, StoreUnavailable
from ami_process.environment import Environment, real_sleep
from ami_process.events import format_fault
from ami_process.worker import WorkerBusy

LONGEST_REST_S = 300.0
"""After which the clock is looked at again, since it may have been set."""
UNAVAILABLE_S = 1.0
ROOM_S = 0.1
"""When a full lane is looked at again."""
WITHIN_S = 3600.0
RUNS_KEPT = timedelta(days=400)
T = TypeVar("T")


@dataclass(slots=True)
class Collector:
    """Works the schedules of a store."""

    store: Schedules
    results: Results
    engine: Engine
    registry: Registry
    publisher: Publisher
    environment: Environment
    pending: int
    """Commands that may wait or be worked in the lane of campaigns."""
    _changed: asyncio.Event = field(default_factory=asyncio.Event)
    _running: set[str] = field(default_factory=set)
    """Schedules with a run under way."""
    _publishing: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(1))
    """One part at a time is written, whatever many have come together."""
    _dispatching: asyncio.Lock = field(default_factory=asyncio.Lock)
    """One part after the other is put into the lane."""

    _in_lane: set[str] = field(default_factory=set)
    """Requests whose commands are put or were, and which have no answer yet."""
    _group: asyncio.TaskGroup | None = None
    """As long as `work` goes on."""

    def __post_init__(self) -> None:
        self.engine.events.listen(LOST, lambda *_: self.put_again())

    def look(self) -> None:
        """A schedule has changed: it may be due earlier than was known."""
        self._changed.set()

    async def under_way(self) -> frozenset[str]:
        """The requests of runs that an earlier life has left, or another process that was in charge: `work` puts what is open of them, as the lane has room. Raises StoreUnavailable."""
        self._running.clear()
        runs = await self.store.open_runs()
        return frozenset(part for run in runs for part in part_ids(run))

    async def work(self) -> None:
        """Until cancelled."""
        self._in_lane.clear()
        try:
            async with asyncio.TaskGroup() as self._group:
                await self._work(self._group)
        finally:
            self._group = None

    async def _work(self, group: asyncio.TaskGroup) -> None:
        for run in await _patiently(self.store.open_runs):
            self._follow(group, run)
        while True:
            self._changed.clear()
            await self._rest(await self._begin_due(group))

    async def _begin_due(self, group: asyncio.TaskGroup) -> datetime | None:
        """Begin what is due; when the next schedule is."""
        now = self.environment.now()
        waiting: list[datetime] = []
        for one in await _patiently(self.store.everything):
            if not one.enabled or one.schedule_id in self._running:
                continue
            if one.next_due_at > now:
                waiting.append(one.next_due_at)
            elif (run := await self._begun(one, now)) is not None:
                self._follow(group, run)
        return min(waiting, default=None)

    async def _rest(self, until: datetime | None) -> None:
        """Until a schedule is due or has changed."""
        left_s = LONGEST_REST_S if until is None else (until - self.environment.now()).total_seconds()
        sleep = self.environment.sleep(max(0.0, min(left_s, LONGEST_REST_S)))
        waits = [asyncio.ensure_future(sleep), asyncio.ensure_future(self._changed.wait())]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in waits:
                one.cancel()

    async def _begun(self, stored: StoredSchedule, now: datetime) -> StoredRun | None:
        """None for one that can't be worked, which keeps no other back; it is tried again later."""
        try:
            return await self._begin(planned(Schedule.of(stored), now), now)
        except StoreUnavailable:
            await real_sleep(UNAVAILABLE_S)
            self.look()
        except Exception as problem:  # noqa: BLE001  # reported, with its traceback
            self._failed(stored.name, problem)
        return None

    async def _begin(self, plan: Planned, now: datetime) -> StoredRun:
        """First the commands and then the run, since what is begun twice has the same ids."""
        schedule = plan.schedule
        deadline_at = self.environment.after_real(schedule.definition.deadline_s)
        parts = meters = 0
        for some in plan.meters(self.registry):
            complete = await self.store.complete_until(schedule.schedule_id, [one.mrid for one in some])
            part = plan.part(parts + 1, some, complete, now, deadline_at)
            new = {job.command.meter.mrid: plan.start for job in part.jobs if job.command.meter.mrid not in complete}
            await self.store.completed(schedule.schedule_id, new)
            await self.results.accept(part.request, part.jobs)
            parts, meters = parts + 1, meters + len(part.jobs)
        run = StoredRun(
            run_id=plan.run_id,
            schedule_id=schedule.schedule_id,
            due_at=plan.due_at,
            period_start=plan.start,
            period_end=plan.end,
            deadline_at=deadline_at,
            parts=parts,
            meters=meters,
        )
        await self.store.begin(run, plan.next_due_at)
        self.environment.emit(
            events.ScheduleBegun(
                schedule=schedule.name,
                due_at=plan.due_at.isoformat(),
                since=plan.start.isoformat(),
                until=plan.end.isoformat(),
                meters=meters,
            )
        )
        return run

    def put_again(self) -> None:
        """What was put may have been lost: whatever is open of it is put once more; what is in the lane stays there once."""
        if self._group is not None:
            for request_id in self._in_lane:
                self._group.create_task(self._reported(request_id, self._dispatch(request_id, again=True)))

    async def _reported(self, about: str, work: Awaitable[None]) -> bool:
        """Whether it was done; a fault of ours keeps nothing else back."""
        try:
            await work
        except Exception as problem:  # noqa: BLE001  # reported, with its traceback
            self._failed(about, problem)
            return False
        return True

    def _follow(self, group: asyncio.TaskGroup, run: StoredRun) -> None:
        self._running.add(run.schedule_id)
        group.create_task(self._collect(run))

    async def _collect(self, run: StoredRun) -> None:
        """All parts of a run, and its end; then its schedule may be due again."""
        counts: list[int | None] = []
        async with asyncio.TaskGroup() as group:
            for part in part_ids(run):  # one that is not put yet costs nothing, however many there are
                self._in_lane.add(part)
                if await self._reported(run.schedule_id, self._dispatch(part)):
                    group.create_task(self._finish(run, part, counts))
        if None in counts:  # the next life goes on
            return
        delivered = sum(count for count in counts if count is not None)
        await self._end(run, delivered)
        try:
            for part in part_ids(run):
                await _patiently(partial(self.store.drop_collected, part))
            await self._report(run, delivered)
        except Exception as problem:  # noqa: BLE001  # reported, with its traceback
            self._failed(run.schedule_id, problem)
        self._running.discard(run.schedule_id)
        self.look()

    async def _end(self, run: StoredRun, delivered: int) -> None:
        """A fault of ours is reported, and it is tried again, ever more seldom: without its end the schedule is not due again."""
        pause_s = UNAVAILABLE_S
        while True:
            now = self.environment.now()
            try:
                await _patiently(partial(self.store.end, run, delivered, now, forget_before=now - RUNS_KEPT))
                return
            except Exception as problem:  # noqa: BLE001  # reported, with its traceback
                self._failed(run.schedule_id, problem)
            await real_sleep(pause_s)
            pause_s = min(2 * pause_s, LONGEST_REST_S)

    async def _finish(self, run: StoredRun, request_id: str, counts: list[int | None]) -> None:
        """Publish a part once it has its answer, and note of how many meters everything came by the deadline; None if the process stops."""
        try:
            await self._answered(request_id)
            async with self._publishing:
                counts.append(await _patiently(lambda: self._publish(run, request_id)))
        except Stopping:
            counts.append(None)
        except Exception as problem:  # noqa: BLE001  # reported, with its traceback
            self._failed(run.schedule_id, problem)
        finally:
            self._in_lane.discard(request_id)

    async def _dispatch(self, request_id: str, *, again: bool = False) -> None:
        """Put the commands of a part as the lane has room; one place is left, so that it is not full for others."""
        commands, most = self.engine.commands, max(1, self.pending - 1)
        async with self._dispatching:
            left = [one.job for one in await _patiently(lambda: self.results.open_commands(request_id))]
            while left:
                room = max(0, most - await _patiently(lambda: commands.pending(Lane.CAMPAIGN)))
                await commands.put(left[:room], again=again)
                left = left[room:]
                if left:
                    await real_sleep(ROOM_S)

    async def _answered(self, request_id: str) -> None:
        """Its commands end by their deadline, so that the answer comes; one that is forgotten came long ago."""
        while True:
            with suppress(TimeoutError, LookupError):
                await self.engine.answers.wait(request_id, WITHIN_S)
                return
            if await _patiently(lambda: self.results.find(request_id)) is None:
                return

    async def _publish(self, run: StoredRun, request_id: str) -> int:
        collected = await self.store.collected(request_id)
        await self.publisher.publish(request_id, collected)
        complete = await self.publisher.writer.complete_among(collected)
        await self.store.completed(run.schedule_id, {one.mrid: run.period_end for one in complete})
        return sum(is_in_time(one, run) for one in complete)

    def _failed(self, schedule: str, problem: Exception) -> None:
        self.environment.emit(events.ScheduleFailed(schedule=schedule, exception=format_fault(problem)))

    async def _report(self, run: StoredRun, delivered: int) -> None:
        named = {one.schedule_id: one for one in await _patiently(self.store.everything)}
        if (stored := named.get(run.schedule_id)) is None:
            return
        target = Schedule.of(stored).definition.target_percent
        is_met = 100 * delivered >= target * run.meters
        kind = events.ScheduleCollected if is_met else events.ScheduleBehind
        self.environment.emit(
            kind(
                schedule=stored.name,
                due_at=run.due_at.isoformat(),
                meters=run.meters,
                delivered=delivered,
                target_percent=target,
            )
        )


async def _patiently(ask: Callable[[], Awaitable[T]]) -> T:
    """A store that is unavailable for a while, or a worker that is busy, is waited for."""
    while True:
        try:
            return await ask()
        except (StoreUnavailable, WorkerBusy):
            await real_sleep(UNAVAILABLE_S)
