"""Scenarios: what is refused, one run with the time handed in, and each that comes with the simulator at small size."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from bench import IMPORT, RESIDENTIAL, START, Bench, Caller, Wire, attribute, clear_client, setup

from ami_dlms.association import Get, Open
from ami_dlms.obis import Obis
from ami_meter_sim.control import Control
from ami_meter_sim.meter.setup import PushSetup
from ami_meter_sim.scenarios.model import Expectation, Scenario, ScenarioError, Step, load, shipped
from ami_meter_sim.scenarios.run import Run
from ami_meter_sim.scenarios.runner import Busy, Runner
from ami_meter_sim.tap import Tap
from ami_packs.event_list import EventList, LoggedEvent, Occurrence
from ami_packs.model import Model
from ami_process.clocks import SteppedClock

METERS = 20
NOTED = (
    Occurrence.TERMINAL_COVER_OPENED,
    Occurrence.TERMINAL_COVER_CLOSED,
    Occurrence.MAGNET_ON,
    Occurrence.MAGNET_OFF,
    Occurrence.UNDERVOLTAGE_L1,
)


@dataclass
class Noted:
    """Hands that only note what they are asked for."""

    done: list[tuple[str, str]] = field(default_factory=list)
    rules: dict[int, Mapping[str, Any]] = field(default_factory=dict)

    def act(self, meter: str, step: Step) -> str | None:
        self.done.append((meter, str(step)))
        return "not possible" if step.do == "press" else None

    def set_rule(self, rule: Mapping[str, Any]) -> int:
        self.rules[len(self.rules) + 1] = rule
        return len(self.rules)

    def remove_rule(self, number: int) -> None:
        del self.rules[number]

    def count(self, expectation: Expectation, meters: Sequence[str]) -> int:
        return len(meters)


def scenario(**more: Any) -> Scenario:
    return Scenario.parse({"name": "of-a-test", "about": "a test"} | more)


def track(*steps: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"name": "track", "steps": list(steps)} | more


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


LOSE, BACK = {"do": "lose_power"}, {"do": "get_power_back"}


# --- one run, with the time handed in


def test_each_meter_takes_its_steps_at_their_time() -> None:
    hands = Noted()
    run = Run(scenario(tracks=[track(LOSE, {"wait_s": 60}, BACK)]), [["A", "B"]], hands, START)
    assert run.advance(START) is False
    assert hands.done == [("A", "lose_power"), ("B", "lose_power")]
    assert run.next_due_at == at(60)
    assert run.places[0].described() == {
        "meter": "A",
        "track": "track",
        "step": 2,
        "of": 3,
        "state": "under way",
        "waits_for": None,
        "until": at(60).isoformat(),
    }
    assert run.advance(at(59)) is False and len(hands.done) == 2
    assert run.advance(at(60)) is True and run.passed
    assert hands.done[2:] == [("A", "get_power_back"), ("B", "get_power_back")]
    assert [(one.at, one.step, one.what) for one in run.history if one.meter == "B"] == [
        (START, 1, "lose_power"),
        (START, 2, "wait 60 s"),
        (at(60), 3, "get_power_back"),
        (at(60), 3, "done"),
    ]


def test_one_long_step_of_time_gives_the_same_as_many() -> None:
    made = scenario(tracks=[track(LOSE, {"wait_s": 5, "jitter_s": 50}, BACK, spread_s=100, at_most=0.3)], seed=4)
    names = [f"M{number}" for number in range(30)]
    once, often = (Run(made, [names], Noted(), START) for _ in range(2))
    assert once.advance(at(10_000))
    for second in range(3000):
        often.advance(at(second))
    assert often.done and list(once.history) == list(often.history)


def test_what_it_waits_for_comes_or_does_not() -> None:
    run = Run(scenario(tracks=[track({"wait_for": "switched", "within_s": 30}, LOSE)]), [["A", "B"]], Noted(), START)
    run.advance(START)
    run.saw("pushed", "A", at(1))
    run.saw("switched", "A", at(2))
    assert [place.state for place in run.places] == ["done", "under way"]
    assert run.advance(at(30)) is True
    assert [place.state for place in run.places] == ["done", "failed"] and not run.passed
    assert run.history[-1].what == "switched did not come in time"


def test_never_more_than_a_share_at_once() -> None:
    made = scenario(tracks=[track(LOSE, {"wait_s": 10}, BACK, at_most=0.2)])
    hands = Noted()
    run = Run(made, [[f"M{number}" for number in range(10)]], hands, START)
    run.advance(START)
    assert [place.awaits for place in run.places].count("another meter to be done") == 8
    seconds = next(second for second in range(100) if run.advance(at(second)))
    without, most = 0, 0
    for _, what in hands.done:
        without += {"lose_power": 1, "get_power_back": -1}.get(what, 0)
        most = max(most, without)
    assert (most, without, seconds) == (2, 0, 50)


def test_disturbances_begin_and_end() -> None:
    rule = {"fault": "slow"}
    made = scenario(disturbances=[{"rule": rule, "begin_s": 10, "end_s": 20}, {"rule": rule}], lasts_s=30)
    hands = Noted()
    run = Run(made, [], hands, START)
    seen = []
    for second in (0, 9, 10, 19, 20, 29, 30):
        done = run.advance(at(second))
        seen.append(len(hands.rules))
    assert (seen, done) == ([1, 1, 2, 2, 1, 1, 0], True)


def test_what_is_expected() -> None:
    expect = [
        {"event": "switched", "at_least": 1, "at_most": 1},
        {"event": "switched", "share_at_least": 1.0},
        {"powered": True, "share_at_least": 1.0},
    ]
    run = Run(scenario(tracks=[track(LOSE)], expect=expect), [["A", "B"]], Noted(), START)
    run.saw("switched", "C", START)
    assert run.advance(START) is True
    assert [held for _, held in run.results] == [True, False, True] and not run.passed
    assert run.results[1][0] == "event switched, share_at_least 1.0: found 1"


def test_what_is_not_possible_is_noted_and_the_meter_goes_on() -> None:
    run = Run(scenario(tracks=[track({"do": "press", "button": "connect"}, LOSE)]), [["A"]], Noted(), START)
    assert run.advance(START) and [one.what for one in run.history] == [
        "press connect",
        "not possible",
        "lose_power",
        "done",
    ]


def test_a_stop_ends_everything() -> None:
    hands = Noted()
    made = scenario(tracks=[track({"wait_s": 60}, LOSE)], disturbances=[{"rule": {"fault": "slow"}}])
    run = Run(made, [["A"]], hands, START)
    run.advance(START)
    run.stop(at(1))
    assert (run.done, run.passed, hands.rules, run.places[0].state) == (True, False, {}, "failed")


# --- what is refused


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"name": "No"}, "name: "),
        ({"colour": "red"}, "colour: unknown key"),
        ({"about": ""}, "about: "),
        ({"tracks": [track()]}, r"tracks\.0\.steps: "),
        ({"tracks": [track({"do": "dance"})]}, r"tracks\.0\.steps\.0\.do: "),
        ({"tracks": [track({"do": "push", "wait_s": 1})]}, "one of do, wait_s and wait_for"),
        ({"tracks": [track({})]}, "one of do, wait_s and wait_for"),
        ({"tracks": [track({"do": "occur"})]}, "occurrence belongs to"),
        ({"tracks": [track({"do": "push", "button": "connect"})]}, "button belongs to"),
        ({"tracks": [track({"do": "occur", "occurrence": "rain"})]}, r"occurrence: "),
        ({"tracks": [track({"wait_s": -1})]}, r"wait_s: "),
        ({"tracks": [track(LOSE, share=2)]}, r"share: "),
        ({"disturbances": [{"rule": {"fault": "lazy"}}]}, "there is no 'lazy'; there are silent"),
        ({"disturbances": [{"rule": {"fault": "slow", "second": 1}}]}, "there is no 'second'"),
        ({"expect": [{"event": "switched"}]}, "has a bound"),
        ({"expect": [{"at_least": 1}]}, "either an event or a state"),
    ],
)
def test_a_scenario_that_can_not_be_used(given: dict[str, Any], reason: str) -> None:
    with pytest.raises(ScenarioError, match=reason):
        scenario(**given)


def test_files(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match=r"no scenario 'flood'; there are billing-day, chaos"):
        load("flood")
    with pytest.raises(ScenarioError, match="No such file"):
        load(str(tmp_path / "none.toml"))
    (tmp_path / "bad.toml").write_text("= 1")
    with pytest.raises(ScenarioError, match="is not TOML"):
        load(str(tmp_path / "bad.toml"))
    (tmp_path / "good.toml").write_text('name = "good"\nabout = "nothing"\n')
    assert load(str(tmp_path / "good.toml")).name == "good"


# --- those that come with the simulator


FOR_EVER_S = 1e8
"""A period that no scenario lasts for."""


class Stage:
    """Some meters that push over UDP, by a stepped clock."""

    def __init__(self, wire: Wire, clock: SteppedClock, mailbox: list[bytes]) -> None:
        self.wire = wire
        self.clock = clock
        self.mailbox = mailbox
        self.tap = Tap(wire.fleet.environment.emit)
        wire.fleet.environment = replace(wire.fleet.environment.by(clock), emit=self.tap)
        self.control = Control(wire.fleet)
        self.runner = Runner(self.control, self.tap)

    async def play(self, name: str) -> Run:
        """The whole of it."""
        run = await self.runner.start(load(name))
        async with asyncio.timeout(50):
            while self.runner.status == "running":
                await self.clock.advance_to(self.clock.now() + timedelta(seconds=10))
        return run

    async def sees(self, number: int) -> Any:
        """What a client gets that reads a register of this meter; None when the connection ends."""
        caller = await Caller.call(self.wire.port, clear_client(number))
        try:
            if await caller.ask(Open()) is None:
                return None
            return await caller.ask(Get(attribute(IMPORT, 2)))
        except (ConnectionResetError, TimeoutError):
            return None
        finally:
            caller.writer.transport.abort()


class Mailbox(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.came: list[bytes] = []

    def datagram_received(self, octets: bytes, address: Any) -> None:
        self.came.append(octets)


def model() -> Model:
    """A residential meter that notes tampering and low voltage."""
    log = Obis.parse("0-0:99.98.2")
    noted = {one: (LoggedEvent(log, number),) for number, one in enumerate(NOTED, 40)}
    return Model(tuple(RESIDENTIAL.objects.values()), RESIDENTIAL.associations, RESIDENTIAL.load, EventList(noted))


@asynccontextmanager
async def stage(directory: Path) -> AsyncIterator[Stage]:
    transport, mailbox = await asyncio.get_running_loop().create_datagram_endpoint(Mailbox, local_addr=("127.0.0.1", 0))
    host, port = transport.get_extra_info("sockname")[:2]
    where, ours = PushSetup(transport="udp", host=host, port=port, on_switch=False, every_s=FOR_EVER_S), model()
    meters = [
        Bench(directory).start(setup(f"M{number}", server_wport=number, push=where, model=ours))
        for number in range(1, METERS + 1)
    ]
    wire = Wire(*meters)
    one = Stage(wire, SteppedClock(START), mailbox.came)
    await wire.listen(most=METERS)
    wire.push()
    try:
        yield one
    finally:
        await one.runner.stop()
        await one.control.end()
        await wire.stop()
        transport.close()


@pytest.mark.parametrize("name", shipped())
async def test_each_comes_to_its_end_and_holds(tmp_path: Path, name: str) -> None:
    async with stage(tmp_path) as one:
        run = await one.play(name)
        assert one.runner.status == "passed", (run.results, [place.described() for place in run.places])
        made = load(name)
        assert made.about.strip() and made.name == name
        assert len(run.history) >= sum(track.share >= 1 for track in made.tracks) * METERS
        assert one.wire.fleet.faults.rules == [], "everything as before"
        assert all(meter.powered for meter in one.wire.fleet.meters.values())


async def test_a_feeder_outage_loses_a_third_of_its_last_gasps(tmp_path: Path) -> None:
    async with stage(tmp_path) as one:
        await one.play("feeder-outage")
        lost = one.wire.fleet.faults.counts["last-gasp-lost"]
        async with asyncio.timeout(5):
            while len(one.mailbox) < 2 * METERS - lost:
                await asyncio.sleep(0)
        assert 0 < lost < METERS and len(one.mailbox) == 2 * METERS - lost, "and the pushes of the return"
        assert one.clock.now() - START > timedelta(minutes=10)


async def test_a_rolling_restart_never_has_more_than_a_fifth_away(tmp_path: Path) -> None:
    async with stage(tmp_path) as one:
        most, away = 0, 0
        run = await one.play("rolling-restart")
        for entry in run.history:
            away += {"lose_power": 1, "done": -1}.get(entry.what, 0)
            most = max(most, away)
        assert (most, away) == (METERS // 5, 0)


async def test_a_lost_cell_is_silent_for_a_share_and_then_well(tmp_path: Path) -> None:
    async with stage(tmp_path) as one:
        await one.runner.start(load("lost-cell"))
        await one.clock.advance_to(START + timedelta(seconds=60))
        lost = [number for number in range(1, METERS + 1) if one.wire.fleet.faults.of(f"M{number}")]
        assert 0 < len(lost) < METERS // 2
        caller = await Caller.call(one.wire.port, clear_client(lost[0]))
        caller.writer.write(caller.connection.send(Open()))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(caller.reader.read(1), 0.2)
        caller.writer.transport.abort()
        async with asyncio.timeout(20):
            while one.runner.status == "running":
                await one.clock.advance_to(one.clock.now() + timedelta(seconds=60))
        assert (await one.sees(lost[0])).value is not None


async def test_one_at_a_time_and_a_stop_is_health(tmp_path: Path) -> None:
    async with stage(tmp_path) as one:
        await one.runner.start(load("chaos"))
        with pytest.raises(Busy):
            await one.runner.start(load("chaos"))
        await one.clock.advance_to(START + timedelta(seconds=5))
        assert len(one.wire.fleet.faults.rules) == 7
        await one.runner.stop()
        assert one.runner.status == "stopped" and one.wire.fleet.faults.rules == []
        await one.runner.start(load("theft-wave"))
        assert one.runner.status == "running"
