"""Snapshots: everything of all meters goes back but keys and their counters, which are never used twice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from bench import (
    EVENT_LOG,
    IMPORT,
    PROFILE,
    START,
    SWITCH,
    Bench,
    Caller,
    Wire,
    attribute,
    gmac,
    gmac_client,
    method,
    no_room,
    setup,
)
from patience import PATIENCE_S
from typer.testing import CliRunner

from ami_dlms import data
from ami_dlms.association import Action, ActionOutcome, Get, Open, Opened, Release, Set
from ami_dlms.enums import ActionResult
from ami_meter_sim.__main__ import app
from ami_meter_sim.admin.serving import serving_api
from ami_meter_sim.control import FleetControl
from ami_meter_sim.faults import Rule
from ami_meter_sim.objects.conditions import Condition
from ami_meter_sim.population.journal import Cell, Change, Forget, KeptAttribute, StateUnusable, frame
from ami_meter_sim.refusals import NotPossible, NotThere
from ami_meter_sim.settings import MeterSimSettings
from ami_meter_sim.snapshots import Snapshots
from ami_meter_sim.tap import Tap

DISCONNECT = Action(method(SWITCH, 1), data.integer(0))
CONTROL_MODE = Set(attribute(SWITCH, 4), data.enum(2))


class Place:
    """A meter with keys behind a socket, its snapshots, and a client that keeps its counter."""

    def __init__(self, directory: Path) -> None:
        self.bench = Bench(directory)
        self.counter = 1
        self.start()

    def start(self) -> None:
        self.bench.start(setup(management=gmac()))
        self.wire = Wire(self.bench.meter, now=lambda: self.bench.at)
        self.snapshots = Snapshots(self.wire.fleet)
        self.control = FleetControl(self.wire.fleet)

    async def call(self) -> Caller:
        caller = await Caller.call(self.wire.port, gmac_client(self.counter))
        self.counter += 100
        assert isinstance(await caller.ask(Open()), Opened)
        return caller

    async def asked(self, *requests: Any) -> list[Any]:
        """What a client gets in a dialogue of its own."""
        caller = await self.call()
        found = [await caller.ask(one) for one in requests]
        await caller.ask(Release())
        await caller.close()
        return found

    @property
    def seen(self) -> dict[str, Any]:
        """All that there is to be seen."""
        state = self.control.state("M1001")
        counters = {"next_sent_counter", "lowest_accepted_counter"}
        of_objects = [self.bench.read(which, number) for which, number in ((SWITCH, 4), (EVENT_LOG, 2), (PROFILE, 2))]
        return {key: value for key, value in state.items() if key not in counters} | {"objects": of_objects}


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    one = Place(tmp_path)
    await one.wire.listen()
    yield one
    await one.wire.stop()


async def test_everything_goes_back_but_the_counters(place: Place) -> None:
    await place.asked(CONTROL_MODE)
    place.bench.later(hours=2)
    place.control.set_condition("M1001", Condition.MAGNET, there=True)
    rule = place.wire.fleet.faults.set(Rule.parse({"fault": "slow", "seconds": 1.5, "meters": ["M2*"]}))
    before, sent = place.seen, place.bench.meter.counters.send.next_value
    assert before["conditions"] == ["magnet"]
    taken = await place.snapshots.take("before")
    assert (taken.meters, len(taken.rules)) == (1, 1)

    await place.asked(DISCONNECT, Set(attribute(SWITCH, 4), data.enum(4)))
    await place.control.reset()
    place.control.set_condition("M1001", Condition.TERMINAL_COVER, there=True)
    place.bench.meter.lose_power(place.bench.at)
    used = place.bench.meter.counters
    after, highest = used.send.next_value, used.receive.lowest_acceptable
    assert place.control.state("M1001")["powered"] is False and after > sent

    await place.snapshots.restore("before")
    assert place.seen == before
    [(_, again)] = place.wire.fleet.faults.rules
    assert again.described()["seconds"] == 1.5 and not place.wire.fleet.faults.remove(rule)
    assert place.bench.meter.counters.send.next_value >= after
    assert place.bench.meter.counters.receive.lowest_acceptable >= highest
    caller = await place.call()
    octets = place.bench.meter.counters.send.next_value
    assert octets > after, "each answer of the dialogue had a counter of its own, above all earlier ones"
    assert (await caller.ask(Get(attribute(SWITCH, 4)))).value == data.enum(2)
    await caller.close()


async def test_frames_after_a_restore_have_higher_counters_than_all_before(place: Place) -> None:
    seen: list[int] = []

    async def dialogue() -> None:
        caller = await place.call()
        for _ in range(3):
            caller.writer.write(caller.connection.send(Get(attribute(IMPORT, 2))))
            frame = await caller.reader.read(65536)
            start = frame.index(bytes.fromhex("414d4900000003e9")) + 8
            seen.append(int.from_bytes(frame[start + 2 : start + 6], "big"))
            caller.connection.receive_data(frame)
            assert caller.connection.next_event() is not None
        await caller.close()

    await dialogue()
    await place.snapshots.take("early")
    await dialogue()
    for _ in range(2):
        await place.snapshots.restore("early")
        await dialogue()
    place.bench.store.journal.write()
    assert seen == sorted(set(seen)) and len(seen) == 12


async def test_keys_stay_with_their_counters(place: Place) -> None:
    await place.snapshots.take("old-keys")
    await place.asked(DISCONNECT)
    place.bench.store.keep(0, (64, bytes.fromhex("00002b0000ff"), -64), data.encode(data.octet_string(bytes(16))))
    await place.snapshots.restore("old-keys")
    assert (64, bytes.fromhex("00002b0000ff"), -64) in place.bench.store.kept[0]
    assert place.control.state("M1001")["connected"] is True
    [file] = place.bench.directory.glob("snapshots/*")
    assert bytes(16) not in file.read_bytes() and file.stat().st_mode & 0o777 == 0o600


async def test_it_outlives_the_process_and_so_does_what_it_brought_back(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.bench.later(hours=1)
    await place.snapshots.take("first")
    assert place.bench.meter.act(DISCONNECT.descriptor, DISCONNECT.parameters, place.bench.at) == ActionOutcome(
        ActionResult.SUCCESS, None
    )
    place.start()
    assert place.control.state("M1001")["connected"] is False
    assert [one.name for one in place.snapshots.all()] == ["first"]
    await place.snapshots.restore("first")
    place.start()
    assert place.control.state("M1001")["connected"] is True
    place.snapshots.remove("first")
    assert place.snapshots.all() == []


async def test_an_open_connection_is_gone(place: Place) -> None:
    await place.snapshots.take("before")
    caller = await place.call()
    await place.snapshots.restore("before")
    with pytest.raises(ConnectionResetError):
        await caller.ask(Get(attribute(IMPORT, 2)))
    assert (await place.asked(Get(attribute(SWITCH, 2))))[0].value == data.boolean(True)


async def test_what_happened_meanwhile_is_caught_up_on(place: Place) -> None:
    """The meter goes on from where it was, up to now: registers and profiles have no hole."""
    await place.snapshots.take("before")
    place.bench.later(hours=1)
    await place.asked(DISCONNECT)
    place.bench.later(hours=3)
    await place.snapshots.restore("before")
    rows: Any = place.bench.read(PROFILE).value
    assert len(rows) == 16 and place.bench.value(IMPORT) > 0


async def test_what_is_refused(place: Place) -> None:
    snapshots = place.snapshots
    for name in ("", "Up", "../x", "a" * 61):
        with pytest.raises(NotPossible, match="is no name"):
            await snapshots.take(name)
        with pytest.raises(NotThere):
            await snapshots.restore(name)
    await snapshots.take("one")
    with pytest.raises(NotPossible, match="a snapshot one already"):
        await snapshots.take("one")
    with pytest.raises(NotThere, match="no snapshot 'two'"):
        await snapshots.restore("two")
    with pytest.raises(NotThere):
        snapshots.remove("two")


async def test_a_file_that_is_damaged_brings_nothing_back(place: Place) -> None:
    await place.snapshots.take("before")
    await place.asked(DISCONNECT)
    [file] = place.bench.directory.glob("snapshots/*")
    whole = file.read_bytes()
    flipped = bytearray(whole)
    flipped[-1] ^= 1
    for octets in (whole[:-3], bytes(flipped), b"", b"noise", *unfit(whole)):
        file.write_bytes(octets)
        with pytest.raises(StateUnusable, match="before"):
            await place.snapshots.restore("before")
        assert place.control.state("M1001")["connected"] is False
    file.write_bytes(whole)
    await place.snapshots.restore("before")
    assert place.control.state("M1001")["connected"] is True


def unfit(whole: bytes) -> list[bytes]:
    """Whole files with one meter, whose changes no meter takes."""
    about = whole[: 8 + int.from_bytes(whole[:4], "big")]
    records: list[Change] = [
        Cell(0, 15, 256),
        Cell(0, 200, 1),
        Forget(0, 1, bytes(6), 1),
        KeptAttribute(0, 1, bytes(6), 2, None),
    ]
    return [about + frame(one.encode()) for one in records] + [
        about + frame(Cell(0, 15, 1).encode() + Cell(1, 15, 1).encode())
    ]


@asynccontextmanager
async def served(place: Place) -> AsyncIterator[httpx.AsyncClient]:
    """The API of the place's process."""
    tap = Tap(place.wire.fleet.environment.emit)
    async with (
        serving_api(MeterSimSettings(), 0, place.wire.fleet, tap) as address,
        httpx.AsyncClient(base_url=f"http://{address}", trust_env=False, timeout=PATIENCE_S) as client,
    ):
        yield client


async def command(client: httpx.AsyncClient, *words: str) -> str:
    found = await asyncio.to_thread(CliRunner().invoke, app, ["snapshot", *words, "--url", str(client.base_url)])
    assert found.exit_code == 0, found.output
    return found.output


async def test_by_api_and_command_line(place: Place) -> None:
    async with served(place) as api:
        taken = (await api.post("/api/v1/snapshots", json={"name": "before"})).json()
        assert taken == {"name": "before", "at": START.isoformat(), "meters": 1, "rules": 0}
        await place.asked(DISCONNECT)
        assert (await api.get("/api/v1/snapshots")).json() == [taken]
        assert (await api.post("/api/v1/restore", json={"name": "before"})).json() == taken
        assert place.control.state("M1001")["connected"] is True
        refused = [
            await api.post("/api/v1/snapshots", json={"name": "before"}),
            await api.post("/api/v1/snapshots", json={"name": "../x"}),
            await api.post("/api/v1/restore", json={"name": "after"}),
            await api.delete("/api/v1/snapshots/after"),
        ]
        assert [one.status_code for one in refused] == [409, 422, 404, 404]
        assert all(one.json()["error"] for one in refused)
        assert (await api.delete("/api/v1/snapshots/before")).json() == {"name": "before"}

        await command(api, "take", "mine")
        await place.asked(DISCONNECT)
        assert await command(api, "list") == f"mine  {START.isoformat()}  1 meters, 0 faults\n"
        await command(api, "restore", "mine")
        assert place.control.state("M1001")["connected"] is True
        await command(api, "remove", "mine")
        assert await command(api, "list") == ""


async def test_while_nothing_can_be_kept_nothing_is_brought_back(place: Place) -> None:
    await place.snapshots.take("before")
    await place.asked(DISCONNECT)
    with no_room(place.bench), pytest.raises(StateUnusable):
        await place.snapshots.restore("before")
    assert place.control.state("M1001")["connected"] is False
