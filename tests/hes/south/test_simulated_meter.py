"""The HES's southern side before the simulator of this project, in a process of its own: nothing in common but the wire."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from free_ports import free_port
from patience import PATIENCE_S
from small_meter import CONNECT, DISCONNECT, SmallMeter, South, eventually

from ami_dlms.security import PrivateKey


class Simulator:
    """`python -m ami_meter_sim` with the meters of these entries."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.events: list[dict[str, Any]] = []
        self._more = asyncio.Event()
        self._process: asyncio.subprocess.Process | None = None
        self._reading: asyncio.Task[None] | None = None

    async def start(self, *entries: dict[str, Any]) -> None:
        path = self.directory / "meters.toml"
        path.write_text(tomli_w.dumps({"meter_sim": {"state": str(self.directory / "state")}, "meters": list(entries)}))
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "ami_meter_sim", "serve", "--config", str(path), stdout=asyncio.subprocess.PIPE
        )
        self._reading = asyncio.create_task(self._read(self._process))
        await self.until(lambda: any(event["event"] == "ready" for event in self.events))

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(3 * PATIENCE_S):
            while not condition():
                self._more.clear()
                await self._more.wait()

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        async for line in process.stdout:
            self.events.append(json.loads(line))
            self._more.set()

    async def stop(self) -> None:
        if self._process is not None and self._reading is not None:
            self._process.terminate()
            async with asyncio.timeout(PATIENCE_S):
                await self._process.wait()
                await self._reading

    def switchings(self, meter: str) -> list[tuple[bool, bool]]:
        """(before, after) of output_state, as the meter itself tells it."""
        told = [event for event in self.events if event["event"] == "switched" and event["meter"] == meter]
        return [(event["before"]["output_state"], event["after"]["output_state"]) for event in told]


@pytest.fixture
async def simulator(tmp_path: Path) -> AsyncIterator[Simulator]:
    one = Simulator(tmp_path)
    yield one
    await one.stop()


def entry(number: int = 1001, simulated: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    """A registry entry; the simulator makes a meter of it."""
    address = {"address": f"127.0.0.1:{free_port()}"}
    return SmallMeter(number).entry(**(address | changes | {"simulated": simulated or {}}))


@dataclass(frozen=True)
class Case:
    """A meter as it is simulated, what the HES believes of it, and what has to come of a disconnect."""

    code: str | None
    words: str
    simulated: dict[str, Any] = field(default_factory=dict)
    meter: dict[str, Any] = field(default_factory=dict)
    believed: dict[str, Any] = field(default_factory=dict)
    switches: int = 0


KEYS_OF_SUITE_2 = {"encryption_key": "5A" * 32, "authentication_key": "A5" * 32}


def signing(suite: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """What both ends of an HLS 7 have to know: the entry, and what is the simulated meter's alone."""
    ours, the_meters = (PrivateKey(bytes(suite * 16 + 15) + bytes((number,))) for number in (7, 9))
    entry = {"signing_key": ours.octets.hex(), "meter_signing_key": the_meters.public_key.octets.hex()}
    simulated = {"signing_key": the_meters.octets.hex(), "client_signing_key": ours.public_key.octets.hex()}
    return {"authentication": "hls-ecdsa", "suite": suite} | entry, simulated


CASES = [
    *(
        Case(None, "disconnected", meter={"authentication": authentication, "ciphering": ciphering}, switches=1)
        for authentication in ("hls-md5", "hls-sha1", "hls-sha256")
        for ciphering in ("none", "general-glo")
    ),
    *(
        Case(None, "disconnected", meter={"authentication": authentication, "suite": suite} | keys, switches=1)
        for suite, keys in ((1, {}), (2, KEYS_OF_SUITE_2))
        for authentication in ("lls", "hls-gmac")
    ),
    *(
        Case(None, "disconnected", simulated, entry | {"ciphering": ciphering} | keys, switches=1)
        for (entry, simulated), keys in ((signing(1), {}), (signing(2), KEYS_OF_SUITE_2))
        for ciphering in ("none", "general-glo")
    ),
    Case("7.4", "", signing(1)[1], signing(1)[0], believed={"meter_signing_key": signing(1)[1]["client_signing_key"]}),
    Case(None, "disconnected", meter={"ciphering": "general-ciphering"}, switches=1),
    *(
        Case(None, "disconnected", meter={"public_client": False, "authentication": authentication}, switches=1)
        for authentication in ("hls-gmac", "lls", "none")
    ),
    Case("7.4", "keys", meter={"public_client": False}, believed={"encryption_key": "00" * 16}),
    Case("5.2", "7777", meter={"public_client": False}, believed={"device_id": "7777"}),
    *(
        Case(None, "disconnected", meter={"authentication": authentication, "ciphering": ciphering}, switches=1)
        for authentication in ("hls-gmac", "lls", "none")
        for ciphering in ("general-glo", "service-specific")
    ),
    *(Case(None, "disconnected", {"control_mode": mode}, switches=1) for mode in range(1, 7)),
    Case("5.2", "control mode 0", {"control_mode": 0}),
    Case("5.3", "did not disconnect", {"lie_about_action": True}),
    Case("5.3", "hardware fault", {"refuse_action": "hardware-fault"}),
    Case("5.3", "read again over a new connection: disconnected", {"kill_after_action": True}, switches=1),
    Case("4.1", "in time", {"silent": True}),
    Case("4.1", "in time", {"silent": "always"}),
    Case("4.1", "in time", {"answer_delay_s": 30.0}),
    Case("7.4", "keys", believed={"encryption_key": "00" * 16}),
    Case("7.4", "keys", believed={"authentication_key": "00" * 16}),
    Case("7.4", "secret", meter={"authentication": "lls"}, believed={"secret": "hex:00"}),
    Case("7.6", "ciphering", believed={"authentication": "none"}),
    Case("5.2", "7777", believed={"device_id": "7777"}),
    Case("5.2", "SOMEBODYELSE", believed={"logical_device_name": "SOMEBODYELSE"}),
    Case("7.4", "system_title", believed={"system_title": "0102030405060708"}),
]


async def test_every_fault_at_once(ami: South, simulator: Simulator) -> None:
    meters = [entry(1001 + n, case.simulated, **case.meter) for n, case in enumerate(CASES)]
    await simulator.start(*meters)
    await ami.start(*(meter | case.believed for meter, case in zip(meters, CASES, strict=True)), apdu_timeout_s=2.0)
    outcomes = await asyncio.gather(*(ami.switch(name=meter["name"], deadline_s=20.0) for meter in meters))
    for case, meter, outcome in zip(CASES, meters, outcomes, strict=True):
        assert (outcome.ok, outcome.reply_code) == (case.code is None, case.code), (case, outcome.reason)
        assert case.words in outcome.reason
        assert outcome.attempted == (case.switches > 0 or outcome.reply_code == "5.3"), case
        await simulator.until(lambda case=case, name=meter["name"]: len(simulator.switchings(name)) >= case.switches)
        assert simulator.switchings(meter["name"]) in ([(True, False)] * case.switches, [(True, True)]), case


async def test_meters_dial_in_and_push(ami: South, simulator: Simulator) -> None:
    port = free_port()
    caller = entry(1001, {"dial_to": f"127.0.0.1:{port}"}, address="dials-in", server_wport=3)
    ways = [(transport, protected) for transport in ("tcp", "udp") for protected in (True, False)]
    pushing = [
        entry(1002 + n, {"push_to": f"{transport}://127.0.0.1:{port}", "push_protected": protected})
        for n, (transport, protected) in enumerate(ways)
    ]
    await ami.start(caller, *pushing, port=port, apdu_timeout_s=5.0)
    await simulator.start(caller, *pushing)
    for code in (DISCONNECT, CONNECT):
        outcomes = await asyncio.gather(
            *(ami.switch(code, meter["name"], deadline_s=20.0) for meter in (caller, *pushing))
        )
        assert all(outcome.ok for outcome in outcomes), [outcome.reason for outcome in outcomes]
    assert len(ami.told("dialled_in")) == 1
    await eventually(lambda: len(ami.told("notification")) >= 2 * len(ways))
    seen = [(event["transport"], event["secured"], event["meter"]) for event in ami.told("notification")]
    expected = [
        (transport, protected, meter["name"] if protected else None)
        for (transport, protected), meter in zip(ways, pushing, strict=True)
    ]
    assert set(seen) == set(expected)
    assert all(event["body"] for event in ami.told("notification")) and not ami.told("dropped")
