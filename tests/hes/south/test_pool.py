"""One holder a meter, a bounded number of sessions, a hundred at once, and an end when the process has to stop."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Iterator

import pytest
from small_meter import DISCONNECT, South, eventually

from ami_dlms.association.client.session import LOGICAL_DEVICE_NAME
from ami_hes.meters import MeterFault
from ami_process.environment import real_time


def soon(seconds: float = 5.0) -> float:
    return real_time() + seconds


@pytest.fixture
def no_collector() -> Iterator[None]:
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("no_collector")
async def test_a_session_that_is_over_goes_without_the_collector(ami: South) -> None:
    """With all that it holds: one that refers to itself would stay until the collector looks, which costs time and memory."""
    await ami.meter()
    meters = await ami.start()
    async with meters.hold(meters.registry.meters[0], until=soon()) as session:
        await session.get(LOGICAL_DEVICE_NAME)
        held = weakref.ref(session), weakref.ref(session.link), weakref.ref(session._association)
    del session
    assert [one() for one in held] == [None, None, None]


async def test_second_user_waits_for_the_first(ami: South) -> None:
    meter = await ami.meter()
    meters = await ami.start()
    entry = meters.registry.meters[0]
    async with meters.hold(entry, until=soon()):
        second = asyncio.create_task(ami.switch())
        await asyncio.sleep(0)
        assert meter.connections == 1
    assert (await second).ok
    assert meter.connections == 2


async def test_busy_until_the_deadline_is_5_1(ami: South) -> None:
    meter = await ami.meter()
    meters = await ami.start()
    async with meters.hold(meters.registry.meters[0], until=soon()):
        outcome = await ami.switch(deadline_s=0.1)
    assert (outcome.ok, outcome.reply_code, outcome.attempted) == (False, "5.1", False)
    assert meter.actions == 0
    assert (await ami.switch()).ok, "who gave up left nothing behind"


async def test_number_of_sessions_is_bounded(ami: South) -> None:
    for number in range(1001, 1004):
        await ami.meter(number=number)
    meters = await ami.start(max_sessions=2)
    one, two, _ = meters.registry.meters
    async with meters.hold(one, until=soon()), meters.hold(two, until=soon()):
        assert (await ami.switch(name="M1003", deadline_s=0.1)).reply_code == "5.1"
    assert (await ami.switch(name="M1003")).ok


async def test_a_fault_inside_a_session_leaves_the_meter_free(ami: South) -> None:
    await ami.meter()
    meters = await ami.start()
    entry = meters.registry.meters[0]
    with pytest.raises(MeterFault, match="device id"):
        async with meters.hold(entry, until=soon()):
            raise MeterFault("identity", "device-id")
    assert (await ami.switch()).ok


async def test_cancelled_session_leaves_the_meter_free(ami: South) -> None:
    meter = await ami.meter(gate=asyncio.Event())
    await ami.start()
    running = asyncio.create_task(ami.switch())
    await eventually(lambda: meter.actions)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    meter.gate = None
    assert (await ami.switch()).ok


async def test_hundred_sessions_at_once(ami: South) -> None:
    for number in range(1001, 1101):
        await ami.meter(number=number)
    await ami.start(apdu_timeout_s=20.0)
    names = [f"M{number}" for number in range(1001, 1101)]
    outcomes = await asyncio.gather(*(ami.switch(DISCONNECT, name, deadline_s=40.0) for name in names))
    assert [outcome.reason for outcome in outcomes if not outcome.ok] == []
    assert all(meter.actions == 1 and meter.output is False for meter in ami.small)


async def test_stop_ends_what_waits(ami: South) -> None:
    meter = await ami.meter(gate=asyncio.Event())
    caller = await ami.meter(number=1002, listen=False)
    meters = await ami.start(apdu_timeout_s=0.1)
    assert meters.listening is not None
    ended = await caller.dial(meters.listening)
    await eventually(lambda: ami.told("dialled_in"))
    assert (await ami.switch()).reply_code == "4.1"
    assert meter.connections == 1
    await meters.stop()
    await ended
    with pytest.raises(OSError):
        await asyncio.open_connection(*meters.listening)


async def test_taken_port_is_an_os_error(ami: South) -> None:
    meter = await ami.meter()
    with pytest.raises(OSError):
        await ami.start(port=meter.port)
