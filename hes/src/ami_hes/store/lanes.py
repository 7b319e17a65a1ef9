"""Dispatch inside one process: the Jobs port as queues in memory.

Nothing here survives a restart, and nothing has to: the open commands and owed replies in the database are put again.
Jobs of one subject wait for each other, so that a meter never gets two commands at once and gets them in order.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from ami_hes.store.ports import Delivery, Job, Lane


class MemoryJobs:
    """The Jobs port."""

    def __init__(self) -> None:
        self._ready: dict[Lane, asyncio.Queue[Job]] = {lane: asyncio.Queue() for lane in Lane}
        self._known: dict[Lane, set[tuple[str, str]]] = {lane: set() for lane in Lane}
        self._lines: dict[tuple[Lane, str], deque[Job]] = {}
        """For each subject that has work: who stands at the front (ready or in hand), and who waits behind it."""

    async def put(self, jobs: Sequence[Job]) -> None:
        for job in jobs:
            if _key(job) in self._known[job.lane]:
                continue
            self._known[job.lane].add(_key(job))
            line = self._lines.setdefault((job.lane, job.subject), deque())
            line.append(job)
            if len(line) == 1:
                self._ready[job.lane].put_nowait(job)

    async def take(self, lane: Lane, limit: int) -> list[Delivery]:
        taken: list[Delivery] = [_Delivery(await self._ready[lane].get(), self)]
        while len(taken) < limit and not self._ready[lane].empty():
            taken.append(_Delivery(self._ready[lane].get_nowait(), self))
        return taken

    def pending(self, lane: Lane) -> int:
        return len(self._known[lane])

    def finish(self, job: Job) -> None:
        """Forget a job, and let the next of its subject come forward."""
        if _key(job) not in self._known[job.lane]:
            return
        self._known[job.lane].remove(_key(job))
        line = self._lines[(job.lane, job.subject)]
        line.popleft()
        if line:
            self._ready[job.lane].put_nowait(line[0])
        else:
            del self._lines[(job.lane, job.subject)]

    def bring_again(self, job: Job, after_s: float) -> None:
        """Deliver it once more, later; those behind it wait."""
        asyncio.get_running_loop().call_later(after_s, self._ready[job.lane].put_nowait, job)


@dataclass(frozen=True, slots=True)
class _Delivery:
    job: Job
    _jobs: MemoryJobs

    def done(self) -> None:
        self._jobs.finish(self.job)

    def again(self, after_s: float) -> None:
        self._jobs.bring_again(self.job, after_s)


def _key(job: Job) -> tuple[str, str]:
    return (job.request_id, job.subject)
