"""Keys, secrets, policies and firmware changed by our own client over real sockets: what counts afterwards, and what is refused."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from bench import (
    CLOCK,
    COUNTER,
    DEVICE_ID,
    DEVICE_NAME,
    KEYS,
    METER_TITLE,
    RESIDENTIAL,
    Bench,
    Caller,
    ObjectName,
    Wire,
    attribute,
    client_security,
    gmac,
    gmac_client,
    lls_client,
    method,
    public_client,
    setup,
)
from devices import described
from patience import PATIENCE_S

from ami_dlms import data
from ami_dlms.apdu.notify import DataNotification
from ami_dlms.association import (
    Action,
    ActionOutcome,
    ClientConnection,
    ClientSettings,
    Get,
    GetResult,
    Open,
    Opened,
    OpenRefused,
    PeerFault,
    Release,
    Released,
    Security,
    Set,
    SetResult,
    unprotect_notification,
)
from ami_dlms.association.blocks.general_block_transfer import PushedBlocks
from ami_dlms.cosem.selection import CaptureObject
from ami_dlms.data import Data
from ami_dlms.enums import ActionResult, DataAccessResult, Mechanism
from ami_dlms.framing.wrapper import decode_datagram
from ami_dlms.obis import Obis
from ami_dlms.security import GlobalKeys, ReceiveCounter, SendCounter, wrap_key
from ami_meter_sim.meter.pushing import push_frames, push_retry_at, wanted_pushes
from ami_meter_sim.meter.setup import ManagementAssociation
from ami_meter_sim.objects.firmware import make_image
from ami_meter_sim.objects.push_setup import Destination
from ami_packs.model import MANAGEMENT, Model, ObjectAccess, ObjectDescription

MASTER = bytes(range(200, 216))
WITH_MASTER = replace(KEYS, master_key=MASTER)
NEW = GlobalKeys(b"a new unicast k.", b"a new auth. key.", master_key=MASTER)
SETUP, ASSOCIATION, IMAGE, PUSH = (64, "0-0:43.0.0"), (15, "0-0:40.0.0"), (18, "0-0:44.0.0"), (40, "0-0:25.9.0")
NOTHING = data.integer(0)
BLOCK = 128
Make = Callable[..., Awaitable[tuple[Wire, Bench]]]


def with_rights(name: ObjectName, version: int, size: tuple[int, int], **more: Any) -> ObjectDescription:
    """An object with everything allowed; `size`: how many attributes and methods it has."""
    attributes, methods = (frozenset(range(1, count + 1)) for count in size)
    rights = {MANAGEMENT: ObjectAccess(attributes, attributes, methods)}
    return replace(described(name, version=version, **more), access=rights)


def model(**options: Any) -> Model:
    """The residential meter, in which the management client may also change keys, secrets and firmware."""
    more = (
        with_rights(SETUP, 1, (6, 8), options=options),
        with_rights(ASSOCIATION, 1, (9, 4)),
        with_rights(IMAGE, 0, (7, 4), attributes={2: data.double_long_unsigned(BLOCK)}),
        with_rights(PUSH, 0, (7, 1), options={"max_pdu_size": 60}),
    )
    objects = {(one.class_id, one.obis): one for one in (*RESIDENTIAL.objects.values(), *more)}
    return Model(tuple(objects.values()), RESIDENTIAL.associations, RESIDENTIAL.load)


@pytest.fixture
async def make(tmp_path: Path) -> AsyncIterator[Make]:
    """A listening meter with this management association."""
    wires: list[Wire] = []

    async def listening(management: ManagementAssociation, **options: Any) -> tuple[Wire, Bench]:
        bench = Bench(tmp_path)
        bench.start(setup(management=management, model=model(**options)))
        wire = Wire(bench.meter, now=lambda: bench.at)
        wires.append(wire)
        await wire.listen()
        return wire, bench

    yield listening
    for wire in wires:
        await wire.stop()


def guarded(**more: Any) -> ManagementAssociation:
    given = Security(**({"keys": WITH_MASTER, "system_title": METER_TITLE} | more))
    return ManagementAssociation(mechanism=Mechanism.GMAC, security=given)


def client(keys: GlobalKeys, counter: int, **more: Any) -> ClientConnection:
    return gmac_client(counter, security=client_security(keys, **more))


async def opening(caller: Caller, connection: ClientConnection) -> Any:
    """Another association on the same connection."""
    caller.connection = connection
    return await caller.ask(Open())


def transfer(*keys: tuple[int, bytes]) -> Action:
    pairs = (data.structure(data.enum(n), data.octet_string(wrap_key(MASTER, key))) for n, key in keys)
    return Action(method(SETUP, 2), data.array(*pairs))


TRANSFER = transfer((0, NEW.encryption_key), (2, NEW.authentication_key))
DONE = ActionOutcome(ActionResult.SUCCESS, None)


# --- keys


async def test_transferred_keys_count_from_the_next_association(make: Make) -> None:
    wire, _ = await make(guarded())
    caller = await Caller.call(wire.port, client(WITH_MASTER, 1))
    assert isinstance(await caller.ask(Open()), Opened)
    assert await caller.ask(TRANSFER) == DONE, "the answer comes under the old key"
    assert isinstance(await caller.ask(Get(attribute(DEVICE_NAME, 2))), GetResult), (
        "and the association goes on under it"
    )
    assert isinstance(await caller.ask(Release()), Released)
    assert isinstance(await opening(caller, client(WITH_MASTER, 100)), OpenRefused)
    assert isinstance(await opening(caller, client(NEW, 200)), Opened)
    assert (await caller.ask(Get(attribute(DEVICE_NAME, 2)))).result is DataAccessResult.SUCCESS
    await caller.close()
    stranger = await Caller.call(wire.port, client(WITH_MASTER, 300))
    assert isinstance(await stranger.ask(Open()), OpenRefused)
    await stranger.close()


async def test_counters_may_begin_anew_with_a_new_key(make: Make) -> None:
    wire, _ = await make(guarded(), new_counters=True)
    caller = await Caller.call(wire.port, client(WITH_MASTER, 5000))
    assert isinstance(await caller.ask(Open()), Opened)
    assert await caller.ask(TRANSFER) == DONE
    assert isinstance(await opening(caller, client(NEW, 0)), Opened)
    assert (await caller.ask(Get(attribute(COUNTER, 2)))).value.value < 100
    await caller.close()


async def test_counters_go_on_where_the_model_says_nothing(make: Make) -> None:
    wire, _ = await make(guarded())
    caller = await Caller.call(wire.port, client(WITH_MASTER, 5000))
    assert isinstance(await caller.ask(Open()), Opened)
    assert await caller.ask(TRANSFER) == DONE
    fault = await opening(caller, client(NEW, 0))
    assert isinstance(fault, PeerFault) and "expected counter 5004" in fault.reason
    assert isinstance(await opening(caller, client(NEW, 5004)), Opened)
    await caller.close()


async def test_a_meter_may_want_the_new_key_with_the_next_request(make: Make) -> None:
    wire, _ = await make(guarded(), at_once=True)
    caller = await Caller.call(wire.port, client(WITH_MASTER, 1))
    assert isinstance(await caller.ask(Open()), Opened)
    assert await caller.ask(TRANSFER) == DONE, "the answer still comes under the old key"
    answer = await caller.ask(Get(attribute(DEVICE_NAME, 2)))
    assert answer.reason == "service-not-allowed, deciphering-error"
    assert isinstance(await opening(caller, client(NEW, 200)), Opened)
    await caller.close()


async def test_a_key_under_the_wrong_master_key_changes_nothing(make: Make) -> None:
    wire, _ = await make(guarded())
    caller = await Caller.call(wire.port, client(WITH_MASTER, 1))
    assert isinstance(await caller.ask(Open()), Opened)
    wrong = data.structure(data.enum(0), data.octet_string(wrap_key(b"another master k", NEW.encryption_key)))
    outcome = await caller.ask(Action(method(SETUP, 2), data.array(wrong)))
    assert outcome.result is ActionResult.OTHER_REASON
    assert isinstance(await opening(caller, client(WITH_MASTER, 100)), Opened)
    await caller.close()


async def test_an_activated_policy_holds_for_the_next_association(make: Make) -> None:
    """From authentication alone to both; the client that goes on without encryption is not served any more."""
    wire, _ = await make(guarded(encrypted=False))
    caller = await Caller.call(wire.port, client(WITH_MASTER, 1, encrypted=False))
    assert isinstance(await caller.ask(Open()), Opened)
    assert await caller.ask(Action(method(SETUP, 1), data.enum(0x6C))) == DONE
    assert isinstance(await caller.ask(Get(attribute(DEVICE_NAME, 2))), GetResult)
    assert isinstance(await opening(caller, client(WITH_MASTER, 100, encrypted=False)), OpenRefused)
    assert isinstance(await opening(caller, client(WITH_MASTER, 200)), Opened)
    weaker = await caller.ask(Action(method(SETUP, 1), data.enum(0x24)))
    assert weaker.result is ActionResult.OTHER_REASON
    await caller.close()


async def test_keys_of_a_suite_without_a_master_key_can_t_be_transferred(make: Make) -> None:
    wire, _ = await make(gmac())
    caller = await Caller.call(wire.port, client(KEYS, 1))
    assert isinstance(await caller.ask(Open()), Opened)
    assert (await caller.ask(TRANSFER)).result is ActionResult.OTHER_REASON
    await caller.close()


# --- secrets


def hls_client(secret: bytes, mechanism: Mechanism) -> ClientConnection:
    settings = ClientSettings(client_wport=1, server_wport=1, mechanism=mechanism, secret=secret)
    return ClientConnection(settings, challenge=b"client's words 1", send_counter=SendCounter(1))


@pytest.mark.parametrize("mechanism", [Mechanism.MD5, Mechanism.SHA1])
async def test_a_changed_hls_secret_counts_from_the_next_association(make: Make, mechanism: Mechanism) -> None:
    wire, _ = await make(ManagementAssociation(mechanism=mechanism, secret=b"the first secret"))
    caller = await Caller.call(wire.port, hls_client(b"the first secret", mechanism))
    assert isinstance(await caller.ask(Open()), Opened)
    for wrong in (data.octet_string(b""), data.octet_string(b"x" * 65), data.null()):
        assert (await caller.ask(Action(method(ASSOCIATION, 2), wrong))).result is not ActionResult.SUCCESS
    written = await caller.ask(Set(attribute(ASSOCIATION, 7), data.octet_string(b"12345678")))
    assert written == SetResult(DataAccessResult.READ_WRITE_DENIED)
    assert await caller.ask(Action(method(ASSOCIATION, 2), data.octet_string(b"the second secret"))) == DONE
    assert (await caller.ask(Get(attribute(ASSOCIATION, 7)))).result is DataAccessResult.READ_WRITE_DENIED
    assert isinstance(await opening(caller, hls_client(b"the first secret", mechanism)), OpenRefused)
    assert isinstance(await opening(caller, hls_client(b"the second secret", mechanism)), Opened)
    await caller.close()


async def test_a_changed_password_counts_from_the_next_association(make: Make) -> None:
    wire, _ = await make(ManagementAssociation(mechanism=Mechanism.LOW, secret=b"12345678"))
    caller = await Caller.call(wire.port, lls_client(b"12345678"))
    assert isinstance(await caller.ask(Open()), Opened)
    for wrong in (data.octet_string(b""), data.visible_string("1"), data.octet_string(b"x" * 65)):
        written = await caller.ask(Set(attribute(ASSOCIATION, 7), wrong))
        assert written == SetResult(DataAccessResult.TYPE_UNMATCHED)
    assert (
        await caller.ask(Action(method(ASSOCIATION, 2), data.octet_string(b"x")))
    ).result is ActionResult.OTHER_REASON
    written = await caller.ask(Set(attribute(ASSOCIATION, 7), data.octet_string(b"87654321")))
    assert written == SetResult(DataAccessResult.SUCCESS)
    assert isinstance(await opening(caller, lls_client(b"12345678")), OpenRefused)
    assert isinstance(await opening(caller, lls_client(b"87654321")), Opened)
    await caller.close()


# --- firmware


def block(image: bytes, number: int) -> Action:
    octets = image[number * BLOCK : (number + 1) * BLOCK]
    given = data.structure(data.double_long_unsigned(number), data.octet_string(octets))
    return Action(method(IMAGE, 2), given)


async def value(caller: Caller, number: int) -> Any:
    found: Data = (await caller.ask(Get(attribute(IMAGE, number)))).value
    return found.value


async def test_an_image_with_lost_blocks_is_completed_verified_and_activated(make: Make) -> None:
    """Every third block is lost; the client asks which ones are missing, sends those, and meets the new version after the restart."""
    wire, _ = await make(guarded())
    image = make_image("2.1.0", random.Random(1).randbytes(5000))
    count = -(-len(image) // BLOCK)
    caller = await Caller.call(wire.port, client(WITH_MASTER, 1))
    idle = await Caller.call(wire.port, public_client())
    assert isinstance(await idle.ask(Open()), Opened)
    assert isinstance(await caller.ask(Open()), Opened)
    begin = data.structure(data.octet_string(b"fw"), data.double_long_unsigned(len(image)))
    assert await caller.ask(Action(method(IMAGE, 1), begin)) == DONE
    for number in range(count):
        if number % 3:
            assert await caller.ask(block(image, number)) == DONE
    assert (await caller.ask(Action(method(IMAGE, 3), NOTHING))).result is ActionResult.OTHER_REASON
    assert await value(caller, 6) == 4
    while (missing := await value(caller, 4)) < count:
        assert await caller.ask(block(image, missing)) == DONE
    assert all(await value(caller, 3))
    assert await caller.ask(Action(method(IMAGE, 3), NOTHING)) == DONE
    ((size, _, _),) = [element.value for element in await value(caller, 7)]
    assert size == data.double_long_unsigned(len(image))
    assert await caller.ask(Action(method(IMAGE, 4), NOTHING)) == DONE
    assert await caller.ask(Get(attribute(IMAGE, 6))) is None, "the meter restarts: its connections are gone"
    assert await idle.ask(Get(attribute(DEVICE_NAME, 2))) is None, "all of them"
    again = await Caller.call(wire.port, client(WITH_MASTER, 1000))
    assert isinstance(await again.ask(Open()), Opened)
    assert await value(again, 6) == 6
    for one in (caller, idle, again):
        await one.close()


# --- in the middle of it all, the process dies


def act(bench: Bench, action: Action) -> ActionOutcome:
    return bench.meter.act(action.descriptor, action.parameters, bench.at)


def keys_of(bench: Bench) -> tuple[bytes, bytes]:
    (found,) = (one for one in bench.meter.profiles if one.security is not None)
    assert found.security is not None
    return found.security.keys.encryption_key, found.security.keys.authentication_key


OLD_KEYS, NEW_KEYS = (KEYS.encryption_key, KEYS.authentication_key), (NEW.encryption_key, NEW.authentication_key)


@pytest.mark.parametrize("new_counters", [False, True])
def test_a_key_change_is_whole_or_has_not_happened_wherever_the_write_was_torn(
    tmp_path: Path, new_counters: bool
) -> None:
    """The journal's last frame is cut at many places: the keys after it are both the old ones or both the new ones."""
    bench = Bench(tmp_path / "whole")
    bench.directory.mkdir()
    wanted = setup(management=guarded(), model=model(new_counters=new_counters))
    bench.start(wanted)
    bench.store.journal.write()
    before = bench.store.journal.segments[-1].end
    assert act(bench, TRANSFER) == DONE
    bench.store.journal.write()
    path, end = bench.store.journal.segments[-1].path, bench.store.journal.segments[-1].end
    bench.store.abandon()
    seen = []
    for cut in (*range(before, end, 23), end - 1, end):
        copy = tmp_path / str(cut)
        shutil.copytree(bench.directory, copy)
        os.truncate(copy / path.name, cut)
        again = Bench(copy)
        again.start(wanted)
        seen.append(keys_of(again))
        again.store.abandon()
    assert seen[0] == OLD_KEYS
    assert set(seen[:-1]) == {OLD_KEYS}
    assert seen[-1] == NEW_KEYS


def test_an_activation_that_was_interrupted_ends_in_the_new_version(tmp_path: Path) -> None:
    image = (18, "0-0:44.0.0")
    more = with_rights(image, 0, (7, 4), options={"activation_s": 60})
    slow = Model((*RESIDENTIAL.objects.values(), more), RESIDENTIAL.associations, RESIDENTIAL.load)
    bench = Bench(tmp_path)
    wanted = setup(model=slow)
    bench.start(wanted)
    content = make_image("3.0", b"")
    given = data.structure(data.octet_string(b"fw"), data.double_long_unsigned(len(content)))
    assert act(bench, Action(method(image, 1), given)) == DONE
    bench.start(wanted)
    given = data.structure(data.double_long_unsigned(0), data.octet_string(content))
    assert act(bench, Action(method(image, 2), given)) == DONE
    bench.start(wanted)
    assert act(bench, Action(method(image, 3), NOTHING)) == DONE
    assert act(bench, Action(method(image, 4), NOTHING)).result is ActionResult.TEMPORARY_FAILURE
    bench.later(seconds=59)
    bench.start(wanted)
    assert bench.value(image, 6) == 5
    bench.later(seconds=1)
    assert bench.value(image, 6) == 6
    bench.start(wanted)
    assert bench.value(image, 6) == 6


# --- pushes


async def test_a_push_that_a_client_asks_for_comes_in_blocks_under_the_key_that_counts(make: Make) -> None:
    """Called over a socket, sent over another one; after a key transfer it is under the new key."""
    wire, bench = await make(guarded())
    caller = await Caller.call(wire.port, client(WITH_MASTER, 1))
    assert isinstance(await caller.ask(Open()), Opened)
    listed = data.array(
        *(CaptureObject(name[0], Obis.parse(name[1]), number).encode() for name, number in ((CLOCK, 2), (DEVICE_ID, 2)))
    )
    assert await caller.ask(Set(attribute(PUSH, 2), listed)) == SetResult(DataAccessResult.SUCCESS)
    where = data.structure(data.enum(1), data.octet_string(b"127.0.0.1:4059"), data.enum(0))
    assert await caller.ask(Set(attribute(PUSH, 3), where)) == SetResult(DataAccessResult.SUCCESS)
    assert await caller.ask(TRANSFER) == DONE
    assert await caller.ask(Action(method(PUSH, 1), NOTHING)) == DONE
    (plan,) = wanted_pushes(bench.meter, bench.at)
    assert wanted_pushes(bench.meter, bench.at) == ()
    assert plan.destination == Destination(1, "127.0.0.1", 4059)
    taken = ReceiveCounter()
    for _ in range(2):  # an attempt and its retry: each has a counter of its own
        frames = push_frames(bench.meter, plan, bench.at)
        assert len(frames) > 1
        notification = await received(frames, taken)
        assert notification.body.value[1] == data.octet_string(b"1001")
    assert push_retry_at(bench.meter, plan, 1, bench.at) is None, "no retries are written"
    await caller.close()


async def received(frames: Sequence[bytes], taken: ReceiveCounter) -> DataNotification:
    """What a receiver of datagrams makes of them."""
    loop, arrived = asyncio.get_running_loop(), asyncio.Queue[bytes]()

    class Receiver(asyncio.DatagramProtocol):
        def datagram_received(self, octets: bytes, address: Any) -> None:
            arrived.put_nowait(octets)

    listening, _ = await loop.create_datagram_endpoint(Receiver, local_addr=("127.0.0.1", 0))
    address = listening.get_extra_info("sockname")
    sending, _ = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, remote_addr=address)
    blocks, whole = PushedBlocks(), None
    for frame in frames:
        assert len(frame) <= 8 + 60
        sending.sendto(frame)
        pdu = decode_datagram(await asyncio.wait_for(arrived.get(), PATIENCE_S))
        assert (pdu.source, pdu.destination) == (1, 1)
        whole = blocks.join(pdu.apdu)
    sending.close()
    listening.close()
    assert whole is not None
    notification, title = unprotect_notification(whole, lambda _: (NEW, taken))
    assert title == METER_TITLE
    return notification
