"""Short pieces of work on the event loop, one in each of its rounds, so that everything else goes on between two of them.

A piece costs too little for a process of its own; many at once would still hold up whatever has a deadline.
"""

import asyncio
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class Turns:
    """Lets one piece after the other have its turn, first come, first served."""

    def __init__(self) -> None:
        self._turn = asyncio.Lock()

    async def call(self, work: Callable[[], T]) -> T:
        """What `work` returns, or raises."""
        async with self._turn:
            await asyncio.sleep(0)  # the others' round
            return work()
