"""Dispatch inside one process: the Jobs port as a queue in memory, where each job has a subject of its own.

Nothing here survives a restart, and nothing has to: what is open in the store is put again (`restore`).
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic

from ami_hes.engine.ports import J


@dataclass(eq=False, slots=True)
class MemoryDelivery(Generic[J]):
    """The Delivery port: a job from being put to being done."""

    job: J
    redelivered: bool
    queue: "MemoryQueue[J]"
    attempts: int = 0
    over: bool = False

    async def done(self) -> None:
        if not self.over:
            self.over = True
            self.queue.forget(self.job)

    async def again(self, after_s: float) -> None:
        self.redelivered = True
        asyncio.get_running_loop().call_later(after_s, self.queue.bring, self)


class MemoryQueue(Generic[J]):
    """The Jobs port."""

    def __init__(self) -> None:
        self._ready: asyncio.Queue[MemoryDelivery[J]] = asyncio.Queue()
        self._known: set[str] = set()

    async def put(self, jobs: Sequence[J]) -> None:
        self._add(jobs, redelivered=False)

    def restore(self, jobs: Sequence[J]) -> None:
        """Put what an earlier life of the process may have had in hand."""
        self._add(jobs, redelivered=True)

    async def take(self, limit: int) -> Sequence[MemoryDelivery[J]]:
        taken: list[MemoryDelivery[J]] = []
        while not taken or (len(taken) < limit and not self._ready.empty()):
            taken.append(await self._ready.get())
        for one in taken:
            one.attempts += 1
        return taken

    async def pending(self) -> int:
        return len(self._known)

    def forget(self, job: J) -> None:
        """It is done."""
        self._known.remove(job.subject)

    def bring(self, delivery: MemoryDelivery[J]) -> None:
        """Deliver it once more."""
        if not delivery.over:
            self._ready.put_nowait(delivery)

    def _add(self, jobs: Sequence[J], *, redelivered: bool) -> None:
        for job in jobs:
            if job.subject not in self._known:
                self._known.add(job.subject)
                self._ready.put_nowait(MemoryDelivery(job, redelivered, self))
