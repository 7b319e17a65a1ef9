"""Where accepted commands are worked: so many meters at once, each within its deadline, results kept in batches."""

import asyncio
from datetime import datetime
from functools import partial
from typing import Protocol

import structlog

from ami_hes.jobs.answers import Answers, Means
from ami_hes.jobs.records import stored_result
from ami_hes.meters.registry import Meter, Registry
from ami_hes.meters.trace import tracing
from ami_hes.operations import Attempt, Command, Outcome, log_done
from ami_hes.store import Delivery, Job, Lane
from ami_mapping.controls import CONTROLS
from ami_mapping.faults import explain

GRACE_S = 1.0
"""A recipe ends by its deadline and says why; this much later it is ended for it."""
BATCH = 500
"""Results that are committed together at most. As many may wait to be; then no further meter is worked."""
STOP_S = 3.0
"""How long the last results may take to be committed when the process stops."""

log = structlog.get_logger()


class Run(Protocol):
    """What does a command with a meter (ami_hes.operations.run)."""

    async def __call__(self, meter: Meter, command: Command, attempt: Attempt, *, deadline_at: datetime) -> Outcome: ...


class Workshop:
    """Works the CONTROLS lane."""

    def __init__(self, means: Means, answers: Answers, registry: Registry, run: Run, *, room: int) -> None:
        self._means = means
        self._answers = answers
        self._registry = registry
        self._run = run
        self._room = room
        self._finished: asyncio.Queue[tuple[Delivery, Outcome]] = asyncio.Queue(BATCH)

    async def work(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._keep_results())
            for _ in range(self._room):
                group.create_task(self._work_on_meters())

    async def _work_on_meters(self) -> None:
        while True:
            for delivery in await self._means.jobs.take(Lane.CONTROLS, 1):
                await self._finished.put((delivery, await self._outcome(delivery.job)))

    async def _outcome(self, job: Job) -> Outcome:
        """What came of it; the recipe logs its own event, everything else is logged here."""
        attempt = Attempt(partial(self._begin, job), begun=job.attempted)
        meter = self._registry.find_by_mrid(job.mrid)
        if meter is None:
            return _told(job, attempt, "identity", "removed", detail=f"{job.mrid}, then named {job.subject}")
        deadline_at = job.deadline_at or self._means.now()
        left_s = (deadline_at - self._means.now()).total_seconds()
        if left_s <= 0:
            return _told(job, attempt, "deadline", "passed" if job.recovered else "busy")
        command = Command(job.request_id, meter.name, job.body)
        with tracing(job.request_id):
            recipe = asyncio.ensure_future(self._run(meter, command, attempt, deadline_at=deadline_at))
            try:
                await asyncio.wait({recipe}, timeout=left_s + GRACE_S)
            finally:
                if not recipe.done():
                    recipe.cancel()
                    await asyncio.wait({recipe}, timeout=GRACE_S)
        if recipe.done() and not recipe.cancelled() and recipe.exception() is None:
            return recipe.result()
        return _broken(job, attempt, recipe)

    async def _begin(self, job: Job) -> None:
        await self._means.results.attempt(job.request_id, job.subject, self._means.now())

    async def _keep_results(self) -> None:
        batch: list[tuple[Delivery, Outcome]] = []
        try:
            while True:
                batch = [await self._finished.get(), *self._drain(BATCH - 1)]
                await self._keep(batch)
                batch = []
        finally:  # what a meter has done is kept even if we are about to stop
            await self._keep_at_last(batch + self._drain(self._finished.qsize()))

    async def _keep_at_last(self, batch: list[tuple[Delivery, Outcome]]) -> None:
        """The process stops; what a store does not take in time is worked again by the next life, as attempted."""
        try:
            async with asyncio.timeout(STOP_S):
                await self._keep(batch)
        except TimeoutError:
            log.error("results_not_kept", commands=len(batch))

    def _drain(self, most: int) -> list[tuple[Delivery, Outcome]]:
        return [self._finished.get_nowait() for _ in range(min(most, self._finished.qsize()))]

    async def _keep(self, batch: list[tuple[Delivery, Outcome]]) -> None:
        now = self._means.now()
        completed = await self._means.results.save([stored_result(d.job, outcome, now) for d, outcome in batch])
        for delivery, _ in batch:
            delivery.done()
        for one in completed:
            await self._answers.finish(one)


def _broken(job: Job, attempt: Attempt, recipe: asyncio.Future[Outcome]) -> Outcome:
    """The recipe did not come to its own end: a fault of ours."""
    problem = recipe.exception() if recipe.done() and not recipe.cancelled() else None
    if problem is None:
        log.error("operation_overdue", message_id=job.request_id, meter=job.subject)
        return _told(job, attempt, "deadline", "no-answer")
    log.error("operation_failed", message_id=job.request_id, meter=job.subject, exc_info=problem)
    return _told(job, attempt, "internal", "failed", detail=type(problem).__name__)


def _told(job: Job, attempt: Attempt, kind: str, name: str, *, detail: str = "") -> Outcome:
    outcome = Outcome.failed(explain(kind, name, attempted=attempt.begun, detail=detail), attempt)
    log_done(Command(job.request_id, job.subject, job.body), CONTROLS.get(job.body), outcome)
    return outcome
