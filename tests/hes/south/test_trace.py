"""The log of APDUs holds no password, not even one that goes over the wire unencrypted, and says which request they are of."""

from __future__ import annotations

import asyncio
from typing import Any

from reported import as_read
from small_meter import South

from ami_dlms import data
from ami_dlms.association import ClientConnection, ClientSettings, Open
from ami_dlms.enums import Mechanism
from ami_dlms.framing import wrapper
from ami_hes.meters.trace import ApduTrace, tracing


async def test_the_password_of_lls_is_asterisks(events: list[dict[str, Any]]) -> None:
    settings = ClientSettings(client_wport=1, server_wport=1, mechanism=Mechanism.LOW, secret=b"swordfish")
    frame = ClientConnection(settings).send(Open())
    ApduTrace("M1", lambda event: events.append(as_read(event))).request(wrapper.decode_datagram(frame))
    [event] = events
    assert b"swordfish" in frame and event["name"] == "aarq" and len(event["hex"]) == 2 * len(frame)
    assert b"swordfish".hex().upper() not in event["hex"] and "*" * 18 in event["hex"]


async def test_what_is_done_for_a_request_says_its_message_id_and_what_outlives_it_does_not(
    events: list[dict[str, Any]],
) -> None:
    frame = ClientConnection(ClientSettings(client_wport=16, server_wport=1)).send(Open())
    trace, over = ApduTrace("M1", lambda event: events.append(as_read(event))), asyncio.Event()

    async def watch() -> None:
        trace.request(wrapper.decode_datagram(frame))
        await over.wait()
        trace.request(wrapper.decode_datagram(frame))

    trace.request(wrapper.decode_datagram(frame))
    with tracing("m-1"):
        watching = asyncio.create_task(watch())
        await asyncio.sleep(0)
    over.set()
    await watching
    assert [event["message_id"] for event in events] == [None, "m-1", None]


async def test_requests_that_are_worked_at_the_same_time_are_told_apart(events: list[dict[str, Any]]) -> None:
    frame = ClientConnection(ClientSettings(client_wport=16, server_wport=1)).send(Open())

    async def work(message_id: str) -> None:
        with tracing(message_id):
            for _ in range(2):
                await asyncio.sleep(0)
                ApduTrace(f"meter of {message_id}", lambda event: events.append(as_read(event))).request(
                    wrapper.decode_datagram(frame)
                )

    await asyncio.gather(work("m-1"), work("m-2"))
    assert [event["message_id"] for event in events] == ["m-1", "m-2", "m-1", "m-2"]
    assert all(event["meter"] == f"meter of {event['message_id']}" for event in events)


async def test_a_notification_in_the_middle_of_a_request_says_which(ami: South) -> None:
    pushed = data.encode(data.structure(data.unsigned(1)))
    apdu = b"\x0f" + bytes(4) + b"\x00" + pushed
    await ami.meter(in_the_middle=wrapper.encode(wrapper.WrapperPdu(1, 1, apdu)))
    await ami.start()
    with tracing("m-1"):
        assert (await ami.switch()).ok
    notifications = ami.told("notification")
    assert notifications and {event["message_id"] for event in notifications} == {"m-1"}
