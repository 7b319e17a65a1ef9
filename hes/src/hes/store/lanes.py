"""Dispatch inside one process: the Jobs port as queues in memory.

Nothing here survives a restart, and nothing has to: the open commands and owed replies in the database are put again.
Jobs of one subject wait for each other, so that a meter never gets two commands at once and gets them in order.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from hes.store.ports import Delivery, Job, Lane

_Key = tuple[Lane, str, str]


class MemoryJobs:
    """The Jobs port."""

    def __init__(self) -> None:
        self._ready: dict[Lane, asyncio.Queue[Job]] = {lane: asyncio.Queue() for lane in Lane}
        self._known: dict[Lane, dict[_Key, Job]] = {lane: {} for lane in Lane}
        self._in_hand: set[_Key] = set()
        self._lines: dict[tuple[Lane, str], deque[Job]] = {}
        """For each subject that has work: who stands at the front (ready or in hand), and who waits behind it."""

    async def put(self, jobs: Sequence[Job]) -> None:
        for job in jobs:
            key = _key(job)
            if key in self._known[job.lane]:
                continue
            self._known[job.lane][key] = job
            line = self._lines.setdefault((job.lane, job.subject), deque())
            line.append(job)
            if len(line) == 1:
                self._ready[job.lane].put_nowait(job)

    async def take(self, lane: Lane, limit: int) -> list[Delivery]:
        taken: list[Delivery] = []
        while not taken or (len(taken) < limit and not self._ready[lane].empty()):
            job = await self._ready[lane].get()
            if self._known[lane].get(_key(job)) is job:  # else it was withdrawn
                self._in_hand.add(_key(job))
                taken.append(_Delivery(job, self))
        return taken

    def withdraw(self, lane: Lane, request_id: str, subject: str) -> bool:
        key = (lane, request_id, subject)
        job = self._known[lane].get(key)
        if job is None or key in self._in_hand:
            return False
        self.finish(job)
        return True

    def pending(self, lane: Lane) -> int:
        return len(self._known[lane])

    def finish(self, job: Job) -> None:
        """Forget a job, and let the next of its subject come forward."""
        if self._known[job.lane].pop(_key(job), None) is None:
            return
        self._in_hand.discard(_key(job))
        line = self._lines[(job.lane, job.subject)]
        was_first = line[0] is job
        line.remove(job)
        if not line:
            del self._lines[(job.lane, job.subject)]
        elif was_first:
            self._ready[job.lane].put_nowait(line[0])

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


def _key(job: Job) -> _Key:
    return (job.lane, job.request_id, job.subject)
