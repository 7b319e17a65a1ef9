"""What has ended and waits to be kept, several at a time: a transaction costs as much CPU time as a session with a meter.

Where several end at once, further ones are waited for. What somebody waits for in front of a meter is waited with for less long, and what
ends alone, or as the last of all, is handed out at once.
"""

import asyncio
from contextlib import suppress
from typing import Generic, TypeVar

T = TypeVar("T")


class Batches(Generic[T]):
    """A queue of bounded length that is taken from in batches."""

    def __init__(self, most: int, *, gather_s: float, urgent_s: float) -> None:
        """`most` of a batch, and as many may wait. `urgent_s` is how long further ones are waited for once there is an urgent one."""
        self._most = most
        self._gather_s = gather_s
        self._urgent_s = urgent_s
        self._queue: asyncio.Queue[T] = asyncio.Queue(most)
        self._soon, self._last = asyncio.Event(), asyncio.Event()
        self._several = False
        self._out: list[T] = []

    async def put(self, one: T, *, urgent: bool, last: bool = False) -> None:
        """Waits while there are too many. `last`: no other is on its way."""
        if urgent or last:
            self._soon.set()
        if last:
            self._last.set()
        await self._queue.put(one)

    async def next(self) -> list[T]:
        """Those that ended at about the same time, at least one; who asks for it has dealt with the batch before."""
        self._out = []
        self._out = [await self._queue.get()]
        if self._several or not self._queue.empty():
            await self._gather()
        self._soon.clear()
        self._last.clear()
        self._out += self._drained(self._most - 1)
        self._several = len(self._out) > 1
        return self._out

    def rest(self) -> list[T]:
        """All that was not dealt with, the last batch included."""
        return self._out + self._drained(self._queue.qsize())

    async def _gather(self) -> None:
        await _within(self._gather_s - self._urgent_s, self._soon)
        await _within(self._urgent_s, self._last)

    def _drained(self, most: int) -> list[T]:
        return [self._queue.get_nowait() for _ in range(min(most, self._queue.qsize()))]


async def _within(seconds: float, event: asyncio.Event) -> None:
    """Until it is set, or until that time is over."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
