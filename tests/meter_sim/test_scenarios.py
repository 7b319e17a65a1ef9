"""Scenarios: what is refused, one run with the time handed in, and each that comes with the simulator at small size."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from bench import (
    IMPORT,
    RESIDENTIAL,
    START,
    Bench,
    Caller,
    Wire,
    attribute,
    clear_client,
    method,
    no_room,
    pushing_to,
    setup,
)
from patience import PATIENCE_S

from ami_dlms import data
from ami_dlms.association import Action, Get, Open
from ami_dlms.obis import Obis
from ami_meter_sim.control import FleetControl
from ami_meter_sim.faults import Rule
from ami_meter_sim.faults.pushes import POWER_DOWN
from ami_meter_sim.meter.pushes import INTERVAL, POWER_UP
from ami_meter_sim.objects.conditions import Condition
from ami_meter_sim.scenarios.model import (
    Expectation,
    Scenario,
    ScenarioError,
    ScenarioStep,
    ScenarioTarget,
    load,
    shipped,
)
from ami_meter_sim.scenarios.run import Run, StepFailed
from ami_meter_sim.scenarios.runner import Runner, ScenarioRunning
from ami_meter_sim.tap import Tap
from ami_packs.event_list import EventList, LoggedEvent, Occurrence
from ami_packs.model import MANAGEMENT, Model, ObjectAccess, ObjectDescription
from ami_process.clocks import SteppedClock

METERS = 20
IMAGE = (18, "0-0:44.0.0")
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

    def act(self, meter: str, step: ScenarioStep) -> str | None:
        self.done.append((meter, str(step)))
        return "not possible" if step.do == "press" else None

    def set_rule(self, rule: Mapping[str, Any]) -> int:
        self.rules[len(self.rules) + 1] = rule
        return len(self.rules)

    def remove_rule(self, number: int) -> None:
        del self.rules[number]

    def catch_up(self) -> None:
        """Nothing is reported here."""

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


def test_meters_are_counted_from_which_an_event_came_often_enough() -> None:
    expect = [
        {"event": "pushed", "times": 2, "share_at_least": 1.0},
        {"event": "pushed", "times": 2, "at_least": 1},
        {"event": "pushed", "at_most": 3},
        {"event": "fault_happened", "fault": "silent", "at_least": 1},
        {"event": "fault_happened", "fault": "slow", "at_most": 0},
        {"event": "fault_happened", "times": 2, "at_least": 1},
    ]
    run = Run(scenario(tracks=[track(LOSE)], expect=expect), [["A", "B"]], Noted(), START)
    for meter in ("A", "A", "A", "C", "C"):
        run.saw("pushed", meter, START)
    run.saw("fault_happened", "B", START, "silent")
    run.saw("fault_happened", "B", START, "busy")
    assert run.advance(START) is True
    assert [held for _, held in run.results] == [False, True, False, True, True, True]


def test_what_fails_is_the_end_of_a_meter_and_of_no_other() -> None:
    class Failing(Noted):
        def act(self, meter: str, step: ScenarioStep) -> str | None:
            if meter == "A":
                raise StepFailed("the disk is full")
            return super().act(meter, step)

    made = scenario(tracks=[track(LOSE, {"wait_s": 5}, BACK, at_most=0.5)])
    run = Run(made, [["A", "B"]], Failing(), START)
    run.advance(START)
    assert run.advance(at(5)) is True
    assert [(one.meter, one.state) for one in run.places] == [("A", "failed"), ("B", "done")] and not run.passed
    assert [one.what for one in run.history if one.meter == "A"] == ["lose_power", "the disk is full"]


# --- a target


def test_a_scenario_is_aimed_at_a_part_of_the_meters() -> None:
    given = {
        "target": {"group": "S1-F2", "share": 0.5},
        "tracks": [track(LOSE, group="prosumer", share=0.4), track(LOSE, meters="A*")],
        "disturbances": [{"rule": {"fault": "slow", "share": 0.2}}, {"rule": {"fault": "slow", "group": "S1"}}],
    }
    made = scenario(**given)
    assert [(one.meters, one.group, one.share) for one in made.tracks] == [
        ("*", ["prosumer", "S1-F2"], 0.2),
        ("A*", ["S1-F2"], 0.5),
    ]
    rules = [Rule.parse(one.rule) for one in made.disturbances]
    assert [(one.group, one.share) for one in rules] == [(["S1-F2"], 0.1), (["S1", "S1-F2"], 0.5)]
    again = load("feeder-outage").aimed(ScenarioTarget(meters="M1*", group=["gas-submeter"]))
    assert (again.tracks[0].meters, again.tracks[0].group) == ("M1*", ["gas-submeter"])
    assert again.disturbances[0].rule["meters"] == ["M1*"]
    sent = made.model_dump(mode="json", exclude_none=True, exclude_defaults=True)
    assert Scenario.parse(sent) == made, "what is sent to a process is aimed already, and only once"


async def test_only_the_meters_of_the_target_lose_power(tmp_path: Path) -> None:
    async with stage(tmp_path) as one:
        one.wire.fleet.faults.groups_of = lambda name: {"S1-F1"} if name in ("M1", "M2", "M3") else {"S1-F2"}
        run = await one.runner.start(load("feeder-outage").aimed(ScenarioTarget(group=["S1-F1"])))
        await one.clock.advance_to(START + timedelta(seconds=5))
        without = [name for name, meter in one.wire.fleet.meters.items() if not meter.powered]
        assert sorted(without) == ["M1", "M2", "M3"] == sorted(place.meter for place in run.places)
        assert not any(one.wire.fleet.faults.rules_of("M4")) and any(one.wire.fleet.faults.rules_of("M1"))


async def test_a_share_of_few_meters_is_one_at_least(tmp_path: Path) -> None:
    async with stage(tmp_path) as one:
        run = await one.runner.start(scenario(tracks=[track(LOSE, share=1e-9), track(LOSE, share=0)]))
        assert len(run.places) == 1


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
        ({"expect": [{"event": "switched", "powered": True, "at_least": 1}]}, "either an event or a state"),
        ({"expect": [{"powered": True, "times": 2, "at_least": 1}]}, "times belongs to an event"),
        ({"expect": [{"event": "switched", "fault": "slow", "at_least": 1}]}, "fault belongs to"),
        ({"expect": [{"event": "fault_happened", "fault": "lazy", "at_least": 1}]}, "there is no 'lazy'"),
        ({"tracks": [track({"do": "set_condition"})]}, "condition belongs to"),
        ({"tracks": [track({"do": "set_condition", "condition": "rain"})]}, r"condition: "),
        ({"target": {"colour": "red"}}, r"target\.colour: unknown key"),
        ({"target": {"share": 2}}, r"target\.share: "),
        ({"target": {"meters": "A*"}, "tracks": [track(LOSE, meters="B*")]}, "the track track has names of its own: B"),
        (
            {"target": {"meters": "A*"}, "disturbances": [{"rule": {"fault": "slow", "meters": ["B1"]}}]},
            "the rule for slow has names of its own: B1",
        ),
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


class Stage:
    """Some meters that push over UDP, by a stepped clock."""

    def __init__(self, wire: Wire, clock: SteppedClock, mailbox: list[bytes], benches: Sequence[Bench]) -> None:
        self.wire = wire
        self.benches = benches
        self.clock = clock
        self.mailbox = mailbox
        self.tap = Tap(wire.fleet.environment.emit)
        wire.fleet.environment = replace(wire.fleet.environment.by(clock), emit=self.tap)
        self.control = FleetControl(wire.fleet)
        self.runner = Runner(self.control, self.tap)

    async def play(self, name: str) -> Run:
        """The whole of it, with what it needs of a head-end."""
        run = await self.runner.start(load(name))
        await self.clock.advance_to(self.clock.now() + timedelta(seconds=1))
        await HEAD_ENDS.get(name, idle)(self)
        async with asyncio.timeout(PATIENCE_S):
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


async def idle(one: Stage) -> None:
    """A head-end that does nothing."""


async def campaign(one: Stage) -> None:
    """A head-end that sends blocks of an image to each meter."""
    for number in range(1, METERS + 1):
        caller = await Caller.call(one.wire.port, clear_client(number))
        with suppress(ConnectionResetError, TimeoutError):
            if await asyncio.wait_for(caller.ask(Open()), 0.5) is not None:
                for block in range(20):
                    await caller.ask(block_of(block))
        caller.writer.transport.abort()


def block_of(number: int) -> Action:
    content = data.structure(data.double_long_unsigned(number), data.octet_string(bytes(16)))
    return Action(method(IMAGE, 2), content)


HEAD_ENDS: dict[str, Callable[[Stage], Awaitable[None]]] = {"firmware-campaign": campaign}


class Mailbox(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.came: list[bytes] = []

    def datagram_received(self, octets: bytes, address: Any) -> None:
        self.came.append(octets)


def model() -> Model:
    """A residential meter that notes tampering and low voltage, and takes images."""
    log = Obis.parse("0-0:99.98.2")
    noted = {one: (LoggedEvent(log, number),) for number, one in enumerate(NOTED, 40)}
    image = ObjectDescription(
        obis=Obis.parse(IMAGE[1]),
        class_id=IMAGE[0],
        version=0,
        name="of this test",
        source="own",
        access={MANAGEMENT: ObjectAccess(read=frozenset({1, 2}), methods=frozenset({1, 2, 3, 4}))},
        attributes={2: data.double_long_unsigned(16)},
    )
    return Model((*RESIDENTIAL.objects.values(), image), RESIDENTIAL.associations, RESIDENTIAL.load, EventList(noted))


@asynccontextmanager
async def stage(directory: Path, without_pushes: str = "") -> AsyncIterator[Stage]:
    transport, mailbox = await asyncio.get_running_loop().create_datagram_endpoint(Mailbox, local_addr=("127.0.0.1", 0))
    host, port = transport.get_extra_info("sockname")[:2]
    ours = pushing_to((host, port), POWER_DOWN, POWER_UP, INTERVAL, model=model())
    benches = [Bench(directory) for _ in range(METERS)]
    meters = [
        bench.start(setup(f"M{number}", server_wport=number, model=model() if f"M{number}" == without_pushes else ours))
        for number, bench in enumerate(benches, 1)
    ]
    wire = Wire(*meters)
    one = Stage(wire, SteppedClock(START), mailbox.came, benches)
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
def test_each_says_what_it_expects(name: str) -> None:
    assert load(name).expect, "a scenario that can't fail shows nothing"


@pytest.mark.parametrize("name", ["billing-day", "connection-storm", "lost-cell"])
async def test_a_meter_that_does_not_push_is_missed(tmp_path: Path, name: str) -> None:
    async with stage(tmp_path, without_pushes="M3") as one:
        run = await one.play(name)
        assert one.runner.status == "failed"
        assert [held for what, held in run.results if what.startswith("event pushed")] == [False]


async def test_a_campaign_that_is_none_is_missed(tmp_path: Path) -> None:
    async with stage(tmp_path) as one:
        run = await one.runner.start(load("firmware-campaign"))
        await one.clock.advance_to(START + timedelta(hours=2))
        await one.runner.wait()
        assert (one.runner.status, [held for _, held in run.results]) == ("failed", [False])


async def test_a_theft_that_is_hindered_is_missed(tmp_path: Path) -> None:
    async with stage(tmp_path) as one:
        run = await one.runner.start(load("theft-wave"))
        [victim] = [place.meter for place in run.places]
        one.control.set_condition(victim, Condition.MAGNET, there=True)
        await one.clock.advance_to(START + timedelta(hours=2))
        await one.runner.wait()
        assert [held for _, held in run.results] == [False, True, True], "the magnet was there before"
        assert one.runner.status == "failed"


async def test_what_can_not_be_kept_ends_the_meter_and_the_scenario_goes_on_to_its_end(tmp_path: Path) -> None:
    step = {"do": "occur", "occurrence": "magnet_on"}
    made = scenario(tracks=[track({"wait_s": 5}, step, {"wait_for": "switched"})], lasts_s=30)
    async with stage(tmp_path) as one:
        run = await one.runner.start(made)
        with no_room(one.benches[0]):
            await one.clock.advance_to(START + timedelta(seconds=31))
            await asyncio.wait_for(one.runner.wait(), PATIENCE_S)
        assert one.runner.status == "failed"
        assert {place.state for place in run.places} == {"failed"}
        assert {entry.what for entry in run.history if entry.step == 2 and "can't be written" in entry.what}


async def test_power_that_can_not_be_kept_does_not_go(tmp_path: Path) -> None:
    async with stage(tmp_path) as one:
        with no_room(one.benches[0]):
            one.control.power(["M1", "M2"], on=False)
            await one.clock.advance_to(START + timedelta(seconds=1))
            assert [event["meter"] for event in one.wire.events("state_error") if "meter" in event] == ["M1", "M2"]
        assert all(one.wire.fleet.meters[name].powered for name in ("M1", "M2"))
        assert one.wire.events("power_lost") == []
        one.control.power(["M1", "M2"], on=False)
        await one.clock.advance_to(START + timedelta(seconds=2))
        assert [event["meter"] for event in one.wire.events("power_lost")] == ["M1", "M2"]


async def test_an_error_that_nobody_expected_ends_the_run_in_health(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(name: str, why: str) -> None:
        raise RuntimeError("a defect")

    seen: list[BaseException] = []
    async with stage(tmp_path) as one:
        asyncio.get_running_loop().set_exception_handler(lambda loop, about: seen.append(about["exception"]))
        monkeypatch.setattr(one.control, "push", broken)
        await one.runner.start(load("billing-day"))
        await one.clock.advance_to(START + timedelta(seconds=600))
        await one.runner.wait()
        await asyncio.sleep(0)
        assert (one.runner.status, one.wire.fleet.faults.rules, len(seen)) == ("failed", [], 1)
        await one.runner.start(load("theft-wave"))


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
        async with asyncio.timeout(PATIENCE_S):
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
        async with asyncio.timeout(PATIENCE_S):
            while one.runner.status == "running":
                await one.clock.advance_to(one.clock.now() + timedelta(seconds=60))
        assert (await one.sees(lost[0])).value is not None


async def test_one_at_a_time_and_a_stop_is_health(tmp_path: Path) -> None:
    async with stage(tmp_path) as one:
        await one.runner.start(load("chaos"))
        with pytest.raises(ScenarioRunning):
            await one.runner.start(load("chaos"))
        await one.clock.advance_to(START + timedelta(seconds=5))
        assert len(one.wire.fleet.faults.rules) == 7
        await one.runner.stop()
        assert one.runner.status == "stopped" and one.wire.fleet.faults.rules == []
        await one.runner.start(load("theft-wave"))
        assert one.runner.status == "running"
