"""Who may speak to which meter now: a limited number of sessions at once, and never two with the same meter.

A connection on which a late answer is still awaited may stay after its holder has left (it lingers); it takes up no slot and goes as
soon as another holder wants the meter (docs/mapping.md, M-012).
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager

from ami_hes.meters.faults import MeterFault
from ami_hes.meters.registry import Meter


class SessionSlots:
    """The slots."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._room = asyncio.Semaphore(most)
        self._holders: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._lingering: dict[str, asyncio.Task[None]] = {}

    @asynccontextmanager
    async def slot(self, meter: Meter, until: float) -> AsyncIterator[None]:
        """A slot for one session with this meter; MeterFault when none comes free in time."""
        async with AsyncExitStack() as slot:
            try:
                async with asyncio.timeout_at(until):
                    await slot.enter_async_context(self._holders[meter.name])
                    await self._send_away(meter.name)
                    await slot.enter_async_context(self._room)
            except TimeoutError:
                raise MeterFault("deadline", "busy") from None
            yield

    async def linger(self, meter: Meter, work: Callable[[], Coroutine[object, object, None]]) -> bool:
        """Let work go on with this meter outside of any slot; False when too many linger already."""
        if len(self._lingering) >= self._most:
            return False
        task = asyncio.create_task(work())
        self._lingering[meter.name] = task
        task.add_done_callback(lambda done: self._left(meter.name, done))
        await asyncio.sleep(0)  # let it begin, so that it can clean up after itself from now on
        return True

    async def close(self) -> None:
        """End whatever lingers."""
        for name in list(self._lingering):
            await self._send_away(name)

    def _left(self, name: str, task: asyncio.Task[None]) -> None:
        if self._lingering.get(name) is task:
            del self._lingering[name]

    async def _send_away(self, name: str) -> None:
        task = self._lingering.pop(name, None)
        if task is not None:
            task.cancel()
            await asyncio.wait([task])
