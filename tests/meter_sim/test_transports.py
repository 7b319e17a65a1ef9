"""Simulated meters over HDLC on TCP and over the wrapper on UDP, on real loopback sockets, spoken to by our own client."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from bench import (
    CLOCK,
    DEVICE_NAME,
    IMPORT,
    PROFILE,
    Bench,
    Caller,
    Wire,
    attribute,
    clear_client,
    misbehaving,
    public_client,
    setup,
)
from patience import PATIENCE_S

from ami_dlms.association import ClientConnection, Get, Open, Opened, Request
from ami_dlms.errors import DecodeError
from ami_dlms.framing import wrapper
from ami_dlms.framing.framing import WrapperPdu
from ami_dlms.framing.hdlc_address import HdlcAddress
from ami_dlms.framing.hdlc_framing import HdlcClientFraming
from ami_dlms.framing.hdlc_parameters import LinkParameters
from ami_meter_sim.lines import admission
from ami_meter_sim.meter.communication import HdlcProfile
from ami_process.environment import real_time

PHYSICAL = 17
LARGE = LinkParameters(2030, 2030, 7, 7)


@pytest.fixture
async def wire(tmp_path: Path) -> AsyncIterator[Wire]:
    """Two logical devices of one place; the time is that of the first one's bench."""
    first, second = Bench(tmp_path), Bench(tmp_path)
    first.start(setup("M1001"))
    second.start(setup("M1002", server_wport=2))
    one = Wire(first.meter, second.meter, now=lambda: first.at)
    one.bench = first
    yield one
    await one.stop()


def over_hdlc(
    client: int = 1, server: int = 1, physical: int | None = PHYSICAL, offered: LinkParameters | None = None
) -> ClientConnection:
    framing = HdlcClientFraming(client, HdlcAddress(server, physical), offered)
    return public_client(server, framing) if client == 16 else clear_client(server, framing)


def link_of(connection: ClientConnection) -> LinkParameters:
    framing = connection._framing
    assert isinstance(framing, HdlcClientFraming)
    return framing.link.parameters


# --- HDLC over TCP


async def test_two_logical_devices_of_one_physical_device(wire: Wire) -> None:
    await wire.listen(communication=HdlcProfile(PHYSICAL))
    for server, name in ((1, b"AMIM1001"), (2, b"AMIM1002")):
        for physical in (PHYSICAL, None):
            caller = await Caller.call(wire.port, over_hdlc(server=server, physical=physical))
            assert isinstance(await caller.ask(Open()), Opened)
            assert (await caller.ask(Get(attribute(DEVICE_NAME, 2)))).value.value == name
            await caller.close()


async def test_another_physical_device_is_not_answered(wire: Wire) -> None:
    await wire.listen(communication=HdlcProfile(PHYSICAL))
    stranger, caller = await Caller.call(wire.port, over_hdlc(physical=18)), await Caller.call(wire.port, over_hdlc())
    stranger.writer.write(stranger.connection.send(Open()))
    assert isinstance(await caller.ask(Open()), Opened)
    await wire.stop()
    assert await asyncio.wait_for(stranger.reader.read(), PATIENCE_S) == b"", "not a single octet"
    for one in (stranger, caller):
        await one.close()


@pytest.mark.parametrize(
    ("offered", "agreed"),
    [
        (None, LinkParameters(128, 128, 1, 1)),
        (LARGE, LinkParameters(1024, 512, 4, 2)),
        (LinkParameters(64, 200, 3, 3), LinkParameters(64, 200, 3, 2)),
    ],
)
async def test_a_long_profile_comes_in_segments_of_the_agreed_length(
    wire: Wire, offered: LinkParameters | None, agreed: LinkParameters
) -> None:
    """The meter sends up to 512 octets, two at a time, and takes 1024, four at a time."""
    await wire.listen(communication=HdlcProfile(PHYSICAL, LinkParameters(512, 1024, 2, 4)))
    wire.bench.later(days=2)
    caller = await Caller.call(wire.port, over_hdlc(offered=offered))
    assert isinstance(await caller.ask(Open()), Opened)
    assert link_of(caller.connection) == agreed
    assert len((await caller.ask(Get(attribute(PROFILE, 2)))).value.value) == 2 * 96
    await caller.close()


async def test_two_clients_have_a_link_each_on_one_connection(wire: Wire) -> None:
    """As behind a concentrator: one connection, several links."""
    await wire.listen(communication=HdlcProfile(PHYSICAL))
    first = await Caller.call(wire.port, over_hdlc())
    second = Caller(over_hdlc(client=16, server=2), first.reader, first.writer)
    for caller in (first, second):
        assert isinstance(await caller.ask(Open()), Opened)
    assert (await second.ask(Get(attribute(DEVICE_NAME, 2)))).value.value == b"AMIM1002"
    assert (await first.ask(Get(attribute(DEVICE_NAME, 2)))).value.value == b"AMIM1001"
    await first.close()


async def test_a_link_that_is_idle_for_too_long_is_gone(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admission, "SWEEP_S", 0.01)
    await wire.listen(communication=HdlcProfile(PHYSICAL), idle_timeout_s=1000.0, inactivity_s=100.0)
    gone = asyncio.Event()
    wire.watch = lambda event: gone.set() if wire.events("association")[-1:][0]["what"] == "released" else None
    caller = await Caller.call(wire.port, over_hdlc())
    assert isinstance(await caller.ask(Open()), Opened)
    monkeypatch.setattr(admission, "real_time", lambda: real_time() + 101.0)
    await asyncio.wait_for(gone.wait(), PATIENCE_S)
    await caller.close()


@pytest.mark.parametrize("octets", [b"GET / HTTP/1.1\r\n\r\n", b"\x7e" * 64, b"\x7e\xa7\xff" + bytes(64)])
async def test_noise_on_the_line_harms_nobody(wire: Wire, octets: bytes) -> None:
    await wire.listen(communication=HdlcProfile(PHYSICAL))
    noisy, caller = await Caller.call(wire.port, over_hdlc()), await Caller.call(wire.port, over_hdlc())
    noisy.writer.write(octets)
    assert isinstance(await caller.ask(Open()), Opened)
    assert (await caller.ask(Get(attribute(IMPORT, 2)))).value is not None
    for one in (noisy, caller):
        await one.close()


# --- the wrapper over UDP


class Datagrams:
    """A client with a connected socket, which takes answers from nowhere else."""

    def __init__(self, connection: ClientConnection, address: tuple[str, int]) -> None:
        family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self.connection = connection
        self.socket = socket.socket(family, socket.SOCK_DGRAM)
        self.socket.setblocking(False)
        self.socket.connect(address)

    async def ask(self, request: Request) -> Any:
        loop = asyncio.get_running_loop()
        octets = self.connection.send(request)
        while True:
            for one in wrapper.datagrams(octets):
                await loop.sock_sendall(self.socket, one)
            self.connection.receive_data(await asyncio.wait_for(loop.sock_recv(self.socket, 65536), PATIENCE_S))
            event = self.connection.next_event()
            octets = self.connection.data_to_send()
            if event is not None:
                return event

    def close(self) -> None:
        self.socket.close()


@pytest.fixture
def datagrams() -> Iterator[Any]:
    made: list[Datagrams] = []

    def make(port: int, connection: ClientConnection | None = None, host: str = "127.0.0.1") -> Datagrams:
        made.append(Datagrams(connection or clear_client(), (host, port)))
        return made[-1]

    yield make
    for one in made:
        one.close()


async def test_over_udp_each_client_has_an_association_of_its_own(wire: Wire, datagrams: Any) -> None:
    await wire.listen_udp()
    first, second = datagrams(wire.port), datagrams(wire.port, clear_client(2))
    for one in (first, second):
        assert isinstance(await one.ask(Open()), Opened)
    assert (await second.ask(Get(attribute(DEVICE_NAME, 2)))).value.value == b"AMIM1002"
    assert (await first.ask(Get(attribute(CLOCK, 2)))).value is not None


async def test_what_is_no_pdu_is_reported_and_makes_no_session(wire: Wire, datagrams: Any) -> None:
    await wire.listen_udp(most=1)
    noise = [datagrams(wire.port) for _ in range(8)]
    for one in noise:
        one.socket.send(b"GET / HTTP/1.1")
    last = datagrams(wire.port)
    assert isinstance(await last.ask(Open()), Opened)
    assert len(wire.events("discarded")) == 8 and "wrapper" in wire.events("discarded")[0]["reason"]
    assert len(wire.admission) == 1


async def test_clients_of_udp_are_counted_and_the_silent_ones_give_way(wire: Wire, datagrams: Any) -> None:
    await wire.listen_udp(most=2)
    unknown = wrapper.encode(WrapperPdu(99, 1, b"\xc0\x01\xc1\x00"))
    for _ in range(20):
        stranger = datagrams(wire.port)
        stranger.socket.send(unknown)
    caller = datagrams(wire.port)
    assert isinstance(await caller.ask(Open()), Opened)
    assert len(wire.admission) == 4, "two for each of the two meters"


async def test_a_client_of_udp_that_is_silent_is_forgotten(
    wire: Wire, datagrams: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admission, "SWEEP_S", 0.01)
    await wire.listen_udp(idle_timeout_s=1000.0)
    caller = datagrams(wire.port)
    assert isinstance(await caller.ask(Open()), Opened)
    monkeypatch.setattr(admission, "real_time", lambda: real_time() + 1001.0)
    while len(wire.admission):
        await asyncio.sleep(0)
    caller.connection = clear_client()
    assert isinstance(await caller.ask(Open()), Opened), "and may begin anew"


# --- what a meter does wrong, over HDLC


def misbehaving_wire(directory: Path, **rule: Any) -> Wire:
    return Wire(Bench(directory).start(), faults=misbehaving(rule))


async def test_a_silent_meter_keeps_its_link_and_answers_no_question(tmp_path: Path) -> None:
    """A question that is repeated by the link is no reason to answer: the meter has nothing to say."""
    wire = misbehaving_wire(tmp_path, fault="silent", when={"service": ["get"]})
    await wire.listen(communication=HdlcProfile(PHYSICAL))
    caller = await Caller.call(wire.port, over_hdlc())
    assert isinstance(await caller.ask(Open()), Opened)
    framing = caller.connection._framing
    assert isinstance(framing, HdlcClientFraming)
    caller.writer.write(caller.connection.send(Get(attribute(IMPORT, 2))))
    for _ in range(2):
        caller.writer.write(framing.timeout())
        caller.connection.receive_data(await asyncio.wait_for(caller.reader.read(4096), PATIENCE_S))
        assert caller.connection.next_event() is None, "the link answers, the meter does not"
    await caller.close()
    await wire.stop()


async def test_a_meter_without_power_is_silent_and_the_other_on_the_line_is_not(wire: Wire) -> None:
    await wire.listen(communication=HdlcProfile(PHYSICAL))
    wire.fleet.meters["M1002"].lose_power(wire.bench.at)
    dark, lit = await Caller.call(wire.port, over_hdlc(server=2)), await Caller.call(wire.port, over_hdlc())
    dark.writer.write(dark.connection.send(Open()))
    assert isinstance(await lit.ask(Open()), Opened)
    await wire.stop()
    assert await asyncio.wait_for(dark.reader.read(), PATIENCE_S) == b"", "not a single octet"
    for one in (dark, lit):
        await one.close()


async def test_a_meter_that_is_always_silent_sends_no_frame(tmp_path: Path) -> None:
    wire = misbehaving_wire(tmp_path, fault="silent")
    await wire.listen(communication=HdlcProfile(PHYSICAL))
    caller, other = await Caller.call(wire.port, over_hdlc()), await Caller.call(wire.port, over_hdlc(client=16))
    said = [one.connection.send(Open()) for one in (caller, other)]
    for one, octets in zip((caller, other), said, strict=True):
        one.writer.write(octets)
    while wire.fleet.traffic.octets_received < sum(map(len, said)):
        await asyncio.sleep(0)
    await wire.stop()
    for one in (caller, other):
        assert await asyncio.wait_for(one.reader.read(), PATIENCE_S) == b""
        await one.close()


@pytest.mark.parametrize(
    "rule", [{"fault": "slice", "size": 3}, {"fault": "splits-every-byte"}, {"fault": "latency", "seconds": 0.01}]
)
async def test_frames_in_pieces_are_still_frames(tmp_path: Path, rule: dict[str, Any]) -> None:
    wire = misbehaving_wire(tmp_path, **rule)
    await wire.listen(communication=HdlcProfile(PHYSICAL))
    caller = await Caller.call(wire.port, over_hdlc())
    assert isinstance(await caller.ask(Open()), Opened)
    assert (await caller.ask(Get(attribute(DEVICE_NAME, 2)))).value.value == b"AMIM1001"
    await caller.close()
    await wire.stop()


async def test_an_apdu_that_is_cut_short_comes_in_a_frame_with_the_right_check(tmp_path: Path) -> None:
    wire = misbehaving_wire(tmp_path, fault="truncated", when={"service": ["get"]})
    await wire.listen(communication=HdlcProfile(PHYSICAL))
    caller = await Caller.call(wire.port, over_hdlc())
    assert isinstance(await caller.ask(Open()), Opened)
    with pytest.raises(DecodeError, match="get_response"):
        await caller.ask(Get(attribute(DEVICE_NAME, 2)))
    assert caller.connection._framing.link.discarded == 0, "no frame was damaged"  # type: ignore[attr-defined]
    await caller.close()
    await wire.stop()
