"""Pushes on real sockets: in their time, from the meter's own address, tried again, counted where they arrive, and beside sessions."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from bench import (
    A_PUSH,
    IMPORT,
    KEYS,
    METER_TITLE,
    RESIDENTIAL,
    Bench,
    Caller,
    Wire,
    attribute,
    clear_client,
    gmac,
    gmac_client,
    method,
    send,
    setup,
)
from devices import described
from free_ports import free_port
from patience import PATIENCE_S
from reported import Reported

from ami_dlms import data
from ami_dlms.apdu.notify import EventNotificationRequest
from ami_dlms.association import Action, Get, Open, Opened, unprotect_notification, unprotect_unsolicited
from ami_dlms.enums import ActionResult
from ami_dlms.framing.wrapper import decode_datagram
from ami_dlms.obis import Obis
from ami_dlms.security import ReceiveCounter
from ami_meter_sim.commit import Commit
from ami_meter_sim.faults import Rule
from ami_meter_sim.fleet import Fleet
from ami_meter_sim.lines.meter_pushes import WantedPushes
from ami_meter_sim.lines.push import Push, PushEndpoint, PushSender
from ami_meter_sim.meter.pushing import push_frames
from ami_meter_sim.population.addressing import Addressing, AddressPlan
from ami_packs.event_list import AlarmBit, LoggedEvent, Occurrence, event_list
from ami_packs.model import MANAGEMENT, Model, ObjectAccess
from ami_process.clocks import SteppedClock
from ami_process.environment import Environment

MANY = 2_000
RECEIVE_OCTETS = 4 * 1024 * 1024


@contextmanager
def mailbox() -> Iterator[socket.socket]:
    """A socket of UDP with room for a burst."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_OCTETS)
        one.bind(("127.0.0.1", 0))
        one.setblocking(False)
        yield one


def to(one: socket.socket) -> PushEndpoint:
    return PushEndpoint("udp", *one.getsockname())


def received(one: socket.socket) -> list[tuple[bytes, str]]:
    """What has come, and from which address."""
    found = []
    while True:
        try:
            octets, (host, _) = one.recvfrom(65536)
        except BlockingIOError:
            return found
        found.append((octets, host))


def a_fleet(**more: Any) -> tuple[Fleet, Reported]:
    reported = Reported()
    return Fleet((), Environment(emit=reported, **more)), reported


def gasp(number: int, destination: PushEndpoint, **more: Any) -> Push:
    return Push(
        meter=f"M{number}",
        frames=lambda at: (number.to_bytes(4, "big"),),
        destination=destination,
        why="power-down",
        **more,
    )


@pytest.mark.needs("loopback-block")
async def test_every_meter_s_last_gasp_leaves_from_its_own_address() -> None:
    fleet, reported = a_fleet()
    plan = AddressPlan(Addressing.ADDRESS_EACH, "127.30.0.1", 4059, MANY)
    with mailbox() as receiver:
        gasps = (gasp(index, to(receiver), own_host=plan.place(index)[0]) for index in range(MANY))
        sender = await send(fleet, *gasps)
        came = received(receiver)
    assert sender.sent == len(reported.seen("pushed")) == MANY and sender.failed == 0
    assert len(came) == MANY, "counted at the receiver"
    assert {int.from_bytes(octets, "big"): host for octets, host in came} == {
        index: plan.place(index)[0] for index in range(MANY)
    }


async def test_a_session_beside_many_pushes_is_served_before_they_are_all_sent(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    wire = Wire(bench.start())
    await wire.listen()
    caller = await Caller.call(wire.port, clear_client())
    sender = PushSender(wire.fleet)
    with mailbox() as receiver:
        for number in range(50_000):
            sender.want(gasp(number, to(receiver)), wire.fleet.environment.now())
        task = asyncio.create_task(sender.run())
        assert isinstance(await caller.ask(Open()), Opened)
        assert (await caller.ask(Get(attribute(IMPORT, 2)))).value is not None
        assert sender.waiting > 0 and sender.sent > 0
        task.cancel()
    await caller.close()
    await wire.stop()


async def test_an_attempt_that_fails_is_made_again_with_new_octets() -> None:
    fleet, _ = a_fleet()
    counters = iter(range(1, 10))
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        door.setblocking(False)

        def frames(at: datetime) -> Sequence[bytes]:
            """The receiver begins to listen before the third attempt."""
            counter = next(counters)
            if counter == 3:
                door.listen()
            return (bytes((counter,)),)

        where = PushEndpoint("tcp", *door.getsockname())
        push = Push(meter="M1", frames=frames, destination=where, why="alarm", retry_at=lambda attempt, at: at)
        sender = await asyncio.wait_for(send(fleet, push), PATIENCE_S)
        assert (sender.sent, sender.failed) == (1, 2)
        with door.accept()[0] as connection:
            assert connection.recv(10) == bytes((3,)), "a counter is used once"


async def test_attempts_end() -> None:
    fleet, reported = a_fleet()
    push = gasp(1, PushEndpoint("tcp", "127.0.0.1", free_port()), retry_at=lambda n, at: at if n <= 3 else None)
    sender = await asyncio.wait_for(send(fleet, push), PATIENCE_S)
    assert (sender.sent, sender.failed, sender.waiting) == (0, 4, 0)
    assert len(reported.seen("push_failed")) == 4 and "Connect call failed" in reported.seen("push_failed")[0]["reason"]


async def test_a_push_waits_for_the_clock_of_the_process() -> None:
    clock = SteppedClock(datetime(2026, 3, 28, tzinfo=UTC))
    fleet, _ = a_fleet(clock=clock, now=clock.now, monotonic=clock.monotonic, sleep=clock.sleep)
    sender = PushSender(fleet)
    with mailbox() as receiver:
        for hours in (1, 2, 3):
            sender.want(gasp(1, to(receiver)), clock.now() + timedelta(hours=hours))
        task = asyncio.create_task(sender.run())
        for hours in (1, 2, 3):
            assert (sender.sent, sender.waiting) == (hours - 1, 4 - hours)
            await clock.advance_to(clock.now() + timedelta(hours=1))
            while sender.sent < hours:
                await asyncio.sleep(0)
        task.cancel()


async def test_a_name_is_looked_up() -> None:
    fleet, _ = a_fleet()
    with mailbox() as receiver:
        sender = await asyncio.wait_for(
            send(fleet, gasp(7, PushEndpoint("udp", "localhost", to(receiver).port))), PATIENCE_S
        )
        assert sender.sent == 1 and received(receiver) == [((7).to_bytes(4, "big"), "127.0.0.1")]


async def test_nothing_is_pushed_when_its_counter_is_not_on_disk() -> None:
    def fail() -> None:
        raise OSError(28, "No space left on device")

    fleet, reported = a_fleet()
    fleet.commit = Commit(fail)
    with mailbox() as receiver:
        sender = await asyncio.wait_for(send(fleet, gasp(1, to(receiver))), PATIENCE_S)
        assert received(receiver) == []
    assert (sender.sent, sender.failed) == (0, 1)
    assert "No space left" in reported.seen("push_failed")[0]["reason"]


# --- what the objects of a meter want

ALARM, POWER_DOWN, INSTALLATION = (f"0-{b}:25.9.0" for b in (4, 5, 7))
REGISTER, LOG = "0-0:97.98.0", "0-0:99.98.1"
EVERYTHING = frozenset(range(1, 12))


def with_pushes(receiver: socket.socket, *names: str) -> Model:
    """The residential meter with push setups that send the device id, and an alarm at the terminal cover."""
    host, port = receiver.getsockname()
    destination = data.structure(data.enum(1), data.octet_string(f"{host}:{port}".encode()), data.enum(0))
    name = data.structure(
        data.long_unsigned(1), data.octet_string(bytes((0, 0, 96, 1, 0, 255))), data.integer(2), data.long_unsigned(0)
    )
    rights = {MANAGEMENT: ObjectAccess(EVERYTHING, EVERYTHING, EVERYTHING)}
    pushes = [
        replace(described((40, one), attributes={2: data.array(name), 3: destination}), access=rights) for one in names
    ]
    register = described((1, REGISTER), attributes={2: data.double_long_unsigned(0)})
    cover = LoggedEvent(Obis.parse(LOG), 40, AlarmBit(Obis.parse(REGISTER), 3))
    objects = (*RESIDENTIAL.objects.values(), *pushes, register)
    return Model(objects, RESIDENTIAL.associations, RESIDENTIAL.load, event_list([("terminal_cover_opened", cover)]))


@contextmanager
def pushing(wire: Wire, meter: Any) -> Iterator[PushSender]:
    sender = PushSender(wire.fleet)
    WantedPushes(sender, wire.fleet).watch(meter)
    task = asyncio.create_task(sender.run())
    yield sender
    task.cancel()


async def arrival(receiver: socket.socket) -> Any:
    """The next push, deciphered with the meter's keys."""
    octets = await asyncio.wait_for(asyncio.get_running_loop().sock_recv(receiver, 65536), PATIENCE_S)
    counter = ReceiveCounter(0)
    pdu = decode_datagram(octets)
    notification, title = unprotect_notification(pdu.apdu, lambda one: (KEYS, counter) if one == METER_TITLE else None)
    assert title == METER_TITLE, "ciphered as the association wants"
    return notification


async def test_the_method_push_and_an_alarm_and_a_power_down_push(tmp_path: Path) -> None:
    with mailbox() as receiver:
        bench = Bench(tmp_path)
        meter = bench.start(setup(management=gmac(), model=with_pushes(receiver, ALARM, POWER_DOWN, INSTALLATION)))
        wire = Wire(meter, now=lambda: bench.at)
        await wire.listen()
        with pushing(wire, meter) as sender:
            assert (await arrival(receiver)).body.value[0].value == b"1001", "a new meter announces itself"
            caller = await Caller.call(wire.port, gmac_client(1))
            assert isinstance(await caller.ask(Open()), Opened)
            outcome = await caller.ask(Action(method((40, ALARM), 1), data.integer(0)))
            assert outcome.result is ActionResult.SUCCESS
            assert (await arrival(receiver)).body.value[0].value == b"1001"
            meter.occur(Occurrence.TERMINAL_COVER_OPENED, bench.later(minutes=1))
            await arrival(receiver)
            meter.occur(Occurrence.TERMINAL_COVER_OPENED, bench.later(minutes=1))
            meter.occur(Occurrence.POWER_DOWN, bench.later(minutes=1))
            await arrival(receiver)
            assert sender.sent == 4, "an alarm that is there already is no new one"
            await caller.close()
        await wire.stop()


async def test_event_notifications_where_the_model_asks_for_them(tmp_path: Path) -> None:
    """One of each object of the list, each with a counter of its own."""
    with mailbox() as receiver:
        whole = with_pushes(receiver, INSTALLATION)
        key = (40, Obis.parse(INSTALLATION))
        two = data.array(*whole.objects[key].attributes[2].value * 2)
        asked = replace(
            whole.objects[key],
            attributes={**whole.objects[key].attributes, 2: two},
            options={"event_notification": True},
        )
        objects = whole.objects | {key: asked}
        bench = Bench(tmp_path)
        meter = bench.start(
            setup(management=gmac(), model=Model(tuple(objects.values()), whole.associations, whole.load))
        )
        wire = Wire(meter, now=lambda: bench.at)
        counter = ReceiveCounter(0)
        with pushing(wire, meter):
            for _ in range(2):
                octets = await asyncio.wait_for(asyncio.get_running_loop().sock_recv(receiver, 65536), PATIENCE_S)
                notification, title = unprotect_unsolicited(
                    decode_datagram(octets).apdu, lambda one: (KEYS, counter) if one == METER_TITLE else None
                )
                assert isinstance(notification, EventNotificationRequest) and title == METER_TITLE
                assert (notification.descriptor.class_id, notification.value.value) == (1, b"1001")
                assert notification.time is not None and notification.time.to_datetime() == bench.at


def test_what_a_push_has_used_is_in_the_row_before_the_meter_can_go(tmp_path: Path) -> None:
    """A meter that nobody keeps alive is made anew from its row: the next push may not use the same counter."""
    bench = Bench(tmp_path)
    meter = bench.start(setup(management=gmac()))
    for _ in range(2):
        used = meter.counters.send.next_value
        push_frames(meter, A_PUSH, bench.at)
        assert meter.row.send_next == meter.counters.send.next_value == used + 1


@pytest.mark.parametrize(
    ("destination", "reported"),
    [(b"", []), (b"head-end", ["the push setup has no destination over TCP, UDP or HDLC"])],
    ids=["none is written, so no push is wanted", "what is written is none"],
)
async def test_a_push_without_a_destination_is_not_sent(
    tmp_path: Path, destination: bytes, reported: list[str]
) -> None:
    bench = Bench(tmp_path)
    rights = {MANAGEMENT: ObjectAccess(EVERYTHING, EVERYTHING, EVERYTHING)}
    where = data.structure(data.enum(1), data.octet_string(destination), data.enum(0))
    nowhere = replace(described((40, INSTALLATION), attributes={3: where}), access=rights)
    objects = (*RESIDENTIAL.objects.values(), nowhere)
    meter = bench.start(setup(model=Model(objects, RESIDENTIAL.associations, RESIDENTIAL.load)))
    wire = Wire(meter)
    with pushing(wire, meter) as sender:
        assert sender.waiting == 0
    assert [one["reason"] for one in wire.events("push_failed")] == reported


@pytest.mark.parametrize("lost", [0.0, 0.3])
async def test_last_gasps_are_lost_as_it_is_configured(lost: float) -> None:
    fleet, _ = a_fleet()
    if lost:
        fleet.faults.set(Rule.parse({"fault": "last-gasp-lost", "probability": lost, "seed": 1, "meters": ["*"]}))
    with mailbox() as receiver:
        sender = await send(fleet, *(gasp(number, to(receiver)) for number in range(MANY)))
        came = received(receiver)
    assert len(came) == sender.sent
    assert abs(len(came) / MANY - (1 - lost)) < 0.04
