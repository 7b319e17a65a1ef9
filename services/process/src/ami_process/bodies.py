"""The bodies of HTTP requests, read within bounds of size and time, each and all together.

A body may be as large as the endpoint says. What all of them hold at once has a bound as well, beyond the first octets of each:
so a few senders of large messages, slow ones above all, fill neither the memory nor take the place of those who send little."""

import asyncio

from starlette.requests import ClientDisconnect, Request

FREE = 65_536
"""Octets of each body that always have room; the limit of HTTP connections bounds their sum."""

ROOM = 40_000_000
"""Octets beyond these that all bodies may hold together."""


class BodyTooLarge(Exception):
    """The body is larger than the endpoint takes."""


class NoRoom(Exception):
    """Other bodies fill the room; later there may be some."""


class BodyLate(Exception):
    """The body did not come whole in time, or its sender went away."""


class Bodies:
    """Reads bodies for one endpoint."""

    def __init__(self, *, octets: int, seconds: float, room: int = ROOM) -> None:
        self.octets = octets
        self.seconds = seconds
        self._room = room

    async def read(self, request: Request) -> bytes:
        """The whole body; raises BodyTooLarge, NoRoom, BodyLate. Its room is free again when it has been read."""
        try:
            async with asyncio.timeout(self.seconds):
                return await self._read(request)
        except (TimeoutError, ClientDisconnect):
            raise BodyLate(f"the message did not come whole within {self.seconds:g} s") from None

    async def _read(self, request: Request) -> bytes:
        octets, taken = bytearray(), 0
        try:
            async for chunk in request.stream():
                octets += chunk
                if len(octets) > self.octets:
                    raise BodyTooLarge
                more = max(0, len(octets) - FREE) - taken
                if more > self._room:
                    raise NoRoom
                taken += more
                self._room -= more
        finally:
            self._room += taken
        return bytes(octets)
