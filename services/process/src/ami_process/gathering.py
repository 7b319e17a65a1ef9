"""Waiting for more of what comes by itself, so that one transaction serves many: until it is time, or until no more comes.

The last ones of a burst, behind which nothing follows, wait for a fifth of the time.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress

LOOKS = 5
"""How often it is looked whether more has come."""


async def gather(count: Callable[[], int], at_most_s: float, enough: asyncio.Event | None = None) -> None:
    """Returns after that time, once `count` has stayed the same for a fifth of it, or at once when `enough` is set."""
    before, enough = -1, enough or asyncio.Event()
    for _ in range(LOOKS):
        now = count()
        if now == before or enough.is_set():
            return
        before = now
        with suppress(TimeoutError):
            async with asyncio.timeout(at_most_s / LOOKS):
                await enough.wait()
