"""The worker: takes commands lane by lane, works a bounded number of meters at once, each within its deadline, keeps results in batches.

Only what is answered and handed on is done. Until then a command comes again, to this process or another one, and the store
knows how far it got: whether it may have reached its meter, and whether it has its result already.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol, TypeVar

from ami_hes import events
from ami_hes.commands import Command, CommandJob, Lane, Outcome
from ami_hes.engine import CommandDelivery
from ami_hes.guard import fault_of
from ami_hes.jobs.alone import alone
from ami_hes.jobs.answers import AnswerMaker
from ami_hes.jobs.batches import Batches
from ami_hes.jobs.context import Context
from ami_hes.jobs.lanes import Groups, Lanes
from ami_hes.jobs.places import FreePlaces, LanePlaces, Place
from ami_hes.jobs.rows import stored_result
from ami_hes.meters.recording import Recording
from ami_hes.meters.registry import Meter, Registry
from ami_hes.meters.trace import tracing
from ami_hes.operations import Assignment, Attempt, HeldBack, MeterNeeded
from ami_hes.served import describe, end_of, event_type_of, failed
from ami_hes.store import (
    Completed,
    ControlsStopped,
    NotOwned,
    StoredCommand,
    StoredDeviceEvent,
    StoredResult,
    StoreUnavailable,
)
from ami_hes.traces import TraceKeeper
from ami_process.environment import real_time
from ami_process.events import Event, format_fault

GRACE_S = 1.0
"""A recipe ends by its deadline and says why; this much later it is ended for it."""
BATCH = 500
"""Results that are committed together at most. As many may wait to be; then no further meter is worked."""
METERLESS = 32
"""Commands that need no meter and are worked at once; beside all others, since they wait for nothing but the store."""
AGAIN_S = 5.0
"""When a command comes again that could not be looked up."""
GATHER_S, GATHER_CONTROL_S = 0.1, 0.025
"""How long results wait for those of further meters when several end at once, and when a control is among them."""
STOP_S = 3.0
"""How long the last results may take to be committed when the process stops."""

T = TypeVar("T")

Run = Callable[[Assignment], Awaitable[Outcome]]
"""What carries a command out (`ami_hes.served.run`)."""


Look = Callable[[str], Awaitable[None]]
"""By mRID."""


class Presence(Protocol):
    """Which meters that dial in have done so."""

    def is_connected(self, meter: Meter) -> bool:
        """Whether it is called, or a connection of it is here."""

    def has_moved(self, meter: Meter) -> bool:
        """Whether it has dialled in at another process since it was here: what failed at it is worked there."""


class AllThere:
    """Where no meter dials in."""

    def is_connected(self, _: Meter) -> bool:
        return True

    def has_moved(self, _: Meter) -> bool:
        return False


@dataclass(frozen=True, slots=True)
class _Finished:
    delivery: CommandDelivery
    result: StoredResult
    kept: bool
    """Whether the result came from the store, so that its end was reported before."""


@dataclass(frozen=True, slots=True)
class WorkerLimits:
    """How much is worked at once, where, and how often."""

    lanes: Lanes
    groups: Groups


class CommandWorker:
    """Works the lanes of commands."""

    def __init__(
        self,
        context: Context,
        answers: AnswerMaker,
        registry: Registry,
        run: Run,
        limits: WorkerLimits,
        *,
        check: Callable[[], None] = lambda: None,
        told: Callable[[], None] = lambda: None,
        look: Look | None = None,
        presence: Presence | None = None,
        traces: TraceKeeper | None = None,
    ) -> None:
        """`check` raises MeterFault while nothing may leave that changes a meter; `told` is called when events of meters were kept with results; `look` has the registry take over what another process has changed of a meter, where there is any; `presence` knows which meters that dial in have done so; without it all have; without `traces` nothing is noted of what is done at meters."""
        self._traces = traces
        self._context = context
        self._answers = answers
        self._registry = registry
        self._run = run
        self._told = told
        self._check = check
        self._look = look
        self._presence = presence or AllThere()
        self._lanes = limits.lanes
        self._groups = limits.groups
        self._places = LanePlaces({lane: one.sessions for lane, one in limits.lanes.items()}, limits.groups)
        self._finished: Batches[_Finished] = Batches(BATCH, gather_s=GATHER_S, urgent_s=GATHER_CONTROL_S)
        self._in_hand = 0
        """Commands that are worked and have no result yet."""
        self._group: asyncio.TaskGroup | None = None
        """For answers that take a while; None once the process stops."""

    async def work(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            group.create_task(self._keep_results())
            group.create_task(self._work_meterless(group))
            while True:
                for delivery in await self._taken(await self._places.opening()):
                    of_group = self._groups.of(delivery.job)
                    begins = self._left_s(delivery.job) > 0
                    place = self._places.enter(delivery.job.lane, of_group, begins=begins)
                    group.create_task(self._work_off(delivery, place, of_group))

    async def _work_meterless(self, group: asyncio.TaskGroup) -> None:
        """They hold no place of a session, and are in no meter's way."""
        places = asyncio.Semaphore(METERLESS)
        while True:
            await places.acquire()
            (delivery,) = await self._context.engine.commands.take_meterless(1)
            of_group = self._groups.of(delivery.job)
            group.create_task(self._work_off(delivery, Place(places.release, set()), of_group))

    async def cancel(self, request_id: str) -> int:
        """End the commands of a request that are not begun; how many. What is in hand goes on to its own end."""
        cancelled = await self._context.engine.commands.cancel(request_id)
        if self._context.results.is_shared:
            return await self._take_back(cancelled)
        for delivery in cancelled:
            finished = await self._alone(delivery, self._cancelled(delivery))
            if finished is not None:
                await self._put(finished)
        return len(cancelled)

    async def _take_back(self, deliveries: Sequence[CommandDelivery]) -> int:
        """The same where another process may believe that it has one: what was attempted by then, or has ended, goes its own way."""
        ending = [self._ended_unbegun(one) for one in deliveries]
        ended = await self._context.results.take_back([one.result for one in ending])
        for one in ending:
            if (one.result.request_id, one.result.meter_name) in ended:
                await self._put(one)
            else:
                await one.delivery.again(0.0)
        return len(ended)

    def _ended_unbegun(self, delivery: CommandDelivery) -> _Finished:
        command = delivery.job.command
        attempt = self._attempt(command, StoredCommand(delivery.job))
        return self._ended(delivery, failed(command, attempt, "deadline", "cancelled"), real_time())

    async def _taken(self, opening: FreePlaces) -> Sequence[CommandDelivery]:
        """What may be worked now; nothing, if more may be taken than it seemed before there was anything."""
        commands = self._context.engine.commands
        taking = asyncio.ensure_future(commands.take(opening.lanes, opening.limit, opening.full))
        widened = self._places.wider(opening)
        widened.add_done_callback(lambda _: taking.cancel())
        try:
            return await taking
        except asyncio.CancelledError:
            if _is_ended():
                raise
            return ()
        finally:
            widened.cancel()

    async def _work_off(self, delivery: CommandDelivery, place: Place, of_group: str) -> None:
        self._in_hand += 1
        tally = self._context.tally
        tally.began(delivery.job, of_group, delivery.waited_s if delivery.attempts == 1 else None)
        try:
            try:
                finished = await self._alone(delivery, self._finish(delivery, place))
            finally:
                self._in_hand -= 1
            if finished is not None:
                await self._put(finished)
        finally:
            tally.left(of_group)
            place.end()

    async def _put(self, finished: _Finished) -> None:
        urgent = finished.delivery.job.lane is Lane.CONTROL
        await self._finished.put(finished, urgent=urgent, last=not self._in_hand)

    async def _alone(self, delivery: CommandDelivery, work: Awaitable[T]) -> T | None:
        def failed(fault: str) -> Event:
            job = delivery.job
            return events.CommandFailed(message_id=job.request_id, meter=job.subject, exception=fault)

        return await alone(delivery, work, failed, emit=self._context.emit, again_s=AGAIN_S)

    async def _finish(self, delivery: CommandDelivery, place: Place) -> _Finished | None:
        """None if it has no end yet: another attempt is worth it, it needs its meter, it goes on later, or somebody puts it again."""
        known = await self._known(delivery)
        if known.result is not None:
            return _Finished(delivery, known.result, kept=True)
        started = real_time()
        try:
            outcome = await self._carried_out(delivery, known, place)
        except MeterNeeded:
            await delivery.needs_meter()
            return None
        except HeldBack:
            await delivery.done()
            return None
        except NotOwned:  # nothing has left; whoever has the meter works it, and knows what was attempted before
            await delivery.again(AGAIN_S)
            return None
        if not outcome.ok and self._has_moved(delivery.job):  # whoever has it now reads what came of this
            await delivery.again(AGAIN_S)
            return None
        if outcome.goes_on_s is not None:
            await delivery.afresh(outcome.goes_on_s)
            return None
        if outcome.again and (after_s := self._pause_s(delivery)) is not None:
            self._postponed(delivery, outcome, after_s)
            await delivery.again(after_s)
            return None
        return self._ended(delivery, outcome, started)

    def _has_moved(self, job: CommandJob) -> bool:
        meter = self._registry.spoken_with(job.command.meter.mrid)
        return meter is not None and self._presence.has_moved(meter)

    async def _cancelled(self, delivery: CommandDelivery) -> _Finished:
        known = await self._known(delivery)
        if known.result is not None:
            return _Finished(delivery, known.result, kept=True)
        attempt = self._attempt(delivery.job.command, known)
        return self._ended(delivery, failed(delivery.job.command, attempt, "deadline", "cancelled"), real_time())

    async def _known(self, delivery: CommandDelivery) -> StoredCommand:
        """How far the command got, in this life or another."""
        job = delivery.job
        if not delivery.redelivered:
            return StoredCommand(job)
        found = await self._context.results.command(job.request_id, job.command.meter.name)
        if found is None:
            raise LookupError("the command is not kept")
        return found

    def _ended(self, delivery: CommandDelivery, outcome: Outcome, started: float) -> _Finished:
        took_ms = round((real_time() - started) * 1000, 1)
        command = delivery.job.command
        result = stored_result(command, outcome, took_ms=took_ms, finished_at=self._context.now())
        return _Finished(delivery, replace(result, event=self._event(command, result)), kept=False)

    def _event(self, command: Command, result: StoredResult) -> StoredDeviceEvent | None:
        """What an operation can't say of a command keeps no result back."""
        try:
            return end_of(command, result.outcome, result.finished_at)
        except Exception as problem:  # noqa: BLE001  # reported, with its traceback
            fault = format_fault(problem)
            self._context.emit(
                events.DetailsFailed(message_id=command.request_id, meter=command.meter.name, exception=fault)
            )
            return None

    def _pause_s(self, delivery: CommandDelivery) -> float | None:
        """After which pause the command is worth another attempt; None if there is none, or no time for it."""
        job = delivery.job
        retries = self._lanes[job.lane].retries
        after_s = retries.pause_s(delivery.attempts)
        return after_s if delivery.attempts < retries.attempts and after_s < self._left_s(job) else None

    def _left_s(self, job: CommandJob) -> float:
        return self._context.environment.real_seconds_until(job.deadline_at)

    async def _carried_out(self, delivery: CommandDelivery, known: StoredCommand, place: Place) -> Outcome:
        started = real_time()
        job, command = delivery.job, delivery.job.command
        attempt = self._attempt(command, known)
        if self._look is not None:
            await self._look(command.meter.mrid)
        meter = self._registry.find_by_mrid(command.meter.mrid)
        left_s = self._left_s(job)
        if meter is None:
            detail = f"{command.meter.mrid}, then named {command.meter.name}"
            return failed(command, attempt, "identity", "removed", detail=detail)
        if left_s <= 0:
            reached = self._registry.spoken_with(command.meter.mrid) or meter
            if not attempt.begun and not self._presence.is_connected(reached):
                return failed(command, attempt, "transport", "not-dialled-in")
            return failed(command, attempt, "deadline", _row_of_late(attempt, redelivered=delivery.redelivered))
        assignment = Assignment(meter, command, attempt, started + left_s, delivery.meterless, place.session_over)
        if self._traces is None:
            return await self._in_time(assignment, left_s, None)
        recording, outcome = self._traces.recording(), None
        try:
            outcome = await self._in_time(assignment, left_s, recording)
        finally:
            if outcome is not None or (recording is not None and recording.count):
                self._traces.ended(
                    recording, command, ok=outcome is not None and (outcome.ok or outcome.goes_on_s is not None)
                )
        return outcome

    async def _in_time(self, assignment: Assignment, left_s: float, recording: Recording | None) -> Outcome:
        limit = asyncio.timeout(left_s + GRACE_S)
        try:
            with tracing(assignment.command.request_id, recording):
                async with limit:
                    return await self._run(assignment)
        except (
            MeterNeeded,
            HeldBack,
            NotOwned,
            StoreUnavailable,
        ):  # the last: it comes again, and what was attempted is known then
            raise
        except Exception as problem:  # noqa: BLE001  # reported, with its traceback
            if limit.expired() and isinstance(problem, TimeoutError):
                return self._overdue(assignment)
            return self._broken(assignment, problem)
        except asyncio.CancelledError:
            if _is_ended():
                raise
            return self._overdue(assignment)

    def _attempt(self, command: Command, known: StoredCommand) -> Attempt:
        begin, shared = partial(self._begin, command), self._context.results.is_shared
        return Attempt(begin, begun=known.attempted, check=self._check, each_time=shared)

    async def _begin(self, command: Command) -> None:
        """Raises MeterFault where controls are stopped, on whatever worker that was said, NotOwned where its meter is another worker's by now."""
        try:
            dialled_in = self._registry.dials_in(command.meter.mrid)
            await self._context.results.attempt(command.request_id, command.meter.name, self._context.now(), dialled_in)
        except ControlsStopped as stopped:
            raise fault_of(stopped.stop) from None

    async def _keep_results(self) -> None:
        try:
            while True:
                await self._keep(await self._finished.next())
        finally:  # what a meter has done is kept even if we are about to stop
            self._group = None
            await self._keep_at_last(self._finished.rest())

    async def _keep_at_last(self, batch: list[_Finished]) -> None:
        """The process stops; what a store does not take in time is worked again by the next life, as attempted."""
        try:
            async with asyncio.timeout(STOP_S):
                await self._keep(batch)
        except TimeoutError:
            self._context.emit(events.ResultsNotKept(commands=len(batch)))

    async def _keep(self, batch: Sequence[_Finished]) -> None:
        """Save, report, answer, hand on, and only then done; what completes no request waits for no answer."""
        completed = await self._context.results.save([one.result for one in batch])
        if any(one.result.event is not None for one in batch):
            self._told()
        for one in batch:
            if not one.kept:
                job = one.delivery.job
                self._context.tally.ended(job, self._groups.of(job), ok=one.result.outcome.ok)
                self._report(job.command, one.result)
        completing = {one.request.request_id for one in completed}
        for one in batch:
            if one.result.request_id not in completing:
                await self._done(one.delivery)
        light = [one for one in completed if self._answers.is_light(one)]
        of_light = {one.request.request_id for one in light}
        await self._answer(light, [one.delivery for one in batch if one.result.request_id in of_light])
        for large in completed:
            if large.request.request_id not in of_light and self._group is not None:
                theirs = [one.delivery for one in batch if one.result.request_id == large.request.request_id]
                self._group.create_task(self._answer_apart(large, theirs))

    async def _answer(self, completed: Sequence[Completed], deliveries: Sequence[CommandDelivery]) -> None:
        handed_on = await self._answers.finish(completed)
        for delivery in deliveries:
            if delivery.job.request_id in handed_on:
                await delivery.done()
            else:
                await delivery.again(AGAIN_S)

    async def _answer_apart(self, completed: Completed, deliveries: Sequence[CommandDelivery]) -> None:
        """What is large is answered beside all else; one of its commands is enough to have it tried again, also by another life.

        Their meters are free meanwhile.
        """
        first, *others = deliveries
        await first.free_meter()
        for other in others:
            await other.done()
        await self._answer([completed], [first])

    async def _done(self, delivery: CommandDelivery) -> None:
        """Its request waits for other meters, or was answered before by a worker that may not have come further."""
        if delivery.redelivered and not await self._alone(
            delivery, self._answers.hand_on_again(delivery.job.request_id)
        ):
            return
        await delivery.done()

    def _postponed(self, delivery: CommandDelivery, outcome: Outcome, after_s: float) -> None:
        job = delivery.job
        self._context.emit(
            events.CommandPostponed(
                message_id=job.request_id,
                meter=job.subject,
                operation=job.command.operation,
                reason=outcome.reason,
                attempts=delivery.attempts,
                after_s=after_s,
            )
        )

    def _report(self, command: Command, result: StoredResult) -> None:
        """The event `meter_done`; what an operation can't say of a command keeps no other back."""
        meter = self._registry.find_by_mrid(command.meter.mrid)
        name = command.meter.name if meter is None else meter.name
        outcome = result.outcome
        details = None
        try:
            details = describe(command, meter, outcome)
        except Exception as problem:  # noqa: BLE001  # reported, with its traceback
            fault = format_fault(problem)
            self._context.emit(events.DetailsFailed(message_id=command.request_id, meter=name, exception=fault))
        self._context.emit(
            events.MeterDone(
                message_id=command.request_id,
                meter=name,
                operation=command.operation,
                details=details,
                ok=outcome.ok,
                event_type=event_type_of(command, outcome),
                reply_code=outcome.code,
                reason=outcome.reason,
                ms=result.took_ms,
            )
        )

    def _broken(self, assignment: Assignment, problem: Exception) -> Outcome:
        """The recipe did not come to its own end: a fault of ours."""
        command, meter = assignment.command, assignment.command.meter.name
        fault = format_fault(problem)
        self._context.emit(events.OperationFailed(message_id=command.request_id, meter=meter, exception=fault))
        return failed(command, assignment.attempt, "internal", "failed", detail=type(problem).__name__)

    def _overdue(self, assignment: Assignment) -> Outcome:
        """The recipe was ended for it."""
        command = assignment.command
        self._context.emit(events.OperationOverdue(message_id=command.request_id, meter=command.meter.name))
        return failed(command, assignment.attempt, "deadline", "no-answer")


def _row_of_late(attempt: Attempt, *, redelivered: bool) -> str:
    """Of the fault table, for a command whose deadline has passed when it is taken; one that goes on in parts had its turn before."""
    if attempt.begun:
        return "unfinished"
    return "passed" if redelivered else "busy"


def _is_ended() -> bool:
    """Whether somebody wants the running task to end."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
