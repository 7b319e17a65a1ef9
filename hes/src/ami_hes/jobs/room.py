"""How much may be worked at once, asked for in bulk: one fetch of jobs for all the places that are free."""

import asyncio


class Room:
    """A number of places."""

    def __init__(self, places: int) -> None:
        self._free = places
        self._left = asyncio.Event()

    async def free(self) -> int:
        """How many places are free, as soon as there is one."""
        while self._free <= 0:
            self._left.clear()
            await self._left.wait()
        return self._free

    def enter(self) -> None:
        """Take a place."""
        self._free -= 1

    def leave(self) -> None:
        """Give it back."""
        self._free += 1
        self._left.set()
