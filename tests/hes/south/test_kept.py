"""Associations that stay open after their work: reused, given up in time, and trusted no further than the meter answers."""

from __future__ import annotations

import asyncio
import socket
import struct

import pytest
from small_meter import CONNECT, DISCONNECT, SmallMeter, South, eventually

from ami_dlms import data
from ami_dlms.apdu.notify import DataNotification
from ami_dlms.association import protect_notification
from ami_dlms.cosem.descriptors import MethodDescriptor
from ami_dlms.framing import wrapper
from ami_hes.meters import MeterFault
from ami_hes.meters.channels import TcpChannel
from ami_process.environment import real_time

LONG_S = 60.0


def soon(seconds: float = 5.0) -> float:
    return real_time() + seconds


async def switched_once(ami: South, **settings: float) -> SmallMeter:
    """A meter whose association is open from its first switching on."""
    meter = await ami.meter()
    await ami.start(**{"keep_open_s": LONG_S} | settings)
    assert (await ami.switch(DISCONNECT)).ok
    assert meter.connected == 1
    return meter


async def test_the_next_work_needs_no_new_association(ami: South) -> None:
    meter = await switched_once(ami)
    for code in (CONNECT, DISCONNECT):
        assert (await ami.switch(code)).ok
    assert (meter.connections, meter.asked.count("open 1")) == (1, 1)


async def test_nothing_is_kept_unless_it_is_wanted(ami: South) -> None:
    meter = await ami.meter()
    await ami.start()
    assert (await ami.switch()).ok
    await eventually(lambda: not meter.connected)
    assert meter.asked.count("release") == 2, "the public client's and ours"


async def test_it_is_released_when_its_time_is_over(ami: South) -> None:
    meter = await switched_once(ami, keep_open_s=0.05)
    await eventually(lambda: not meter.connected)
    assert meter.asked.count("release") == 2
    assert (await ami.switch(CONNECT)).ok
    assert meter.connections == 2


async def test_it_is_released_when_the_process_stops(ami: South) -> None:
    meter = await switched_once(ami)
    await ami.stop()
    await eventually(lambda: not meter.connected)
    assert meter.asked.count("release") == 2


async def test_no_more_of_them_than_allowed(ami: South) -> None:
    first, second = await ami.meter(number=1001), await ami.meter(number=1002)
    await ami.start(keep_open_s=LONG_S, max_kept_open=1)
    for name in ("M1001", "M1002"):
        assert (await ami.switch(name=name)).ok
    await eventually(lambda: not second.connected)
    assert first.connected == 1


async def test_what_the_meter_says_meanwhile_is_taken(ami: South) -> None:
    meter = await switched_once(ami)
    push = protect_notification(DataNotification(5, None, data.visible_string("power failure")), None, None)
    meter.say(wrapper.encode(wrapper.WrapperPdu(1, 1, push)))
    [told] = await eventually(lambda: ami.told("notification"))
    assert told["body"] == "power failure"
    assert (await ami.switch(CONNECT)).ok
    assert meter.connections == 1


async def test_a_meter_that_has_hung_up_is_called_again(ami: South) -> None:
    meter = await switched_once(ami)
    meter.hang_up()
    await eventually(lambda: not meter.connected)
    assert (await ami.switch(CONNECT)).ok
    assert (meter.connections, meter.actions) == (2, 2)


async def test_a_connection_that_only_seems_to_be_there_is_found_out_by_a_read(ami: South) -> None:
    """As after a NAT that has forgotten it: nothing comes back, and nothing was switched yet."""
    meter = await switched_once(ami, apdu_timeout_s=0.2)
    meter.silent = True
    switching = asyncio.create_task(ami.switch(CONNECT))
    await eventually(lambda: meter.connections == 2)
    meter.silent = False
    outcome = await switching
    assert outcome.ok and outcome.after is not None and outcome.after.output_state
    assert meter.actions == 2


async def test_another_meter_in_its_place_is_not_switched(ami: South) -> None:
    meter = await switched_once(ami)
    meter.values[meter.device_id_object, 2] = data.octet_string(b"1777")
    outcome = await ami.switch(CONNECT)
    assert (outcome.ok, outcome.reply_code, outcome.attempted) == (False, "5.2", False)
    assert meter.actions == 1


async def test_an_action_that_may_have_left_is_not_repeated(ami: South) -> None:
    meter = await switched_once(ami)
    meter.dies_after_action = True
    outcome = await ami.switch(CONNECT)
    assert (outcome.ok, outcome.attempted) == (False, True)
    assert outcome.after is not None and outcome.after.output_state, "it was looked at again"
    assert (meter.actions, ami.kept) == (2, [[0], [1]])


async def test_an_action_in_doubt_is_not_sent_twice_either(ami: South) -> None:
    """Whoever acts without a read before gets the truth and not a second try."""
    meter = await switched_once(ami, apdu_timeout_s=0.2)
    meter.silent = True
    asked: list[str] = []

    async def before() -> None:
        asked.append("about to leave")

    assert ami.meters is not None
    with pytest.raises(MeterFault):
        async with ami.meters.hold(ami.meters.registry.meters[0], until=soon()) as session:
            await session.action(MethodDescriptor(70, meter.disconnect_object, 1), data.integer(0), before=before)
    assert (asked, meter.connections) == (["about to leave"], 1)


async def test_two_that_want_the_meter_at_once_share_one_association(ami: South) -> None:
    meter = await switched_once(ami)
    outcomes = await asyncio.gather(*(ami.switch(code) for code in (CONNECT, DISCONNECT, CONNECT)))
    assert all(outcome.ok for outcome in outcomes)
    assert meter.connections == 1


async def test_a_connection_that_was_reset_by_then_is_no_fault_of_what_was_done_over_it() -> None:
    """The last answer has come: what it says stands, however the meter hangs up."""

    def reset(writer: asyncio.StreamWriter) -> None:
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()

    server = await asyncio.start_server(lambda _, writer: reset(writer), "127.0.0.1", 0)
    async with server:
        _, channel = await asyncio.get_running_loop().create_connection(TcpChannel, *server.sockets[0].getsockname())
        with pytest.raises(ConnectionResetError):
            await channel.read(soon())
        channel.keep_alive()
