"""Who dials in claims a name: neither silent callers nor false claims keep a meter from being served, nor close its connection."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from small_meter import CONNECT, DEVICE_ID, LOGICAL_DEVICE_NAME, SmallMeter, South, eventually

from ami_dlms import data
from ami_dlms.association.client.connection import PROTECTION_OCTETS
from ami_dlms.framing import wrapper
from ami_hes.meters import Meters, listener
from ami_hes.meters import dialled_in as dialled_in_module
from ami_hes.meters.dialled_in import MAX_CLAIMS, Standing
from ami_hes.meters.key_changes import NothingChanges
from ami_hes.meters.public_client import MAX_PUBLIC_OCTETS
from ami_hes.meters.registry import Meter
from ami_process.store.errors import StoreUnavailable

SAME, OTHER = "127.0.0.1", "127.0.0.2"
PROMPTLY_S = 30.0


@pytest.fixture(autouse=True)
def callers_may_say_nothing_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """Longer than a test may take, so that what happens promptly can't be owed to their end."""
    monkeypatch.setattr(listener, "RECOGNITION_S", 3600.0)


def address(meters: Meters) -> tuple[str, int]:
    assert meters.listening is not None
    return meters.listening


class Liar(SmallMeter):
    """Says the name of M1001 and has other keys; `mute` says nothing more once it was asked for the association with keys."""

    mute = False

    async def _write(self, writer: asyncio.StreamWriter, octets: bytes) -> None:
        if not (self.mute and "open 16" in self.asked and octets[8:9] == b"\x61" and octets[4:6] != b"\x00\x10"):
            await super()._write(writer, octets)


async def liar(ami: South, meters: Meters, *, mute: bool = False, source: str = SAME, **settings: Any) -> Liar:
    """Another claim; it is waited for until it waits beside the others."""
    one = Liar(**settings)
    one.mute = mute
    ami.small.append(one)
    before = len(ami.told("dialled_in"))
    await one.dial(address(meters), source)
    await eventually(lambda: len(ami.told("dialled_in")) > before)
    return one


async def dialled_in(ami: South, meters: Meters, meter: SmallMeter, source: str = SAME) -> asyncio.Task[None]:
    before = len([event for event in ami.told("dialled_in") if event["standing"] == "proved"])
    task = await meter.dial(address(meters), source)
    await eventually(lambda: len([event for event in ami.told("dialled_in") if event["standing"] == "proved"]) > before)
    return task


@asynccontextmanager
async def claiming_without_end(ami: South, meters: Meters, source: str) -> AsyncIterator[list[int]]:
    """A stranger that dials again whenever its claim was closed, and sooner."""
    count = [0]

    async def claim() -> None:
        while True:
            one = Liar()
            ami.small.append(one)
            connection = await one.dial(address(meters), source)
            await asyncio.wait({connection}, timeout=0.02)
            count[0] += 1

    task = asyncio.create_task(claim())
    try:
        yield count
    finally:
        task.cancel()
        await asyncio.wait([task])


@pytest.mark.parametrize("source", [SAME, OTHER])
async def test_silent_callers_keep_no_meter_from_dialling_in(ami: South, source: str) -> None:
    meter = await ami.meter(listen=False)
    meters = await ami.start()
    silent = [await asyncio.open_connection(*address(meters), local_addr=(source, 0)) for _ in range(64)]
    async with asyncio.timeout(PROMPTLY_S):
        await dialled_in(ami, meters, meter)
        assert (await ami.switch()).ok
    for _, writer in silent:
        writer.close()


async def test_who_has_pushed_makes_room_before_who_has_said_nothing_yet(ami: South) -> None:
    """A fleet behind one address that pushes all at once: who has delivered lingers, the others are still to be heard."""
    meters = await ami.start(max_callers_per_address=2)
    silent = await asyncio.open_connection(*address(meters))
    pusher = await asyncio.open_connection(*address(meters))
    pusher[1].write(PUSH)
    await eventually(lambda: ami.told("notification"))
    assert (await pusher[0].readexactly(9))[8] == 0x60, "it was asked who it is, and has nothing to say"
    third = await asyncio.open_connection(*address(meters))
    await pusher[0].read()
    silent[1].write(PUSH)
    await eventually(lambda: len(ami.told("notification")) == 2)
    assert not ami.told("dropped"), "what was delivered is not reported as dropped"
    for _, writer in (silent, pusher, third):
        writer.close()


async def test_who_makes_room_is_hung_up_on_at_once(ami: South) -> None:
    """Also when it comes together with those for whom it makes room, before anything was done about it."""
    meters = await ami.start(max_callers_per_address=2)
    callers = await asyncio.gather(*[asyncio.open_connection(*address(meters)) for _ in range(40)])
    async with asyncio.timeout(PROMPTLY_S):
        left = {asyncio.create_task(reader.read()) for reader, _ in callers}
        while len(left) > 2:
            _, left = await asyncio.wait(left, return_when=asyncio.FIRST_COMPLETED)
    for _, writer in callers:
        writer.close()
    await asyncio.wait(left)


async def test_who_calls_from_another_address_is_not_sent_away(ami: South) -> None:
    """The one crowded address makes room, though the other one's caller has waited longest."""
    meters = await ami.start(max_callers=4)
    reader, writer = await asyncio.open_connection(*address(meters), local_addr=(OTHER, 0))
    crowd = [await asyncio.open_connection(*address(meters)) for _ in range(8)]
    await eventually(lambda: len(ami.told("dropped")) == 5)
    assert all(event["peer"].startswith(SAME) for event in ami.told("dropped"))
    assert (await reader.readexactly(9))[8] == 0x60, "it is still asked who it is"
    for _, one in [*crowd, (reader, writer)]:
        one.close()


@pytest.mark.parametrize("source", [SAME, OTHER])
@pytest.mark.parametrize("mute", [False, True], ids=["refuses", "mute"])
async def test_a_claim_takes_nothing_from_an_established_meter(ami: South, mute: bool, source: str) -> None:
    meter = await ami.meter(listen=False)
    meters = await ami.start()
    connection = await dialled_in(ami, meters, meter)
    for _ in range(2 * MAX_CLAIMS):
        await liar(ami, meters, mute=mute, source=source)
    async with asyncio.timeout(PROMPTLY_S):
        assert (await ami.switch()).ok
        await liar(ami, meters, mute=mute, source=source)
        assert (await ami.switch(CONNECT)).ok
    assert (meter.connections, meter.actions) == (1, 2) and not connection.done()
    assert sum(one.actions for one in ami.small) == 2
    assert len(ami.told("replaced")) == MAX_CLAIMS + 1, "claims are few, and the oldest goes"


@pytest.mark.parametrize("source", [SAME, OTHER])
async def test_claims_without_end_keep_no_command_from_the_meter(ami: South, source: str) -> None:
    meter = await ami.meter(listen=False)
    meters = await ami.start()
    async with claiming_without_end(ami, meters, source) as count:
        await eventually(lambda: count[0] > 3)
        connection = await dialled_in(ami, meters, meter)
        for code in (None, CONNECT, None, CONNECT):
            before = count[0]
            assert (await (ami.switch() if code is None else ami.switch(code))).ok
            await eventually(lambda before=before: count[0] > before + 2)
    assert (meter.connections, meter.actions) == (1, 4) and not connection.done()


async def test_meter_that_has_lost_its_connection_is_served_over_the_next(ami: South) -> None:
    """The old connection looks alive and answers nothing: the new one, which is no more than a claim yet, is tried next."""
    old = await ami.meter(listen=False)
    meters = await ami.start(apdu_timeout_s=0.3)
    await dialled_in(ami, meters, old)
    old.silent = True
    new = SmallMeter(encryption_key=old.encryption_key, authentication_key=old.authentication_key)
    new.receive_counter, new.send_counter = old.receive_counter, old.send_counter
    ami.small.append(new)
    await new.dial(address(meters))
    await eventually(lambda: len(ami.told("dialled_in")) == 2)
    assert (await ami.switch()).ok
    assert new.actions == 1 and meters.registry.find_by_name("M1001") is not None
    assert (await ami.switch(CONNECT)).ok and new.connections == 1


async def test_newer_proof_replaces_the_older_one(ami: South) -> None:
    """Both ends of the first connection think that it lives; the meter proves itself over another one all the same."""
    meter = await ami.meter(listen=False)
    meters = await ami.start()
    found = meters.registry.find_by_name("M1001")
    assert found is not None
    first = await dialled_in(ami, meters, meter)
    await meter.dial(address(meters))
    await eventually(lambda: len(ami.told("dialled_in")) == 2)
    now = asyncio.get_running_loop().time()
    claim = await meters._dialled_in.take(found, now + PROMPTLY_S, began=now)
    meters._dialled_in.add(found, claim, Standing.PROVED)
    second = await meters._dialled_in.take(found, now + PROMPTLY_S, began=now, but=[claim])
    meters._dialled_in.add(found, second, Standing.PROVED)
    await first
    assert (await ami.switch()).ok


async def test_claim_with_wrong_keys_is_told_to_who_asks_for_the_meter(ami: South) -> None:
    meter = await ami.meter(listen=False)
    meters = await ami.start(meter.entry(authentication_key="00" * 16))
    await meter.dial(address(meters))
    assert (await eventually(lambda: ami.told("not_proved")))[0]["meter"] == "M1001"
    outcome = await ami.switch(deadline_s=0.5)
    assert (outcome.ok, outcome.reply_code, outcome.attempted) == (False, "7.4", False)
    assert meter.actions == 0


class InDoubt(NothingChanges):
    """Two keys that a meter may have, and a store that is away when one of them was proved."""

    def candidates(self, meter: Meter) -> Sequence[Meter]:
        return (meter, meter)

    async def proved(self, _: Meter) -> None:
        raise StoreUnavailable("the store can't be written now")


async def test_a_meter_that_has_proved_itself_while_the_store_is_away_stays_connected(ami: South) -> None:
    meter = await ami.meter(listen=False)
    meters = await ami.start()
    meters.keys = InDoubt()
    connection = await dialled_in(ami, meters, meter)
    outcome = await ami.switch()
    assert not outcome.ok and "the store can't be written now" in outcome.reason, "what it has proved has to be kept"
    meters.keys = NothingChanges()
    assert (await ami.switch()).ok
    assert meter.connections == 1 and not connection.done() and not ami.told("not_proved")


async def test_a_store_that_is_away_refutes_no_meter(ami: South, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a counter nothing was asked of the caller, so nothing is known of it."""
    meter = await ami.meter(listen=False)
    meters = await ami.start()

    async def away(*_: object, **__: object) -> None:
        raise StoreUnavailable("the store can't be written now")

    with monkeypatch.context() as patched:
        for name in ("reserve_counters", "try_counters"):
            patched.setattr(ami.counters, name, away)
        connection = await meter.dial(address(meters))
        (told,) = await eventually(lambda: ami.told("dialled_in"))
        assert told["standing"] == "claimed"
    assert (await ami.switch()).ok
    assert meter.connections == 1 and not connection.done() and not ami.told("not_proved")


@pytest.mark.parametrize("source", [SAME, OTHER])
async def test_claims_do_not_end_a_command_that_waits_for_the_meter_to_call(ami: South, source: str) -> None:
    meter = await ami.meter(listen=False)
    meters = await ami.start()
    await liar(ami, meters, source=source)
    running = asyncio.create_task(ami.switch(deadline_s=20.0))
    async with claiming_without_end(ami, meters, source) as count:
        await eventually(lambda: count[0] > 30)
        assert not running.done()
        await meter.dial(address(meters))
        assert (await running).ok
    assert (meter.connections, meter.actions) == (1, 1)


async def test_meter_without_keys_keeps_its_connection_once_it_was_served(ami: South) -> None:
    """Nothing proves such a meter; but a claim does not replace a connection that has carried a session."""
    meter = await ami.meter(listen=False, authentication="none")
    meters = await ami.start()
    connection = await meter.dial(address(meters))
    assert (await ami.switch()).ok
    liars = [await liar(ami, meters, authentication="none") for _ in range(2 * MAX_CLAIMS)]
    assert (await ami.switch(CONNECT)).ok
    assert meter.actions == 2 and not connection.done() and not any(one.actions for one in liars)


PUSH = wrapper.encode(wrapper.WrapperPdu(1, 102, bytes.fromhex("0F0000000100113B")))
NULLS = data.array(*[data.null()] * 1_000_000)


async def test_name_of_a_megabyte_is_dropped_at_once(ami: South) -> None:
    meter = await ami.meter(listen=False)
    meters = await ami.start()
    meter.values[LOGICAL_DEVICE_NAME, 2] = NULLS
    await (await meter.dial(address(meters)))
    (event,) = ami.told("dropped")
    assert f"{MAX_PUBLIC_OCTETS + PROTECTION_OCTETS} are the most here" in event["reason"]


@pytest.mark.parametrize("authentication", ["none", "hls-gmac"])
async def test_device_id_of_a_megabyte_costs_its_command_alone(ami: South, authentication: str) -> None:
    """Who has proved its keys may send more, and it is no text: nothing is made of a million elements."""
    meter = await ami.meter(authentication=authentication)
    await ami.start(apdu_timeout_s=20.0)
    meter.values[DEVICE_ID, 2] = NULLS
    outcome = await ami.switch(deadline_s=20.0)
    assert not outcome.ok and not outcome.attempted and meter.actions == 0
    assert ("more than" if authentication == "none" else "no text but array") in outcome.reason
    assert len(outcome.reason) < 500


@pytest.mark.parametrize("bound", ["MAX_UNPROVED", "MAX_UNPROVED_PER_ADDRESS"])
async def test_claims_of_many_names_hold_few_connections(
    ami: South, monkeypatch: pytest.MonkeyPatch, bound: str
) -> None:
    """Whoever knows the names of all meters; a meter that proves itself is not among those that make room."""
    monkeypatch.setattr(dialled_in_module, bound, 2)
    genuine = await ami.meter(listen=False)
    others = [SmallMeter(number=number) for number in (2001, 2002, 2003)]
    meters = await ami.start(genuine.entry(), *(one.entry() for one in others))
    connection = await dialled_in(ami, meters, genuine)
    for one in others:
        await liar(ami, meters, number=one.number)
    (gone,) = ami.told("replaced")
    assert (gone["meter"], gone["standing"]) == ("M2001", "refuted")
    assert (await ami.switch()).ok and not connection.done()
    assert sum(map(len, meters._dialled_in._unproved.values())) == 2


async def test_claims_without_end_are_few_lines_of_the_log(ami: South, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener, "CLAIMS_PER_HOST", 3)
    monkeypatch.setattr(dialled_in_module, "CLAIMS_PER_HOST", 2)
    meter = await ami.meter(listen=False)
    meters = await ami.start()
    async with claiming_without_end(ami, meters, SAME) as count:
        await eventually(lambda: count[0] > 12)
    await dialled_in(ami, meters, meter)
    assert (
        len(ami.told("not_proved")) + len([one for one in ami.told("dialled_in") if one["standing"] != "proved"]) == 3
    )
    assert len(ami.told("replaced")) + len(ami.told("hung_up")) <= 2
