"""Each fault as a client sees it over a real socket, and the same meter in health after a reset."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from bench import (
    CLOCK,
    COUNTER,
    DEVICE_ID,
    IMPORT,
    PROFILE,
    RESIDENTIAL,
    SECURITY_SETUP,
    SWITCH,
    Bench,
    Caller,
    ObjectName,
    Wire,
    attribute,
    gmac,
    gmac_client,
    method,
    misbehaving,
    one_push,
    public_client,
    send,
    setup,
)
from patience import PATIENCE_S

from ami_dlms import data
from ami_dlms.association import Action, ActionOutcome, Get, Open, Opened, OpenRefused, PeerFault, Request, Set
from ami_dlms.data import Data
from ami_dlms.datetimes import CosemDateTime
from ami_dlms.enums import ActionResult, DataAccessResult, ServiceError
from ami_dlms.errors import DlmsError, SecurityError
from ami_dlms.obis import Obis
from ami_dlms.security import ReplayError
from ami_meter_sim.faults import FAULTS
from ami_meter_sim.lines.push import PushEndpoint
from ami_packs.model import MANAGEMENT, ListedMembers, Model, ObjectAccess, ObjectDescription

HEADER = 8
SHORT_S = 0.2
DISCONNECT = Action(method(SWITCH, 1), data.integer(0))
VOLTAGE: ObjectName = (3, "1-0:32.7.0")
IMAGE: ObjectName = (18, "0-0:44.0.0")
BLOCKS, BLOCK_OCTETS = 40, 16
INITIATE = Action(
    method(IMAGE, 1),
    data.structure(data.octet_string(b"fw-2"), data.double_long_unsigned(BLOCKS * BLOCK_OCTETS)),
)
DIFFERENT_KEY = data.array(data.structure(data.enum(0), data.octet_string(bytes(24))))


def plain(which: ObjectName, *methods: int, **attributes: Data) -> ObjectDescription:
    """An object without behaviour."""
    numbers = {int(name[1:]): value for name, value in attributes.items()}
    return ObjectDescription(
        obis=Obis.parse(which[1]),
        class_id=which[0],
        version=0,
        name="of this test",
        source="own",
        access={MANAGEMENT: ObjectAccess(read=frozenset({1, *numbers}), methods=frozenset(methods))},
        static=True,
        attributes=numbers,
        listed=ListedMembers((1, *numbers), methods),
    )


def image() -> ObjectDescription:
    """An image transfer, with its behaviour."""
    access = ObjectAccess(read=frozenset(range(1, 8)), methods=frozenset({1, 2, 3, 4}))
    described = plain(IMAGE, a2=data.double_long_unsigned(BLOCK_OCTETS))
    return replace(described, static=False, listed=None, access={MANAGEMENT: access})


def block(number: int) -> Action:
    return Action(
        method(IMAGE, 2),
        data.structure(data.double_long_unsigned(number), data.octet_string(bytes(BLOCK_OCTETS))),
    )


def model() -> Model:
    """A residential meter with a voltage, an image to be transferred, and keys that can be."""
    objects = dict(RESIDENTIAL.objects)
    setup_of_keys = objects[64, Obis.parse(SECURITY_SETUP[1])]
    rights = setup_of_keys.access[MANAGEMENT]
    objects[64, setup_of_keys.obis] = replace(
        setup_of_keys, access=dict(setup_of_keys.access) | {MANAGEMENT: replace(rights, methods=rights.methods | {2})}
    )
    for one in (plain(VOLTAGE, a2=data.long_unsigned(230)), image()):
        objects[one.class_id, one.obis] = one
    return Model(tuple(objects.values()), RESIDENTIAL.associations, RESIDENTIAL.load)


@dataclass
class Scene:
    """A meter with faults behind a real socket, and the counters of its client."""

    bench: Bench
    wire: Wire
    counter: int = 1
    callers: list[Caller] = field(default_factory=list)

    async def call(self, **more: Any) -> Caller:
        """A connection of the management client."""
        caller = await Caller.call(self.wire.port, gmac_client(self.counter, **more))
        self.counter += 1000
        self.callers.append(caller)
        return caller

    async def opened(self) -> Caller:
        caller = await self.call()
        assert isinstance(await caller.ask(Open()), Opened)
        return caller

    async def shown_counter(self) -> int:
        """What the public client reads."""
        caller = await Caller.call(self.wire.port, public_client())
        self.callers.append(caller)
        assert isinstance(await caller.ask(Open()), Opened)
        shown: int = (await caller.ask(Get(attribute(COUNTER, 2)))).value.value
        return shown

    async def nothing_comes(self, caller: Caller) -> None:
        """The fault has happened, and nothing follows from it on this connection."""
        while not self.wire.events("fault_happened"):
            await asyncio.sleep(0)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(caller.reader.read(1), SHORT_S)


async def frames(caller: Caller, request: Request, number: int) -> list[bytes]:
    """The frames that come after a request, each whole."""
    caller.writer.write(caller.connection.send(request))
    found = []
    for _ in range(number):
        header = await asyncio.wait_for(caller.reader.readexactly(HEADER), PATIENCE_S)
        found.append(
            header + await asyncio.wait_for(caller.reader.readexactly(int.from_bytes(header[6:], "big")), PATIENCE_S)
        )
    return found


async def get(caller: Caller, which: ObjectName, number: int = 2) -> Any:
    return await caller.ask(Get(attribute(which, number)))


async def timed(work: Awaitable[Any]) -> float:
    loop = asyncio.get_running_loop()
    began = loop.time()
    await work
    return loop.time() - began


def moment(value: Data) -> datetime:
    return CosemDateTime.decode(value.value).to_datetime()  # type: ignore[arg-type]


def times(rows: Data) -> list[datetime]:
    return [moment(row.value[0]) for row in rows.value]  # type: ignore[union-attr, index]


# --- what a client sees of each


async def silent(scene: Scene) -> None:
    caller = await scene.call()
    caller.writer.write(caller.connection.send(Open()))
    await scene.nothing_comes(caller)


async def slow(scene: Scene) -> None:
    caller = await scene.call()
    assert await timed(caller.ask(Open())) >= 2 * SHORT_S, "the answer to the opening, and that to the proof"


async def slow_then_double_answer(scene: Scene) -> None:
    caller = await scene.opened()
    first, second = await frames(caller, Get(attribute(IMPORT, 2)), 2)
    assert first == second


async def reset_after_action(scene: Scene) -> None:
    caller = await scene.opened()
    with pytest.raises(ConnectionResetError):
        await caller.ask(DISCONNECT)
    assert (await get(await scene.opened(), SWITCH)).value == data.boolean(False), "it has switched"


async def accepts_but_does_not_switch(scene: Scene) -> None:
    caller = await scene.opened()
    assert await caller.ask(DISCONNECT) == ActionOutcome(ActionResult.SUCCESS, None)
    assert (await get(caller, SWITCH)).value == data.boolean(True)


async def refuses(scene: Scene) -> None:
    caller = await scene.opened()
    assert (await caller.ask(DISCONNECT)).result is ActionResult.HARDWARE_FAULT
    assert (await get(caller, SWITCH)).value == data.boolean(True)


async def busy(scene: Scene) -> None:
    caller = await scene.opened()
    results = [(await get(caller, IMPORT)).result for _ in range(3)]
    assert results == [DataAccessResult.TEMPORARY_FAILURE] * 2 + [DataAccessResult.SUCCESS]


async def half_open(scene: Scene) -> None:
    caller = await scene.opened()
    assert (await get(caller, SWITCH)).value == data.boolean(True)
    caller.writer.write(caller.connection.send(Get(attribute(SWITCH, 2))))
    await scene.nothing_comes(caller)
    assert (await get(await scene.opened(), SWITCH)).value == data.boolean(True), "a new connection works"


async def address_changed(scene: Scene) -> None:
    caller = await scene.call()
    with pytest.raises(ConnectionResetError):
        await caller.ask(Open())


async def counter_ahead(scene: Scene) -> None:
    scene.counter = await scene.shown_counter() + 1
    fault = await (await scene.call()).ask(Open())
    assert isinstance(fault, PeerFault) and fault.fault.service_error is ServiceError.INVOCATION_COUNTER_ERROR  # type: ignore[union-attr]
    scene.counter = await scene.shown_counter() + 1
    assert scene.counter == 501
    assert isinstance(await (await scene.call()).ask(Open()), Opened)


async def counter_behind(scene: Scene) -> None:
    await get(await scene.opened(), IMPORT)
    true, scene.counter = scene.counter, await scene.shown_counter() + 1
    fault = await (await scene.call()).ask(Open())
    assert isinstance(fault, PeerFault) and fault.fault.service_error is ServiceError.INVOCATION_COUNTER_ERROR  # type: ignore[union-attr]
    scene.counter = true
    assert isinstance(await (await scene.call()).ask(Open()), Opened)


async def replays(scene: Scene) -> None:
    caller = await scene.opened()
    [first] = await frames(caller, Get(attribute(IMPORT, 2)), 1)
    caller.connection.receive_data(first)
    caller.connection.next_event()
    again, true = await frames(caller, Get(attribute(SWITCH, 2)), 2)
    assert again == first != true
    caller.connection.receive_data(again)
    with pytest.raises(ReplayError):
        caller.connection.next_event()


async def wrong_key(scene: Scene) -> None:
    assert isinstance(await (await scene.call()).ask(Open()), OpenRefused)


async def key_change_half_done(scene: Scene) -> None:
    caller = await scene.opened()
    assert await caller.ask(Action(method(SECURITY_SETUP, 2), DIFFERENT_KEY)) == ActionOutcome(
        ActionResult.SUCCESS, None
    )
    assert (await get(await scene.opened(), SWITCH)).value == data.boolean(True), "under the keys of before"


async def wrong_title(scene: Scene) -> None:
    with pytest.raises(SecurityError, match="title"):
        await (await scene.call()).ask(Open())


async def tampered_tag(scene: Scene) -> None:
    caller = await scene.opened()
    with pytest.raises(SecurityError):
        await get(caller, IMPORT)


async def wrong_device_id(scene: Scene) -> None:
    assert (await get(await scene.opened(), DEVICE_ID)).value == data.octet_string(b"1002")
    assert scene.bench.value(DEVICE_ID) == b"1001"


async def loses_image_blocks(scene: Scene) -> None:
    caller = await scene.opened()
    assert (await caller.ask(INITIATE)).result is ActionResult.SUCCESS
    results = [(await caller.ask(block(number))).result for number in range(BLOCKS)]
    assert results == [ActionResult.SUCCESS] * BLOCKS
    there = (await get(caller, IMAGE, 3)).value.value
    assert 0 < there.count(False) < BLOCKS, "confirmed, and forgotten"
    while (missing := (await get(caller, IMAGE, 4)).value.value) < BLOCKS:
        assert (await caller.ask(block(missing))).result is ActionResult.SUCCESS


async def reboots_in_image_transfer(scene: Scene) -> None:
    caller = await scene.opened()
    await caller.ask(INITIATE)
    await caller.ask(block(0))
    with pytest.raises(ConnectionResetError):
        await caller.ask(block(1))
    with pytest.raises(ConnectionResetError):
        await (await scene.call()).ask(Open())
    scene.bench.later(seconds=30)
    caller = await scene.opened()
    assert (await get(caller, IMAGE, 4)).value == data.double_long_unsigned(2), "it goes on where it stopped"
    assert (await caller.ask(block(2))).result is ActionResult.SUCCESS


async def clock_off(scene: Scene) -> None:
    caller = await scene.opened()
    assert moment((await get(caller, CLOCK)).value) == scene.bench.at - timedelta(seconds=100)
    right = data.octet_string(CosemDateTime.from_datetime(scene.bench.at).encode())
    assert (await caller.ask(Set(attribute(CLOCK, 2), right))).result is DataAccessResult.SUCCESS
    assert moment((await get(caller, CLOCK)).value) == scene.bench.at


async def clock_jumps(scene: Scene) -> None:
    caller = await scene.opened()
    jumps = [moment((await get(caller, CLOCK)).value) - scene.bench.at for _ in range(3)]
    assert jumps == [timedelta(seconds=900 * number) for number in (1, 2, 3)]


async def profile_gap(scene: Scene) -> None:
    there, seen = await both_profiles(scene)
    assert 0 < len(seen) < len(there) and set(seen) < set(there)


async def profile_overlap(scene: Scene) -> None:
    there, seen = await both_profiles(scene)
    added = [at for at in seen if at not in there]
    assert added and all(at - timedelta(seconds=450) in there for at in added)


async def profile_duplicate(scene: Scene) -> None:
    there, seen = await both_profiles(scene)
    assert len(seen) > len(there) and set(seen) == set(there)


async def both_profiles(scene: Scene) -> tuple[list[datetime], list[datetime]]:
    """The times of the rows that are there, and of those that a client reads; they are the same each time."""
    scene.bench.later(hours=10)
    caller = await scene.opened()
    seen = times((await get(caller, PROFILE)).value)
    assert seen == times((await get(caller, PROFILE)).value)
    return times(scene.bench.read(PROFILE)), seen


async def wrong_scaler(scene: Scene) -> None:
    scaler, unit = (await get(await scene.opened(), IMPORT, 3)).value.value
    there = scene.bench.read(IMPORT, 3).value
    assert (scaler.value, unit) == (there[0].value + 3, there[1])  # type: ignore[index]


async def garbage(scene: Scene) -> None:
    caller = await scene.opened()
    with pytest.raises(DlmsError):
        await get(caller, IMPORT)


async def truncated(scene: Scene) -> None:
    caller = await scene.opened()
    with pytest.raises(DlmsError):
        await get(caller, IMPORT)


async def oversized(scene: Scene) -> None:
    caller = await scene.opened()
    [frame] = await frames(caller, Get(attribute(IMPORT, 2)), 1)
    assert len(frame) == HEADER + 0xFFFF
    caller.connection.receive_data(frame)
    with pytest.raises(DlmsError):
        caller.connection.next_event()


async def comes_in_pieces(scene: Scene) -> None:
    caller = await scene.opened()
    caller.writer.write(caller.connection.send(Get(attribute(SWITCH, 2))))
    reads, event = 0, None
    while event is None:
        caller.connection.receive_data(await asyncio.wait_for(caller.reader.read(65536), PATIENCE_S))
        reads, event = reads + 1, caller.connection.next_event()
    assert reads > 2 and event.value == data.boolean(True)  # type: ignore[union-attr]


async def brown_out(scene: Scene) -> None:
    caller = await scene.opened()
    assert (await get(caller, VOLTAGE)).value == data.long_unsigned(161)
    seen = 1
    with pytest.raises(ConnectionResetError):
        for _ in range(100):
            await get(caller, VOLTAGE)
            seen += 1
    with pytest.raises(ConnectionResetError):
        await (await scene.call()).ask(Open())
    scene.bench.later(seconds=10)
    assert isinstance(await (await scene.call()).ask(Open()), Opened)


async def bandwidth(scene: Scene) -> None:
    caller = await scene.call()
    assert await timed(caller.ask(Open())) >= SHORT_S


async def cut(scene: Scene) -> None:
    caller = await scene.opened()
    answers = 0
    while await get(caller, IMPORT) is not None:
        answers += 1
    assert 0 < answers < 10


async def drop(scene: Scene) -> None:
    caller = await scene.opened()
    caller.writer.write(caller.connection.send(Get(attribute(SWITCH, 2))))
    await scene.nothing_comes(caller)


# --- of pushes


class Mailbox(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.came: asyncio.Queue[bytes] = asyncio.Queue()

    def datagram_received(self, octets: bytes, address: Any) -> None:
        self.came.put_nowait(octets)


async def push(scene: Scene, why: str) -> Mailbox:
    """One push over UDP, sent whole."""
    transport, mailbox = await asyncio.get_running_loop().create_datagram_endpoint(Mailbox, local_addr=("127.0.0.1", 0))
    host, port = transport.get_extra_info("sockname")[:2]
    where = PushEndpoint("udp", host, port)
    try:
        await send(scene.wire.fleet, one_push(scene.bench.meter, where, why))
        await send(scene.wire.fleet, one_push(scene.bench.meter, where, "the last one"))
        mailbox.came.put_nowait(await asyncio.wait_for(mailbox.came.get(), PATIENCE_S))
        while len(scene.wire.events("pushed")) > mailbox.came.qsize():
            await asyncio.sleep(0)
    finally:
        transport.close()
    return mailbox


async def late_push(scene: Scene) -> None:
    assert await timed(push(scene, "switch")) >= SHORT_S


async def duplicate_push(scene: Scene) -> None:
    mailbox = await push(scene, "switch")
    datagrams = [mailbox.came.get_nowait() for _ in range(mailbox.came.qsize())]
    assert len(datagrams) == 4 and len(set(datagrams)) == 2


async def last_gasp_lost(scene: Scene) -> None:
    assert (await push(scene, "power-down")).came.qsize() == 1, "the other one"


ANSWERS = {"service": ["get", "set", "action"]}
SEES: dict[str, tuple[dict[str, Any], Callable[[Scene], Awaitable[None]]]] = {
    "silent": ({}, silent),
    "slow": ({"seconds": SHORT_S}, slow),
    "slow-then-double-answer": ({"seconds": SHORT_S}, slow_then_double_answer),
    "reset-after-action": ({}, reset_after_action),
    "accepts-but-does-not-switch": ({}, accepts_but_does_not_switch),
    "refuses": ({"result": "hardware-fault"}, refuses),
    "busy": ({"when": {**ANSWERS, "first": 2}}, busy),
    "half-open": ({"when": {"first": 1}}, half_open),
    "address-changed": ({}, address_changed),
    "counter-ahead": ({"by": 500}, counter_ahead),
    "counter-behind": ({"by": 500}, counter_behind),
    "replays": ({}, replays),
    "wrong-key": ({}, wrong_key),
    "key-change-half-done": ({}, key_change_half_done),
    "wrong-title": ({}, wrong_title),
    "tampered-tag": ({"when": ANSWERS}, tampered_tag),
    "wrong-device-id": ({}, wrong_device_id),
    "loses-image-blocks": ({}, loses_image_blocks),
    "reboots-in-image-transfer": ({"blocks": 2}, reboots_in_image_transfer),
    "clock-off": ({"seconds": -100}, clock_off),
    "clock-jumps": ({}, clock_jumps),
    "profile-gap": ({"of_rows": 0.3}, profile_gap),
    "profile-overlap": ({"of_rows": 0.3}, profile_overlap),
    "profile-duplicate": ({"of_rows": 0.3}, profile_duplicate),
    "wrong-scaler": ({}, wrong_scaler),
    "garbage": ({"when": ANSWERS}, garbage),
    "truncated": ({"when": ANSWERS}, truncated),
    "oversized": ({"when": ANSWERS}, oversized),
    "splits-every-byte": ({"pause_s": 0.001}, comes_in_pieces),
    "late-push": ({"seconds": SHORT_S}, late_push),
    "duplicate-push": ({}, duplicate_push),
    "last-gasp-lost": ({}, last_gasp_lost),
    "brown-out": ({"seed": 4}, brown_out),
    "latency": ({"seconds": SHORT_S, "jitter_s": 0.01}, slow),
    "bandwidth": ({"octets_per_s": 500}, bandwidth),
    "cut": ({"after": 400}, cut),
    "drop": ({"probability": 1, "when": ANSWERS}, drop),
    "duplicate": ({"probability": 1, "when": ANSWERS}, slow_then_double_answer),
    "slice": ({"size": 10, "pause_s": 0.001}, comes_in_pieces),
}


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    bench = Bench(tmp_path)
    meter = bench.start(setup(model=model(), management=gmac()))
    one = Scene(bench, Wire(meter, now=lambda: bench.at, faults=misbehaving()))
    await one.wire.listen(most=10)
    yield one
    for caller in one.callers:
        caller.writer.close()
    await one.wire.stop()


@pytest.mark.parametrize("name", FAULTS)
async def test_a_client_sees_it_and_a_reset_is_health(scene: Scene, name: str) -> None:
    given, sees = SEES[name]
    faults = scene.wire.fleet.faults
    faults.set(misbehaving({"fault": name, **given}).rules[0][1])
    await sees(scene)
    assert faults.counts[name] == len(scene.wire.events("fault_happened")) > 0
    faults.reset()
    scene.counter = await scene.shown_counter() + 1
    caller = await scene.opened()
    assert (await get(caller, CLOCK)).value == scene.bench.read(CLOCK)
    assert (await get(caller, PROFILE)).value == scene.bench.read(PROFILE)
    assert [(await get(caller, DEVICE_ID)).value.value, (await get(caller, VOLTAGE)).value.value] == [b"1001", 230]


def test_each_fault_is_tested() -> None:
    assert SEES.keys() == FAULTS.keys()


@pytest.mark.parametrize(("keys", "taken"), [(2, 1), (3, 1), (4, 2)])
def test_half_of_a_key_change_is_carried_out(keys: int, taken: int) -> None:
    fault = misbehaving({"fault": "key-change-half-done"}).rules[0][1].parameters
    some = [data.structure(data.enum(number), data.octet_string(bytes(24))) for number in range(keys)]
    instead = fault.on_request(Action(method(SECURITY_SETUP, 2), data.array(*some)))
    assert instead == Action(method(SECURITY_SETUP, 2), data.array(*some[:taken]))


async def test_a_profile_of_many_rows_has_gaps_too(scene: Scene) -> None:
    scene.wire.fleet.faults.set(misbehaving({"fault": "profile-gap", "of_rows": 0.1}).rules[0][1])
    scene.bench.later(days=3)
    seen = times((await get(await scene.opened(), PROFILE)).value)
    there = times(data.decode(data.encode(scene.bench.read(PROFILE))))
    assert len(there) == 288 and 240 < len(seen) < 280 and set(seen) < set(there)


async def test_a_truncated_frame_that_promises_more_ends_with_the_connection(scene: Scene) -> None:
    given = {"fault": "truncated", "framed": False, "when": ANSWERS}
    scene.wire.fleet.faults.set(misbehaving(given).rules[0][1])
    assert await get(await scene.opened(), IMPORT) is None


async def test_noise_without_a_header(scene: Scene) -> None:
    scene.wire.fleet.faults.set(misbehaving({"fault": "garbage", "framed": False, "when": ANSWERS}).rules[0][1])
    caller = await scene.opened()
    caller.writer.write(caller.connection.send(Get(attribute(IMPORT, 2))))
    assert (await asyncio.wait_for(caller.reader.read(8), PATIENCE_S))[:2] != b"\0\1"


async def test_a_clock_that_is_stuck_is_not_healed_by_setting_it(scene: Scene) -> None:
    scene.wire.fleet.faults.set(misbehaving({"fault": "clock-off", "stuck": True, "seconds": 60}).rules[0][1])
    caller = await scene.opened()
    right = data.octet_string(CosemDateTime.from_datetime(scene.bench.at.astimezone(UTC)).encode())
    assert (await caller.ask(Set(attribute(CLOCK, 2), right))).result is DataAccessResult.SUCCESS
    assert moment((await get(caller, CLOCK)).value) == scene.bench.at + timedelta(seconds=60)
