"""Meters of a population on real sockets of the loopback: which one is meant, who is hung up, and what a taken port is told."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from bench import DEVICE_NAME, START, Bench, Caller, attribute, public_client, randomness, setup
from free_ports import free_port, free_ports
from patience import PATIENCE_S
from reported import ignore
from tools import PREFIX

from ami_dlms.association import ClientConnection, Get, Open, Opened
from ami_dlms.framing import wrapper
from ami_meter_sim.fleet import Fleet
from ami_meter_sim.lines.addresses import MOST_LIVE, LiveMeters, OfPopulation
from ami_meter_sim.lines.admission import Admission
from ami_meter_sim.lines.connection import Service
from ami_meter_sim.lines.opening import Listener, Socket, listen
from ami_meter_sim.lines.sockets import Datagrams, connected
from ami_meter_sim.meter.simulated_meter import Meter
from ami_meter_sim.population.addressing import Addressing, AddressingError, AddressPlan, Door
from ami_process.environment import Environment
from ami_process.sockets import AddressInUse, ListenFailed

FIRST = "127.16.0.1"
COUNT = 100_000


class Population:
    """A plan whose meters are made when they are asked for."""

    def __init__(self, directory: Path, plan: AddressPlan) -> None:
        self.directory = directory
        self.plan = plan
        self.made: list[int] = []
        self.listeners: list[Listener] = []
        self.fleet = Fleet((), Environment(emit=ignore, now=lambda: START, random_bytes=randomness()))

    def live(self, index: int) -> Meter:
        self.made.append(index)
        return Bench(self.directory).start(setup(f"M{index}", server_wport=self.plan.place(index)[2]))

    async def open(self, *, udp: bool = False, device: str | None = None) -> None:
        admission = Admission(5.0)
        for door in self.plan.doors():
            where = Socket(door.host, door.port, "populations[1].address", udp, device)
            addresses = OfPopulation(door, self.live)
            listener, _ = await listen(where, Service(self.fleet), admission, addresses, 4)
            self.listeners.append(listener)
        self.admission = admission

    async def close(self) -> None:
        for listener in self.listeners:
            await listener.stop()
        if self.listeners:
            self.admission.close()


@pytest.fixture
async def population(tmp_path: Path) -> AsyncIterator[Any]:
    made: list[Population] = []

    def make(
        addressing: Addressing = Addressing.ADDRESS_EACH, host: str = FIRST, port: int = 0, count: int = COUNT
    ) -> Population:
        made.append(Population(tmp_path, AddressPlan(addressing, host, port or free_port(), count)))
        return made[-1]

    yield make
    for one in made:
        await one.close()


async def name_of(host: str, port: int, server_wport: int = 1) -> bytes:
    """What the meter there calls itself."""
    caller = Caller(public_client(server_wport), *await asyncio.open_connection(host, port))
    assert isinstance(await caller.ask(Open()), Opened)
    name = (await caller.ask(Get(attribute(DEVICE_NAME, 2)))).value.value
    await caller.close()
    return bytes(name)


async def name_over_udp(connection: ClientConnection, host: str, port: int) -> bytes:
    """The same over a connected socket, which takes answers from nowhere else."""
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.setblocking(False)
        client.connect((host, port))
        for request in (Open(), Get(attribute(DEVICE_NAME, 2))):
            for one in wrapper.datagrams(connection.send(request)):
                await loop.sock_sendall(client, one)
            connection.receive_data(await asyncio.wait_for(loop.sock_recv(client, 65536), PATIENCE_S))
            event = connection.next_event()
    return bytes(event.value.value)


@pytest.mark.needs("loopback-block")
async def test_each_meter_has_an_address_behind_one_socket(population: Any) -> None:
    one = population()
    await one.open()
    assert len(one.listeners) == 1
    for index in (0, 1, 254, 255, 77_777, COUNT - 1):
        host, port, _ = one.plan.place(index)
        assert await name_of(host, port) == b"AMIM%d" % index
    assert one.made == [0, 1, 254, 255, 77_777, COUNT - 1], "no other meter was made"


@pytest.mark.needs("loopback-block")
async def test_over_udp_the_answer_comes_from_the_address_that_was_asked(population: Any) -> None:
    one = population()
    await one.open(udp=True)
    for index in (0, 256, COUNT - 1):
        host, port, _ = one.plan.place(index)
        assert await name_over_udp(public_client(), host, port) == b"AMIM%d" % index


@pytest.mark.parametrize("udp", [False, True])
async def test_an_address_of_ipv6(population: Any, udp: bool) -> None:
    """More than ::1 needs a prefix that is routed here."""
    one = population(host="::1", count=1)
    await one.open(udp=udp)
    _, port, _ = one.plan.place(0)
    name = await (name_over_udp(public_client(), "::1", port) if udp else name_of("::1", port))
    assert name == b"AMIM0"


@pytest.mark.needs("routed-prefix")
@pytest.mark.parametrize("udp", [False, True])
async def test_each_meter_has_an_address_of_a_prefix_that_is_routed_here(population: Any, udp: bool) -> None:
    one = population(host=str(ip_network(PREFIX)[0x10]), count=70_000)
    await one.open(udp=udp)
    assert len(one.listeners) == 1
    for index in (0, 255, 69_999):
        host, port, _ = one.plan.place(index)
        name = await (name_over_udp(public_client(), host, port) if udp else name_of(host, port))
        assert name == b"AMIM%d" % index
    assert one.made == [0, 255, 69_999], "no other meter was made"


@pytest.mark.needs("routed-prefix")
async def test_what_a_meter_sends_unasked_leaves_from_its_address_of_a_routed_prefix() -> None:
    own, loop = str(ip_network(PREFIX)[0x10]), asyncio.get_running_loop()
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as receiver, socket.socket(socket.AF_INET6) as door:
        receiver.bind(("::1", 0))
        receiver.setblocking(False)
        line = Datagrams(socket.AF_INET6, ("::", 0))
        line.send(b"push", receiver.getsockname()[:2], own)
        octets, (host, *_) = await asyncio.wait_for(loop.sock_recvfrom(receiver, 16), PATIENCE_S)
        assert (octets, host) == (b"push", own)
        line.close()
        door.bind(("::1", 0))
        door.listen()
        with await connected("::1", door.getsockname()[1], own), door.accept()[0] as accepted:
            assert accepted.getpeername()[0] == own


@pytest.mark.needs("loopback-block")
@pytest.mark.parametrize("outside", ["127.0.0.1", "127.16.0.0", "127.17.134.161"])
async def test_an_address_outside_of_the_population_is_hung_up(population: Any, outside: str) -> None:
    one = population()
    await one.open()
    caller = Caller(public_client(), *await asyncio.open_connection(outside, one.plan.port))
    assert await caller.ask(Open()) is None
    await caller.close()
    assert not one.made


@pytest.mark.needs("loopback-block")
async def test_an_address_outside_of_the_population_is_silent_over_udp(population: Any) -> None:
    one = population()
    await one.open(udp=True)
    octets = public_client().send(Open())
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.sendto(octets, ("127.0.0.1", one.plan.port))
    host, port, _ = one.plan.place(3)
    assert await name_over_udp(public_client(), host, port) == b"AMIM3", "asked later, on the same socket"
    assert one.made == [3]


@pytest.mark.needs("loopback-block")
async def test_a_socket_may_be_bound_to_a_device(population: Any) -> None:
    one = population()
    await one.open(device="lo")
    assert await name_of(FIRST, one.plan.port) == b"AMIM0"
    other = population(host="127.20.0.1")
    with pytest.raises(ListenFailed, match=r"populations\[1\]"):
        await other.open(device="nosuchdevice0")


async def test_a_port_for_each(population: Any) -> None:
    ports = free_ports(3)
    one = population(Addressing.PORT_EACH, "127.0.0.1", ports[0], 3)
    await one.open()
    assert [await name_of("127.0.0.1", port) for port in ports] == [b"AMIM0", b"AMIM1", b"AMIM2"]


async def test_a_device_that_only_linux_can_keep_it_to_is_refused_elsewhere(
    population: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ami_meter_sim.lines.sockets.sys.platform", "darwin")
    with pytest.raises(ListenFailed, match="only Linux can keep it to the network device lo"):
        await population().open(device="lo")


async def test_logical_devices_of_one_address(population: Any) -> None:
    one = population(Addressing.LOGICAL_DEVICES, "127.0.0.1", count=1000)
    await one.open()
    for index in (0, 110, 111, 999):
        assert await name_of(*one.plan.place(index)) == b"AMIM%d" % index
    assert one.made == [0, 110, 111, 999]
    caller = Caller(public_client(0x7F), *await asyncio.open_connection("127.0.0.1", one.plan.port))
    assert not isinstance(await caller.ask(Open()), Opened), "the all-station address is nobody's"
    await caller.close()


async def test_one_connection_keeps_a_limited_number_of_meters_alive(population: Any) -> None:
    one = population(Addressing.LOGICAL_DEVICES, "127.0.0.1", count=1000)
    (door,) = one.plan.doors()
    meters = LiveMeters(door, "127.0.0.1", lambda index: index)
    assert [meters.get(wport) for wport in door.wports("127.0.0.1")].count(None) == 1000 - MOST_LIVE


# --- who has the port


@pytest.fixture
def other_process() -> Iterator[Any]:
    """A process that listens on 127.0.0.1, at the port that it says."""
    program = (
        "import socket; s = socket.create_server(('127.0.0.1', 0)); print(s.getsockname()[1], flush=True); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as running:
        assert running.stdout is not None
        yield running, int(running.stdout.readline())
        running.communicate("\n")


async def test_a_port_that_is_taken_names_the_process_and_the_setting(population: Any, other_process: Any) -> None:
    running, port = other_process
    with pytest.raises(AddressInUse) as taken:
        await population(port=port).open()
    assert taken.value.setting == "populations[1].address"
    assert f"by process {running.pid} ({sys.executable}" in taken.value.reason
    assert "another port or address family" in taken.value.reason


# --- plans


@pytest.mark.parametrize(
    ("addressing", "host", "count"),
    [
        (Addressing.ADDRESS_EACH, "127.0.0.1", 1_000_000),
        (Addressing.ADDRESS_EACH, "fd00:a11::1", 1_000_000),
        (Addressing.ADDRESS_EACH, "10.9.255.250", 1000),
        (Addressing.PORT_EACH, "127.0.0.1", 1000),
        (Addressing.LOGICAL_DEVICES, "127.0.0.1", 60_000),
    ],
)
def test_a_place_leads_back_to_its_meter(addressing: Addressing, host: str, count: int) -> None:
    plan = AddressPlan(addressing, host, 4059, count)
    doors: dict[int, Door] = {door.port: door for door in plan.doors()}
    for index in {0, 1, 110, 111, 112, 255, 256, count // 2, count - 1}:
        at, port, server_wport = plan.place(index)
        assert doors[port].serves(at) and doors[port].index(at, server_wport) == index
        assert server_wport in doors[port].wports(at)
    assert len({plan.place(index) for index in range(1000)}) == 1000


@pytest.mark.parametrize(
    ("addressing", "host", "port", "count", "words"),
    [
        (Addressing.ADDRESS_EACH, "127.255.255.0", 4059, 1000, "127.0.0.0/8"),
        (Addressing.ADDRESS_EACH, "localhost", 4059, 10, "no address"),
        (Addressing.PORT_EACH, "127.0.0.1", 65_000, 1000, "the last port is 65535"),
        (Addressing.LOGICAL_DEVICES, "127.0.0.1", 4059, 66_000, "the last wrapper port is 65535"),
        (Addressing.PORT_EACH, "127.0.0.1", 0, 1, "no port"),
        (Addressing.PORT_EACH, "127.0.0.1", 4059, 0, "of 0 meters"),
    ],
)
def test_a_population_that_does_not_fit(addressing: Addressing, host: str, port: int, count: int, words: str) -> None:
    with pytest.raises(AddressingError, match=words):
        AddressPlan(addressing, host, port, count)
