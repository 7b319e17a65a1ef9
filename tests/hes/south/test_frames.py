"""How many frames a switching takes, counted between the head-end and the meter."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from free_ports import free_port
from patience import PATIENCE_S
from small_meter import CONNECT, DISCONNECT, LOGICAL_DEVICE_NAME, SmallMeter, South
from test_read_meter import read
from test_simulated_meter import Simulator

from ami_dlms import data
from ami_dlms.enums import ApduTag
from ami_dlms.framing.wrapper import Deframer

WITH_LISTS, ONE_BY_ONE = 12, 24
ONE_READ = 8
"""An association with its proof, a request with the device id, values and scalers, and the release."""


class Relay:
    """Hands octets on in both directions and counts the frames among them."""

    def __init__(self, meter_port: int) -> None:
        self.frames = 0
        self.port = 0
        self._meter_port = meter_port
        self._tasks: set[asyncio.Task[None]] = set()

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._meter_port)
        for source, sink in ((reader, far_writer), (far_reader, writer)):
            task = asyncio.create_task(self._pass_on(source, sink))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pass_on(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        deframer = Deframer()
        while octets := await source.read(65536):
            deframer.receive_data(octets)
            while deframer.next_pdu() is not None:
                self.frames += 1
            sink.write(octets)
        sink.close()

    async def ended(self) -> None:
        """All connections are over, so every frame has been counted."""
        async with asyncio.timeout(PATIENCE_S):
            while self._tasks:
                await asyncio.wait(self._tasks)


@asynccontextmanager
async def relay(meter_port: int) -> AsyncIterator[Relay]:
    one = Relay(meter_port)
    server = await asyncio.start_server(one.accept, "127.0.0.1", 0)
    one.port = server.sockets[0].getsockname()[1]
    try:
        yield one
    finally:
        server.close()
        await one.ended()


async def switched(ami: South, code: str, between: Relay) -> int:
    """The frames of one switching, its release among them."""
    before = between.frames
    outcome = await ami.switch(code, deadline_s=30.0)
    assert outcome.ok, outcome.reason
    await between.ended()
    return between.frames - before


@pytest.fixture
async def simulator(tmp_path: Path) -> Any:
    one = Simulator(tmp_path)
    yield one
    await one.stop()


async def test_a_known_meter_that_offers_lists(ami: South, simulator: Simulator) -> None:
    port = free_port()
    entry = SmallMeter(1001).entry(address=f"127.0.0.1:{port}")
    await simulator.start(entry | {"simulated": {}})
    async with relay(port) as between:
        await ami.start(entry | {"address": f"127.0.0.1:{between.port}"}, apdu_timeout_s=10.0)
        first = await switched(ami, DISCONNECT, between)
        known = [await switched(ami, code, between) for code in (CONNECT, DISCONNECT)]
        await ami.stop()
    assert known == [WITH_LISTS, WITH_LISTS]
    assert first == WITH_LISTS + 8  # the public client: opened, asked twice, released


async def test_registers_of_a_known_meter_cost_one_request_with_their_scalers(ami: South, simulator: Simulator) -> None:
    port = free_port()
    entry = SmallMeter(1001).entry(address=f"127.0.0.1:{port}")
    await simulator.start(entry | {"simulated": {"model": "three-phase"}})
    types = tuple(
        f"0.0.0.1.{flow}.1.12.0.0.0.0.0.0.0.0.3.{unit}.0" for flow, unit in ((1, 72), (19, 72), (5, 73), (13, 73))
    )
    async with relay(port) as between:
        await ami.start(entry | {"address": f"127.0.0.1:{between.port}"}, apdu_timeout_s=10.0)
        await read(ami, *types)
        await between.ended()
        before = between.frames
        outcome, found = await read(ami, *types)
        await between.ended()
        await ami.stop()
    assert outcome.ok and len(found.values) == len(types)
    assert between.frames - before == ONE_READ


async def test_a_day_of_a_known_meter_costs_one_request(ami: South, simulator: Simulator) -> None:
    """With the device id, what the profile captures and the scalers of its columns."""
    port = free_port()
    entry = SmallMeter(1001).entry(address=f"127.0.0.1:{port}")
    await simulator.start(entry | {"simulated": {"model": "three-phase"}})
    types = tuple(f"0.0.2.1.{flow}.1.12.0.0.0.0.0.0.0.0.3.72.0" for flow in (1, 19))
    end = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    hour = (end - timedelta(hours=1), end)
    async with relay(port) as between:
        await ami.start(entry | {"address": f"127.0.0.1:{between.port}"}, apdu_timeout_s=10.0)
        await read(ami, *types, period=hour)
        await between.ended()
        before = between.frames
        outcome, found = await read(ami, *types, period=hour)
        await between.ended()
        await ami.stop()
    assert outcome.ok and [len(one.values) for one in found.series] == [4, 4]
    assert between.frames - before == ONE_READ


async def test_a_known_meter_that_offers_none(ami: South) -> None:
    meter = await ami.meter()
    async with relay(meter.port) as between:
        await ami.start(meter.entry(address=f"127.0.0.1:{between.port}"), apdu_timeout_s=10.0)
        await switched(ami, DISCONNECT, between)
        known = await switched(ami, CONNECT, between)
        await ami.stop()
    assert known <= ONE_BY_ONE
    assert known == WITH_LISTS + 10  # the device id and three attributes one by one, and these three again


def openings(meter: SmallMeter, client: int) -> int:
    """How often this client has asked for an association."""
    deframer = Deframer()
    deframer.receive_data(bytes(meter.inbound))
    count = 0
    while (pdu := deframer.next_pdu()) is not None:
        count += pdu.source == client and pdu.apdu[0] == ApduTag.AARQ
    return count


async def test_wrong_keys_are_tried_once_in_a_session(ami: South) -> None:
    """The refusal is looked into and not repeated: some meters lock a client out after a few."""
    meter = await ami.meter()
    await ami.start()
    assert (await ami.switch()).ok
    meter.encryption_key = bytes(16)
    assert (openings(meter, 1), openings(meter, 16)) == (1, 1)
    outcome = await ami.switch(CONNECT)
    assert (outcome.ok, outcome.reply_code, outcome.attempted) == (False, "7.4", False)
    assert (openings(meter, 1), openings(meter, 16)) == (2, 2)


async def test_a_known_meter_whose_place_another_has_taken_is_another_meter(ami: South) -> None:
    meter = await ami.meter()
    await ami.start()
    assert (await ami.switch()).ok
    meter.encryption_key = bytes(16)
    meter.values[LOGICAL_DEVICE_NAME, 2] = data.octet_string(b"AMI0000000001777")
    outcome = await ami.switch(CONNECT, name="M1001")
    assert (outcome.ok, outcome.reply_code, outcome.attempted) == (False, "5.2", False)
    assert "AMI0000000001777" in outcome.reason and meter.actions == 1


async def test_a_known_meter_whose_counter_has_gone_ahead_is_not_asked_publicly(ami: South) -> None:
    """Its own refusal says which counter it takes."""
    meter = await ami.meter()
    await ami.start()
    assert (await ami.switch()).ok
    meter.receive_counter.accept(5_000)
    assert (await ami.switch(CONNECT)).ok
    assert (openings(meter, 1), openings(meter, 16)) == (3, 1)


async def test_a_meter_with_a_password_alone_is_asked_publicly_each_time(ami: South) -> None:
    """Otherwise the password would go to whoever answers."""
    meter = await ami.meter(authentication="lls")
    await ami.start()
    for code in (DISCONNECT, CONNECT):
        assert (await ami.switch(code)).ok
    assert openings(meter, 16) == 2
