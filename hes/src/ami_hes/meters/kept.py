"""Sessions that stay open after their work, for the next work on the same meter: for a while, and a limited number of them.

What a meter sends meanwhile is taken as always, and the end of its connection is noticed at once. A meter that only seems to be
there is found out by the first read of the next work, which opens the session anew (`Session.resume`): a read may be repeated, an
ACTION never is.

Meters that dial in are not kept so: the connection is theirs, and waits in `ami_hes.meters.dialled_in`. Nor are those on a
serial line, which is free for its other meters once a session is over.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from ami_hes.meters.faults import MeterFault
from ami_hes.meters.registry import Meter
from ami_hes.meters.session import Session

Release = Callable[[Session], Awaitable[None]]
"""Releases the association and gives the connection up; never raises MeterFault."""


@dataclass(slots=True, eq=False)
class _Kept:
    session: Session
    watch: asyncio.Task[None]
    releasing: bool = False


class KeptSessions:
    """Open sessions by meter, between two holders."""

    def __init__(self, keep_open_s: float, most: int, release: Release) -> None:
        self._keep_open_s = keep_open_s
        self._most = most
        self._release = release
        self._kept: dict[str, _Kept] = {}
        self._closed = False

    def keep(self, session: Session) -> bool:
        """Keep it for the next holder; False when it is not to be kept and has to be released."""
        usable = session.opened and session.healthy and isinstance(session.meter.address, tuple)
        if not usable or self._closed or not self._keep_open_s or len(self._kept) >= self._most:
            return False
        session.link.keep_alive()
        self._kept[session.meter.name] = _Kept(session, asyncio.create_task(self._watch(session)))
        return True

    async def take(self, meter: Meter) -> Session | None:
        """The open session with this meter, if there is one; whatever was kept is no longer in the way when this returns."""
        kept = self._kept.get(meter.name)
        if kept is None:
            return None
        if not kept.releasing:
            del self._kept[meter.name]
            kept.watch.cancel()
        await asyncio.wait([kept.watch])
        return kept.session if kept.watch.cancelled() and kept.session.healthy else None

    async def close(self) -> None:
        """Release all of them, at once, and keep no other."""
        self._closed = True
        await self.give_up()

    async def give_up(self) -> None:
        """Release all of them, at once."""
        sessions = [one for one in [await self.take(kept.session.meter) for kept in list(self._kept.values())] if one]
        await asyncio.gather(*(self._release(session) for session in sessions))

    async def _watch(self, session: Session) -> None:
        """Until it was kept long enough, or its connection ends; then it is released. Cancelled when it is taken."""
        try:
            async with asyncio.timeout(self._keep_open_s):
                await session.listen()
        except (MeterFault, TimeoutError):
            pass
        name = session.meter.name
        self._kept[name].releasing = True
        try:
            await self._release(session)
        finally:
            del self._kept[name]
