"""A simulator that is killed under load, again and again: no invocation counter is used twice, no acknowledged switching or write is lost."""

from __future__ import annotations

import asyncio
import json
import random
import signal
import sys
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import pytest
import tomli_w
from bench import SWITCH, attribute, method
from free_ports import free_port

from ami_cli.bench_fleet.client import Asking, Client, NoAnswer
from ami_dlms import data
from ami_dlms.association import Action, ActionOutcome, ClientConnection, Get, GetResult, Open, Opened, Set, SetResult
from ami_dlms.enums import ActionResult, DataAccessResult
from ami_meter_sim.populating import Prepared, prepare
from ami_meter_sim.settings import Settings

METERS, WORKERS, HEADER = 24, 6, 8
GENERAL_GLO = 0xDB
TIME_ZONE = attribute((8, "0-0:1.0.0"), 3)


class State(NamedTuple):
    """What a meter shows."""

    connected: bool
    time_zone: int


@dataclass
class Heard(Asking):
    """A connection that notes the invocation counters of what it hears."""

    counters: list[int] = field(default_factory=list)

    async def ask(self, connection: ClientConnection, request: object) -> object:
        reader, heard = self.reader, bytearray()

        class Tee:
            async def read(self, most: int) -> bytes:
                octets = await reader.read(most)
                heard.extend(octets)
                return octets

        self.reader = Tee()  # type: ignore[assignment]
        try:
            return await super().ask(connection, request)  # type: ignore[arg-type]
        finally:
            self.reader = reader
            self.counters += counters_in(bytes(heard))


def counters_in(octets: bytes) -> list[int]:
    """Of all general-glo-ciphering APDUs: tag, length and system title, length, security control, counter."""
    found = []
    while len(octets) > HEADER:
        end = HEADER + int.from_bytes(octets[6:8], "big")
        apdu, octets = octets[HEADER:end], octets[end:]
        if apdu[0] == GENERAL_GLO:
            begin = 11 + (apdu[10] & 0x7F if apdu[10] & 0x80 else 0)
            found.append(int.from_bytes(apdu[begin + 1 : begin + 5], "big"))
    return found


class HeadEnd(Client):
    """Switches meters and sets their time zones, and knows which of them have said so."""

    def __init__(self, population: Prepared) -> None:
        super().__init__(population)
        self.heard: dict[int, list[int]] = defaultdict(list)
        self.acknowledged: dict[int, State] = {}
        self.perhaps: dict[int, State] = {}
        """What a meter was asked for and has not answered."""

    async def managing(self, index: int) -> tuple[Heard, ClientConnection]:
        asking = await self._connect(index)
        heard = Heard(asking.reader, asking.writer, self.heard[index])
        try:
            managing = self._managing(index, await self._counter(heard, self._public(index)) + 1)
            await self._expect(heard, managing, Open(), Opened)
        except BaseException:
            heard.close()
            raise
        return heard, managing

    async def change(self, index: int, time_zone: int | None = None) -> None:
        """The other position of the switch, or this time zone."""
        before = self.acknowledged[index]
        heard, managing = await self.managing(index)
        try:
            if time_zone is None:
                after = State(not before.connected, before.time_zone)
                self.perhaps[index] = after
                order = Action(method(SWITCH, 2 if after.connected else 1), data.integer(0))
                outcome = await self._expect(heard, managing, order, ActionOutcome)
                assert outcome.result is ActionResult.SUCCESS
            else:
                self.perhaps[index] = after = State(before.connected, time_zone)
                written = await self._expect(heard, managing, Set(TIME_ZONE, data.long(time_zone)), SetResult)
                assert written.result is DataAccessResult.SUCCESS
            self.acknowledged[index] = after
            del self.perhaps[index]
        finally:
            heard.close()

    async def state(self, index: int) -> State:
        heard, managing = await self.managing(index)
        connected = await self._expect(heard, managing, Get(attribute(SWITCH, 2)), GetResult)
        time_zone = await self._expect(heard, managing, Get(TIME_ZONE), GetResult)
        heard.close()
        assert connected.value is not None and time_zone.value is not None
        return State(bool(connected.value.value), int(time_zone.value.value))


async def started(path: Path) -> asyncio.subprocess.Process:
    command = (sys.executable, "-m", "ami_meter_sim", "serve", "--config", str(path))
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None and process.stderr is not None
    while line := await asyncio.wait_for(process.stdout.readline(), 60):
        if json.loads(line)["event"] == "ready":
            return process
    raise AssertionError((await process.stderr.read()).decode())


async def killed_under_load(head_end: HeadEnd, process: asyncio.subprocess.Process, dice: random.Random) -> None:
    """Several workers, each with meters of its own; after some changes the process is killed in the middle of others."""
    left = dice.randrange(20, 60)

    async def work(number: int) -> None:
        nonlocal left
        while True:
            index = dice.randrange(number, METERS, WORKERS)
            await head_end.change(index, dice.choice((None, dice.randrange(-720, 721))))
            left -= 1
            if left == 0:
                process.send_signal(signal.SIGKILL)

    assert process.stdout is not None
    drain = asyncio.create_task(process.stdout.read())
    ends = await asyncio.gather(*(work(number) for number in range(WORKERS)), return_exceptions=True)
    assert all(isinstance(end, OSError | NoAnswer | asyncio.TimeoutError) for end in ends), ends
    assert await process.wait() == -signal.SIGKILL
    await drain


@pytest.mark.needs("loopback-block")
@pytest.mark.parametrize(
    "times", [pytest.param(3, id="3 times"), pytest.param(100, id="100 times", marks=pytest.mark.acceptance)]
)
@pytest.mark.timeout(3_600)
async def test_killed_under_load(tmp_path: Path, times: int) -> None:
    population = {"name": "north", "count": METERS, "seed": "x", "first_serial": 2_001, "port": free_port()}
    path = tmp_path / "ami.toml"
    path.write_text(tomli_w.dumps({"meter_sim": {"state": str(tmp_path / "state")}, "populations": [population]}))
    head_end, dice = HeadEnd(prepare(Settings.load(path).populations)[0]), random.Random(times)
    for _ in range(times):
        process = await started(path)
        for index in range(METERS):
            state = await head_end.state(index)
            known = head_end.acknowledged.get(index, State(True, state.time_zone))
            assert state in (known, head_end.perhaps.get(index, known)), index
            head_end.acknowledged[index] = state
        head_end.perhaps.clear()
        await killed_under_load(head_end, process, dice)
    for index, counters in head_end.heard.items():
        assert len(set(counters)) == len(counters) > 0, index
        assert counters == sorted(counters), index
