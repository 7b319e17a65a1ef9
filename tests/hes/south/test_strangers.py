"""What is thrown away at the door shows its first octets and what they look like; an event-notification is not thrown away."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest
from small_meter import South, eventually

from ami_dlms import apdu, data
from ami_dlms.apdu.notify import EventNotificationRequest
from ami_dlms.association import Security, protect_notification
from ami_dlms.cosem.descriptors import AttributeDescriptor
from ami_dlms.datetimes import CosemDateTime
from ami_dlms.framing import wrapper
from ami_dlms.obis import Obis
from ami_dlms.security import GlobalKeys, SendCounter
from ami_hes.meters import Meters

FIELD = Path(__file__).parents[2] / "vectors/field"
TAGGED_TIME = bytes.fromhex((FIELD / "event_notification_time_with_data_tag.hex").read_text())
EVENT = AttributeDescriptor(1, Obis.parse("0-0:96.11.0*255"), 2)
SEEN = {
    "HDLC": (bytes.fromhex("7EA0080200230113CBFA7E"), "an HDLC frame"),
    "M-Bus": (bytes.fromhex("68FAFA6853FF000167DB084B464D1000"), "an M-Bus long frame"),
    "M-Bus short": (bytes.fromhex("1040014116"), "an M-Bus short frame"),
    "LLC": (bytes.fromhex("E6E7000F400000000101020309060100"), "an LLC header"),
    "bare APDU": (bytes.fromhex("0F40000000000101020309060100010700FF"), "a bare APDU (data-notification)"),
    "HTTP": (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "text: an HTTP request"),
    "text": (b"+++ATH0\r\nOK and more", "text"),
    "TLS": (bytes.fromhex("16030100C8010000C40303"), "a TLS handshake"),
    "noise": (b"\xff" * 40, "unknown"),
    "wrapper": (bytes.fromhex("00010001001000047EA00802"), "an HDLC frame"),
}


def event_notification(time: CosemDateTime | None = None) -> EventNotificationRequest:
    return EventNotificationRequest(time, EVENT, data.unsigned(59))


def framed(octets: bytes) -> bytes:
    return wrapper.encode(wrapper.WrapperPdu(1, 102, octets))


def address(meters: Meters) -> tuple[str, int]:
    assert meters.listening is not None
    return meters.listening


async def send(meters: Meters, transport: str, octets: bytes) -> None:
    if transport == "udp":
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
            one.sendto(octets, address(meters))
        return
    _, writer = await asyncio.open_connection(*address(meters))
    writer.write(octets)
    writer.close()


@pytest.mark.parametrize("transport", ["tcp", "udp"])
@pytest.mark.parametrize("what", SEEN)
async def test_what_is_dropped_shows_its_first_octets_and_a_guess(ami: South, what: str, transport: str) -> None:
    octets, guess = SEEN[what]
    await send(await ami.start(), transport, octets)
    event, *_ = await eventually(lambda: ami.told("dropped"))
    shown = octets[8:] if what == "wrapper" else octets  # the frame is one: what is in it is shown
    assert (event["hex"], event["transport"]) == (shown[:16].hex().upper(), transport)
    assert guess in event["looks_like"]


@pytest.mark.parametrize("transport", ["tcp", "udp"])
async def test_event_notification_with_a_tagged_time_is_taken(ami: South, transport: str) -> None:
    await send(await ami.start(), transport, TAGGED_TIME)
    (event,) = await eventually(lambda: ami.told("notification"))
    assert (event["service"], event["sent_at"]) == ("event-notification", "2023-07-06T08:54:38+00:00")
    assert (event["class_id"], event["obis"], event["attribute"]) == (1, "128-128:128.128.128*0", 2)
    assert bytes.fromhex(event["body"]) == b"AAA0000000000001" and not ami.told("dropped")


@pytest.mark.parametrize("transport", ["tcp", "udp"])
async def test_protected_event_notification_says_which_meter(ami: South, transport: str) -> None:
    meter = await ami.meter()
    security = Security(keys=GlobalKeys(meter.encryption_key, meter.authentication_key), system_title=meter.title)
    octets = protect_notification(event_notification(), security, SendCounter(1))
    await send(await ami.start(), transport, framed(octets))
    (event,) = await eventually(lambda: ami.told("notification"))
    assert (event["meter"], event["secured"], event["obis"], event["body"]) == (
        "M1001",
        True,
        str(EVENT.instance_id),
        59,
    )


async def test_event_notification_in_the_middle_of_a_session_is_told(ami: South) -> None:
    frame = wrapper.encode(wrapper.WrapperPdu(1, 1, apdu.encode(event_notification())))
    await ami.meter(in_the_middle=frame)
    await ami.start()
    assert (await ami.switch()).ok
    assert {event["service"] for event in ami.told("notification")} == {"event-notification"}
