"""What has ended and waits to be kept, several at a time: a transaction costs as much CPU time as a session with a meter.

Where several end at once, further ones are waited for while they come. What somebody waits for in front of a meter is waited with for less long, and one
that ends alone is handed out at once.
"""

import asyncio
from typing import Generic, TypeVar

from ami_process.environment import real_sleep
from ami_process.gathering import gather

T = TypeVar("T")


class Batches(Generic[T]):
    """A queue of bounded length that is taken from in batches."""

    def __init__(self, most: int, *, gather_s: float, urgent_s: float) -> None:
        """`most` of a batch, and as many may wait. `urgent_s` is how long further ones are waited for once there is an urgent one."""
        self._most = most
        self._gather_s = gather_s
        self._urgent_s = urgent_s
        self._queue: asyncio.Queue[T] = asyncio.Queue(most)
        self._urgent = asyncio.Event()
        self._several = False
        self._out: list[T] = []

    async def put(self, one: T, *, urgent: bool) -> None:
        """Waits while there are too many."""
        if urgent:
            self._urgent.set()
        await self._queue.put(one)

    async def next(self) -> list[T]:
        """Those that ended at about the same time, at least one; who asks for it has dealt with the batch before."""
        self._out = []
        self._out = [await self._queue.get()]
        if self._several or not self._queue.empty():
            await self._gather()
        self._urgent.clear()
        self._out += self._drained(self._most - 1)
        self._several = len(self._out) > 1
        return self._out

    def rest(self) -> list[T]:
        """All that was not dealt with, the last batch included."""
        return self._out + self._drained(self._queue.qsize())

    async def _gather(self) -> None:
        await gather(self._queue.qsize, self._gather_s - self._urgent_s, self._urgent)
        if self._urgent.is_set():
            await real_sleep(self._urgent_s)

    def _drained(self, most: int) -> list[T]:
        return [self._queue.get_nowait() for _ in range(min(most, self._queue.qsize()))]
