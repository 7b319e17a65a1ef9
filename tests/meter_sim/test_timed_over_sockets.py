"""What a meter does by itself and what it makes of attacks, seen by a client on a real socket, and after the death of the process."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench import (
    CLOCK,
    POWER,
    RESIDENTIAL,
    SWITCH,
    WRONG_KEYS,
    Bench,
    Caller,
    ObjectName,
    Wire,
    attribute,
    client_security,
    gmac,
    gmac_client,
    method,
    setup,
)
from devices import IDIS, at, described, event_log, every, log_of, script, switch_scripts, value_of

from ami_dlms import data
from ami_dlms.association import Action, Get, GetResult, Open, Opened, Release, Set, SetResult
from ami_dlms.data import Data
from ami_dlms.datetimes import CosemDateTime
from ami_dlms.enums import ActionResult, DataAccessResult
from ami_meter_sim.objects import conditions
from ami_meter_sim.objects.conditions import Condition
from ami_packs.model import MANAGEMENT, Model, ObjectAccess

EVERYTHING = ObjectAccess(frozenset(range(1, 13)), frozenset(range(2, 13)), frozenset(range(1, 11)))
LIMITER, SINGLE = (71, "0-0:17.0.0"), (22, "0-0:15.0.1")
DISCONNECT, NOTHING = script("0-0:10.0.106", 1), script("0-0:0.0.0", 0)


def number(value: int) -> Data:
    return data.double_long_unsigned(value)


def model() -> Model:
    """The residential one with a limiter, a schedule, scripts, and logs for what happens."""
    own = [
        described(LIMITER, {2: value_of(POWER), 11: data.structure(DISCONNECT, NOTHING)}),
        described(SINGLE, {2: DISCONNECT}),
        switch_scripts(),
        *event_log("standard"),
        *event_log("fraud"),
    ]
    seen = [replace(one, access={MANAGEMENT: EVERYTHING}) for one in own]
    clock = replace(RESIDENTIAL.objects[8, attribute(CLOCK, 1).instance_id], access={MANAGEMENT: EVERYTHING})
    others = [one for key, one in RESIDENTIAL.objects.items() if key[0] != 8]
    return Model((*others, clock, *seen), load=RESIDENTIAL.load, events=IDIS)


class Running:
    """A meter behind a socket, its time, and a client that has proved itself."""

    def __init__(self, bench: Bench, wire: Wire, caller: Caller) -> None:
        self.bench, self.wire, self.caller = bench, wire, caller

    async def get(self, which: ObjectName, number_: int = 2) -> Any:
        result = await self.caller.ask(Get(attribute(which, number_)))
        assert isinstance(result, GetResult) and result.value is not None, result
        return result.value.value

    async def set(self, which: ObjectName, number_: int, value: Data) -> DataAccessResult:
        result = await self.caller.ask(Set(attribute(which, number_), value))
        assert isinstance(result, SetResult)
        return result.result

    async def numbers(self, log: str) -> list[int]:
        return [row.value[1].value for row in await self.get(log_of(log))]


@asynccontextmanager
async def running(bench: Bench, counter: int = 1) -> AsyncIterator[Running]:
    bench.start(setup(model=model(), management=gmac()))
    wire = Wire(bench.meter, now=lambda: bench.at)
    await wire.listen()
    caller = await Caller.call(wire.port, gmac_client(counter))
    try:
        assert isinstance(await caller.ask(Open()), Opened)
        yield Running(bench, wire, caller)
    finally:
        await caller.close()
        await wire.stop()


async def test_a_limit_that_a_client_writes_opens_the_switch_although_the_process_died(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    async with running(bench) as meter:
        assert await meter.set(LIMITER, 6, number(90)) is DataAccessResult.SUCCESS
        assert await meter.set(LIMITER, 4, number(1)) is DataAccessResult.SUCCESS
        assert await meter.get(SWITCH) is True
    bench.later(minutes=1)
    async with running(bench, counter=200) as meter:
        bench.later(seconds=31)
        assert await meter.get(SWITCH, 3) == 2, "ready for reconnection: the meter opened it itself"
        assert await meter.get(POWER) == 0
        assert await meter.numbers("disconnector") == [67, 65, 64]
        (moved,) = meter.wire.events("switched")
        assert (moved["method"], moved["after"]["control_state"]) == ("local_disconnect", 2)


async def test_a_schedule_runs_at_its_time_of_the_meters_clock(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    async with running(bench) as meter:
        times = data.array(data.structure(at(12), every()))
        assert await meter.set(SINGLE, 4, times) is DataAccessResult.SUCCESS
        new = data.octet_string(CosemDateTime(2026, 3, 2, None, 11, 50, 0, 0, 0, 0).encode())
        assert await meter.set(CLOCK, 2, new) is DataAccessResult.SUCCESS
        bench.later(minutes=9, seconds=59)
        assert await meter.get(SWITCH) is True
        bench.later(seconds=1)
        assert await meter.get(SWITCH, 3) == 0
        assert await meter.numbers("standard") == [254, 4, 5], "the bench empties the load profile at first"
        assert await meter.numbers("disconnector") == [62]


async def test_a_script_that_a_client_executes_switches_remotely(tmp_path: Path) -> None:
    async with running(Bench(tmp_path)) as meter:
        execute = Action(method((9, "0-0:10.0.106"), 1), data.long_unsigned(1))
        assert (await meter.caller.ask(execute)).result is ActionResult.SUCCESS
        assert await meter.get(SWITCH, 3) == 0
        assert [one["method"] for one in meter.wire.events("switched")] == ["remote_disconnect"]
        unknown = Action(method((9, "0-0:10.0.106"), 1), data.long_unsigned(9))
        assert (await meter.caller.ask(unknown)).result is ActionResult.OTHER_REASON


async def test_daylight_saving_that_a_client_sets_is_shown(tmp_path: Path) -> None:
    async with running(Bench(tmp_path)) as meter:
        always = data.octet_string(CosemDateTime(None, 1, 1, None, 0, 0, 0, 0).encode())
        never = data.octet_string(CosemDateTime(None, 12, 31, None, 23, 0, 0, 0).encode())
        for number_, value in ((5, always), (6, never), (7, data.integer(60)), (8, data.boolean(True))):
            assert await meter.set(CLOCK, number_, value) is DataAccessResult.SUCCESS
        shown = CosemDateTime.decode(await meter.get(CLOCK))
        assert (shown.hour, shown.deviation_minutes, shown.clock_status) == (11, -60, 0x80)


async def test_what_is_done_to_a_meter_stands_in_its_log(tmp_path: Path) -> None:
    async with running(Bench(tmp_path)) as meter:
        device_at = meter.bench.later(minutes=1)
        assert meter.bench.meter.happen(lambda one: conditions.set_condition(one, Condition.MAGNET, True), device_at)
        ((time, code),) = [row.value for row in await meter.get(log_of("fraud"))]
        assert CosemDateTime.decode(time.value).to_datetime() == device_at and code.value == 42
        assert await meter.get((1, "0-0:96.11.1")) == 42


async def test_wrong_keys_and_replays_stand_in_the_fraud_log_once_a_minute(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    async with running(bench) as meter:
        for seconds in (0, 1, 61):
            bench.later(seconds=seconds)
            stranger = await Caller.call(meter.wire.port, gmac_client(99, security=client_security(WRONG_KEYS)))
            assert not isinstance(await stranger.ask(Open()), Opened)
            await stranger.close()
        assert await meter.numbers("fraud") == [46, 46], "the second one came within a minute"
        replayed = await Caller.call(meter.wire.port, gmac_client(1))
        assert not isinstance(await replayed.ask(Open()), Opened)
        await replayed.close()
        assert await meter.numbers("fraud") == [46, 46, 50]


async def test_a_frame_that_can_not_be_deciphered_stands_there_too(tmp_path: Path) -> None:
    async with running(Bench(tmp_path)) as meter:
        octets = bytearray(meter.caller.connection.send(Get(attribute(SWITCH, 2))))
        octets[-1] ^= 1
        meter.caller.writer.write(bytes(octets))
        await meter.caller.reader.read(1000)
        await meter.caller.close()
        again = await Caller.call(meter.wire.port, gmac_client(500))
        assert isinstance(await again.ask(Open()), Opened)
        other = Running(meter.bench, meter.wire, again)
        assert await other.numbers("fraud") == [49]
        await again.ask(Release())
        await again.close()
