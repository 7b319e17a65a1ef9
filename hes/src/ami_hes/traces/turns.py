"""Who puts a trace together: a few at once, since each takes its memory and its time; some wait for that, and all others are sent away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

AT_ONCE = 2
MOST_WAITING = 20
PATIENCE_S = 10.0
RETRY_AFTER_S = 5


class TracesBusy(Exception):
    """Too many ask at once; the text says so."""


class Turns:
    """`at_once` have their turn, others wait for theirs."""

    def __init__(
        self, at_once: int = AT_ONCE, most_waiting: int = MOST_WAITING, patience_s: float = PATIENCE_S
    ) -> None:
        self._room = asyncio.Semaphore(at_once)
        self._most_waiting = most_waiting
        self._patience_s = patience_s
        self._waiting = 0

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Inside it is the caller's; raises TracesBusy."""
        await self._wait()
        try:
            yield
        finally:
            self._room.release()

    async def _wait(self) -> None:
        if self._room.locked() and self._waiting >= self._most_waiting:
            raise TracesBusy(f"{self._waiting} wait for traces already: ask again later")
        self._waiting += 1
        try:
            async with asyncio.timeout(self._patience_s):
                await self._room.acquire()
        except TimeoutError:
            raise TracesBusy(
                "other traces are put together, which takes too long to wait for: ask again later"
            ) from None
        finally:
            self._waiting -= 1
