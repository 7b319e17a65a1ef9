"""Who may speak to which meter now: a limited number of sessions at once, and never two with the same meter.

A connection on which a late answer is still awaited may stay after its holder has left; it takes up no room and goes as
soon as somebody else wants the meter (docs/mapping.md, M-012).
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager

from ami_hes.meters.faults import MeterFault
from ami_hes.meters.registry import Meter


class Pool:
    """Places for sessions."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._room = asyncio.Semaphore(most)
        self._holders: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._staying: dict[str, asyncio.Task[None]] = {}

    @asynccontextmanager
    async def place(self, meter: Meter, until: float) -> AsyncIterator[None]:
        """A place for one session with this meter; MeterFault when none comes free in time."""
        async with AsyncExitStack() as place:
            try:
                async with asyncio.timeout_at(until):
                    await place.enter_async_context(self._holders[meter.name])
                    await self._send_away(meter.name)
                    await place.enter_async_context(self._room)
            except TimeoutError:
                raise MeterFault("deadline", "busy") from None
            yield

    async def stay(self, meter: Meter, work: Callable[[], Coroutine[object, object, None]]) -> bool:
        """Let work go on with this meter outside of any place; False when too many stay already."""
        if len(self._staying) >= self._most:
            return False
        task = asyncio.create_task(work())
        self._staying[meter.name] = task
        task.add_done_callback(lambda done: self._left(meter.name, done))
        await asyncio.sleep(0)  # let it begin, so that it can clean up after itself from now on
        return True

    async def close(self) -> None:
        """Send everybody away who stayed."""
        for name in list(self._staying):
            await self._send_away(name)

    def _left(self, name: str, task: asyncio.Task[None]) -> None:
        if self._staying.get(name) is task:
            del self._staying[name]

    async def _send_away(self, name: str) -> None:
        task = self._staying.pop(name, None)
        if task is not None:
            task.cancel()
            await asyncio.wait([task])
