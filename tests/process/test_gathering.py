"""How long further ones are waited for: while they come, not longer than is said, and no longer once it is enough."""

from __future__ import annotations

import asyncio

from ami_process.gathering import LOOKS, gather

FOR_EVER = 1e6


async def test_it_ends_with_the_first_look_that_sees_no_more() -> None:
    seen = iter((1, 4, 4, 9))
    await gather(lambda: next(seen), 0.0)
    assert next(seen) == 9


async def test_what_comes_without_end_ends_with_the_time() -> None:
    looks = iter(range(100))
    await gather(lambda: next(looks), 0.0)
    assert next(looks) == LOOKS


async def test_it_ends_at_once_when_it_is_enough() -> None:
    enough = asyncio.Event()
    waiting = asyncio.create_task(gather(lambda: 1, FOR_EVER, enough))
    await asyncio.sleep(0)
    assert not waiting.done()
    enough.set()
    await waiting
