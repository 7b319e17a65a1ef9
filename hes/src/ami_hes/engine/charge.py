"""What one process at a time does for all that share a store: schedules, campaigns, replies, what waits for its time. Who is in charge of it, and how others ask that one.

A single process always is. Of several front ends it is the one that has a lock of the store (`ami_hes.engine.partitions.FRONT`), so another one takes it over when
that one's connection ends. Each time it begins with what the store says: what an earlier holder had in memory is not asked for.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager

from ami_hes.store import StoreUnavailable
from ami_process.environment import real_sleep

Term = Callable[[], AbstractAsyncContextManager[None]]
"""Entered when it becomes this process's charge, left when it is not any more. Raises StoreUnavailable where it can't begin now."""
Asked = Callable[[bytes], Awaitable[bytes]]
AGAIN_S = 1.0
BEGINS_WITHIN_S = 8.0


class Charge:
    """Of one process; of a single one as it is made."""

    def __init__(self) -> None:
        self._given = asyncio.Event()
        self._given.set()
        self._over = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._begun = asyncio.Event()
        self._asked: dict[str, Asked] = {}

    @property
    def is_mine(self) -> bool:
        """Whether it is this process's now."""
        return self._given.is_set()

    async def work(self, term: Term) -> None:
        """Until cancelled: `term` is entered whenever it becomes this process's."""
        while True:
            await self._given.wait()
            self._idle.clear()
            if not self.is_mine:  # it was withdrawn before this task had its turn
                self._idle.set()
                continue
            try:
                async with term():
                    self._begun.set()
                    await self._over.wait()
            except StoreUnavailable:
                await real_sleep(AGAIN_S)
            finally:
                self._begun.clear()
                self._idle.set()

    @property
    def has_begun(self) -> bool:
        """Whether it is this process's, and what was left of it is taken up."""
        return self._begun.is_set()

    def answer(self, what: str, asked: Asked) -> None:
        """Have this called with what others ask while it is this process's charge."""
        self._asked[what] = asked

    async def ask(self, what: str, body: bytes) -> bytes:
        """What the process says that is in charge, once it has taken up what was left. Raises StoreUnavailable where there is none now: ask again."""
        try:
            async with asyncio.timeout(BEGINS_WITHIN_S):
                await self._begun.wait()
        except TimeoutError:
            raise StoreUnavailable("what an earlier process has left is still being taken up") from None
        return await self._asked[what](body)
