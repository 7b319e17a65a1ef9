"""Deadlines of the HES under a clock that is fast, and under one that is stopped: meters are waited for in real seconds."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from north_bench import CONNECT, DISCONNECT, StandIn, control, north, request
from patience import PATIENCE_S
from reported import ignore

from ami_process.clocks import Clock, ScaledClock, SteppedClock
from ami_process.environment import Environment, real_time

START = datetime(2026, 11, 20, 12, tzinfo=UTC)
FAST = 10_000.0


def clocks() -> list[object]:
    return [pytest.param(ScaledClock(START, FAST), id="scaled"), pytest.param(SteppedClock(START), id="stepped")]


@pytest.mark.parametrize("clock", clocks())
async def test_a_meter_has_its_real_seconds_and_no_more(tmp_path: Path, clock: Clock) -> None:
    """A meter that needs a moment is answered OK, one that never answers is given up when the real seconds are over."""
    stand_in = StandIn()
    async with north(tmp_path, stand_in, Environment(emit=ignore).by(clock), deadline_s=1.0) as hes:
        assert (await hes.ask(request(control(DISCONNECT, "M1")))).reply.result == "OK"
        stand_in.open.clear()
        began = real_time()
        async with asyncio.timeout(PATIENCE_S):
            (error,) = (await hes.ask(request(control(CONNECT, "M2")))).reply.errors
        assert error.code == "4.1" and "may or may not have switched" in (error.reason or "")
        assert 1.0 <= real_time() - began < 10.0


async def test_a_clock_that_is_moved_past_a_deadline_has_passed_it(tmp_path: Path) -> None:
    clock, stand_in = SteppedClock(START), StandIn()
    stand_in.open.clear()
    environment = Environment(emit=ignore).by(clock)
    async with north(tmp_path, stand_in, environment, max_sessions=1, deadline_s=20.0) as hes:
        asking = asyncio.create_task(hes.ask(request(control(DISCONNECT, "M1", "M2"))))
        await stand_in.began.wait()
        await clock.advance_to(START + timedelta(seconds=21))
        stand_in.open.set()
        (error,) = (await asking).reply.errors
    assert "The control was not sent" in (error.reason or "")
