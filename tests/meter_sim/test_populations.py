"""Populations: tables that are checked, meters that are made when they are addressed, and go with their last connection."""

from __future__ import annotations

import asyncio
import gc
import socket
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from bench import (
    CLIENT_TITLE,
    DEVICE_ID,
    DEVICE_NAME,
    IMPORT,
    START,
    SWITCH,
    Caller,
    attribute,
    gmac_client,
    method,
    public_client,
)
from devices import described
from free_ports import free_port
from patience import PATIENCE_S
from served import COUNT, FIRST, Served, load, table

from ami_dlms import data
from ami_dlms.association import Action, ClientConnection, Get, Open, Opened, Release, Security
from ami_dlms.enums import ActionResult
from ami_dlms.framing.hdlc_address import HdlcAddress
from ami_dlms.framing.hdlc_framing import HdlcClientFraming
from ami_dlms.obis import Obis
from ami_dlms.security import GlobalKeys
from ami_meter_sim import app
from ami_meter_sim import load as physics
from ami_meter_sim.app import Running, start
from ami_meter_sim.events import StateError
from ami_meter_sim.lines.sockets import leaves_from
from ami_meter_sim.load import HouseKind
from ami_meter_sim.meter.counters import RECEIVE_AHEAD
from ami_meter_sim.meter.simulated_meter import Meter
from ami_meter_sim.populating import prepare
from ami_meter_sim.population.identity import KeyPurpose
from ami_meter_sim.population.journal import StateUnusable
from ami_meter_sim.settings import Settings
from ami_packs.model import Model
from ami_process.clocks import SteppedClock
from ami_process.environment import Environment
from ami_process.settings import SettingsError

DISCONNECT = Action(method(SWITCH, 1), data.integer(0))


def client(settings: Settings, index: int, counter: int = 1) -> ClientConnection:
    (one,) = prepare(settings.populations)
    identities = one.population.identities
    keys = GlobalKeys(identities.key(index, KeyPurpose.ENCRYPTION), identities.key(index, KeyPurpose.AUTHENTICATION))
    title = identities.system_title(index)
    return gmac_client(counter, security=Security(keys=keys, system_title=CLIENT_TITLE, peer_system_title=title))


class Site:
    """A population that is served on loopback addresses, and started again as often as wanted."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.settings = load(directory, table(port=free_port()))
        self.clock = SteppedClock(START)
        self.events: list[Any] = []
        self.running: Running

    async def start(self) -> Site:
        environment = Environment(emit=self.events.append).by(self.clock)
        self.running = await start(self.settings, (), environment)
        return self

    async def die(self) -> None:
        """As a process that is killed; what was written is all that is left."""
        for listener in self.running.listeners:
            await listener.stop()
        for task in self.running.tasks:
            task.cancel()
        await asyncio.gather(*self.running.tasks, return_exceptions=True)
        assert self.running.fleet.store is not None
        self.running.fleet.store.abandon()

    async def call(self, index: int, counter: int = 1) -> Caller:
        (one,) = prepare(self.settings.populations)
        host, port, _ = one.plan.place(index)
        reader, writer = await asyncio.open_connection(host, port)
        caller = Caller(client(self.settings, index, counter), reader, writer)
        assert isinstance(await caller.ask(Open()), Opened)
        return caller

    async def nobody_is_alive(self) -> None:
        """Without the garbage collector: a connection and what carries it may not keep each other, or a meter with them."""
        gc.disable()
        try:
            async with asyncio.timeout(60):
                while self.running.fleet.alive:
                    await asyncio.sleep(0)
        finally:
            gc.enable()


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    one = await Site(tmp_path).start()
    yield one
    await one.running.stop()


async def value(caller: Caller, which: tuple[int, str], number: int = 2) -> Any:
    return (await caller.ask(Get(attribute(which, number)))).value.value


@pytest.mark.needs("loopback-block")
async def test_each_address_is_a_meter_of_its_own(site: Site) -> None:
    for index in (0, 1, 255, COUNT - 1):
        caller = await site.call(index)
        assert await value(caller, DEVICE_ID) == b"%010d" % (FIRST + index)
        await caller.ask(Release())
        await caller.close()


@pytest.mark.needs("loopback-block")
async def test_a_meter_lives_as_long_as_its_connections(site: Site) -> None:
    first, second = await site.call(7), await site.call(7, 10)
    other = await site.call(8)
    assert site.running.fleet.alive == 2, "one for both connections to the same meter"
    assert (await second.ask(DISCONNECT)).result is ActionResult.SUCCESS
    assert await value(second, SWITCH) is False
    for caller in (first, second, other):
        await caller.close()
    await site.nobody_is_alive()
    again = await site.call(7, 30)
    assert await value(again, SWITCH) is False, "its row is what it was"
    await again.close()


@pytest.mark.needs("loopback-block")
async def test_counters_go_on_exactly_where_they_were_and_a_session_writes_nothing(site: Site) -> None:
    caller = await site.call(7, 1)
    await caller.close()
    store = site.running.fleet.store
    assert store is not None
    end, sent = store.journal.segments[-1].end, 0
    for session in range(1, 6):
        counter = int(store.columns["receive_lowest"][7])
        caller = await site.call(7, counter)
        assert await value(caller, IMPORT) is not None
        await caller.close()
        await site.nobody_is_alive()
        assert counter < int(store.columns["receive_lowest"][7]) <= counter + 5
        sent = int(store.columns["send_next"][7])
        assert sent < 10 * session
    assert store.journal.segments[-1].end == end, "five sessions that only read are inside what was reserved"


@pytest.mark.needs("loopback-block")
async def test_no_counter_is_used_twice_when_the_process_is_killed(site: Site) -> None:
    used = set()
    for _ in range(3):
        store = site.running.fleet.store
        assert store is not None
        caller = await site.call(7, int(store.columns["receive_lowest"][7]))
        await caller.ask(DISCONNECT)
        before = int(store.columns["send_next"][7])
        assert before not in used
        used |= set(range(before))
        await caller.close()
        await site.die()
        await site.start()
        assert site.running.fleet.store is not None
        assert site.running.fleet.store.columns["send_next"][7] >= before
        assert site.running.fleet.store.columns["receive_lowest"][7] <= 3 * (RECEIVE_AHEAD + 10)
        assert site.running.fleet.live(7).switch.output_state is False


@pytest.mark.needs("loopback-block")
async def test_after_a_clean_end_counters_are_exact(site: Site) -> None:
    caller = await site.call(7)
    await caller.close()
    store = site.running.fleet.store
    assert store is not None
    used = int(store.columns["send_next"][7]), int(store.columns["receive_lowest"][7])
    await site.running.stop()
    await site.start()
    assert site.running.fleet.store is not None
    columns = site.running.fleet.store.columns
    assert (columns["send_next"][7], columns["receive_lowest"][7]) == used


@pytest.mark.needs("loopback-block")
async def test_registers_never_go_back_over_a_restart(site: Site) -> None:
    """Nothing was written in these hours, and the meter is not alive when the process ends."""
    caller = await site.call(7)
    before = await value(caller, IMPORT)
    await site.clock.advance_to(START + timedelta(hours=4))
    shown = await value(caller, IMPORT)
    assert shown > before
    await caller.close()
    await site.nobody_is_alive()
    await site.running.stop()
    await site.start()
    assert site.running.fleet.store is not None
    caller = await site.call(7, int(site.running.fleet.store.columns["receive_lowest"][7]))
    assert await value(caller, IMPORT) == shown
    await caller.close()


@pytest.mark.needs("loopback-block")
async def test_counters_stay_with_their_keys_whatever_the_population_is_called(site: Site) -> None:
    caller = await site.call(7)
    assert (await caller.ask(DISCONNECT)).result is ActionResult.SUCCESS
    await caller.close()
    assert site.running.fleet.store is not None
    used = int(site.running.fleet.store.columns["send_next"][7])
    await site.running.stop()
    site.settings = load(site.directory, table(name="south", port=site.settings.populations[0].port))
    await site.start()
    assert site.running.fleet.store is not None
    assert site.running.fleet.store.columns["send_next"][7] == used
    assert site.running.fleet.live(7).switch.output_state is False


async def test_a_key_that_was_used_does_not_begin_anew_under_another_number(site: Site) -> None:
    await site.running.stop()
    port = site.settings.populations[0].port
    site.settings = load(site.directory, table(first_serial=FIRST + 5, port=port))
    with pytest.raises(
        StateUnusable, match=f"numbers {FIRST} to {FIRST + COUNT - 1}.*first_serial = {FIRST}, another seed"
    ):
        await site.start()
    site.settings = load(site.directory, table(first_serial=FIRST + 5, seed="another", port=port))
    await site.start()


async def test_what_is_due_is_done_while_nobody_talks_to_the_meter(site: Site) -> None:
    site.running.fleet.live(7)
    gc.collect()
    assert site.running.fleet.alive == 0 and site.running.fleet.store is not None
    due_at = int((START + timedelta(minutes=30)).timestamp())
    planned = site.running.fleet.store.columns["next_due_at"]
    planned[7] = due_at
    site.running.fleet.planned(due_at)
    await site.clock.advance_to(START + timedelta(hours=1))
    assert not planned.any(), "it was looked at, and has nothing more to do: rows of a profile are no work"


async def test_a_meter_that_can_not_be_made_does_not_keep_the_others_from_what_is_due(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    fleet = site.running.fleet
    assert fleet.store is not None
    whole = fleet.live

    def live(index: int) -> Meter:
        if index == 7:
            raise StateUnusable("no room")
        return whole(index)

    monkeypatch.setattr(fleet, "live", live)
    due_at = int((START + timedelta(minutes=30)).timestamp())
    for index in (7, 8):
        fleet.store.columns["next_due_at"][index] = due_at
    fleet.planned(due_at)
    await site.clock.advance_to(START + timedelta(minutes=31))
    assert fleet.store.columns["next_due_at"][8] != due_at
    assert "no room" in [event.reason for event in site.events if isinstance(event, StateError)]


async def test_a_meter_is_found_by_its_name(site: Site) -> None:
    found = site.running.fleet.find("AMI0000002008")
    assert found is not None and found.row.index == 7
    assert site.running.fleet.find("AMI0000000000") is site.running.fleet.find("M1001") is None


@pytest.mark.needs("loopback-block")
async def test_a_connection_to_a_neighbour_s_address_is_closed(site: Site) -> None:
    reader, writer = await asyncio.open_connection("127.9.9.9", site.settings.populations[0].port)
    writer.write(b"\x00\x01")
    with pytest.raises(ConnectionError):
        while await reader.read(1):
            pass
        raise ConnectionError
    writer.close()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"model": "none-such"}, "none-such"),
        ({"count": 0}, "count"),
        ({"count": 2**24 + 1}, "count"),
        ({"name": "a/b"}, "name"),
        ({"seed": ""}, "seed"),
        ({"manufacturer": "ami"}, "manufacturer"),
        ({"first_serial": 10**10 - 1}, "serial numbers"),
        ({"addressing": "port-each", "port": 60_000}, "ports from 60000"),
        ({"addressing": "logical-devices", "count": 70_000}, "logical devices"),
        ({"address": "host.example"}, "host.example is no address"),
        ({"authentication": "none"}, 'needs ciphering = "none"'),
        ({"shares": {"shop": 0, "household": 0, "solar": 0, "heat_pump": 0, "car": 0}}, "shares"),
        ({"shares": {"factory": 3}}, "factory"),
        ({"topology": {"meters_per_transformer": 0}}, "meters_per_transformer"),
        ({"colour": "red"}, "colour"),
        ({"dial_to": "4059"}, "host:port"),
        ({"dial_to": "127.0.0.1:4059"}, "50000 meters with dial_to: 10000 at most"),
        ({"dial_to": "127.0.0.1:4059", "count": 9, "addressing": "logical-devices"}, "dial_to needs addressing"),
        ({"dial_to": "127.0.0.1:4059", "count": 9, "transport": "udp"}, "dial_to needs addressing"),
    ],
)
def test_a_table_that_can_not_be_used_is_refused_with_the_reason(
    tmp_path: Path, change: dict[str, Any], said: str
) -> None:
    with pytest.raises(Exception, match=said) as refused:
        prepare(load(tmp_path, table(**change)).populations)
    assert isinstance(refused.value, SettingsError) or type(refused.value).__name__ == "ModelError"
    assert "a seed" not in str(refused.value)


@pytest.mark.parametrize(("change", "said"), [({}, "the name north"), ({"name": "south"}, "serial numbers in common")])
def test_two_populations_share_nothing(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        prepare(load(tmp_path, table(), table(**change)).populations)


def test_a_seed_may_be_in_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEED", "a seed")
    named, given = (load(tmp_path, table(seed=seed)).populations for seed in ("env:SEED", "a seed"))
    one, other = (prepare(tables)[0].population.identities for tables in (named, given))
    assert one.key(3, KeyPurpose.ENCRYPTION) == other.key(3, KeyPurpose.ENCRYPTION)
    assert "a seed" not in repr(named)


def test_what_is_behind_the_meters_follows_from_shares_seed_and_feeder(tmp_path: Path) -> None:
    def sites(**more: Any) -> list[physics.Site]:
        (one,) = prepare(load(tmp_path, table(**more)).populations)
        drawn = [one.population.setup(index).site for index in range(600)]
        assert all(site is not None for site in drawn)
        return [site() for site in drawn if site is not None]

    kinds = Counter(
        site.kind for site in sites(shares={"household": 3, "solar": 1, "heat_pump": 0, "car": 0, "shop": 0})
    )
    assert set(kinds) == {HouseKind.HOUSEHOLD, HouseKind.SOLAR}
    assert 0.18 < kinds[HouseKind.SOLAR] / 600 < 0.32
    one, other = sites(), sites(seed="another seed")
    assert {site.seed for site in one}.isdisjoint(site.seed for site in other)
    assert len({site.connection.feeder for site in one}) == 2, "480 meters on the first feeder, the others on the next"
    assert [one[index].connection.position_permille for index in (0, 39, 40)] == [0, 1000, 0]


def test_a_shipment_says_what_the_meters_are(tmp_path: Path) -> None:
    (one,) = prepare(load(tmp_path, table(time_zone_minutes=-60, suite=2)).populations)
    row, setup = one.shipment().row(7), one.population.setup(7)
    security = setup.management.security
    assert security is not None
    assert row["encryption_key"] == security.keys.encryption_key.hex().upper()
    assert row["address"] == "127.1.0.7:1" and row["server_wport"] == setup.server_wport
    assert row["system_title"] == security.system_title.hex().upper()
    assert (row["name"], row["time_zone_minutes"]) == (setup.identity.name, setup.time_zone_minutes)


# --- transports, and what leaves unasked


@pytest.mark.needs("loopback-block")
async def test_a_population_over_hdlc(tmp_path: Path) -> None:
    async with Served(load(tmp_path, table(port=free_port(), transport="hdlc"))) as one:
        (prepared,) = prepare(one.settings.populations)
        for index in (0, COUNT - 1):
            host, port, server = prepared.plan.place(index)
            framing = HdlcClientFraming(16, HdlcAddress(server))
            caller = Caller(public_client(framing=framing), *await asyncio.open_connection(host, port))
            assert isinstance(await caller.ask(Open()), Opened)
            assert await value(caller, DEVICE_NAME) == prepared.population.identities.logical_device_name(index)
            await caller.close()
        assert next(iter(prepared.shipment().rows([0])))["transport"] == "hdlc"


@pytest.mark.needs("loopback-block")
async def test_a_population_over_udp_answers_from_the_address_that_was_asked(tmp_path: Path) -> None:
    async with Served(load(tmp_path, table(port=free_port(), transport="udp"))) as one:
        (prepared,) = prepare(one.settings.populations)
        host, port, _ = prepared.plan.place(300)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.setblocking(False)
            client.connect((host, port))
            connection = public_client()
            client.send(connection.send(Open()))
            connection.receive_data(
                await asyncio.wait_for(asyncio.get_running_loop().sock_recv(client, 65536), PATIENCE_S)
            )
            assert isinstance(connection.next_event(), Opened)


def test_logical_devices_beyond_an_octet_have_no_address_of_hdlc(tmp_path: Path) -> None:
    many = load(tmp_path, table(addressing="logical-devices", transport="hdlc", address="127.0.0.1", count=1000))
    with pytest.raises(SettingsError, match="no upper address of HDLC"):
        prepare(many.populations)


@pytest.mark.needs("loopback-block")
async def test_a_push_leaves_from_the_meter_s_own_address(tmp_path: Path) -> None:
    """The last of a new meter's pushes: it announces itself as soon as somebody addresses it."""
    setup_name = Obis.parse("0-7:25.9.0")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.setblocking(False)
        host, port = receiver.getsockname()
        destination = data.structure(data.enum(1), data.octet_string(f"{host}:{port}".encode()), data.enum(0))
        async with Served(load(tmp_path, table(port=free_port()))) as one:
            (population,) = one.running.fleet.populations
            pushing = described((40, str(setup_name)), attributes={3: destination})
            model = population.model
            more = Model((*model.objects.values(), pushing), model.associations, model.load)
            one.running.fleet.populations[0] = replace(population, model=more)
            one.running.fleet.live(4321)
            octets, (sender, _) = await asyncio.wait_for(
                asyncio.get_running_loop().sock_recvfrom(receiver, 65536), PATIENCE_S
            )
            assert sender == prepare(one.settings.populations)[0].plan.place(4321)[0]
            assert octets[:2] == b"\0\1"


async def test_a_limit_of_open_files_that_is_too_low_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "OPEN_FILES_OF_POPULATIONS", 10**9)
    async with Served(load(tmp_path, table(port=free_port()))) as one:
        (few,) = one.reported.seen("few_open_files")
    assert few["wanted"] == 10**9 and 0 < few["possible"] < 10**9


@pytest.mark.needs("loopback-block")
async def test_a_population_dials_in_from_its_own_addresses_and_is_served_there(tmp_path: Path) -> None:
    calls: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()
    server = await asyncio.start_server(lambda *both: calls.put_nowait(both), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with Served(load(tmp_path, table(count=5, dial_to=f"127.0.0.1:{port}"))) as one:
        (prepared,) = prepare(one.settings.populations)
        assert one.running.listening == []
        places = {prepared.plan.place(index)[0]: index for index in range(5)}
        for _ in range(5):
            reader, writer = await asyncio.wait_for(calls.get(), PATIENCE_S)
            index = places.pop(writer.get_extra_info("peername")[0])
            caller = Caller(client(one.settings, index), reader, writer)
            assert isinstance(await caller.ask(Open()), Opened)
            assert await value(caller, DEVICE_ID) == b"%010d" % (FIRST + index)
            await caller.close()
        assert not places
        assert next(iter(prepared.shipment().rows([0])))["address"] == "dials-in"
    while not calls.empty():
        (await calls.get())[1].close()
    server.close()


@pytest.mark.parametrize(
    ("own", "to", "leaves"),
    [
        ("127.1.0.0", "127.0.0.1", "127.1.0.0"),
        ("127.1.0.0", "localhost", "127.1.0.0"),
        ("127.1.0.0", "192.0.2.1", None),
        ("127.1.0.0", "hes", None),
        ("2001:db8::7", "hes", "2001:db8::7"),
        (None, "127.0.0.1", None),
    ],
)
def test_what_is_for_another_machine_does_not_leave_from_a_loopback_address(
    own: str | None, to: str, leaves: str | None
) -> None:
    assert leaves_from(own, to) == leaves
