"""Processes are heard to the end, stopped politely, then for good, and never left behind."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

from patience import PATIENCE_S

from ami_cli.processes import Emitted, Ended, Message, Processes, Program

STAND_IN = str(Path(__file__).parent / "stand_in.py")
STAY = {"do": "stay"}


def program(name: str, *script: dict[str, Any], rank: int = 0) -> Program:
    return Program(name, "meter", (sys.executable, STAND_IN, json.dumps(script)), rank)


def started(directory: Path, grace_s: float = 20.0) -> Processes:
    return Processes(directory, dict(os.environ), grace_s=grace_s)


async def until(processes: Processes, event: str) -> list[Message]:
    heard = []
    async for message in processes.messages():
        heard.append(message)
        if isinstance(message, Emitted) and message.event["event"] == event:
            break
    return heard


async def test_a_process_is_heard_and_stopped_politely(tmp_path: Path) -> None:
    async with started(tmp_path) as processes:
        await processes.start(
            program("m", {"event": "ready"}, {"do": "say", "text": "no json"}, {"event": "last"}, STAY)
        )
        heard = await until(processes, "last")
    assert [one.event for one in heard if isinstance(one, Emitted)] == [
        {"event": "ready"},
        {"event": "text", "text": "no json"},
        {"event": "last"},
    ]
    (ended,) = [one async for one in processes.messages()]
    assert isinstance(ended, Ended)
    assert ended.exit_code == 0


async def test_who_does_not_listen_is_killed_after_the_grace(tmp_path: Path) -> None:
    async with started(tmp_path, grace_s=0.05) as processes:
        await processes.start(program("m", {"do": "stubborn"}))
        await until(processes, "stubborn")
    (ended,) = [one async for one in processes.messages()]
    assert isinstance(ended, Ended)
    assert ended.exit_code == -signal.SIGKILL


async def test_in_a_hurry_nobody_waits_for_the_grace(tmp_path: Path) -> None:
    async with started(tmp_path) as processes:
        await processes.start(program("m", {"do": "stubborn"}))
        await until(processes, "stubborn")
        processes.hurry()
        await asyncio.wait_for(processes.stop(), PATIENCE_S)


async def test_the_end_of_a_process_tells_code_and_last_words(tmp_path: Path) -> None:
    async with started(tmp_path) as processes:
        one = program("m", {"do": "complain", "text": "the disk is full"}, {"do": "exit", "code": 3})
        await processes.start(one)
        (ended,) = [message async for message in processes.messages()]
    assert isinstance(ended, Ended)
    assert ended.exit_code == 3
    assert processes.last_words(one) == "the disk is full"


async def test_ranks_stop_one_after_another(tmp_path: Path) -> None:
    async with started(tmp_path) as processes:
        for name, rank in (("meter", 2), ("hes", 1), ("cis", 0)):
            await processes.start(program(name, STAY, rank=rank))
    assert [one.origin.name async for one in processes.messages()] == ["cis", "hes", "meter"]


async def test_a_very_long_line_is_one_event(tmp_path: Path) -> None:
    octets = "00" * 70_000
    async with started(tmp_path) as processes:
        await processes.start(
            program("m", *[{"event": "text", "text": "x" * 1000}] * 100, {"event": "apdu", "hex": "ab"}, STAY)
        )
        heard = await until(processes, "apdu")
        assert len(heard) == 101
    line = json.dumps({"event": "apdu", "hex": octets}) + "\n"
    path = tmp_path / "long.txt"
    path.write_text(line)
    async with started(tmp_path) as processes:
        await processes.start(Program("long", "hes", (sys.executable, "-c", f"print(open({str(path)!r}).read())")))
        (said, _) = [one async for one in processes.messages()]
    assert isinstance(said, Emitted)
    assert said.event["hex"] == octets


KEEPER = """
import asyncio, json, os, sys
from pathlib import Path
from ami_cli.processes import Processes, Program, module

async def main():
    async with Processes(Path(sys.argv[1]), dict(os.environ, PYTHONPATH=sys.argv[2])) as processes:
        await processes.start(Program("m", "meter", module("stand_in", sys.argv[3])))
        async for _ in processes.messages():
            print("started", flush=True)

asyncio.run(main())
"""


def test_nobody_outlives_a_demo_that_was_killed(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        script = json.dumps([{"do": "hold", "port": server.getsockname()[1]}, {"event": "ready"}, STAY])
        arguments = [sys.executable, "-c", KEEPER, str(tmp_path), str(Path(STAND_IN).parent), script]
        with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as keeper:
            assert keeper.stdout is not None
            assert keeper.stdout.readline() == "started\n"
            held, _ = server.accept()
            with held:
                held.settimeout(20)
                keeper.kill()
                assert held.recv(1) == b"", "the child is still there"
