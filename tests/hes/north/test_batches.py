"""Which results are kept together: further ones are waited for, and nobody waits long who waits in front of a meter."""

from __future__ import annotations

import asyncio

import pytest

from ami_hes.jobs.batches import Batches

FOR_EVER = 100_000.0


def batches(most: int = 10) -> Batches[str]:
    return Batches(most, gather_s=FOR_EVER, urgent_s=0.0)


async def waiting(asked: asyncio.Task[list[str]]) -> bool:
    for _ in range(10):
        await asyncio.sleep(0)
    return not asked.done()


async def test_one_that_ends_alone_is_handed_out_at_once() -> None:
    finished = batches()
    await finished.put("a read", urgent=False)
    assert await finished.next() == ["a read"]
    await finished.put("another", urgent=False)
    assert await finished.next() == ["another"]


async def test_several_wait_for_further_ones_and_none_longer_once_one_is_urgent() -> None:
    finished = batches()
    for one in ("a read", "another"):
        await finished.put(one, urgent=False)
    asked = asyncio.create_task(finished.next())
    assert await waiting(asked)
    await finished.put("a control", urgent=True)
    assert await asked == ["a read", "another", "a control"]
    await finished.put("a read after several", urgent=False)
    asked = asyncio.create_task(finished.next())
    assert await waiting(asked), "what was urgent in the batch before counts no longer"
    asked.cancel()
    await asyncio.wait([asked])
    assert finished.rest() == ["a read after several"]


async def test_the_last_of_all_is_not_waited_with() -> None:
    finished: Batches[str] = Batches(10, gather_s=2 * FOR_EVER, urgent_s=FOR_EVER)
    await finished.put("a control", urgent=True)
    await finished.put("a read", urgent=False)
    asked = asyncio.create_task(finished.next())
    assert await waiting(asked), "others are on their way"
    await finished.put("the last", urgent=False, last=True)
    assert await asked == ["a control", "a read", "the last"]
    await finished.put("a read after several", urgent=False)
    asked = asyncio.create_task(finished.next())
    assert await waiting(asked), "what was the last in the batch before counts no longer"
    asked.cancel()
    await asyncio.wait([asked])


async def test_what_was_handed_out_is_left_until_the_next_batch_is_asked_for() -> None:
    finished = batches(most=2)
    for one in ("a", "b"):
        await finished.put(one, urgent=True)
    assert await finished.next() == ["a", "b"]
    await finished.put("c", urgent=True)
    await finished.put("d", urgent=True)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await finished.put("e", urgent=True)
    assert finished.rest() == ["a", "b", "c", "d"]
