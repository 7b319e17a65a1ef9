"""Lanes of commands at the worker: who leaves places to whom, groups, attempts and pauses, and what is cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from engines import ENGINES, Opened
from north_bench import CONNECT, DISCONNECT, SCHEMAS, SWITCHED, StandIn, control, entries, north, request
from patience import PATIENCE_S
from reported import into
from stored_values import a_request

from ami_hes.commands import Command, CommandJob, Lane, MeterId, Outcome
from ami_hes.jobs import (
    AnswerMaker,
    Backoff,
    CommandWorker,
    Context,
    Group,
    Groups,
    LaneLimits,
    WorkerLimits,
    Writing,
    places,
)
from ami_hes.jobs.answer_writing import FUNCTION
from ami_hes.meters.registry import Registry
from ami_hes.store import SqlDeliveries, SqlKeptMessages, SqlOutgoing, StoredCommand
from ami_process.environment import Environment, real_time
from ami_process.worker import Worker

CONTROL, READ, CAMPAIGN = Lane
PLACES = {CONTROL: 4, READ: 3, CAMPAIGN: 2}
NEVER = Backoff(1.0, 1.0, 1)
PASSING = Outcome(False, "4.1", "WARNING", "no answer", again=True)
READ_OK = Outcome(True)


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@dataclass
class Bench:
    """A worker on an engine, with a stand-in for the work on meters."""

    opened: Opened
    worker: CommandWorker
    meters: StandIn
    events: list[Any]
    deadline: timedelta = timedelta(seconds=20)

    async def put(self, request_id: str, lane: Lane, *numbers: int) -> None:
        """Accept commands for these meters, and have them worked."""
        at = datetime.now(UTC)
        jobs = [
            CommandJob(Command(request_id, MeterId(one["name"], one["mrid"]), "op", "body"), lane, at + self.deadline)
            for one in (ENTRIES[number] for number in numbers)
        ]
        kept = a_request(request_id, accepted_at=at, deadline_at=at + self.deadline)
        assert await self.opened.results.accept(kept, jobs) is None
        await self.opened.engine.commands.put(jobs)

    async def at_work(self, *names: str) -> None:
        """Wait until commands for these meters have begun, and no other one."""
        async with asyncio.timeout(PATIENCE_S):
            while len(self.meters.commands) < len(names):
                await asyncio.sleep(0)
        for _ in range(20):
            await asyncio.sleep(0)
        assert sorted(one.meter.name for one in self.meters.commands) == sorted(names)

    async def ended(self, request_id: str) -> list[StoredCommand]:
        """The commands of a request, when it is answered; in the order of the meters."""
        await self.opened.engine.answers.wait(request_id, 10)
        found = [await self.opened.results.command(request_id, one["name"]) for one in ENTRIES]
        return [one for one in found if one is not None]


ENTRIES = [one | {"tags": {"feeder": f"F{index // 4}"}} for index, one in enumerate(entries(12))]


@asynccontextmanager
async def bench(
    directory: Path,
    engine: str,
    meters: StandIn,
    groups: Sequence[Group] = (),
    per_s: float | None = None,
    retries: Backoff = NEVER,
) -> AsyncIterator[Bench]:
    registry = Registry(ENTRIES)
    one_group = Groups(registry, groups, per_s)
    async with ENGINES[engine](directory / "hes.sqlite", group_of=one_group.of) as opened:
        events: list[Any] = []
        context = Context(
            opened.results,
            SqlDeliveries(opened.results._database),
            opened.engine,
            SCHEMAS,
            "HES",
            Environment(emit=into(events)),
            timedelta(days=7),
            SqlOutgoing(opened.results._database),
            SqlKeptMessages(opened.results._database),
        )
        lanes = {lane: LaneLimits(timedelta(seconds=20), 100, most, retries) for lane, most in PLACES.items()}
        worker = CommandWorker(
            context,
            AnswerMaker(context, Writing(Worker(FUNCTION), 1_000_000)),
            registry,
            meters,
            WorkerLimits(lanes, one_group),
        )
        working = asyncio.create_task(worker.work())
        yield Bench(opened, worker, meters, events)
        working.cancel()
        await asyncio.wait([working])


def held() -> StandIn:
    """A stand-in whose work on meters does not end before the test opens it."""
    stand_in = StandIn(acts=False)
    stand_in.open.clear()
    return stand_in


async def test_lower_lanes_leave_places_to_the_higher(tmp_path: Path, engine: str) -> None:
    async with bench(tmp_path, engine, held()) as one:
        await one.put("r1", CAMPAIGN, 0, 1, 2, 3)
        await one.at_work("M1", "M2")
        await one.put("r2", READ, 4, 5, 6)
        await one.at_work("M1", "M2", "M5")
        await one.put("r3", CONTROL, 8, 9)
        await one.at_work("M1", "M2", "M5", "M9")
        one.meters.open.set()
        assert [len(await one.ended(request_id)) for request_id in ("r1", "r2", "r3")] == [4, 3, 2]
        assert one.meters.most_at_once == 4


async def test_a_control_for_a_meter_that_is_read_waits_for_that_session_and_no_other(
    tmp_path: Path, engine: str
) -> None:
    async with bench(tmp_path, engine, held()) as one:
        await one.put("r1", READ, 0, 1, 2, 3, 4, 5)
        await one.at_work("M1", "M2", "M3")
        await one.put("r2", CONTROL, 0, 5)
        await one.at_work("M1", "M2", "M3", "M6")
        assert [c.request_id for c in one.meters.commands if c.meter.name == "M6"] == ["r2"], "overtakes its read"
        one.meters.open.set()
        await one.ended("r2")
        of_m1 = [c.request_id for c in one.meters.commands if c.meter.name == "M1"]
        assert of_m1 == ["r1", "r2"]
        await one.ended("r1")


async def test_who_is_through_with_its_meter_leaves_its_place(
    tmp_path: Path, engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was read waits for the store, and the next meter need not wait for that; but only so many wait."""
    monkeypatch.setattr(places, "AFTERWARDS", 2)
    keeping = held()
    keeping.keeps = True
    async with bench(tmp_path, engine, keeping) as one:
        await one.put("r1", READ, 0, 1, 2, 3, 4, 5, 6)
        await one.at_work("M1", "M2", "M3", "M4", "M5")
        one.meters.open.set()
        assert len(await one.ended("r1")) == 7
        one.meters.open.clear()
        one.meters.commands.clear()
        await one.put("r2", READ, 0, 1, 2, 3, 4, 5, 6)
        await one.at_work("M1", "M2", "M3", "M4", "M5")
        one.meters.open.set()
        assert len(await one.ended("r2")) == 7


async def test_a_group_has_its_own_limit_and_keeps_no_other_back(tmp_path: Path, engine: str) -> None:
    async with bench(tmp_path, engine, held(), [Group("feeder", sessions=1)]) as one:
        await one.put("r1", READ, 0, 1, 2, 3, 4, 5)
        await one.at_work("M1", "M5")
        await one.put("r2", CONTROL, 1)
        await one.at_work("M1", "M5")
        one.meters.open.set()
        await one.ended("r1")
        begun = [c.meter.name for c in one.meters.commands if c.meter.name in ("M1", "M2", "M3", "M4")]
        assert begun[:2] == ["M1", "M2"] and one.meters.commands[2].request_id == "r2", (
            "the next place is the control's"
        )


@pytest.mark.parametrize("groups", [[Group("feeder", "F0", per_s=20)], []])
async def test_sessions_of_a_group_are_begun_at_a_pace(tmp_path: Path, engine: str, groups: list[Group]) -> None:
    async with bench(tmp_path, engine, StandIn(acts=False), groups, per_s=None if groups else 20) as one:
        began = real_time()
        await one.put("r1", READ, 0, 1, 2, 3)
        await one.ended("r1")
        assert real_time() - began >= 3 / 20


async def test_a_fault_that_may_be_gone_is_tried_again_after_a_pause(tmp_path: Path, engine: str) -> None:
    stand_in = StandIn({"M1": PASSING, "M2": replace(PASSING, again=False)}, acts=False)
    async with bench(tmp_path, engine, stand_in, retries=Backoff(0.01, 0.02, 3)) as one:
        await one.put("r1", READ, 0, 1, 2)
        ended = await one.ended("r1")
    assert [command.result and command.result.outcome for command in ended] == [
        replace(PASSING, again=False),
        replace(PASSING, again=False),
        SWITCHED,
    ]
    assert sorted(c.meter.name for c in stand_in.commands) == ["M1", "M1", "M1", "M2", "M3"]
    postponed = [event for event in one.events if event["event"] == "command_postponed"]
    assert [(e["meter"], e["attempts"], e["after_s"]) for e in postponed] == [("M1", 1, 0.01), ("M1", 2, 0.02)]
    assert len([event for event in one.events if event["event"] == "meter_done"]) == 3


async def test_what_comes_good_at_the_second_attempt_is_ok(tmp_path: Path, engine: str) -> None:
    stand_in = StandIn({"M1": PASSING}, acts=False)
    async with bench(tmp_path, engine, stand_in, retries=Backoff(0.01, 0.02, 3)) as one:
        await one.put("r1", READ, 0)
        async with asyncio.timeout(PATIENCE_S):
            while not one.events:
                await asyncio.sleep(0)
        stand_in.outcomes = {}
        (ended,) = await one.ended("r1")
        assert ended.result is not None and ended.result.outcome.ok


async def test_a_pause_beyond_the_deadline_is_not_waited_for(tmp_path: Path, engine: str) -> None:
    stand_in = StandIn({"M1": PASSING}, acts=False)
    async with bench(tmp_path, engine, stand_in, retries=Backoff(60.0, 60.0, 3)) as one:
        await one.put("r1", READ, 0)
        (ended,) = await one.ended("r1")
        assert ended.result is not None and ended.result.outcome.code == "4.1"
    assert len(stand_in.commands) == 1


async def test_a_meter_that_rests_leaves_its_place_to_others(tmp_path: Path, engine: str) -> None:
    stand_in = StandIn({f"M{number}": PASSING for number in (1, 2, 3)}, acts=False)
    async with bench(tmp_path, engine, stand_in, retries=Backoff(15.0, 15.0, 2)) as one:
        await one.put("r1", READ, 0, 1, 2)
        async with asyncio.timeout(PATIENCE_S):
            while len(one.events) < 3:
                await asyncio.sleep(0)
        stand_in.outcomes = {}
        await one.put("r2", READ, 4)
        await one.put("r3", CONTROL, 0)
        assert [bool(command.result) for command in await one.ended("r2")] == [True]
        (control_of_m1,) = await one.ended("r3")
        assert control_of_m1.result is not None, "and a control does not wait for the rest of its meter"


async def test_what_is_cancelled_before_it_is_begun_ends_so_and_what_is_begun_goes_on(
    tmp_path: Path, engine: str
) -> None:
    async with bench(tmp_path, engine, held()) as one:
        await one.put("r1", READ, 0, 1, 2, 3, 4)
        await one.at_work("M1", "M2", "M3")
        assert await one.worker.cancel("r1") == 2
        assert await one.worker.cancel("r1") == 0
        one.meters.open.set()
        ended = [command.result.outcome for command in await one.ended("r1") if command.result is not None]
        assert [outcome.code for outcome in ended] == [None, None, None, "6.5", "6.5"]
        assert "cancelled before it was begun" in ended[3].reason
        assert len(one.meters.commands) == 3
        await one.put("r2", READ, 3)
        await one.ended("r2")


async def test_the_lane_of_a_request_has_its_own_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever else waits, a control is accepted as long as the lane of controls has room."""
    stand_in = held()
    async with north(tmp_path, stand_in, max_pending=1) as hes:
        first = asyncio.create_task(hes.ask(request(control(DISCONNECT, "M1"))))
        await stand_in.began.wait()
        reply = (await hes.ask(request(control(CONNECT, "M2")))).reply
        assert [(error.code, "in the lane control" in (error.reason or "")) for error in reply.errors] == [
            ("3.2", True)
        ]
        order = {"control": CONNECT, "meters": ["M2"]}
        refused = await hes.client.post(f"{hes.url}/api/v1/controls", json=order)
        assert (refused.status_code, int(refused.headers["Retry-After"]) > 0) == (503, True)
        assert "in the lane control" in refused.json()["error"]
        assert {one.meter.name for one in stand_in.commands} == {"M1"}, "nothing was accepted of what was refused"
        stand_in.open.set()
        assert (await first).reply.result == "OK"


async def test_the_jobs_of_a_request_are_cancelled_by_the_api(tmp_path: Path) -> None:
    stand_in = held()
    async with north(tmp_path, stand_in, max_sessions=1) as hes:
        asking = asyncio.create_task(hes.ask(request(control(DISCONNECT, "M1", "M2", "M3"), message_id="m/1")))
        await stand_in.began.wait()
        jobs = f"{hes.url}/api/v1/jobs"
        assert (await hes.client.delete(f"{jobs}/m%2F1")).json() == {"commands": 2, "waiting": False}
        assert (await hes.client.delete(f"{jobs}/m%2F1")).json() == {"commands": 0, "waiting": False}
        assert (await hes.client.delete(f"{jobs}/nobody")).status_code == 404
        stand_in.open.set()
        reply = (await asking).reply
        assert (reply.result, [error.code for error in reply.errors]) == ("PARTIAL", ["6.5", "6.5"])
        assert [one.meter.name for one in stand_in.commands] == ["M1"]
