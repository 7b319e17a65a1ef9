"""Meters without power: nothing flows, nobody is answered, the last gasps leave, and what comes back comes back at its moment."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from bench import (
    CLOCK,
    EVENT_LOG,
    IMPORT,
    PROFILE,
    RESIDENTIAL,
    Bench,
    Caller,
    Wire,
    attribute,
    clear_client,
    misbehaving,
    pushing_to,
    setup,
)
from patience import PATIENCE_S

from ami_dlms.association import Get, Open, Opened
from ami_dlms.obis import Obis
from ami_meter_sim.control import FleetControl, Selection
from ami_meter_sim.faults import Faults
from ami_meter_sim.faults.pushes import POWER_DOWN
from ami_meter_sim.meter.pushes import POWER_UP
from ami_packs.event_list import EventList, LoggedEvent, Occurrence
from ami_packs.model import Model


def test_nothing_flows_and_nothing_is_captured(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    meter = bench.start()
    bench.later(hours=1)
    before, rows = bench.value(IMPORT), len(bench.read(PROFILE).value)  # type: ignore[arg-type]
    meter.lose_power(bench.at)
    bench.later(hours=3)
    meter.advance(bench.at)
    meter.get_power_back(bench.at)
    assert (bench.value(IMPORT), len(bench.read(PROFILE).value)) == (before, rows)  # type: ignore[arg-type]
    bench.later(hours=1)
    assert bench.value(IMPORT) > before
    assert len(bench.read(PROFILE).value) == rows + 4  # type: ignore[arg-type]


def test_twice_is_once(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    meter = bench.start()
    meter.lose_power(bench.at)
    meter.lose_power(bench.later(hours=1))
    assert (meter.powered, meter.power_cycles) == (False, 1)
    meter.get_power_back(bench.at)
    meter.get_power_back(bench.later(hours=1))
    assert (meter.powered, meter.power_cycles) == (True, 1)


def test_it_outlives_the_process(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.start().lose_power(bench.at)
    bench.later(hours=1)
    meter = bench.start()
    assert not meter.powered
    meter.get_power_back(bench.at)
    assert meter.powered and isinstance(bench.read(EVENT_LOG).value, tuple)


@pytest.mark.parametrize(
    ("away", "codes", "invalid"),
    [
        (timedelta(minutes=1), [1, 2], False),
        (timedelta(hours=1), [1, 2, 3], False),
        (timedelta(days=8), [1, 2, 3], True),
    ],
)
def test_a_meter_whose_process_did_not_run_was_without_power(
    tmp_path: Path, away: timedelta, codes: list[int], invalid: bool
) -> None:
    log = Obis.parse(EVENT_LOG[1])
    outage = (Occurrence.POWER_DOWN, Occurrence.POWER_UP, Occurrence.LONG_POWER_FAILURE)
    noted = EventList({one: (LoggedEvent(log, code),) for code, one in enumerate(outage, 1)})
    model = Model(tuple(RESIDENTIAL.objects.values()), RESIDENTIAL.associations, RESIDENTIAL.load, noted)
    bench = Bench(tmp_path)
    bench.start(setup(model=model)).finish(bench.at)
    bench.at += away
    meter = bench.start(setup(model=model))
    rows: Any = bench.read(EVENT_LOG).value
    assert [row.value[1].value for row in rows] == codes, "as after an outage that it lived through"
    assert bool(bench.value(CLOCK, 4) & 1) is invalid
    assert meter.powered and not list(meter.communication.pushes_wanted), "its last gasp is too late"


async def test_nobody_is_answered_and_old_connections_are_gone(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    wire = Wire(bench.start(), now=lambda: bench.at)
    await wire.listen()
    try:
        caller = await Caller.call(wire.port, clear_client())
        assert isinstance(await caller.ask(Open()), Opened)
        bench.meter.lose_power(bench.at)
        caller.writer.write(caller.connection.send(Get(attribute(IMPORT, 2))))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(caller.reader.read(1), 0.2)
        bench.meter.get_power_back(bench.at)
        caller.writer.write(b"\0")
        with pytest.raises(ConnectionResetError):
            await asyncio.wait_for(caller.reader.read(1), PATIENCE_S)
        caller.writer.transport.abort()
        again = await Caller.call(wire.port, clear_client())
        assert isinstance(await again.ask(Open()), Opened)
        await again.close()
    finally:
        await wire.stop()


class Mailbox(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.came: list[bytes] = []

    def datagram_received(self, octets: bytes, address: Any) -> None:
        self.came.append(octets)


def feeder(directory: Path, port: int, meters: int, faults: Faults) -> Wire:
    model = pushing_to(("127.0.0.1", port), POWER_DOWN, POWER_UP)
    made = [
        Bench(directory).start(setup(f"M{number}", server_wport=number, model=model)) for number in range(1, meters + 1)
    ]
    return Wire(*made, faults=faults)


async def test_an_outage_sends_its_last_gasps_but_for_those_that_are_lost(tmp_path: Path) -> None:
    transport, mailbox = await asyncio.get_running_loop().create_datagram_endpoint(Mailbox, local_addr=("127.0.0.1", 0))
    faults = misbehaving({"fault": "last-gasp-lost", "probability": 0.3, "seed": 5})
    wire = feeder(tmp_path, transport.get_extra_info("sockname")[1], 100, faults)
    control = FleetControl(wire.fleet)
    wire.push()
    try:
        meters = await control.select(Selection(name="M*", powered=True))
        control.power([one.name for one in meters], on=False, spread_s=0.2, seed=1)
        await until(lambda: len(wire.events("power_lost")) == 100 and len(mailbox.came) + faults.counts.total() == 100)
        await until(lambda: len(wire.events("pushed")) == len(mailbox.came))
        assert 15 < faults.counts["last-gasp-lost"] < 45
        assert len(mailbox.came) == len(set(mailbox.came))
        assert len(await control.select(Selection(powered=False))) == 100
        control.power([one.name for one in meters], on=True, spread_s=0.2, seed=2)
        await until(lambda: len(wire.events("power_back")) == 100)
        assert all(meter.powered for meter in meters)
    finally:
        await control.end()
        await wire.stop()
        transport.close()


async def test_what_is_still_to_come_ends_with_the_process(tmp_path: Path) -> None:
    wire = Wire(Bench(tmp_path).start())
    control = FleetControl(wire.fleet)
    control.power(list(wire.fleet.meters), on=False, spread_s=3600, seed=1)
    await control.end()
    assert wire.fleet.meters["M1001"].powered


async def until(holds: Any) -> None:
    """Until it holds, for five seconds at most."""
    async with asyncio.timeout(PATIENCE_S):
        while not holds():
            await asyncio.sleep(0)
