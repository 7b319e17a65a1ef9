"""The simulator as a process: ready, ports taken, signals, and a thousand meters at once."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import tomllib
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from bench import (
    SECURITY_SETUP,
    START,
    Caller,
    clear_client,
    client_security,
    gmac_client,
    method,
    public_client,
)
from free_ports import free_port
from patience import PATIENCE_S
from reported import Reported

from ami_dlms import data
from ami_dlms.association import Action, ActionOutcome, Open, Opened, OpenRefused
from ami_dlms.enums import ActionResult, Mechanism
from ami_dlms.security import GlobalKeys, wrap_key
from ami_meter_sim.app import run, start
from ami_meter_sim.settings import MeterSettings, MeterSimSettings, Settings
from ami_packs.model_files import model_text
from ami_process.environment import Environment
from ami_process.events import Event, Ready
from ami_registry import Meter

DEMO = Path(__file__).parents[2] / "config/demo.toml"
MASTER = bytes(range(100, 116))


def write(directory: Path, **change: Any) -> Path:
    config = tomllib.loads(DEMO.read_text())
    config["meter_sim"]["state"] = str(directory / "meters")
    for meter in config["meters"]:
        meter |= {"address": f"127.0.0.1:{free_port()}"} | change
    path = directory / "ami.toml"
    path.write_text(tomli_w.dumps(config))
    return path


def process(path: Path, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "ami_meter_sim", "serve", "--config", str(path), *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=path.parent)


def next_event(running: subprocess.Popen[str]) -> dict[str, Any]:
    assert running.stdout is not None
    event: dict[str, Any] = json.loads(running.stdout.readline())
    return event


def kept_in(state: Path) -> set[str]:
    """The meters of which the store has a row; their journal has gone at a clean end."""
    assert not list(state.glob("*.journal"))
    with closing(sqlite3.connect(state / "meters.sqlite")) as store:
        return {name for (name,) in store.execute("SELECT name FROM ranges JOIN rows ON rows.meter = ranges.number")}


async def test_a_key_that_was_acknowledged_survives_a_kill(tmp_path: Path) -> None:
    """Transferred over a socket under the master key of the settings; the process is killed as soon as the answer is there."""
    model = model_text("residential").replace(
        'name = "Security setup"\nmanagement = { read = [1, 2, 3, 4, 5] }',
        'name = "Security setup"\nmanagement = { read = [1, 2, 3, 4, 5], methods = [2] }',
    )
    (tmp_path / "open.toml").write_text(model)
    keys = {"encryption_key": bytes(range(16)).hex(), "authentication_key": bytes(range(16, 32)).hex()}
    simulated = {"model": str(tmp_path / "open.toml")}
    path = write(tmp_path, authentication="hls-gmac", master_key=MASTER.hex(), simulated=simulated, **keys)
    (one, *_) = Settings.load(path).meters
    port, title = int(one.listens_on.rpartition(":")[2]), one.meter.system_title
    old = GlobalKeys(bytes(range(16)), bytes(range(16, 32)), master_key=MASTER)
    new = replace(old, encryption_key=b"n" * 16)
    with process(path, "--meter", one.name) as running:
        assert next_event(running)["event"] == "ready"
        caller = await Caller.call(port, gmac_client(1, security=client_security(old, peer_system_title=title)))
        assert isinstance(await caller.ask(Open()), Opened)
        wrapped = data.structure(data.enum(0), data.octet_string(wrap_key(MASTER, new.encryption_key)))
        outcome = await caller.ask(Action(method(SECURITY_SETUP, 2), data.array(wrapped)))
        running.kill()
        running.wait(10)
        await caller.close()
    assert outcome == ActionOutcome(ActionResult.SUCCESS, None)
    with process(path, "--meter", one.name) as running:
        assert next_event(running)["event"] == "ready"
        for keys_now, event in ((old, OpenRefused), (new, Opened)):
            security = client_security(keys_now, peer_system_title=title)
            caller = await Caller.call(port, gmac_client(5000, security=security))
            assert isinstance(await caller.ask(Open()), event)
            await caller.close()
        running.terminate()
        assert running.wait(10) == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_ready_then_a_clean_end(tmp_path: Path, number: signal.Signals) -> None:
    path = write(tmp_path)
    addresses = [meter.listens_on for meter in Settings.load(path).meters]
    with process(path) as running:
        ready = next_event(running)
        assert (ready["event"], ready["role"], ready["listen"]) == ("ready", "meter", addresses)
        running.send_signal(number)
        assert running.wait(10) == 0
        assert running.stderr is not None and running.stderr.read() == ""
    assert "M1001" in kept_in(tmp_path / "meters")


def test_only_the_meters_that_are_named(tmp_path: Path) -> None:
    path = write(tmp_path)
    with process(path, "--meter", "M1002") as running:
        assert next_event(running)["meters"] == ["M1002"]
        running.terminate()
        assert running.wait(10) == 0


def test_a_port_that_is_taken_is_named_with_its_setting(tmp_path: Path) -> None:
    path = write(tmp_path)
    address = Settings.load(path).meters[1].listens_on
    with socket.create_server(("127.0.0.1", int(address.rsplit(":", 1)[1]))), process(path) as running:
        taken = next_event(running)
        assert running.wait(10) == 98
    assert (taken["event"], taken["address"], taken["setting"]) == ("port_taken", address, "meters[M1002].address")


def test_a_configuration_that_can_not_be_used(tmp_path: Path) -> None:
    with process(write(tmp_path, suite=5)) as running:
        out, err = running.communicate(timeout=PATIENCE_S)
        assert running.returncode == 2
    assert out == "" and "suite" in err and "Traceback" not in err


def thousand(directory: Path, **change: Any) -> tuple[Settings, list[MeterSettings]]:
    meters = [
        MeterSettings(
            meter=Meter(
                name=f"M{number}",
                address=("127.0.0.1", 0),
                encryption_key=number.to_bytes(16, "big"),
                authentication_key=number.to_bytes(16, "little"),
                system_title=number.to_bytes(8, "big"),
                logical_device_name=f"AMI{number:013d}",
                device_id=str(number),
                **change,
            )
        )
        for number in range(1001, 2001)
    ]
    return Settings(meter_sim=MeterSimSettings(state=directory / "meters")), meters


async def test_a_thousand_meters_start_within_seconds(tmp_path: Path) -> None:
    settings, meters = thousand(tmp_path)
    environment = Environment(emit=lambda event: None, now=lambda: START)
    began = time.process_time()
    running = await start(settings, meters, environment)
    took = time.process_time() - began
    try:
        assert len(set(running.listening)) == 1000
        assert took < 10
        for address in running.listening[::250]:
            caller = await Caller.call(int(address.rsplit(":", 1)[1]), public_client())
            assert isinstance(await caller.ask(Open()), Opened)
            await caller.close()
    finally:
        await running.stop()


async def test_stopping_ends_open_connections(tmp_path: Path) -> None:
    settings, meters = thousand(tmp_path, authentication=Mechanism.LOWEST)
    reported = Reported()
    ready, stop = asyncio.Event(), asyncio.Event()

    def emit(event: Event) -> None:
        reported(event)
        if isinstance(event, Ready):
            ready.set()

    task = asyncio.create_task(run(settings, meters[:2], Environment(emit=emit, now=lambda: START), stop))
    await asyncio.wait_for(ready.wait(), PATIENCE_S)
    caller = await Caller.call(int(reported.events[0]["listen"][0].rsplit(":", 1)[1]), clear_client())
    assert isinstance(await caller.ask(Open()), Opened)
    stop.set()
    assert await asyncio.wait_for(task, PATIENCE_S) == 0
    assert await asyncio.wait_for(caller.reader.read(1), PATIENCE_S) == b""
    await caller.close()


async def test_a_task_that_fails_ends_the_process_and_keeps_the_state(tmp_path: Path) -> None:
    settings, meters = thousand(tmp_path, authentication=Mechanism.LOWEST)
    running = await start(settings, meters[:1], Environment(emit=lambda event: None, now=lambda: START))

    async def fail() -> None:
        raise ArithmeticError("a fault of ours")

    running.tasks.append(asyncio.create_task(fail()))
    await asyncio.wait_for(running.last_until(asyncio.Event()), PATIENCE_S)
    with pytest.raises(ArithmeticError):
        await running.stop()
    assert kept_in(settings.meter_sim.state) == {"M1001"}
