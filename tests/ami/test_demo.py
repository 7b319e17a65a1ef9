"""The demo with stand-ins for its processes: when it is over, what it answers, and that it cleans up behind itself."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import story

from ami_cli import configuration, demo
from ami_cli.configuration import Changes, Document
from ami_cli.demo import Options, PortsTaken
from ami_cli.demo_outputs import DemoOutput, JsonOutput, PlainOutput, Setting
from ami_cli.processes import Program
from ami_cli.simulators import Simulator, played_by

STAND_IN = str(Path(__file__).parent / "stand_in.py")
STAY = {"do": "stay"}
Script = Sequence[dict[str, Any]]


def test_watching_a_demo_loads_no_cis() -> None:
    """It would take a tenth of a second in the middle of it, in which the processes are not heard in their order."""
    code = """
import sys
from types import SimpleNamespace
from ami_cli.demo import Demo
watching = SimpleNamespace(reads=True, setting=SimpleNamespace(meters=("M1001",)))
print(Demo._requests_a_cycle.fget(watching), "zeep" in sys.modules)
"""
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True).stdout == "5 False\n"
    )


def ready(role: str) -> dict[str, Any]:
    return {"event": "ready", "role": role, "listen": []}


class Stage:
    """A demo whose processes say what the test wants."""

    def __init__(self, document: Document, directory: Path) -> None:
        self.directory = directory
        self.path = directory / "mine.toml"
        self.written: Path | None = None
        self.start_s = 20.0
        self.meter: Script = [ready("meter"), STAY]
        self.hes: Script = [ready("hes"), STAY]
        self.cis: Script = [ready("cis"), STAY]
        document["demo"]["read"] = []  # a stand-in says nothing of readings
        configuration.write(document, self.path)

    def tell(self, cycles: int) -> None:
        cis, hes = story.cycles(cycles)
        self.cis, self.hes = [ready("cis"), *cis, STAY], [ready("hes"), *hes, STAY]

    def programs(self, document: Document, path: Path, simulators: Sequence[Simulator]) -> Sequence[Program]:
        self.written = path
        return (
            self._program("M1001", "meter", self.meter, 2),
            self._program("M1002", "meter", self.meter, 2),
            self._program("hes", "hes", self.hes, 1),
            self._program("cis", "cis", self.cis, 0),
        )

    def _program(self, name: str, role: str, script: Script, rank: int) -> Program:
        return Program(name, role, (sys.executable, STAND_IN, json.dumps(script)), rank)

    async def run(self, changes: Changes, output: type[JsonOutput] | type[PlainOutput] = PlainOutput) -> int:
        make: Any = output
        return await demo.run(
            Options(
                configuration=self.path,
                changes=replace(changes, meter_sim_port=0),
                output=make,
                programs=self.programs,
                directory=self.directory / "var",
                start_s=self.start_s,
            )
        )

    @property
    def left(self) -> list[Path]:
        return list((self.directory / "var").glob("demo-*"))


@pytest.fixture
def stage(document: Document, tmp_path: Path) -> Stage:
    return Stage(document, tmp_path)


async def test_two_confirmed_cycles_end_well_and_leave_nothing_behind(
    stage: Stage, capfd: pytest.CaptureFixture[str]
) -> None:
    stage.tell(2)
    assert await stage.run(Changes(cycles=2)) == 0
    out = capfd.readouterr().out
    assert out.count("reply  ● OK") == 4
    assert out.count("connected → disconnected  ● OK") == 4
    assert "2 cycles: 2 disconnects and 2 connects confirmed; 8 of 8 commands confirmed by the meters" in out
    assert "request to reply: median 20 ms, longest 20 ms" in out
    assert stage.left == []


async def test_json_is_one_object_a_line_with_a_summary_at_the_end(
    stage: Stage, capfd: pytest.CaptureFixture[str]
) -> None:
    stage.tell(1)
    assert await stage.run(Changes(cycles=1), JsonOutput) == 0
    lines = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    assert {line["process"] for line in lines} == {"M1001", "M1002", "hes", "cis", "ami"}
    assert lines[-1]["event"] == "summary"
    assert (lines[-1]["cycles"], lines[-1]["confirmed_commands"], lines[-1]["trouble"]) == (1, 4, [])


@pytest.mark.parametrize("lost", ["meter_done", "reply_received"])
async def test_one_missing_word_is_enough_to_fail(stage: Stage, lost: str) -> None:
    stage.tell(1)
    role = stage.hes if lost == "meter_done" else stage.cis
    last = max(index for index, part in enumerate(role) if part.get("event") == lost)
    shortened = [part for index, part in enumerate(role) if index != last]
    if lost == "meter_done":
        stage.hes = shortened
    else:
        stage.cis = [
            *shortened[:-1],
            {"event": "request_failed", "message_id": "0-3.31.0.18", "reason": "timed out"},
            STAY,
        ]
    assert await stage.run(Changes(cycles=1)) == 1


async def test_a_failed_demo_keeps_its_directory_and_says_why(stage: Stage, capfd: pytest.CaptureFixture[str]) -> None:
    stage.hes = [ready("hes"), {"do": "complain", "text": "the disk is full"}, {"do": "exit", "code": 3}]
    assert await stage.run(Changes(cycles=1)) == 1
    err = capfd.readouterr().err
    assert "hes ended with exit code 3 before the demo was over" in err
    assert "the disk is full" in err
    (directory,) = stage.left
    assert f"kept in {directory}" in err
    assert (directory / "hes.log").read_text() == "the disk is full\n"
    said = [json.loads(line)["event"] for line in (directory / "hes.jsonl").read_text().splitlines()]
    assert said == ["ready"], "what a process has said is kept as well"


async def test_the_demo_goes_on_without_a_meter_but_does_not_call_it_a_success(
    stage: Stage, capfd: pytest.CaptureFixture[str]
) -> None:
    stage.tell(1)
    stage.meter = [ready("meter"), {"do": "exit", "code": 0}]
    assert await stage.run(Changes(cycles=1)) == 1
    said = capfd.readouterr()
    assert "1 cycle: 1 disconnect and 1 connect confirmed" in said.out
    assert "M1001 ended with exit code 0 before the demo was over" in said.err


async def test_a_cis_that_stops_early_is_no_success(stage: Stage, capfd: pytest.CaptureFixture[str]) -> None:
    stage.tell(1)
    stage.cis = [*stage.cis[:-1], {"do": "exit", "code": 0}]
    assert await stage.run(Changes(cycles=2)) == 1
    assert "cis ended with exit code 0 before" in capfd.readouterr().err


async def test_the_cis_starts_only_after_everybody_else_listens(
    stage: Stage, capfd: pytest.CaptureFixture[str]
) -> None:
    stage.meter = [STAY]
    stage.cis = [{"event": "text", "text": "I am here"}, STAY]
    stage.start_s = 0.5
    assert await stage.run(Changes()) == 1
    said = capfd.readouterr()
    assert "I am here" not in said.out
    assert "still waited for in vain: M1001 (ready), M1002 (ready), cis (ready)" in said.err


async def test_the_cis_waits_for_a_meter_to_dial_in(stage: Stage, capfd: pytest.CaptureFixture[str]) -> None:
    stage.tell(1)
    stage.start_s = 1
    assert await stage.run(Changes(cycles=1, mode="dial-in")) == 1
    assert "in vain: M1002 (dialled_in), cis (ready)" in capfd.readouterr().err
    stage.hes = [stage.hes[0], story.dialled_in("M1002", "127.0.0.1:1"), *stage.hes[1:]]
    stage.start_s = 20
    assert await stage.run(Changes(cycles=1, mode="dial-in")) == 0


async def test_a_port_lost_in_between_is_exit_code_98(stage: Stage, capfd: pytest.CaptureFixture[str]) -> None:
    stage.hes = [
        {"event": "port_taken", "address": "127.0.0.1:8081", "setting": "hes.port"},
        {"do": "exit", "code": 98},
    ]
    assert await stage.run(Changes(cycles=1)) == 98
    assert "127.0.0.1:8081, wanted by hes.port" in capfd.readouterr().err


async def test_a_taken_port_stops_the_demo_before_anything_starts(stage: Stage, document: Document) -> None:
    with (
        socket.create_server(("127.0.0.1", document["hes"]["port"])),
        pytest.raises(PortsTaken, match=r"wanted by hes\.port"),
    ):
        await stage.run(Changes(cycles=1))
    assert stage.written is None


async def test_two_demos_do_not_share_a_store(stage: Stage, document: Document) -> None:
    with demo._alone(document), pytest.raises(configuration.ConfigurationError, match="another demo is working with"):
        await stage.run(Changes(cycles=1))


def test_each_path_that_is_kept_is_one_that_no_two_demos_share(document: Document) -> None:
    for section, key in configuration.KEPT:
        other = json.loads(json.dumps(document))
        for place, name in configuration.KEPT:
            if (place, name) != (section, key):
                other[place][name] += ".other"
        with demo._alone(document), pytest.raises(configuration.ConfigurationError, match="STATE="), demo._alone(other):
            pass
        with demo._alone(other), demo._alone(configuration.effective(document, Changes(state=Path("var/second")))):
            pass


async def test_the_advice_for_a_second_demo_is_all_that_it_needs(stage: Stage, document: Document) -> None:
    holders = [socket.create_server((one.host, one.port)) for one in configuration.listeners(document) if not one.udp]
    with demo._alone(document), pytest.raises(PortsTaken) as trouble:
        await stage.run(Changes(cycles=1))
    for holder in holders:
        holder.close()
    for option in ("--cis-port", "--hes-port", "--dlms-port", "--meter-port", "--state var/second"):
        assert option in str(trouble.value)


class Told:
    """An output that sends a signal when the first reply has been heard."""

    def __init__(self, setting: Setting, number: signal.Signals) -> None:
        self._inner: DemoOutput = PlainOutput(setting)
        self._number = number
        self.display, self.opening = self._inner.display, self._inner.opening
        self.notice, self.closing = self._inner.notice, self._inner.closing

    def on_event(self, message: Any, steps: Any) -> None:
        if message.event["event"] == "reply_received":
            os.kill(os.getpid(), self._number)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize(("cycles", "exit_code"), [(0, 0), (2, 1)], ids=["endless", "before the last cycle"])
async def test_a_signal_stops_everything_cleanly(
    stage: Stage, number: signal.Signals, cycles: int, exit_code: int
) -> None:
    stage.tell(1)
    options = Options(
        configuration=stage.path,
        changes=Changes(cycles=cycles, meter_sim_port=0),
        output=lambda setting: Told(setting, number),
        programs=stage.programs,
        directory=stage.directory / "var",
    )
    assert await demo.run(options) == exit_code


async def test_the_processes_read_a_private_file_with_the_changes(stage: Stage, document: Document) -> None:
    stage.hes = [{"do": "exit", "code": 1}]
    await stage.run(Changes(security="none", cycles=3))
    assert stage.written is not None
    assert stage.written.stat().st_mode & 0o077 == 0
    assert stage.written.parent.stat().st_mode & 0o077 == 0
    written = configuration.load(stage.written)
    assert written["demo"]["cycles"] == 3
    assert {meter["authentication"] for meter in written["meters"]} == {"none"}


def test_meters_with_a_port_in_the_file_are_one_process(document: Document) -> None:
    document["meter_sim"]["port"] = 7000
    meters, *others = demo.programs(document, Path("f.toml"), played_by(document, None))
    assert (meters.name, meters.arguments[3:]) == ("meters", ("ami_meter_sim", "serve", "--config", "f.toml"))
    assert dict(meters.environment) == {"AMI_METER_SIM__PORT": "7000"}
    assert [one.name for one in others] == ["hes", "cis"]


def test_the_real_programs_are_one_process_a_meter_and_the_rest_together(document: Document) -> None:
    many = configuration.effective(document, Changes(meters=20))
    names = {program.name: program.arguments for program in demo.programs(many, Path("f.toml"), played_by(many, 0))}
    assert list(names) == [
        "M1001",
        "M1002",
        "M1003",
        "M1004",
        "M1005",
        "M1006",
        "M1007",
        "M1008",
        "meters",
        "hes",
        "cis",
    ]
    assert names["M1001"][1:] == (
        "-m",
        "ami_cli.parent_watch",
        "ami_meter_sim",
        "serve",
        "--config",
        "f.toml",
        "--meter",
        "M1001",
    )
    assert names["meters"].count("--meter") == 12
    assert names["cis"][3:] == ("ami_cis", "serve", "--config", "f.toml")
