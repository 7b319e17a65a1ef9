"""The contract of the port Jobs: delivered at least once, in order for one subject, never two of a subject in hand."""

import asyncio

import pytest

from ami_hes.store import Job, Lane, MemoryJobs

CONTROLS, REPLIES = Lane.CONTROLS, Lane.REPLIES


def job(request_id: str, subject: str = "M1", lane: Lane = CONTROLS) -> Job:
    return Job(lane, request_id, subject, "3.31.0.23")


async def nothing(jobs: MemoryJobs, lane: Lane = CONTROLS) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await jobs.take(lane, 10)


async def test_what_is_put_is_delivered_in_order() -> None:
    jobs = MemoryJobs()
    await jobs.put([job("r1", "M1"), job("r1", "M2"), job("r1", "M3")])
    assert [d.job.subject for d in await jobs.take(CONTROLS, 2)] == ["M1", "M2"]
    assert [d.job.subject for d in await jobs.take(CONTROLS, 2)] == ["M3"]


async def test_take_waits_for_the_first() -> None:
    jobs = MemoryJobs()
    taking = asyncio.create_task(jobs.take(CONTROLS, 10))
    await asyncio.sleep(0)
    assert not taking.done()
    await jobs.put([job("r1")])
    assert len(await taking) == 1


async def test_the_same_twice_counts_once() -> None:
    jobs = MemoryJobs()
    await jobs.put([job("r1"), job("r1")])
    (delivery,) = await jobs.take(CONTROLS, 10)
    await jobs.put([job("r1")])
    delivery.done()
    delivery.done()
    await nothing(jobs)
    assert jobs.pending(CONTROLS) == 0


async def test_one_subject_is_never_in_hand_twice() -> None:
    jobs = MemoryJobs()
    await jobs.put([job("r1"), job("r2"), job("r3"), job("r2", "M2")])
    first, other = await jobs.take(CONTROLS, 10)
    assert [(d.job.request_id, d.job.subject) for d in (first, other)] == [("r1", "M1"), ("r2", "M2")]
    await nothing(jobs)
    other.done()
    await nothing(jobs)
    first.done()
    (second,) = await jobs.take(CONTROLS, 10)
    assert second.job.request_id == "r2"


async def test_lanes_do_not_stand_in_each_others_way() -> None:
    jobs = MemoryJobs()
    await jobs.put([job("r1"), job("r1", lane=REPLIES)])
    await jobs.take(CONTROLS, 1)
    assert len(await jobs.take(REPLIES, 1)) == 1
    assert (jobs.pending(CONTROLS), jobs.pending(REPLIES)) == (1, 1)


async def test_again_comes_again_before_the_next_of_its_subject() -> None:
    jobs = MemoryJobs()
    await jobs.put([job("r1"), job("r2")])
    (delivery,) = await jobs.take(CONTROLS, 10)
    delivery.again(0.001)
    (delivery,) = await jobs.take(CONTROLS, 10)
    assert delivery.job.request_id == "r1"
    delivery.done()
    assert [d.job.request_id for d in await jobs.take(CONTROLS, 10)] == ["r2"]


async def test_a_cancelled_taker_loses_nothing() -> None:
    jobs = MemoryJobs()
    await nothing(jobs)
    await jobs.put([job("r1")])
    assert len(await jobs.take(CONTROLS, 10)) == 1
