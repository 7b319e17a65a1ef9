"""A DataNotification that asks to be confirmed is, once it is reported: over TCP and UDP, dialled in, in the middle of a session and inside one."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from small_meter import HES_TITLE, SmallMeter, South, eventually

from ami_dlms import apdu, data
from ami_dlms.apdu.access import CONFIRMED
from ami_dlms.apdu.blocks import BlockControl, GeneralBlockTransfer
from ami_dlms.apdu.notify import DataNotification
from ami_dlms.association import Security, Sender, protect_notification, unprotect_confirmation
from ami_dlms.cosem.descriptors import AttributeDescriptor
from ami_dlms.data import Data
from ami_dlms.enums import DataAccessResult
from ami_dlms.framing import wrapper
from ami_dlms.framing.wrapper import WrapperPdu
from ami_dlms.security import GlobalKeys, ProtectionFlags, ReceiveCounter, SendCounter
from ami_hes.meters import Meter, Meters
from ami_hes.meters.pushed import NotedPush
from ami_hes.meters.received import FrameOrigin, ReceiveCounters
from ami_hes.meters.recording import Begun, Passed, Recording
from ami_process.environment import real_time

BODY = data.structure(data.double_long_unsigned(1234))
BOTH = ProtectionFlags.AUTHENTICATED | ProtectionFlags.ENCRYPTED
PUSH_CLIENT = 102


def keys(meter: SmallMeter) -> GlobalKeys:
    return GlobalKeys(meter.encryption_key, meter.authentication_key)


def pushed(meter: SmallMeter | None, invoke_id: int, counter: int = 1, *, asks: bool = True) -> bytes:
    """The APDU of a push, plain or under the meter's keys."""
    security = None if meter is None else Security(keys=keys(meter), system_title=meter.title)
    what = DataNotification(invoke_id | (CONFIRMED if asks else 0), None, BODY)
    return protect_notification(what, security, SendCounter(counter))


def framed(octets: bytes, client: int = PUSH_CLIENT) -> bytes:
    return wrapper.encode(WrapperPdu(1, client, octets))


def confirms(pdu: WrapperPdu, meter: SmallMeter | None, receive: ReceiveCounter) -> int:
    """The invoke id that it confirms, for the client that was pushed to."""
    assert (pdu.source, pdu.destination) == (PUSH_CLIENT, 1)
    sender = None if meter is None else Sender(keys(meter), receive, wanted=BOTH)
    if meter is not None:
        assert pdu.apdu[2:10] == HES_TITLE
    return unprotect_confirmation(pdu.apdu, sender).long_invoke_id_and_priority & 0xFFFFFF


class Pusher:
    """One connection of a meter that pushes, over TCP or UDP."""

    def __init__(self, transport: str, one: socket.socket) -> None:
        self.transport = transport
        self._socket = one
        self._frames = wrapper.Deframer()

    async def send(self, *frames: bytes) -> None:
        for octets in frames:
            await asyncio.get_running_loop().sock_sendall(self._socket, octets)

    async def next_pdu(self) -> WrapperPdu:
        async with asyncio.timeout(60):
            while (pdu := self._frames.next_pdu()) is None:
                octets = await asyncio.get_running_loop().sock_recv(self._socket, 65_536)
                assert octets, "hung up"
                self._frames.receive_data(octets)
        return pdu


@asynccontextmanager
async def pusher(meters: Meters, transport: str) -> AsyncIterator[Pusher]:
    assert meters.listening is not None
    kind = socket.SOCK_STREAM if transport == "tcp" else socket.SOCK_DGRAM
    with socket.socket(socket.AF_INET, kind) as one:
        one.setblocking(False)
        await asyncio.get_running_loop().sock_connect(one, meters.listening)
        yield Pusher(transport, one)


@pytest.mark.parametrize(
    ("transport", "secured"),
    [
        pytest.param("tcp", True, id="protected-tcp"),
        pytest.param("udp", True, id="protected-udp"),
        pytest.param("tcp", False, id="plain-tcp"),
    ],
)
async def test_what_asks_for_it_is_confirmed(ami: South, transport: str, secured: bool) -> None:
    small = await ami.meter()
    sender = small if secured else None
    async with pusher(await ami.start(), transport) as pushing:
        await pushing.send(framed(pushed(sender, 7)))
        lowest = ReceiveCounter(1)  # a meter that has taken nothing yet refuses the counter 0
        assert confirms(await pushing.next_pdu(), sender, lowest) == 7
    names = [one["event"] for one in ami.events if one["event"].startswith("notification")]
    assert names == ["notification", "notification_confirmed"]
    (told,) = ami.told("notification_confirmed")
    assert (told["meter"], told["transport"]) == ("M1001" if secured else None, transport)


async def test_what_does_not_ask_is_not_confirmed_and_neither_is_what_was_used_before(ami: South) -> None:
    small = await ami.meter()
    async with pusher(await ami.start(), "udp") as pushing:
        asking = framed(pushed(small, 8, counter=5))
        await pushing.send(framed(pushed(small, 7, counter=4, asks=False)), asking, asking)
        await pushing.send(framed(pushed(small, 9, counter=6)))
        receive = ReceiveCounter()
        assert [confirms(await pushing.next_pdu(), small, receive) for _ in range(2)] == [8, 9]
    assert len(ami.told("notification")) == 3 and "used before" in ami.told("dropped")[0]["reason"]


async def test_what_could_not_be_kept_is_not_confirmed(ami: South) -> None:
    small = await ami.meter()
    meters = await ami.start()
    await ami.database.transaction(lambda c: c.exec_driver_sql("DROP TABLE received_counters").close())
    async with pusher(meters, "udp") as pushing:
        await pushing.send(framed(pushed(small, 7)))
        (told,) = await eventually(lambda: ami.told("dropped"))
    assert "store" in told["reason"] and not ami.told("notification_confirmed")


async def test_without_a_counter_of_our_own_nothing_is_confirmed_and_that_is_said(ami: South) -> None:
    small = await ami.meter()
    meters = await ami.start()
    await ami.database.transaction(lambda c: c.exec_driver_sql("DROP TABLE key_counters").close())
    async with pusher(meters, "udp") as pushing:
        await pushing.send(framed(pushed(small, 7)))
        (told,) = await eventually(lambda: ami.told("notification_not_confirmed"))
    assert told["meter"] == "M1001" and "store" in told["reason"] and len(ami.told("notification")) == 1


async def test_a_confirmation_waits_for_the_session_and_the_session_goes_on_below_it(ami: South) -> None:
    """A later counter that comes first, over a connection of its own, would have the meter refuse the session."""
    small = await ami.meter(gate=asyncio.Event())
    assert small.gate is not None
    async with pusher(await ami.start(), "udp") as pushing:
        running = asyncio.create_task(ami.switch())
        await eventually(lambda: small.actions)
        await pushing.send(framed(pushed(small, 7)))
        await eventually(lambda: ami.told("notification"))
        assert not ami.told("notification_confirmed")
        small.gate.set()
        assert (await running).ok
        assert confirms(await pushing.next_pdu(), small, ReceiveCounter(small.counters_seen()[-1] + 1)) == 7


async def test_a_session_that_does_not_end_leaves_a_push_unconfirmed(ami: South) -> None:
    small = await ami.meter()
    meters = await ami.start(apdu_timeout_s=0.05)
    meter = meters.registry.find_by_name("M1001")
    assert meter is not None
    async with pusher(meters, "udp") as pushing, meters._slots.slot(meter, real_time() + 60):
        await pushing.send(framed(pushed(small, 7)))
        (told,) = await eventually(lambda: ami.told("notification_not_confirmed"))
    assert "busy" in told["reason"] or "session" in told["reason"]


async def test_who_pushes_first_is_confirmed_before_it_is_asked_who_it_is(ami: South) -> None:
    small = await ami.meter(listen=False)
    async with pusher(await ami.start(), "tcp") as pushing:
        await pushing.send(framed(pushed(small, 7)))
        first, second = await pushing.next_pdu(), await pushing.next_pdu()
    assert confirms(first, small, ReceiveCounter()) == 7
    assert second.apdu[:1] == b"\x60"


async def test_over_a_connection_that_waits_for_the_next_session(ami: South) -> None:
    small = await ami.meter(listen=False)
    meters = await ami.start()
    assert meters.listening is not None
    await small.dial(meters.listening)
    await eventually(lambda: ami.told("dialled_in"))
    small.say(framed(pushed(small, 7)))
    (told,) = await eventually(lambda: ami.told("notification_confirmed"))
    assert told["meter"] == "M1001"
    assert (await ami.switch()).ok
    assert 7 in confirmed_by(small)
    assert small.counters_seen() == sorted(set(small.counters_seen()))


def confirmed_by(meter: SmallMeter) -> list[int]:
    """Invoke ids that the HES has confirmed to this meter for the push client, over whatever connection."""
    frames = wrapper.Deframer()
    frames.receive_data(bytes(meter.inbound))
    pdus: list[Any] = []
    while (pdu := frames.next_pdu()) is not None:
        pdus += [pdu] if pdu.source == PUSH_CLIENT else []
    return [confirms(pdu, meter, ReceiveCounter()) for pdu in pdus]


async def test_in_the_middle_of_a_session(ami: South) -> None:
    small = await ami.meter()
    small.in_the_middle = framed(pushed(small, 7))
    await ami.start()
    assert (await ami.switch()).ok
    assert confirmed_by(small) == [7], "and those that came again were used before"
    assert small.counters_seen() == sorted(set(small.counters_seen()))


class PushesOnce(SmallMeter):
    """Before the answer to one GET."""

    def _get(self, descriptor: AttributeDescriptor) -> Data | DataAccessResult:
        self.in_the_middle = b""
        return super()._get(descriptor)


async def switched_with_a_push_inside(ami: South, small: SmallMeter, *, secured: bool) -> None:
    """A switching, with a push to the client of the association in the middle of one of its reads."""
    ami.small.append(await small.listen())
    await ami.start()
    running = asyncio.create_task(ami.switch())
    await eventually(lambda: "open 1" in small.asked)
    small.in_the_middle = framed(pushed(small if secured else None, 7, small.send_counter.next_value), client=1)
    if secured:
        small.send_counter.take()
    assert (await running).ok
    assert small.counters_seen() == sorted(set(small.counters_seen())) and len(ami.told("notification")) == 1


@pytest.mark.parametrize("authentication", ["hls-gmac", "none"])
async def test_inside_an_association(ami: South, authentication: str) -> None:
    small = PushesOnce(authentication=authentication)
    await switched_with_a_push_inside(ami, small, secured=authentication != "none")
    assert "confirmed 7" in small.asked and len(ami.told("notification_confirmed")) == 1


async def test_one_inside_an_association_is_reported_though_the_session_is_ended_meanwhile(
    ami: South, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its counter is used by then: nobody would hear of it again."""
    keep, began, goes_on = ReceiveCounters.keep, asyncio.Event(), asyncio.Event()

    async def kept_late(self: ReceiveCounters, meter: Meter, origin: FrameOrigin, lowest: int | None = None) -> None:
        if origin is FrameOrigin.PUSH:
            began.set()
            await goes_on.wait()
        await keep(self, meter, origin, lowest)

    monkeypatch.setattr(ReceiveCounters, "keep", kept_late)
    running = asyncio.create_task(switched_with_a_push_inside(ami, PushesOnce(), secured=True))
    await began.wait()
    running.cancel()
    await asyncio.wait([running])
    goes_on.set()
    await eventually(lambda: ami.told("notification"))


async def test_no_confirmation_is_begun_behind_the_end(ami: South, monkeypatch: pytest.MonkeyPatch) -> None:
    began, goes_on = asyncio.Event(), asyncio.Event()

    async def kept_late(self: ReceiveCounters, meter: Meter, origin: FrameOrigin, lowest: int | None = None) -> None:
        began.set()
        await goes_on.wait()

    monkeypatch.setattr(ReceiveCounters, "keep", kept_late)
    small = await ami.meter()
    meters = await ami.start()
    async with pusher(meters, "udp") as pushing:
        await pushing.send(framed(pushed(small, 7)))
        await began.wait()
        ending = asyncio.create_task(meters.stop())
        for _ in range(100):  # it waits for what is being published by then
            await asyncio.sleep(0)
        assert not ending.done()
        goes_on.set()
        await ending
    assert not [one for one in asyncio.all_tasks() if "Confirmations" in repr(one.get_coro())]


async def test_an_unencrypted_one_for_a_client_with_keys_is_not_confirmed(ami: South) -> None:
    """The meter would have to refuse an answer without protection, and the session with it."""
    await switched_with_a_push_inside(ami, PushesOnce(), secured=False)
    assert "unencrypted" in ami.told("notification_not_confirmed")[0]["reason"]


@pytest.mark.parametrize("transport", ["tcp", "udp"])
async def test_blocks_are_acknowledged_where_their_sender_waits_for_it(ami: South, transport: str) -> None:
    small = await ami.meter()
    whole = pushed(small, 7)
    parts = [whole[start : start + 20] for start in range(0, len(whole), 20)]
    receive = ReceiveCounter()
    async with pusher(await ami.start(), transport) as pushing:
        for number, part in enumerate(parts, 1):
            control = BlockControl(number == len(parts), False, 1)
            await pushing.send(framed(apdu.encode(GeneralBlockTransfer(control, number, 0, part))))
            told = apdu.decode((await pushing.next_pdu()).apdu)
            assert isinstance(told, GeneralBlockTransfer)
            assert (told.block_number_ack, told.block_data) == (number, b"")
        assert confirms(await pushing.next_pdu(), small, receive) == 7
    assert not ami.told("dropped")


async def test_a_datagram_that_nobody_vouches_for_is_not_answered(ami: South) -> None:
    """Its sender may be made up: whoever it names would get our answers. Of what meters send, no answer is longer than what it answers."""
    small = await ami.meter()
    block = GeneralBlockTransfer(BlockControl(False, False, 1), 1, 0, bytes(20))
    strangers = (pushed(None, 7), pushed(SmallMeter(number=1001), 7), pushed(SmallMeter(number=2002), 7), b"\x60\x00")
    genuine = framed(pushed(small, 9))
    async with pusher(await ami.start(), "udp") as pushing:
        await pushing.send(*map(framed, (*strangers, apdu.encode(block))), genuine)
        answer = await pushing.next_pdu()
        assert confirms(answer, small, ReceiveCounter()) == 9, "the first answer is to the genuine one"
        assert len(wrapper.encode(answer)) <= len(genuine)
    assert "datagram" in ami.told("notification_not_confirmed")[0]["reason"]


class Notes:
    """Who keeps traces of pushes, in a list."""

    def __init__(self) -> None:
        self.kept: list[NotedPush] = []

    def recording(self) -> Recording:
        return Recording(datetime(2026, 11, 20, tzinfo=UTC), real_time, 100_000)

    def pushed(self, push: NotedPush) -> None:
        self.kept.append(push)


@pytest.mark.parametrize("authentication", ["hls-gmac", "none"])
async def test_one_in_an_association_that_is_kept_open_has_a_trace_with_its_confirmation(
    ami: South, authentication: str
) -> None:
    small = await ami.meter(authentication=authentication)
    meters = await ami.start(keep_open_s=60.0)
    notes, secured = Notes(), authentication != "none"
    meters.note_pushes(notes)
    assert (await ami.switch()).ok
    assert notes.kept == [], "what is asked for is in the trace of who asks"
    for number in (7, 8):
        small.say(framed(pushed(small if secured else None, number, small.send_counter.next_value), client=1))
        if secured:
            small.send_counter.take()
        await eventually(lambda number=number: len(notes.kept) == number - 6)
        await eventually(lambda number=number: f"confirmed {number}" in small.asked)
    for push in notes.kept:
        assert (push.service, push.meter, push.reason) == ("DataNotification", "M1001" if secured else "", "")
        connection, came, went = push.recording.read()
        assert isinstance(connection, Begun) and isinstance(came, Passed) and isinstance(went, Passed)
        assert (came.sent, went.sent) == (False, True) and connection.peer.startswith("127.0.0.1:")
        assert [(came.clear or came.octets)[:1], bool(went.clear)] == [b"\x0f", secured]
    assert (await ami.switch()).ok and len(notes.kept) == 2
