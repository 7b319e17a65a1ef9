"""Waiting for an answer: it is in the store, whichever process has made it, and an event says when to look.

An answer of this process always announces itself. One that another process has made does so only where the engine's events reach
every process, so the store is looked into now and then as well, seldom enough to cost nothing.
"""

import asyncio
from contextlib import suppress

from ami_hes.engine.ports import Stopping
from ami_hes.store import Results, StoreUnavailable
from ami_process.environment import real_time

UNAVAILABLE_S = 1.0
"""When a store that was unavailable is looked into again: the announcement has come and gone."""


class StoredAnswers:
    """The Answers port."""

    def __init__(self, results: Results, *, look_every_s: float) -> None:
        self._results = results
        self._look_every_s = look_every_s
        self._waiting: dict[str, set[asyncio.Event]] = {}
        self._stopping = False

    def announce(self, request_id: str, _: bytes = b"") -> None:
        """The answer of this request is in the store."""
        for one in self._waiting.get(request_id, ()):
            one.set()

    def stop(self) -> None:
        """Waiting requests end, with Stopping."""
        self._stopping = True
        for request_id in self._waiting:
            self.announce(request_id)

    async def wait(self, request_id: str, within_s: float) -> bytes:
        announced = asyncio.Event()  # from before the first look on, so that no announcement is missed
        waiting = self._waiting.setdefault(request_id, set())
        waiting.add(announced)
        try:
            return await self._look(request_id, real_time() + within_s, announced)
        finally:
            waiting.discard(announced)
            if not waiting:
                self._waiting.pop(request_id, None)

    async def _look(self, request_id: str, until: float, announced: asyncio.Event) -> bytes:
        while True:
            announced.clear()
            look_after_s = self._look_every_s
            try:
                if (answer := await self._stored(request_id)) is not None:
                    return answer
            except StoreUnavailable:  # for a while: the answer is waited for all the same
                look_after_s = min(UNAVAILABLE_S, look_after_s)
            if self._stopping:
                raise Stopping
            if (left_s := until - real_time()) <= 0:
                raise TimeoutError(f"no answer to {request_id} in time")
            with suppress(TimeoutError):
                async with asyncio.timeout(min(left_s, look_after_s)):
                    await announced.wait()

    async def _stored(self, request_id: str) -> bytes | None:
        kept = await self._results.find(request_id)
        if kept is None:
            raise LookupError(f"the request {request_id} is not kept")
        return kept.answer
