"""Dispatch inside one process: the Jobs port as a queue in memory.

Nothing here survives a restart, and nothing has to: what is open in the store is put again (`restore`). Jobs of one subject
wait for each other, so that a meter never gets two commands at once and gets them in order.
"""

import asyncio
from collections import deque
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
    over: bool = False

    async def done(self) -> None:
        if not self.over:
            self.queue.finish(self)

    async def again(self, after_s: float) -> None:
        self.redelivered = True
        asyncio.get_running_loop().call_later(after_s, self.queue.bring, self)


class MemoryQueue(Generic[J]):
    """The Jobs port for one lane."""

    def __init__(self) -> None:
        self._ready: asyncio.Queue[MemoryDelivery[J]] = asyncio.Queue()
        self._known: set[tuple[str, str]] = set()
        self._lines: dict[str, deque[MemoryDelivery[J]]] = {}
        """For each subject that has work: the first is ready, in hand or to come again, the others wait for it."""

    async def put(self, jobs: Sequence[J]) -> None:
        self._add(jobs, redelivered=False)

    def restore(self, jobs: Sequence[J]) -> None:
        """Put what an earlier life of the process may have had in hand."""
        self._add(jobs, redelivered=True)

    async def take(self, limit: int) -> Sequence[MemoryDelivery[J]]:
        taken: list[MemoryDelivery[J]] = []
        while not taken or (len(taken) < limit and not self._ready.empty()):
            taken.append(await self._ready.get())
        return taken

    async def pending(self) -> int:
        return len(self._known)

    def finish(self, delivery: MemoryDelivery[J]) -> None:
        """Forget a job that was in hand, and let the next of its subject come forward."""
        delivery.over = True
        self._known.remove(_key(delivery.job))
        line = self._lines[delivery.job.subject]
        line.popleft()
        if line:
            self._ready.put_nowait(line[0])
        else:
            del self._lines[delivery.job.subject]

    def bring(self, delivery: MemoryDelivery[J]) -> None:
        """Deliver it once more, before those behind it."""
        if not delivery.over:
            self._ready.put_nowait(delivery)

    def _add(self, jobs: Sequence[J], *, redelivered: bool) -> None:
        for job in jobs:
            if _key(job) in self._known:
                continue
            self._known.add(_key(job))
            line = self._lines.setdefault(job.subject, deque())
            line.append(MemoryDelivery(job, redelivered, self))
            if len(line) == 1:
                self._ready.put_nowait(line[0])


def _key(job: J) -> tuple[str, str]:
    return (job.request_id, job.subject)
