"""Meters on real loopback sockets, spoken to by our own client; hostile connections; meters that dial in; pushes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from bench import (
    A_PUSH,
    CLIENT_TITLE,
    CLOCK,
    COUNTER,
    DEVICE_NAME,
    IMPORT,
    KEYS,
    METER_TITLE,
    PROFILE,
    START,
    SWITCH,
    Bench,
    Caller,
    Wire,
    attribute,
    clear_client,
    client_security,
    gmac,
    gmac_client,
    method,
    misbehaving,
    no_room,
    one_push,
    public_client,
    pushing_to,
    send,
    setup,
)
from patience import PATIENCE_S

from ami_dlms import data
from ami_dlms.association import (
    Action,
    ActionOutcome,
    ClientConnection,
    Get,
    Notified,
    Open,
    Opened,
    Release,
    Released,
    unprotect_notification,
)
from ami_dlms.datetimes import CosemDateTime
from ami_dlms.enums import ActionResult
from ami_dlms.framing.wrapper import decode_datagram
from ami_dlms.security import ReceiveCounter
from ami_meter_sim.events import PushFailed
from ami_meter_sim.faults import Faults
from ami_meter_sim.lines import admission
from ami_meter_sim.lines.connection import Service
from ami_meter_sim.lines.dialler import BackOff, Called, dial
from ami_meter_sim.lines.meter_pushes import WantedPushes
from ami_meter_sim.lines.push import PushEndpoint, PushSender
from ami_meter_sim.meter.pushes import INTERVAL
from ami_meter_sim.meter.pushes import SWITCH as SWITCHED
from ami_meter_sim.meter.pushing import push_frames
from ami_meter_sim.meter.simulated_meter import Meter

DISCONNECT, CONNECT = Action(method(SWITCH, 1), data.integer(0)), Action(method(SWITCH, 2), data.integer(0))
Make = Callable[..., Awaitable[tuple[Wire, Bench]]]


@pytest.fixture
async def make(tmp_path: Path) -> AsyncIterator[Make]:
    """A listening meter with this setup."""
    wires: list[Wire] = []

    async def listening(
        most: int = 4, idle_timeout_s: float = 5.0, faults: Faults | None = None, **more: Any
    ) -> tuple[Wire, Bench]:
        bench = Bench(tmp_path)
        bench.start(setup(**more))
        wire = Wire(bench.meter, now=lambda: bench.at, faults=faults)
        wires.append(wire)
        await wire.listen(most, idle_timeout_s)
        return wire, bench

    yield listening
    for wire in wires:
        await wire.stop()


async def opened(port: int, connection: ClientConnection) -> Caller:
    caller = await Caller.call(port, connection)
    assert isinstance(await caller.ask(Open()), Opened)
    return caller


async def test_the_whole_conversation_of_a_head_end(make: Make) -> None:
    wire, _ = await make(management=gmac())
    caller = await opened(wire.port, public_client())
    name = await caller.ask(Get(attribute(DEVICE_NAME, 2)))
    counter = await caller.ask(Get(attribute(COUNTER, 2)))
    assert (name.value.value, counter.value.value) == (b"AMIM1001", 0)
    assert isinstance(await caller.ask(Release()), Released)
    await caller.close()

    caller = await opened(wire.port, gmac_client(counter.value.value + 1))
    assert (await caller.ask(Get(attribute(SWITCH, 2)))).value == data.boolean(True)
    assert await caller.ask(DISCONNECT) == ActionOutcome(ActionResult.SUCCESS, None)
    assert [(await caller.ask(Get(attribute(SWITCH, n)))).value.value for n in (2, 3, 4)] == [False, 0, 4]
    assert await caller.ask(CONNECT) == ActionOutcome(ActionResult.SUCCESS, None)
    assert (await caller.ask(Get(attribute(SWITCH, 2)))).value == data.boolean(True)
    assert isinstance(await caller.ask(Release()), Released)
    await caller.close()
    before, after = ({"output_state": on, "control_state": int(on), "control_mode": 4} for on in (True, False))
    assert wire.events("switched") == [
        {"meter": "M1001", "method": "remote_disconnect", "before": before, "after": after},
        {"meter": "M1001", "method": "remote_reconnect", "before": after, "after": before},
    ]
    assert [(e["client_wport"], e["what"]) for e in wire.events("association")] == [
        (16, "opened"),
        (16, "released"),
        (1, "opened"),
        (1, "released"),
    ]


async def test_a_long_profile_comes_in_blocks(make: Make) -> None:
    wire, bench = await make(management=gmac())
    bench.later(days=30)
    caller = await opened(wire.port, gmac_client(1))
    result = await caller.ask(Get(attribute(PROFILE, 2)))
    assert len(result.value.value) == 30 * 96
    last = CosemDateTime.decode(result.value.value[-1].value[0].value).to_datetime()
    assert last == bench.at.replace(minute=0)
    await caller.close()


async def test_both_clients_at_the_same_time(make: Make) -> None:
    wire, _ = await make(management=gmac())
    public, management = await opened(wire.port, public_client()), await opened(wire.port, gmac_client(1))
    assert (await public.ask(Get(attribute(CLOCK, 2)))).value is not None
    assert (await management.ask(Get(attribute(IMPORT, 2)))).value is not None
    assert (await public.ask(Get(attribute(COUNTER, 2)))).value.value >= 3
    await public.close()
    await management.close()


async def test_meters_on_two_addresses_do_not_share_state(make: Make, tmp_path: Path) -> None:
    one, _ = await make(name="M1001")
    two, _ = await make(name="M1002")
    first, second = await opened(one.port, clear_client()), await opened(two.port, clear_client())
    assert (await first.ask(DISCONNECT)).result is ActionResult.SUCCESS
    assert (await first.ask(Get(attribute(SWITCH, 2)))).value == data.boolean(False)
    assert (await second.ask(Get(attribute(SWITCH, 2)))).value == data.boolean(True)
    assert (await second.ask(Get(attribute(DEVICE_NAME, 2)))).value == data.octet_string(b"AMIM1002")
    await first.close()
    await second.close()


async def test_connection_dies_between_action_and_answer(make: Make) -> None:
    wire, bench = await make(faults=misbehaving({"fault": "reset-after-action", "how": "close"}))
    caller = await opened(wire.port, clear_client())
    assert await caller.ask(DISCONNECT) is None
    await caller.close()
    again = await opened(wire.port, clear_client())
    assert (await again.ask(Get(attribute(SWITCH, 2)))).value == data.boolean(False)
    await again.close()
    assert wire.died == 0 and not bench.meter.switch.output_state


async def test_connection_is_reset_between_action_and_answer(make: Make) -> None:
    wire, bench = await make(faults=misbehaving({"fault": "reset-after-action"}))
    caller = await opened(wire.port, clear_client())
    with pytest.raises(ConnectionResetError):
        await caller.ask(DISCONNECT)
    caller.writer.transport.abort()
    assert not bench.meter.switch.output_state


async def test_process_dies_between_action_and_answer(make: Make) -> None:
    wire, _ = await make(faults=misbehaving({"fault": "reset-after-action", "how": "exit"}))
    caller = await opened(wire.port, clear_client())
    assert await caller.ask(DISCONNECT) is None
    await caller.close()
    assert wire.died == 1


# --- hostile connections


async def test_one_connection_too_many_is_closed_and_the_others_live(make: Make) -> None:
    wire, _ = await make(most=2)
    one, two = await opened(wire.port, clear_client()), await opened(wire.port, public_client())
    three = await Caller.call(wire.port, clear_client())
    assert await asyncio.wait_for(three.reader.read(1), PATIENCE_S) == b""
    await three.close()
    assert (await one.ask(Get(attribute(IMPORT, 2)))).value is not None
    await two.close()
    await one.close()


async def test_silent_connections_do_not_silence_the_meter(make: Make) -> None:
    wire, _ = await make()
    silent = [await Caller.call(wire.port, clear_client()) for _ in range(4)]
    caller = await opened(wire.port, clear_client())
    assert (await caller.ask(Get(attribute(IMPORT, 2)))).value is not None
    assert await asyncio.wait_for(silent[0].reader.read(1), PATIENCE_S) == b""
    for one in (*silent, caller):
        await one.close()


async def test_associations_without_requests_do_not_silence_the_meter(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admission, "IDLE_S", 0.0)
    wire, _ = await make()
    idle = [await opened(wire.port, public_client()) for _ in range(4)]
    caller = await opened(wire.port, clear_client())
    assert (await caller.ask(Get(attribute(IMPORT, 2)))).value is not None
    assert await asyncio.wait_for(idle[0].reader.read(1), PATIENCE_S) == b"", "the one that was heard longest ago"
    for one in (*idle, caller):
        await one.close()


async def test_a_request_under_way_does_not_give_way(make: Make) -> None:
    wire, _ = await make(most=1, faults=misbehaving({"fault": "slow", "seconds": 0.3}))
    caller = await Caller.call(wire.port, clear_client())
    asking = asyncio.create_task(caller.ask(Open()))
    await asyncio.wait({asking}, timeout=0.05)
    more = await Caller.call(wire.port, clear_client())
    assert await asyncio.wait_for(more.reader.read(1), PATIENCE_S) == b""
    assert isinstance(await asking, Opened)
    await more.close()
    await caller.close()


async def test_a_silent_connection_is_closed(make: Make) -> None:
    wire, _ = await make(idle_timeout_s=0.05)
    caller = await Caller.call(wire.port, clear_client())
    assert await asyncio.wait_for(caller.reader.read(1), PATIENCE_S) == b""
    await caller.close()


@pytest.mark.parametrize("octets", [b"GET / HTTP/1.1\r\n\r\n", b"\x00" * 64, bytes(range(256)) * 64])
async def test_garbage_harms_nobody(make: Make, octets: bytes) -> None:
    wire, _ = await make()
    hostile = await Caller.call(wire.port, clear_client())
    hostile.writer.write(octets)
    with suppress(ConnectionResetError):  # what the meter did not read any more comes back as a reset
        await asyncio.wait_for(hostile.reader.read(), PATIENCE_S)
    hostile.writer.transport.abort()
    caller = await opened(wire.port, clear_client())
    assert (await caller.ask(Get(attribute(IMPORT, 2)))).value is not None
    await caller.close()


async def test_a_peer_that_leaves_in_the_middle_harms_nobody(make: Make) -> None:
    wire, _ = await make()
    for _ in range(8):
        rude = await Caller.call(wire.port, clear_client())
        rude.writer.write(rude.connection.send(Open())[:11])
        rude.writer.transport.abort()
    caller = await opened(wire.port, clear_client())
    await caller.close()


# --- captures while nobody asks


async def test_captures_go_on_while_nobody_asks(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    meter = bench.start()
    wire = Wire(meter, now=lambda: bench.at)
    bench.at = START.replace(minute=14, second=59, microsecond=999_000)
    task = asyncio.create_task(wire.fleet.keep_time())
    before = bench.store.journal.segments[-1].end
    await asyncio.sleep(0)
    bench.at = START.replace(minute=15)
    for _ in range(10):
        await asyncio.sleep(0)
    task.cancel()
    assert bench.store.journal.segments[-1].end == before, "nothing is kept for it"
    assert bench.value(PROFILE, 7) == 1


async def test_a_state_that_can_not_be_kept_is_told(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    meter = bench.start()
    wire = Wire(meter, now=lambda: bench.at)
    wire.fleet.advance(meter)
    with no_room(bench):
        wire.fleet.advance(meter)
        assert wire.events("state_error") == []
        bench.later(hours=1)
        wire.fleet.advance(meter)
        wire.fleet.finish()
    name = bench.store.directory.name
    assert len(wire.events("state_error")) == 1 and f"{name}/" in str(wire.events("state_error"))


# --- meters that dial in


async def test_a_meter_dials_in_again_and_again(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    wire = Wire(bench.start(setup(management=gmac())))
    calls: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()
    server = await asyncio.start_server(lambda r, w: calls.put_nowait((r, w)), "127.0.0.1", 0)
    address = server.sockets[0].getsockname()[:2]
    task = asyncio.create_task(dial(Service(wire.fleet), bench.meter, Called(*address), BackOff(0.01, 0.02)))
    try:
        for number in range(3):
            caller = Caller(gmac_client(1 + 100 * number), *await asyncio.wait_for(calls.get(), PATIENCE_S))
            assert isinstance(await caller.ask(Open()), Opened)
            assert (await caller.ask(DISCONNECT if number == 0 else CONNECT)).result is ActionResult.SUCCESS
            await caller.close()
    finally:
        task.cancel()
        server.close()
    assert bench.meter.switch.output_state


async def test_a_meter_that_can_not_dial_tries_again(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    wire = Wire(bench.start())
    probe = await asyncio.start_server(lambda r, w: None, "127.0.0.1", 0)
    host, port = probe.sockets[0].getsockname()[:2]
    probe.close()
    tried = asyncio.Event()
    wire.watch = lambda event: tried.set() if len(wire.events("dial_failed")) == 3 else None
    task = asyncio.create_task(dial(Service(wire.fleet), bench.meter, Called(host, port), BackOff(0.001, 0.002)))
    await asyncio.wait_for(tried.wait(), PATIENCE_S)
    task.cancel()


def test_the_delay_doubles_up_to_a_limit() -> None:
    delays = BackOff(1.0, 6.0)
    assert [delays.take() for _ in range(5)] == [1.0, 2.0, 4.0, 6.0, 6.0]
    delays.reset()
    assert delays.take() == 1.0


# --- pushes


class Mailbox(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.came: asyncio.Queue[bytes] = asyncio.Queue()

    def datagram_received(self, octets: bytes, address: Any) -> None:
        self.came.put_nowait(octets)


def pushed(frame: bytes, protected: bool) -> tuple[Any, bytes | None]:
    pdu = decode_datagram(frame)
    assert (pdu.source, pdu.destination) == (1, 1)
    counter = ReceiveCounter(0)
    notification, title = unprotect_notification(pdu.apdu, lambda t: (KEYS, counter) if t == METER_TITLE else None)
    assert title == (METER_TITLE if protected else None)
    return notification, title


def pushing(wire: Wire, meter: Meter) -> asyncio.Task[None]:
    sender = PushSender(wire.fleet)
    WantedPushes(sender, wire.fleet).watch(meter)
    return asyncio.create_task(sender.run())


@pytest.mark.parametrize("protected", [True, False])
async def test_a_switching_is_pushed_over_udp(tmp_path: Path, protected: bool) -> None:
    transport, mailbox = await asyncio.get_running_loop().create_datagram_endpoint(Mailbox, local_addr=("127.0.0.1", 0))
    host, port = transport.get_extra_info("sockname")[:2]
    bench = Bench(tmp_path)
    model = pushing_to((host, port), SWITCHED, protected=protected)
    meter = bench.start(setup(management=gmac(), model=model))
    wire = Wire(meter)
    task = pushing(wire, meter)
    try:
        await wire.listen()
        caller = await opened(wire.port, gmac_client(1))
        for state, request in ((0, DISCONNECT), (1, CONNECT)):
            await caller.ask(request)
            notification, _ = pushed(await asyncio.wait_for(mailbox.came.get(), PATIENCE_S), protected)
            clock, device, control_state = notification.body.value
            assert CosemDateTime.decode(clock.value).to_datetime() == START
            assert (device.value, control_state) == (b"1001", data.enum(state))
        await caller.close()
    finally:
        task.cancel()
        transport.close()
        await wire.stop()


async def test_pushes_by_time_over_tcp(tmp_path: Path) -> None:
    calls: asyncio.Queue[bytes] = asyncio.Queue()

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        calls.put_nowait(await reader.read())
        writer.close()

    server = await asyncio.start_server(take, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()[:2]
    bench = Bench(tmp_path)
    model = pushing_to((host, port), INTERVAL, transport="tcp", every_s=900)
    meter = bench.start(setup(management=gmac(), model=model))
    wire = Wire(meter, now=lambda: bench.at)
    task = pushing(wire, meter)
    counters = []
    for _ in range(3):
        bench.later(minutes=15)
        wire.fleet.advance(meter)
        frame = await asyncio.wait_for(calls.get(), PATIENCE_S)
        pushed(frame, True)
        counters.append(int.from_bytes(frame[8 + 12 : 8 + 16], "big"))
    task.cancel()
    server.close()
    assert counters == sorted(set(counters)), "no counter twice"


async def test_a_push_that_nobody_takes_is_told_and_dropped(tmp_path: Path) -> None:
    probe = await asyncio.start_server(lambda r, w: None, "127.0.0.1", 0)
    host, port = probe.sockets[0].getsockname()[:2]
    probe.close()
    bench = Bench(tmp_path)
    meter = bench.start()
    wire = Wire(meter)
    failed = asyncio.Event()
    wire.watch = lambda event: failed.set() if isinstance(event, PushFailed) else None
    sender = await asyncio.wait_for(
        send(wire.fleet, one_push(meter, PushEndpoint("tcp", host, port), SWITCHED)), PATIENCE_S
    )
    assert failed.is_set() and (sender.sent, sender.failed) == (0, 1)


def test_notifications_are_taken_by_a_client_in_the_middle_of_a_get(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    meter = bench.start()
    client = clear_client()
    client.receive_data(b"".join(push_frames(meter, A_PUSH, bench.at)))
    event = client.next_event()
    assert isinstance(event, Notified)
    assert client_security().system_title == CLIENT_TITLE
