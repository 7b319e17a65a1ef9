"""One stream for all viewers: what has changed, four times a second, as server-sent events (WHATWG HTML, 9.2).

Each frame is made and written once, and the same octets go to everybody. A viewer that does not take them is not waited for: when its few
places are full they are emptied, and it is told to look at everything anew (`resync`), so it costs a bounded amount of memory.
While nobody looks, nothing is made.
"""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from http import HTTPStatus
from typing import Any, Self

from starlette.responses import StreamingResponse

from ami_process.api import EVENT_STREAM, ApiRefused
from ami_process.environment import real_sleep

PAUSE_S = 0.25
QUIET_S = 10.0
"""After so long without a frame a comment says that there is still somebody."""
PLACES = 8
"""Frames that wait for one viewer."""
MOST_VIEWERS = 100

Frame = Mapping[str, Any]
Take = Callable[[], Awaitable[Frame | None]]
"""Takes what has changed since it was taken last, as JSON has it; None for nothing."""

_LOGGER = logging.getLogger(__name__)
RESYNC = b"event: resync\ndata: {}\n\n"
HERE = b": still here\n\n"


class Viewer:
    """One who looks: `pending` are the octets that it has not taken, None at the end."""

    def __init__(self) -> None:
        self.pending: asyncio.Queue[bytes | None] = asyncio.Queue(PLACES)

    def give(self, octets: bytes | None) -> None:
        """Put it behind what is there; where there is no room, all of that makes way for `resync`."""
        if not self.pending.full():
            self.pending.put_nowait(octets)
            return
        while not self.pending.empty():
            self.pending.get_nowait()
        self.pending.put_nowait(RESYNC if octets is not None else None)


class Live:
    """The stream."""

    def __init__(self, take: Take, anew: Callable[[], None] = lambda: None) -> None:
        """`anew` is called when somebody looks after nobody did: what has changed before, the viewer looks at by itself."""
        self._take = take
        self._anew = anew
        self._viewers: set[Viewer] = set()
        self._number = 0
        self._closed = False

    @classmethod
    @asynccontextmanager
    async def opened(cls, take: Take, anew: Callable[[], None] = lambda: None) -> AsyncIterator[Self]:
        """At work as long as this is entered."""
        live = cls(take, anew)
        task = asyncio.create_task(live._work())
        try:
            yield live
        finally:
            live.close()
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    @property
    def viewers(self) -> int:
        """How many look."""
        return len(self._viewers)

    def close(self) -> None:
        """Let everybody go."""
        self._closed = True
        for viewer in self._viewers:
            viewer.give(None)

    async def beat(self) -> None:
        """Make a frame of what has changed and hand it to everybody."""
        if not self._viewers:
            return
        frame = await self._take()
        if frame is not None:
            self.send(frame)

    def send(self, frame: Frame) -> None:
        """Hand a frame to everybody."""
        self._number += 1
        octets = b"id: %d\nevent: frame\ndata: %s\n\n" % (
            self._number,
            json.dumps(frame, separators=(",", ":")).encode(),
        )
        for viewer in self._viewers:
            viewer.give(octets)

    async def stream(self) -> AsyncIterator[bytes]:
        """What one viewer gets, until it goes or all do. The first event asks it to look at everything."""
        viewer = Viewer()
        if not self._viewers:
            self._anew()
        self._viewers.add(viewer)
        try:
            yield b"retry: 1000\n\n" + RESYNC
            while not self._closed:
                octets = await _next(viewer)
                if octets is None:
                    return
                yield octets
        finally:
            self._viewers.discard(viewer)

    async def _work(self) -> None:
        while True:
            await real_sleep(PAUSE_S)
            try:
                await self.beat()
            except Exception:  # a frame that can't be made must not be the last one
                _LOGGER.exception("a frame of changes could not be made; viewers look at everything anew")
                for viewer in self._viewers:
                    viewer.give(RESYNC)


def live_response(live: Live) -> StreamingResponse:
    """The stream as an answer; ApiRefused beyond the most viewers."""
    if live.viewers >= MOST_VIEWERS:
        raise ApiRefused(HTTPStatus.SERVICE_UNAVAILABLE, f"{MOST_VIEWERS} look already; ask again later")
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(live.stream(), media_type=EVENT_STREAM, headers=headers)


async def _next(viewer: Viewer) -> bytes | None:
    try:
        async with asyncio.timeout(QUIET_S):
            return await viewer.pending.get()
    except TimeoutError:
        return HERE
