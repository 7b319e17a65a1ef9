"""Meters that call by themselves, what they push, and strangers at the same door."""

from __future__ import annotations

import asyncio
import os
import socket
from typing import Any

import pytest
from small_meter import CONNECT, LOGICAL_DEVICE_NAME, SmallMeter, South, eventually

from ami_dlms import apdu, data
from ami_dlms.apdu.blocks import BlockControl, GeneralBlockTransfer
from ami_dlms.apdu.notify import DataNotification
from ami_dlms.association import Security, protect_notification
from ami_dlms.data import Data
from ami_dlms.framing import wrapper
from ami_dlms.obis import Obis
from ami_dlms.security import GlobalKeys, SendCounter
from ami_hes.meters import Meters, listener
from ami_hes.meters.confirming import WayBack
from ami_hes.meters.push import MAX_SENDERS

BODY = data.structure(data.octet_string(Obis.parse("0-0:25.9.0*255")), data.double_long_unsigned(1234))
SHOWN = ["0000190900FF", 1234]


def push(meter: SmallMeter | None = None, counter: int = 1, body: Data = BODY) -> bytes:
    """A framed DataNotification, plain or under the meter's keys."""
    security = None
    if meter is not None:
        security = Security(keys=GlobalKeys(meter.encryption_key, meter.authentication_key), system_title=meter.title)
    octets = protect_notification(DataNotification(1, None, body), security, SendCounter(counter))
    return wrapper.encode(wrapper.WrapperPdu(1, 102, octets))


def address(meters: Meters) -> tuple[str, int]:
    assert meters.listening is not None
    return meters.listening


async def called(meters: Meters) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection(*address(meters))


def send_datagram(meters: Meters, *datagrams: bytes) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        for octets in datagrams:
            one.sendto(octets, address(meters))


async def test_meter_that_dials_in_is_served_over_its_own_connection(ami: South) -> None:
    meter = await ami.meter(listen=False)
    meters = await ami.start()
    await meter.dial(address(meters))
    (event,) = await eventually(lambda: ami.told("dialled_in"))
    assert event["meter"] == "M1001" and event["peer"].startswith("127.0.0.1:")
    assert (await ami.switch()).ok
    assert (await ami.switch(CONNECT)).ok
    assert meter.connections == 1 and meter.actions == 2


async def test_logical_device_behind_another_wrapper_port_is_recognised(ami: South) -> None:
    meter = await ami.meter(listen=False, server_wport=17)
    meters = await ami.start()
    await meter.dial(address(meters))
    assert (await ami.switch()).ok


async def test_command_waits_for_the_meter_to_dial_in(ami: South) -> None:
    meter = await ami.meter(listen=False)
    meters = await ami.start()
    running = asyncio.create_task(ami.switch())
    await asyncio.sleep(0)
    await meter.dial(address(meters))
    assert (await running).ok


async def test_meter_that_does_not_dial_in_is_4_1(ami: South) -> None:
    await ami.meter(listen=False)
    await ami.start()
    outcome = await ami.switch(deadline_s=0.1)
    assert (outcome.ok, outcome.reply_code, outcome.attempted) == (False, "4.1", False)
    assert "dials in and did not" in outcome.reason


async def test_dialled_in_connection_that_breaks_is_noticed_and_the_next_one_is_used(ami: South) -> None:
    meter = await ami.meter(listen=False)
    meters = await ami.start()
    await meter.dial(address(meters))
    await eventually(lambda: ami.told("dialled_in"))
    await meter.close()
    assert (await eventually(lambda: ami.told("hung_up")))[0]["meter"] == "M1001"
    await meter.dial(address(meters))
    assert (await ami.switch()).ok


async def test_lost_answer_over_a_dialled_in_connection_is_told_over_the_next(ami: South) -> None:
    meter = await ami.meter(listen=False, dies_after_action=True)
    meters = await ami.start(apdu_timeout_s=3.0)
    first = await meter.dial(address(meters))
    running = asyncio.create_task(ami.switch())
    await first
    await meter.dial(address(meters))
    outcome = await running
    assert (outcome.ok, outcome.reply_code) == (False, "5.3")
    assert "read again over a new connection: disconnected" in outcome.reason
    assert meter.actions == 1


async def test_who_is_not_registered_is_dropped(ami: South) -> None:
    meter = await ami.meter(listen=False)
    meters = await ami.start()
    meter.values[LOGICAL_DEVICE_NAME, 2] = data.octet_string(b"STRANGER")
    await (await meter.dial(address(meters)))
    (event,) = ami.told("dropped")
    assert "STRANGER" in event["reason"] and not ami.told("dialled_in")


async def test_who_has_an_address_is_not_taken_at_the_door(ami: South) -> None:
    meter = await ami.meter(listen=False)
    meters = await ami.start(meter.entry(address="127.0.0.1:1"))
    await (await meter.dial(address(meters)))
    assert "has an address" in ami.told("dropped")[0]["reason"]


@pytest.mark.parametrize(
    "octets", [b"\xff" * 64, b"GET / HTTP/1.1\r\n\r\n", b"\x00\x01\x00\x01\x00\x10\x00\x02\x0f\x00"]
)
async def test_hostile_octets_are_dropped_with_an_event(ami: South, octets: bytes) -> None:
    meters = await ami.start()
    reader, writer = await called(meters)
    writer.write(octets)
    assert await reader.read() == b""
    assert await eventually(lambda: ami.told("dropped"))
    writer.close()
    send_datagram(meters, octets)
    await eventually(lambda: [e for e in ami.told("dropped") if e["transport"] == "udp"])


async def test_random_datagrams_do_no_harm(ami: South) -> None:
    meters = await ami.start()
    for size in (0, 1, 7, 8, 9, 200, 1400):
        send_datagram(meters, os.urandom(size))
    send_datagram(meters, push())
    await eventually(lambda: ami.told("notification"))
    assert len(ami.told("dropped")) == 7


@pytest.mark.parametrize("limits", [{"max_callers": 3}, {"max_callers_per_address": 3}], ids=["in all", "per address"])
async def test_number_of_unknown_callers_is_bounded(ami: South, limits: dict[str, int]) -> None:
    meters = await ami.start(**limits)
    callers = [await called(meters) for _ in range(4)]
    assert (await callers[0][0].read())[:2] in (b"", b"\x00\x01"), "the oldest makes room, asked or not"
    assert "3 callers" in (await eventually(lambda: ami.told("dropped")))[0]["reason"]
    assert len(ami.told("dropped")) == 1
    for _, writer in callers:
        writer.close()


async def test_time_of_an_unknown_caller_is_bounded(ami: South, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener, "RECOGNITION_S", 0.05)
    meters = await ami.start()
    reader, writer = await called(meters)
    assert (await reader.read())[8] == 0x60, "the HES asks who it is"
    assert "in time" in ami.told("dropped")[0]["reason"]
    writer.close()


@pytest.mark.parametrize("transport", ["tcp", "udp"])
@pytest.mark.parametrize("secured", [False, True])
async def test_push_is_decoded_and_told(ami: South, transport: str, secured: bool) -> None:
    meter = await ami.meter()
    meters = await ami.start()
    octets = push(meter if secured else None)
    if transport == "udp":
        send_datagram(meters, octets)
    else:
        _, writer = await called(meters)
        writer.write(octets)
        writer.close()
    (event,) = await eventually(lambda: ami.told("notification"))
    expected = ("M1001", meter.title.hex().upper(), True) if secured else (None, None, False)
    assert (event["meter"], event["system_title"], event["secured"]) == expected
    assert (event["transport"], event["body"]) == (transport, SHOWN)
    assert not ami.told("dropped"), "who pushes and hangs up is no stranger"


def in_blocks(octets: bytes, size: int = 20) -> list[bytes]:
    """A framed push as a meter sends it that takes so many octets of it into a block."""
    whole = octets[wrapper.HEADER_SIZE :]
    parts = [whole[start : start + size] for start in range(0, len(whole), size)]
    blocks = [
        GeneralBlockTransfer(BlockControl(number == len(parts), True, 0), number, 0, part)
        for number, part in enumerate(parts, 1)
    ]
    return [wrapper.encode(wrapper.WrapperPdu(1, 102, apdu.encode(block))) for block in blocks]


@pytest.mark.parametrize("transport", ["tcp", "udp"])
async def test_push_in_blocks_is_joined(ami: South, transport: str) -> None:
    meter = await ami.meter()
    meters = await ami.start()
    blocks = in_blocks(push(meter))
    assert len(blocks) > 2
    if transport == "udp":
        send_datagram(meters, *blocks)
    else:
        _, writer = await called(meters)
        writer.write(b"".join(blocks))
        writer.close()
    (event,) = await eventually(lambda: ami.told("notification"))
    assert (event["meter"], event["secured"], event["body"]) == ("M1001", True, SHOWN)
    assert not ami.told("dropped")


async def test_blocks_of_many_senders_are_bounded(ami: South) -> None:
    meter = await ami.meter()
    meters = await ami.start()
    first, *others = (octets[wrapper.HEADER_SIZE :] for octets in in_blocks(push(meter)))
    notifications = meters._notifications
    take = notifications.take
    ours, busiest = WayBack("127.0.0.2:9", "udp", None), WayBack("127.0.0.1:0", "udp", None)
    assert take(first, ours) is None
    for number in range(MAX_SENDERS):
        assert take(first, WayBack(f"127.0.0.1:{number}", "udp", None)) is None
    assert len(notifications._blocks) == MAX_SENDERS
    for octets in others:
        assert take(octets, busiest) is None, "it made room"
    told = [take(octets, ours) for octets in others]
    assert told[-1] is True
    assert len(notifications._blocks) == MAX_SENDERS - 1


async def test_protected_push_is_taken_once_and_only_with_the_right_key(ami: South) -> None:
    meter = await ami.meter()
    meters = await ami.start()
    octets = push(meter, counter=9)
    send_datagram(meters, octets)
    send_datagram(meters, octets)
    send_datagram(meters, push(SmallMeter(number=1001), counter=10))
    send_datagram(meters, push(SmallMeter(number=2002), counter=10))
    await eventually(lambda: len(ami.told("dropped")) == 3 and ami.told("notification"))
    assert len(ami.told("notification")) == 1
    assert "used before" in ami.told("dropped")[0]["reason"]
    assert "no keys" in ami.told("dropped")[2]["reason"]


async def test_push_over_a_waiting_connection(ami: South) -> None:
    meter = await ami.meter(listen=False)
    meters = await ami.start()
    await meter.dial(address(meters))
    await eventually(lambda: ami.told("dialled_in"))
    for writer in meter._open:
        writer.write(push(meter) + push())
    events = await eventually(lambda: ami.told("notification") if len(ami.told("notification")) == 2 else None)
    assert {event["secured"] for event in events} == {True, False}
    assert (await ami.switch()).ok


@pytest.mark.parametrize(
    "frame",
    [push(), push(SmallMeter(number=2002)), wrapper.encode(wrapper.WrapperPdu(1, 99, b"\x63\x00"))],
    ids=["plain push", "protected push of another meter", "answer to another client"],
)
async def test_frames_in_the_middle_do_not_disturb_an_exchange(ami: South, frame: bytes) -> None:
    await ami.meter(in_the_middle=frame)
    await ami.start()
    assert (await ami.switch()).ok


async def test_plain_push_in_the_middle_of_a_get_is_told(ami: South) -> None:
    meter = await ami.meter(in_the_middle=wrapper.encode(wrapper.WrapperPdu(1, 1, push()[8:])))
    await ami.start()
    assert (await ami.switch()).ok
    assert len(ami.told("notification")) == meter.asked.count("GET")


async def test_trace_shows_the_octets_of_the_wire_and_no_key(ami: South) -> None:
    meter = await ami.meter()
    await ami.start(log_apdus=True)
    assert (await ami.switch()).ok
    apdus: list[Any] = ami.told("apdu")
    assert {event["direction"] for event in apdus} == {"request", "response"}
    assert [event["name"] for event in apdus[:2]] == ["aarq", "aare"]
    assert all(event["hex"].startswith("0001") and event["meter"] == "M1001" for event in apdus)
    assert sum(event["name"] == "general-glo-ciphering" for event in apdus) > 10
    told = str(ami.events).lower()
    assert meter.encryption_key.hex() not in told and meter.authentication_key.hex() not in told
