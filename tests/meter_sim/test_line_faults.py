"""Faults of the line are below the APDU: over HDLC they happen to single frames, which the link repairs, and over UDP to datagrams."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from bench import IMPORT, PROFILE, Bench, Caller, Wire, attribute, clear_client, misbehaving, setup
from patience import PATIENCE_S

from ami_dlms.association import Get, Open, Opened
from ami_dlms.framing.hdlc_address import HdlcAddress
from ami_dlms.framing.hdlc_framing import HdlcClientFraming
from ami_meter_sim.meter.communication import HdlcLine, HdlcProfile

PHYSICAL = 17
SHORT_S = 0.1
OF_GET = {"service": ["get"]}
READ = Get(attribute(IMPORT, 2))


@pytest.fixture
async def wire(tmp_path: Path) -> AsyncIterator[Wire]:
    bench = Bench(tmp_path)
    one = Wire(bench.start(setup()), now=lambda: bench.at, faults=misbehaving())
    one.bench = bench
    yield one
    await one.stop()


def disturb(wire: Wire, fault: str, **more: Any) -> None:
    wire.fleet.faults.set(misbehaving({"fault": fault, **more}).rules[0][1])


async def opened(wire: Wire) -> tuple[Caller, HdlcClientFraming]:
    """A client over HDLC whose association is open."""
    await wire.listen(communication=HdlcProfile(PHYSICAL))
    framing = HdlcClientFraming(1, HdlcAddress(1, PHYSICAL))
    caller = await Caller.call(wire.port, clear_client(framing=framing))
    assert isinstance(await caller.ask(Open()), Opened)
    return caller, framing


async def octets_of(caller: Caller, seconds: float = SHORT_S) -> bytes:
    """What comes until the line is silent."""
    found = b""
    try:
        while octets := await asyncio.wait_for(caller.reader.read(65536), seconds):
            found += octets
    except TimeoutError:
        pass
    return found


async def test_the_link_repairs_a_frame_that_the_line_has_dropped(wire: Wire) -> None:
    caller, framing = await opened(wire)
    disturb(wire, "drop", probability=1, when={**OF_GET, "nth": 1})
    caller.writer.write(caller.connection.send(READ))
    assert await octets_of(caller) == b""
    caller.writer.write(framing.timeout())
    while (event := caller.connection.next_event()) is None:
        caller.connection.receive_data(await asyncio.wait_for(caller.reader.read(65536), PATIENCE_S))
        caller.writer.write(caller.connection.data_to_send())
    assert event.value is not None  # type: ignore[union-attr]
    assert wire.fleet.faults.counts["drop"] == 1
    await caller.close()


async def test_the_link_takes_a_frame_that_comes_twice_once(wire: Wire) -> None:
    assert wire.bench is not None
    wire.bench.later(days=1)
    caller, _ = await opened(wire)
    disturb(wire, "duplicate", probability=1)
    rows = (await caller.ask(Get(attribute(PROFILE, 2)))).value.value
    assert len(rows) == 96
    assert wire.fleet.faults.counts["duplicate"] > 5, "each frame of the answer, and not the answer"
    await caller.close()


async def test_each_frame_takes_its_time(wire: Wire) -> None:
    assert wire.bench is not None
    wire.bench.later(hours=12)
    caller, _ = await opened(wire)
    disturb(wire, "latency", seconds=0.01, jitter_s=0.005)
    loop = asyncio.get_running_loop()
    began = loop.time()
    await caller.ask(Get(attribute(PROFILE, 2)))
    frames = wire.fleet.faults.counts["latency"]
    assert frames > 3 and loop.time() - began >= 0.01 * frames
    await caller.close()


async def test_octets_pass_at_a_rate(wire: Wire) -> None:
    caller, _ = await opened(wire)
    sent = wire.fleet.traffic.octets_sent
    disturb(wire, "bandwidth", octets_per_s=500)
    loop = asyncio.get_running_loop()
    began = loop.time()
    await caller.ask(READ)
    assert loop.time() - began >= (wire.fleet.traffic.octets_sent - sent) / 500 > 0.03
    await caller.close()


async def test_the_connection_is_cut_within_a_frame(wire: Wire) -> None:
    caller, _ = await opened(wire)
    so_far = wire.fleet.traffic.octets_sent
    disturb(wire, "cut", after=so_far + 10)
    caller.writer.write(caller.connection.send(READ))
    octets = await octets_of(caller, 5)
    assert len(octets) == 10 and octets[:1] == b"\x7e" != octets[-1:]
    caller.writer.close()


async def test_a_frame_comes_in_pieces(wire: Wire) -> None:
    caller, _ = await opened(wire)
    disturb(wire, "slice", size=7, pause_s=0.001)
    before = wire.fleet.traffic.frames_sent
    assert (await caller.ask(READ)).value is not None
    assert wire.fleet.traffic.frames_sent - before > 3
    await caller.close()


@pytest.mark.parametrize(("fault", "answers"), [("duplicate", 2), ("drop", 0)])
async def test_datagrams_are_lost_and_come_twice(wire: Wire, fault: str, answers: int) -> None:
    await wire.listen_udp()
    disturb(wire, fault, probability=1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
        line.setblocking(False)
        line.connect(("127.0.0.1", wire.port))
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(line, clear_client().send(Open()))
        while not wire.events("fault_happened"):
            await asyncio.sleep(0)
        came = [await asyncio.wait_for(loop.sock_recv(line, 65536), PATIENCE_S) for _ in range(answers)]
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(loop.sock_recv(line, 65536), SHORT_S)
    assert len(set(came)) == min(answers, 1)


def test_frames_of_a_link_are_told_apart_by_their_formats() -> None:
    first = b"\x7e\xa0\x07" + bytes(5) + b"\x7e"
    assert list(HdlcLine.frames(first + b"\x7e\xa0\x06" + bytes(4) + b"\x7e")) == [
        first,
        b"\x7e\xa0\x06" + bytes(4) + b"\x7e",
    ]
    assert list(HdlcLine.frames(b"noise")) == [b"noise"]
    assert b"".join(HdlcLine.frames(b"\x7e" * 9)) == b"\x7e" * 9
