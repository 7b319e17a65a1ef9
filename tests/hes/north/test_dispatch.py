"""The contract of the port Jobs: delivered at least once, in order for one subject, never two of a subject in hand."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
from engines import OpenEngine

from ami_hes.commands import Command, CommandJob, Lane, MeterId
from ami_hes.engine import Engine, Jobs, ReplyJob

AT = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.fixture
async def engine(open_engine: OpenEngine) -> AsyncIterator[Engine]:
    async with open_engine() as opened:
        yield opened.engine


@pytest.fixture
def jobs(engine: Engine) -> Jobs[CommandJob]:
    return engine.commands


def job(request_id: str, meter: str = "M1") -> CommandJob:
    command = Command(request_id, MeterId(meter, meter.lower()), "disconnect_control", "3.31.0.23")
    return CommandJob(command, Lane.CONTROL, AT)


async def nothing(jobs: Jobs[Any]) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await jobs.take(10)


async def test_what_is_put_is_delivered_in_order(jobs: Jobs[CommandJob]) -> None:
    await jobs.put([job("r1", "M1"), job("r1", "M2"), job("r1", "M3")])
    assert [d.job.subject for d in await jobs.take(2)] == ["M1", "M2"]
    assert [d.job.subject for d in await jobs.take(2)] == ["M3"]


async def test_take_waits_for_the_first(jobs: Jobs[CommandJob]) -> None:
    taking = asyncio.create_task(jobs.take(10))
    await asyncio.sleep(0)
    assert not taking.done()
    await jobs.put([job("r1")])
    assert len(await taking) == 1


async def test_the_same_twice_counts_once(jobs: Jobs[CommandJob]) -> None:
    await jobs.put([job("r1"), job("r1")])
    (delivery,) = await jobs.take(10)
    await jobs.put([job("r1")])
    await delivery.done()
    await delivery.done()
    await nothing(jobs)
    assert await jobs.pending() == 0


async def test_one_subject_is_never_in_hand_twice(jobs: Jobs[CommandJob]) -> None:
    await jobs.put([job("r1"), job("r2"), job("r3"), job("r2", "M2")])
    first, other = await jobs.take(10)
    assert [(d.job.request_id, d.job.subject) for d in (first, other)] == [("r1", "M1"), ("r2", "M2")]
    await nothing(jobs)
    await other.done()
    await nothing(jobs)
    await first.done()
    (second,) = await jobs.take(10)
    assert second.job.request_id == "r2"


async def test_lanes_do_not_stand_in_each_others_way(engine: Engine) -> None:
    await engine.commands.put([job("r1")])
    await engine.replies.put([ReplyJob("r1", "http://127.0.0.1/", AT)])
    await engine.commands.take(1)
    assert len(await engine.replies.take(1)) == 1
    assert (await engine.commands.pending(), await engine.replies.pending()) == (1, 1)


async def test_again_comes_again_before_the_next_of_its_subject(jobs: Jobs[CommandJob]) -> None:
    await jobs.put([job("r1"), job("r2")])
    (delivery,) = await jobs.take(10)
    assert not delivery.redelivered
    await delivery.again(0.001)
    (delivery,) = await jobs.take(10)
    assert (delivery.job.request_id, delivery.redelivered) == ("r1", True)
    await delivery.done()
    assert [(d.job.request_id, d.redelivered) for d in await jobs.take(10)] == [("r2", False)]


async def test_a_cancelled_taker_loses_nothing(jobs: Jobs[CommandJob]) -> None:
    await nothing(jobs)
    await jobs.put([job("r1")])
    assert len(await jobs.take(10)) == 1
