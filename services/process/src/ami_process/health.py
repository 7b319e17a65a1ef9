"""Whether the process can do its work: the checks behind `/healthz`.

A check is asked at most once a second and waited for only so long, however often and by however many it is asked for; one
that does not come back is not asked again before it has.
"""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from starlette.responses import JSONResponse, Response

WITHIN_S = 2.0
FRESH_S = 1.0
ROOM_OCTETS = 16_000_000
"""Less room than this on the disk of a store is a failure before the store notices."""

Check = Callable[[], Awaitable[None]]
"""Returns when all is well; raises an exception whose text says in a few words what is not."""
Checks = Mapping[str, Check]


class Health:
    """The checks of a process by name; `about` is said beside the status."""

    def __init__(self, checks: Checks, *, within_s: float = WITHIN_S, fresh_s: float = FRESH_S, **about: str) -> None:
        self._checks = checks
        self._about = about
        self._within_s = within_s
        self._fresh_s = fresh_s
        self._running: dict[str, asyncio.Future[None]] = {}
        self._asking: asyncio.Task[dict[str, str]] | None = None
        self._asked_at = 0.0

    async def failed(self) -> dict[str, str]:
        """What has failed and why."""
        if self._asking is None or (self._asking.done() and time.monotonic() - self._asked_at > self._fresh_s):
            self._asked_at = time.monotonic()
            self._asking = asyncio.create_task(self._ask())
        return await asyncio.shield(self._asking)

    async def response(self) -> Response:
        """200 and `{"status": "ok"}`, or 503 and what has failed."""
        failed = await self.failed()
        if failed:
            return JSONResponse({"status": "failing", **self._about, "failed": failed}, 503)
        return JSONResponse({"status": "ok", **self._about})

    async def _ask(self) -> dict[str, str]:
        reasons = await asyncio.gather(*(self._reason(name, check) for name, check in self._checks.items()))
        return {name: reason for name, reason in zip(self._checks, reasons, strict=True) if reason is not None}

    async def _reason(self, name: str, check: Check) -> str | None:
        running = self._running.get(name)
        if running is None or running.done():
            running = self._running[name] = asyncio.ensure_future(check())
        done, _ = await asyncio.wait({running}, timeout=self._within_s)
        if not done:
            return f"no answer within {self._within_s:g} s"
        problem = running.exception()
        return None if problem is None else str(problem) or type(problem).__name__


def room_beside(file: Path, octets: int = ROOM_OCTETS) -> Check:
    """A check that the disk where this file is has room left."""

    async def check() -> None:
        disk = await asyncio.to_thread(os.statvfs, file.parent)
        free = disk.f_bavail * disk.f_frsize
        if free < octets:
            raise OSError(f"{free // 1_000_000} MB left on the disk")

    return check
