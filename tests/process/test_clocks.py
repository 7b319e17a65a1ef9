"""The clocks of a process: sleepers of a stepped one wake in order, each at its own time; a scaled one agrees with its like."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from patience import PATIENCE_S
from reported import ignore

from ami_process.clocks import ClockError, RealClock, ScaledClock, SteppedClock
from ami_process.environment import Environment, clock_of
from ami_process.settings import ClockMode, ClockSettings

AT = datetime(2026, 1, 1, tzinfo=UTC)


async def test_sleepers_wake_in_order_each_at_its_own_time() -> None:
    clock = SteppedClock(AT)
    woken: list[tuple[str, float]] = []

    async def sleep(name: str, seconds: float) -> None:
        await clock.sleep(seconds)
        woken.append((name, clock.monotonic()))

    sleeping = [asyncio.create_task(sleep(name, s)) for name, s in (("late", 20.0), ("soon", 5.0), ("soon too", 5.0))]
    await asyncio.sleep(0)
    assert clock.next_due_at == AT + timedelta(seconds=5)
    await clock.advance_to(AT + timedelta(seconds=4.9))
    assert woken == [] and clock.now() == AT + timedelta(seconds=4.9)
    await clock.advance_to(AT + timedelta(seconds=60))
    assert woken == [("soon", 5.0), ("soon too", 5.0), ("late", 20.0)]
    assert clock.monotonic() == 60 and clock.next_due_at is None
    await asyncio.gather(*sleeping)


async def test_who_begins_to_sleep_is_not_missed_by_a_clock_that_moves_on_at_once() -> None:
    clock = SteppedClock(AT)
    sleeping = asyncio.ensure_future(clock.sleep(5))
    assert clock.next_due_at == AT + timedelta(seconds=5), (
        "known from the call on, not from the first round of its task"
    )
    await clock.advance_to(AT + timedelta(seconds=5))
    assert sleeping.done()


async def test_who_holds_the_clock_has_as_many_rounds_as_it_wants() -> None:
    clock, seen = SteppedClock(AT), list[float]()

    async def work() -> None:
        for _ in range(3):
            await clock.sleep(10)
            with clock.hold():
                for _ in range(50):
                    await asyncio.sleep(0)
                seen.append(clock.monotonic())

    working = asyncio.create_task(work())
    await asyncio.sleep(0)
    await clock.advance_to(AT + timedelta(seconds=60))
    assert working.done() and seen == [10.0, 20.0, 30.0]
    for other in (RealClock(), ScaledClock(AT, 2.0)):
        with other.hold():
            pass


async def test_a_sleep_of_no_time_lasts_one_round_in_which_others_have_their_turn() -> None:
    clock, turns = SteppedClock(AT), list[str]()

    async def other() -> None:
        turns.append("other")

    for seconds in (0.0, -1.0):
        others = asyncio.create_task(other())
        await clock.sleep(seconds)
        turns.append("sleeper")
        await others
    assert turns == ["other", "sleeper"] * 2 and clock.next_due_at is None


async def test_who_sleeps_again_is_woken_again_on_the_way() -> None:
    clock = SteppedClock(AT)
    seen: list[datetime] = []

    async def tick() -> None:
        while True:
            await clock.sleep(900)
            seen.append(clock.now())

    ticking = asyncio.create_task(tick())
    await asyncio.sleep(0)
    await clock.advance_to(AT + timedelta(days=1))
    assert seen == [AT + timedelta(seconds=900 * number) for number in range(1, 97)]
    ticking.cancel()


async def test_who_sleeps_a_fraction_of_the_resolution_is_not_woken_for_ever_at_the_same_time() -> None:
    clock = SteppedClock(AT)
    until = clock.monotonic() + 0.1 + 0.2

    async def wait() -> None:
        while (left := until - clock.monotonic()) > 0:
            await clock.sleep(left)

    waiting = asyncio.create_task(wait())
    await asyncio.sleep(0)
    await asyncio.wait_for(clock.advance_to(AT + timedelta(seconds=1)), PATIENCE_S)
    assert waiting.done()


async def test_sleepers_that_are_cancelled_do_not_pile_up() -> None:
    clock = SteppedClock(AT)
    staying = asyncio.ensure_future(clock.sleep(10))
    for _ in range(1_000):
        sleeping = asyncio.ensure_future(clock.sleep(5))
        await asyncio.sleep(0)
        sleeping.cancel()
        await asyncio.gather(sleeping, return_exceptions=True)
    assert len(clock._sleepers) < 10 and clock.next_due_at == AT + timedelta(seconds=10)
    await clock.advance_to(AT + timedelta(seconds=10))
    await staying


@pytest.mark.parametrize("moment", [AT - timedelta(seconds=1), AT + timedelta(days=32)], ids=["back", "a leap"])
async def test_a_clock_goes_neither_back_nor_by_leaps(moment: datetime) -> None:
    clock = SteppedClock(AT)
    with pytest.raises(ClockError):
        await clock.advance_to(moment)
    assert clock.now() == AT


def test_scaled_clocks_of_two_processes_agree() -> None:
    settings = ClockSettings(mode=ClockMode.SCALED, start_at=datetime.now(UTC), rate=3600)
    one, other = clock_of(settings), clock_of(settings)
    assert isinstance(one, ScaledClock) and one.mode == "scaled"
    before, between, after = one.now(), other.now(), one.now()
    assert before <= between <= after


async def test_time_limits_of_sockets_stay_real_whatever_the_clock() -> None:
    fast = Environment(emit=ignore).by(ScaledClock(datetime.now(UTC), 1000))
    assert (fast.after_real(30) - fast.now()).total_seconds() == pytest.approx(30_000, rel=0.1)
    assert fast.real_seconds_until(fast.after_real(30)) == pytest.approx(30, rel=0.1)
    standing = Environment(emit=ignore).by(SteppedClock(AT))
    assert standing.real_seconds_until(standing.after_real(30)) == 30
    async with asyncio.timeout(0.5):
        await fast.sleep(100)


def test_the_usual_clock_is_the_machines() -> None:
    assert isinstance(clock_of(ClockSettings()), RealClock)
    with pytest.raises(ValueError, match="start_at"):
        ClockSettings(mode=ClockMode.STEPPED)
