"""Two front ends in one process on a real server of each kind: what is ordered at one that is not in charge is carried out by the one that is, once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from nats_server import Broker
from north_bench import DISCONNECT, GENERIC, Cis, North, north, octets, texts
from patience import PATIENCE_S
from postgresql_server import Cluster
from reported import into
from scheduled import DUE, ORDER
from scheduled import START as SCHEDULED_AT
from test_timed_requests import LATER, START, at, cancel, later

from ami_process.clocks import SteppedClock
from ami_process.environment import Environment

pytestmark = [pytest.mark.ci, pytest.mark.needs("postgresql"), pytest.mark.needs("nats")]


class FrontEnds:
    """The first of them is in charge."""

    def __init__(self, directory: Path, settings: dict[str, Any], clock: SteppedClock) -> None:
        self._directory, self._settings, self._clock = directory, settings, clock
        self.stacks: list[AsyncExitStack] = []
        self.events: list[list[Any]] = []

    async def start(self, name: str) -> North:
        self.events.append([])
        stack = AsyncExitStack()
        self.stacks.append(stack)
        (self._directory / name).mkdir()
        environment = Environment(emit=into(self.events[-1])).by(self._clock)
        return await stack.enter_async_context(
            north(self._directory / name, environment=environment, make_engine=None, **self._settings)  # type: ignore[arg-type]
        )

    def names(self, number: int) -> list[str]:
        return [one["event"] for one in self.events[number]]

    async def close(self) -> None:
        for stack in reversed(self.stacks):
            await stack.aclose()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not condition():
            await asyncio.sleep(0.01)


@pytest.fixture
def settings(postgresql: Cluster, nats: Broker, tmp_path: Path) -> dict[str, Any]:
    return {
        "store": postgresql.url(postgresql.new_schema()),
        "engine": f"{nats.server}/{nats.new_system()}",
        "master_key": f"file:{tmp_path}/key",
    }


async def test_what_waits_is_taken_back_at_any_front_end_and_answered_once(
    tmp_path: Path, settings: dict[str, Any]
) -> None:
    cis, clock = Cis(), SteppedClock(START)
    fronts = FrontEnds(tmp_path, settings, clock)
    async with cis.serving():
        try:
            await fronts.start("a")
            b = await fronts.start("b")
            assert ["charge_taken" in fronts.names(number) for number in (0, 1)] == [True, False]
            for number, transaction in enumerate(("first", "second")):
                message = octets(later(cis, at(DISCONNECT, "M1"), message_id=transaction), GENERIC)
                assert texts((await b.post(message, GENERIC)).content, "code") == ["0.3"]
                if number:  # who is in charge now has not seen the message before
                    await fronts.stacks[0].aclose()
                    await until(lambda: "charge_taken" in fronts.names(1))
                assert (await b.ask(cancel(transaction), GENERIC)).reply.result == "OK"
                reply = await cis.taken.get()
                assert (texts(reply, "CorrelationID"), texts(reply, "code")) == ([transaction], ["6.5"])
            await clock.advance_to(LATER)
            assert cis.taken.empty()
        finally:
            await fronts.close()


async def test_a_schedule_that_is_ordered_at_one_front_end_is_run_by_the_one_in_charge(
    tmp_path: Path, settings: dict[str, Any]
) -> None:
    clock = SteppedClock(SCHEDULED_AT)
    fronts = FrontEnds(tmp_path, settings, clock)
    try:
        await fronts.start("a")
        b = await fronts.start("b")
        assert (await b.client.put(f"{b.url}/api/v1/schedules/daily", json=ORDER)).status_code == 200
        await clock.advance_to(DUE)
        await until(lambda: "schedule_begun" in fronts.names(0))
        assert "schedule_begun" not in fronts.names(1)
    finally:
        await fronts.close()
