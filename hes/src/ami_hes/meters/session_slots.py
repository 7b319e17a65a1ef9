"""Who may speak to which meter now: a limited number of sessions at once, and never two with the same meter or on one serial line.

A connection on which a late answer is still awaited may stay after its holder has left (it lingers); it takes up no slot and goes as
soon as another holder wants the meter (docs/mapping.md, M-012).
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager

from ami_hes.meters.faults import MeterFault
from ami_hes.meters.registry import Meter


class SessionSlots:
    """The slots."""

    def __init__(self, most: int) -> None:
        self._most = most
        self.taken = 0
        """Slots that are held now."""
        self._room = asyncio.Semaphore(most)
        self._holders: dict[str, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(1))
        """No locks: while one passes from hand to hand, it says that nobody has it."""
        self._lingering: dict[str, asyncio.Task[None]] = {}

    @asynccontextmanager
    async def slot(self, meter: Meter, until: float) -> AsyncIterator[None]:
        """A slot for one session with this meter; MeterFault when none comes free in time."""
        line = _line(meter)
        holder = self._holders[line]
        if holder.locked() or line in self._lingering or self._room.locked():
            await self._wait_for(holder, line, until)
        else:  # what nobody has needs no timer
            await holder.acquire()
            await self._room.acquire()
        self.taken += 1
        try:
            yield
        finally:
            self.taken -= 1
            self._room.release()
            holder.release()

    async def _wait_for(self, holder: asyncio.Semaphore, line: str, until: float) -> None:
        """The holder's place and the room; none of them when this raises."""
        try:
            async with asyncio.timeout_at(until):
                await holder.acquire()
                try:
                    await self._send_away(line)
                    await self._room.acquire()
                except BaseException:
                    holder.release()
                    raise
        except TimeoutError:
            raise MeterFault("deadline", "busy") from None

    @asynccontextmanager
    async def alone(self, meter: Meter, until: float) -> AsyncIterator[None]:
        """Without a slot, while no session with this meter is at work; MeterFault when one is until then."""
        holder = self._holders[_line(meter)]
        try:
            async with asyncio.timeout_at(until):
                await holder.acquire()
        except TimeoutError:
            raise MeterFault("deadline", "busy") from None
        try:
            yield
        finally:
            holder.release()

    async def linger(self, meter: Meter, work: Callable[[], Coroutine[object, object, None]]) -> bool:
        """Let work go on with this meter outside of any slot; False when too many linger already."""
        if len(self._lingering) >= self._most:
            return False
        task = asyncio.create_task(work())
        line = _line(meter)
        self._lingering[line] = task
        task.add_done_callback(lambda done: self._left(line, done))
        await asyncio.sleep(0)  # let it begin, so that it can clean up after itself from now on
        return True

    async def close(self) -> None:
        """End whatever lingers."""
        for line in list(self._lingering):
            await self._send_away(line)

    def _left(self, line: str, task: asyncio.Task[None]) -> None:
        if self._lingering.get(line) is task:
            del self._lingering[line]

    async def _send_away(self, line: str) -> None:
        task = self._lingering.pop(line, None)
        if task is not None:
            task.cancel()
            await asyncio.wait([task])


def _line(meter: Meter) -> str:
    """What one holder has for itself: the meter, or the serial line that it shares with others."""
    return meter.address if isinstance(meter.address, str) else meter.name
