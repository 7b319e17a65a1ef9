"""The contract of the ports Commands and Jobs: delivered at least once, lane by lane, never two of one meter in hand."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Sequence
from datetime import UTC, datetime

import pytest
from engines import OpenEngine
from patience import PATIENCE_S
from stored_values import a_result

from ami_hes.commands import Command, CommandJob, Lane, MeterId
from ami_hes.engine import Commands, Delivery, Engine, ReplyJob

AT = datetime(2026, 11, 20, 12, tzinfo=UTC)
CONTROL, READ, CAMPAIGN = Lane


@pytest.fixture
async def engine(open_engine: OpenEngine) -> AsyncIterator[Engine]:
    async with open_engine() as opened:
        yield opened.engine


@pytest.fixture
def commands(engine: Engine) -> Commands:
    return engine.commands


def job(request_id: str, meter: str = "M1", lane: Lane = CONTROL) -> CommandJob:
    return CommandJob(Command(request_id, MeterId(meter, meter.lower()), "an operation", "a body"), lane, AT)


async def nothing(commands: Commands, lanes: Collection[Lane] = Lane, full: Collection[str] = ()) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await commands.take(lanes, 10, full)


def named(deliveries: Sequence[Delivery[CommandJob]]) -> list[tuple[str, str]]:
    return [(one.job.request_id, one.job.subject) for one in deliveries]


async def test_what_is_put_is_delivered_in_order(commands: Commands) -> None:
    await commands.put([job("r1", "M1"), job("r1", "M2"), job("r1", "M3")])
    assert [d.job.subject for d in await commands.take(Lane, 2)] == ["M1", "M2"]
    assert [d.job.subject for d in await commands.take(Lane, 2)] == ["M3"]


async def test_take_waits_for_the_first(commands: Commands) -> None:
    taking = asyncio.create_task(commands.take(Lane, 10))
    await asyncio.sleep(0)
    assert not taking.done()
    await commands.put([job("r1")])
    assert len(await taking) == 1


async def test_the_same_twice_counts_once(commands: Commands) -> None:
    await commands.put([job("r1"), job("r1")])
    (delivery,) = await commands.take(Lane, 10)
    await commands.put([job("r1")])
    await delivery.done()
    await delivery.done()
    await nothing(commands)
    assert await commands.pending(CONTROL) == 0


@pytest.mark.parametrize(
    ("lanes", "then"),
    [((CONTROL, CONTROL, CONTROL), "r3"), ((CAMPAIGN, READ, CONTROL), "r4"), ((CONTROL, READ, CAMPAIGN), "r3")],
)
async def test_one_meter_is_never_in_hand_twice(commands: Commands, lanes: tuple[Lane, ...], then: str) -> None:
    await commands.put([job("r1", lane=lanes[0]), job("r2", "M2", lanes[0])])
    first, other = await commands.take(Lane, 10)
    assert named((first, other)) == [("r1", "M1"), ("r2", "M2")]
    await commands.put([job("r3", lane=lanes[1]), job("r4", lane=lanes[2])])
    await nothing(commands)
    await other.done()
    await nothing(commands)
    await first.done()
    (second,) = await commands.take(Lane, 10)
    assert second.job.request_id == then
    await nothing(commands)


async def test_higher_lanes_are_delivered_first(commands: Commands) -> None:
    await commands.put([job("r1", "M1", CAMPAIGN), job("r2", "M2", READ), job("r3", "M3", CONTROL)])
    assert [d.job.lane for d in await commands.take(Lane, 10)] == [CONTROL, READ, CAMPAIGN]


async def test_a_lane_that_is_not_asked_for_waits(commands: Commands) -> None:
    await commands.put([job("r1", "M1", READ)])
    await nothing(commands, (CONTROL, CAMPAIGN))
    assert [await commands.pending(lane) for lane in Lane] == [0, 1, 0]
    assert named(await commands.take((CONTROL, READ), 10)) == [("r1", "M1")]


async def test_a_control_overtakes_what_waits_for_its_meter(commands: Commands) -> None:
    await commands.put([job("r1", "M1", READ), job("r2", "M1", READ), job("r3", "M2", READ), job("r4", "M1")])
    await nothing(commands, (CAMPAIGN,))
    (control,) = await commands.take((CONTROL,), 10)
    assert control.job.request_id == "r4"
    assert named(await commands.take((READ,), 10)) == [("r3", "M2")]
    await control.done()
    (read,) = await commands.take(Lane, 10)
    await read.done()
    assert (read.job.request_id, named(await commands.take(Lane, 10))) == ("r1", [("r2", "M1")])


async def test_lanes_do_not_stand_in_each_others_way(engine: Engine) -> None:
    await engine.commands.put([job("r1")])
    await engine.replies.put([ReplyJob("r1", "http://127.0.0.1/", AT)])
    await engine.commands.take(Lane, 1)
    assert len(await engine.replies.take(1)) == 1
    assert (await engine.commands.pending(CONTROL), await engine.replies.pending()) == (1, 1)


async def test_again_comes_again_before_the_next_of_its_lane(commands: Commands) -> None:
    await commands.put([job("r1"), job("r2")])
    (delivery,) = await commands.take(Lane, 10)
    assert (delivery.redelivered, delivery.attempts) == (False, 1)
    await delivery.again(0.001)
    (delivery,) = await commands.take(Lane, 10)
    assert (delivery.job.request_id, delivery.redelivered, delivery.attempts) == ("r1", True, 2)
    await delivery.done()
    assert [(d.job.request_id, d.redelivered) for d in await commands.take(Lane, 10)] == [("r2", False)]


async def test_what_comes_again_later_keeps_no_other_lane_back(commands: Commands) -> None:
    await commands.put([job("r1", lane=READ), job("r2", lane=READ)])
    (read,) = await commands.take(Lane, 10)
    await read.again(3600.0)
    await nothing(commands)
    await commands.put([job("r3", lane=CAMPAIGN), job("r4")])
    (control,) = await commands.take(Lane, 10)
    await control.done()
    assert [control.job.request_id, *(d.job.request_id for d in await commands.take(Lane, 10))] == ["r4", "r3"]


async def test_a_cancelled_taker_loses_nothing(commands: Commands) -> None:
    await nothing(commands)
    await commands.put([job("r1")])
    assert len(await commands.take(Lane, 10)) == 1


async def test_the_meter_of_a_command_may_be_free_before_it_is_done(commands: Commands) -> None:
    await commands.put([job("r1"), job("r2")])
    (first,) = await commands.take(Lane, 10)
    await first.free_meter()
    (second,) = await commands.take(Lane, 10)
    assert (second.job.request_id, await commands.pending(CONTROL)) == ("r2", 2)
    await first.done()
    await commands.put([job("r3")])
    await nothing(commands)
    await second.done()
    assert named(await commands.take(Lane, 10)) == [("r3", "M1")]
    assert await commands.pending(CONTROL) == 1


async def test_what_a_process_has_of_each_lane_is_known_and_how_long_it_waited(commands: Commands) -> None:
    await commands.put([job("r1"), job("r2"), job("r3", "M2", READ)])
    (first,) = await commands.take((CONTROL,), 10)
    assert 0 <= first.waited_s < PATIENCE_S
    assert {lane: tuple(counts) for lane, counts in commands.here().items()} == {
        CONTROL: (1, 1),
        READ: (1, 0),
        CAMPAIGN: (0, 0),
    }
    await first.done()
    assert commands.here()[CONTROL] == (1, 0)


# what needs no meter


@pytest.fixture
async def mixed(open_engine: OpenEngine) -> AsyncIterator[Commands]:
    """Requests whose names begin with s are answered from the store."""
    async with open_engine(meterless=lambda job: job.request_id.startswith("s")) as opened:
        yield opened.engine.commands


async def no_meterless(commands: Commands) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await commands.take_meterless(10)


async def test_what_needs_no_meter_waits_for_none_and_keeps_none_back(mixed: Commands) -> None:
    await mixed.put([job("s1", lane=CAMPAIGN), job("r1", lane=READ), job("s2", lane=READ), job("r2", lane=READ)])
    assert named(await mixed.take(Lane, 10)) == [("r1", "M1")]
    (first,) = await mixed.take_meterless(1)
    (second,) = await mixed.take_meterless(10)
    assert named((first, second)) == [("s2", "M1"), ("s1", "M1")], "those of higher lanes first"
    assert (first.meterless, first.attempts, first.redelivered) == (True, 1, False)
    await first.done()
    await nothing(mixed)
    assert [await mixed.pending(lane) for lane in Lane] == [0, 2, 1]


async def test_what_needs_its_meter_after_all_waits_for_it_behind_the_others(mixed: Commands) -> None:
    await mixed.put([job("r1", lane=READ), job("s1", lane=READ), job("r2", lane=READ)])
    (read,) = await mixed.take(Lane, 10)
    (stored,) = await mixed.take_meterless(10)
    await stored.needs_meter()
    await no_meterless(mixed)
    await nothing(mixed)
    await read.done()
    (read,) = await mixed.take(Lane, 10)
    await read.done()
    (taken,) = await mixed.take(Lane, 10)
    assert (read.job.request_id, taken.job.request_id) == ("r2", "s1")
    assert (taken.meterless, taken.attempts, taken.redelivered) == (False, 1, False)
    await taken.again(0.001)
    (taken,) = await mixed.take(Lane, 10)
    await taken.done()
    assert await mixed.pending(READ) == 0


async def test_what_needs_no_meter_comes_again_and_is_cancelled_as_the_rest(open_engine: OpenEngine) -> None:
    """What is done has its result before: of meters that dial in only the store says what is still open."""
    async with open_engine(meterless=lambda job: job.request_id.startswith("s")) as opened:
        mixed = opened.engine.commands
        await mixed.put([job("s1"), job("s1", "M2")])
        (first,) = await mixed.take_meterless(1)
        (cancelled,) = await mixed.cancel("s1")
        assert cancelled.job.subject == "M2", "what is in hand goes on"
        await no_meterless(mixed)
        await opened.results.save([a_result("s1", "M2")])
        await cancelled.done()
        await first.again(0.001)
        (first,) = await mixed.take_meterless(1)
        assert (first.redelivered, first.attempts) == (True, 2)
        await first.again(0.001)
        assert [one.job.subject for one in await mixed.cancel("s1")] == ["M1"]
        await no_meterless(mixed)
        await opened.results.save([a_result("s1", "M1")])
        await first.done()
        assert (await mixed.pending(CONTROL), await mixed.cancel("s1")) == (0, [])


# groups


@pytest.fixture
async def grouped(open_engine: OpenEngine) -> AsyncIterator[Commands]:
    """A meter's group is the first letter of its name."""
    async with open_engine(group_of=lambda job: job.subject[0]) as opened:
        yield opened.engine.commands


async def test_a_group_that_is_full_keeps_no_other_back(grouped: Commands) -> None:
    await grouped.put([job("r1", "A1"), job("r1", "A2"), job("r1", "B1"), job("r2", "A3", READ)])
    assert [d.job.subject for d in await grouped.take(Lane, 10, {"A"})] == ["B1"]
    await nothing(grouped, full={"A", "B"})
    assert [d.job.subject for d in await grouped.take(Lane, 10)] == ["A1", "A2", "A3"]


async def test_groups_take_turns(grouped: Commands) -> None:
    await grouped.put([job("r1", f"A{number}") for number in range(3)] + [job("r1", "B0"), job("r1", "C0")])
    assert [d.job.subject for d in await grouped.take(Lane, 10)] == ["A0", "B0", "C0", "A1", "A2"]


# cancelling


async def test_what_is_cancelled_is_in_the_hands_of_who_cancels_it(commands: Commands) -> None:
    await commands.put([job("r1", "M1"), job("r1", "M2", READ), job("r2", "M2", READ), job("r1", "M3")])
    (in_hand,) = await commands.take(Lane, 1)
    cancelled = await commands.cancel("r1")
    assert sorted(d.job.subject for d in cancelled) == ["M2", "M3"], "what is in hand goes on"
    assert named(await commands.take(Lane, 10)) == [("r2", "M2")]
    assert await commands.cancel("r1") == []
    assert await commands.pending(CONTROL) == 2
    for one in (*cancelled, in_hand):
        await one.done()
    assert [await commands.pending(lane) for lane in Lane] == [0, 1, 0]
    await commands.put([job("r3", "M1"), job("r3", "M3")])
    assert named(await commands.take(Lane, 10)) == [("r3", "M1"), ("r3", "M3")]


async def test_what_rests_is_cancelled_too(commands: Commands) -> None:
    await commands.put([job("r1")])
    (delivery,) = await commands.take(Lane, 10)
    await delivery.again(0.001)
    (cancelled,) = await commands.cancel("r1")
    assert cancelled.redelivered
    await nothing(commands)
    await cancelled.again(0.001)  # as when the store does not take its end now
    assert named(await commands.take(Lane, 10)) == [("r1", "M1")]


# replies


async def test_a_reply_is_delivered_until_it_is_done(engine: Engine) -> None:
    reply = ReplyJob("r1", "http://127.0.0.1/", AT)
    await engine.replies.put([reply, reply])
    (delivery,) = await engine.replies.take(10)
    await delivery.again(0.001)
    (delivery,) = await engine.replies.take(10)
    assert (delivery.job, delivery.redelivered) == (reply, True)
    await delivery.done()
    await delivery.done()
    assert await engine.replies.pending() == 0


async def test_what_goes_on_afresh_stands_behind_what_waits_and_was_not_attempted(commands: Commands) -> None:
    await commands.put([job("r1", lane=CAMPAIGN), job("r2", lane=CAMPAIGN)])
    (first,) = await commands.take(Lane, 10)
    await first.afresh(0.0)
    (second,) = await commands.take(Lane, 10)
    assert named([second]) == [("r2", "M1")]
    await second.done()
    (again,) = await commands.take(Lane, 10)
    assert (named([again]), again.attempts, again.redelivered) == ([("r1", "M1")], 1, True)
