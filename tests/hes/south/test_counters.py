"""Whose word moves an invocation counter: ours by what a meter has proved, the meters' by what we have accepted and kept."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest
from small_meter import CONNECT, South, eventually
from test_listener import BODY, push, send_datagram

from ami_dlms.apdu.notify import DataNotification
from ami_dlms.association import Security, protect_notification
from ami_dlms.framing import wrapper
from ami_dlms.security import GlobalKeys, SendCounter
from ami_hes.store.tables import key_counters

HALF = 2**31


async def spent(ami: South) -> tuple[int, int, int]:
    """next_value, tried_from, tried_to of the only key."""

    def read(connection: object) -> tuple[int, int, int]:
        (row,) = connection.execute(key_counters.select()).all()  # type: ignore[attr-defined]
        return row.next_value, row.tried_from, row.tried_to

    return await ami.database.transaction(read)


# --- M-041: a claim that anybody may make


@pytest.mark.parametrize("authentication", ["lls", "hls-gmac"])
@pytest.mark.parametrize("known", [False, True], ids=["a new key", "a key in use"])
async def test_a_false_claim_near_the_end_spends_nothing(ami: South, authentication: str, known: bool) -> None:
    meter = await ami.meter(authentication=authentication)
    await ami.start()
    if known:
        assert (await ami.switch()).ok
    meter.claims = 2**32 - 300
    assert (await ami.switch(CONNECT)).ok, "the claim is not believed, and our own values are good"
    assert meter.receive_counter.lowest_acceptable < 100
    next_value, _, tried_to = await spent(ami)
    assert (next_value < 1000, tried_to) == (True, 0)


@pytest.mark.parametrize("authentication", ["lls", "hls-gmac"])
async def test_a_claim_that_no_association_confirms_leaves_the_counter_where_it_is(
    ami: South, authentication: str
) -> None:
    """Somebody who has no keys stands in the meter's place and claims; what we sent him is never sent again."""
    meter = await ami.meter(authentication=authentication)
    await ami.start(max_counter_jump=10_000)
    assert (await ami.switch()).ok
    before = (await spent(ami))[0]
    keys, meter.encryption_key = meter.encryption_key, bytes(16)
    for claim in (8_000, 8_000, 9_000, 3_000):
        meter.claims = claim
        assert not (await ami.switch()).ok
    assert (await spent(ami))[0] == before
    meter.encryption_key, meter.claims = keys, None
    assert (await ami.switch(CONNECT)).ok
    assert meter.receive_counter.lowest_acceptable < 1000, "the meter's own counter has not jumped either"
    seen = meter.counters_seen()
    assert len(seen) == len(set(seen)) and max(seen) > 8_000


@pytest.mark.parametrize("authentication", ["lls", "hls-gmac"])
@pytest.mark.parametrize("jump", [5_000, 100_000])
async def test_a_true_claim_is_followed_within_the_bound_and_only_once_tried(
    ami: South, authentication: str, jump: int
) -> None:
    meter = await ami.meter(authentication=authentication)
    await ami.start(max_counter_jump=100_256)
    assert (await ami.switch()).ok
    tries = ami.counters.tries
    meter.receive_counter.accept(jump)
    for code in (CONNECT, CONNECT, CONNECT):
        assert (await ami.switch(code)).ok
    next_value, _, tried_to = await spent(ami)
    assert next_value > jump and tried_to == 0, "the association has opened, so the counter goes on above"
    assert ami.counters.tries == tries + 1
    seen = meter.counters_seen()
    assert seen == sorted(set(seen))


async def test_a_true_claim_beyond_the_bound_is_reported_with_the_setting_that_bounds_it(ami: South) -> None:
    meter = await ami.meter()
    await ami.start(max_counter_jump=1_000)
    assert (await ami.switch()).ok
    meter.receive_counter.accept(50_000)
    outcome = await ami.switch(CONNECT)
    assert (outcome.ok, outcome.reply_code, outcome.attempted) == (False, "7.4", False)
    assert "50001" in outcome.reason and "hes.max_counter_jump" in outcome.reason
    await ami.stop()
    await ami.start(max_counter_jump=100_000)
    assert (await ami.switch(CONNECT)).ok


@pytest.mark.parametrize(("counter", "ok"), [(HALF - 1, True), (HALF + 5, False)])
async def test_a_key_that_is_new_here_begins_in_its_lower_half(ami: South, counter: int, ok: bool) -> None:
    """Another system may have counted before us, by the clock even; half of the values stay whatever is claimed."""
    meter = await ami.meter()
    meter.receive_counter.accept(counter)
    await ami.start()
    assert (await ami.switch()).ok is ok
    assert ((await spent(ami))[0] > HALF) is ok


async def test_meters_that_share_a_key_share_its_counter(ami: South) -> None:
    """One value under one key is one initialization vector, whichever meter it goes to, and under whatever name."""
    first = await ami.meter()
    second = await ami.meter(
        number=1002, encryption_key=first.encryption_key, authentication_key=first.authentication_key
    )
    await ami.start()
    for name in ("M1001", "M1002", "M1001", "M1002"):
        assert (await ami.switch(name=name)).ok
    await ami.stop()
    await ami.start(first.entry(name="M7"), second.entry(name="M8"))
    for name in ("M7", "M8"):
        assert (await ami.switch(CONNECT, name=name)).ok
    seen = first.counters_seen() + second.counters_seen()
    assert len(seen) == len(set(seen)) > 40


# --- M-042: the counter that the meter expects


@pytest.mark.parametrize("authentication", ["lls", "hls-gmac"])
async def test_a_meter_that_expects_more_than_its_object_says_gets_what_it_expects(
    ami: South, authentication: str
) -> None:
    meter = await ami.meter(authentication=authentication, claims=0)
    meter.receive_counter.accept(5_000)
    await ami.start()
    assert (await ami.switch()).ok
    assert (await ami.switch(CONNECT)).ok
    seen = meter.counters_seen()
    assert len(seen) == len(set(seen)) and min(seen) < 100 and max(seen) > 5_000
    assert (await spent(ami))[0] > 5_000


async def test_an_expected_counter_is_a_claim_like_any_other(ami: South) -> None:
    meter = await ami.meter(claims=0)
    await ami.start(max_counter_jump=1_000)
    assert (await ami.switch()).ok
    meter.receive_counter.accept(50_000)
    outcome = await ami.switch(CONNECT)
    assert (outcome.ok, outcome.reply_code) == (False, "7.4")
    assert "50001" in outcome.reason and "hes.max_counter_jump" in outcome.reason
    assert (await spent(ami))[0] < 1_000


async def test_who_always_expects_more_is_asked_twice_and_not_for_ever(ami: South) -> None:
    meter = await ami.meter(claims=0, expects_more=True)
    await ami.start()
    outcome = await ami.switch()
    assert (outcome.ok, outcome.reply_code) == (False, "7.4")
    assert len(meter.counters_seen()) == 2


# --- M-043: what was accepted once


async def test_a_push_that_was_taken_is_not_taken_by_the_next_life(ami: South) -> None:
    meter = await ami.meter()
    recorded = push(meter, counter=9)
    send_datagram(await ami.start(), recorded)
    await eventually(lambda: ami.told("notification"))
    await ami.stop()
    meters = await ami.start()
    send_datagram(meters, recorded)
    send_datagram(meters, push(meter, counter=10))
    await eventually(lambda: len(ami.told("notification")) == 2)
    (dropped,) = ami.told("dropped")
    assert "used before" in dropped["reason"]


async def test_a_push_is_published_only_when_its_counter_is_kept(ami: South) -> None:
    meter = await ami.meter()
    meters = await ami.start()
    await ami.received.load()
    await ami.database.transaction(lambda c: c.exec_driver_sql("DROP TABLE received_counters").close())
    send_datagram(meters, push(meter, counter=9))
    await eventually(lambda: ami.told("dropped"))
    assert "store" in ami.told("dropped")[0]["reason"] and not ami.told("notification")


async def test_a_push_that_came_in_an_association_is_not_taken_outside_of_it(ami: South) -> None:
    meter = await ami.meter(authentication="lls")
    security = Security(keys=GlobalKeys(meter.encryption_key, meter.authentication_key), system_title=meter.title)
    octets = protect_notification(DataNotification(5, None, BODY), security, SendCounter(50))
    meters = await ami.start()
    running = asyncio.create_task(ami.switch())
    await eventually(lambda: "open 1" in meter.asked)
    meter.in_the_middle = wrapper.encode(wrapper.WrapperPdu(1, 1, octets))
    (event,) = await eventually(lambda: ami.told("notification"))
    assert (event["secured"], event["transport"]) == (True, "tcp")
    await running
    send_datagram(meters, meter.in_the_middle)
    await eventually(lambda: ami.told("dropped"))
    assert "used before" in ami.told("dropped")[-1]["reason"] and len(ami.told("notification")) == 1


class OverUdp(asyncio.DatagramProtocol):
    """A meter's connection as datagrams, one frame in each."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._writer: asyncio.StreamWriter | None = None
        self._waiting: asyncio.Queue[tuple[bytes, Any]] = asyncio.Queue()
        self._tasks = [asyncio.create_task(self._forward())]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, octets: bytes, peer: Any) -> None:
        self._waiting.put_nowait((octets, peer))

    async def _forward(self) -> None:
        while True:
            octets, peer = await self._waiting.get()
            if self._writer is None:
                reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
                self._tasks.append(asyncio.create_task(self._back(reader, peer)))
            self._writer.write(octets)

    async def _back(self, reader: asyncio.StreamReader, peer: Any) -> None:
        deframer = wrapper.Deframer()
        while octets := await reader.read(4096):
            deframer.receive_data(octets)
            while (pdu := deframer.next_pdu()) is not None:
                self._transport.sendto(wrapper.encode(pdu), peer)

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._writer is not None:
            self._writer.close()
        self._transport.close()


async def test_a_push_inside_an_association_over_udp_is_reported_as_udp(ami: South) -> None:
    meter = await ami.meter(authentication="lls")
    security = Security(keys=GlobalKeys(meter.encryption_key, meter.authentication_key), system_title=meter.title)
    octets = protect_notification(DataNotification(5, None, BODY), security, SendCounter(50))
    loop = asyncio.get_running_loop()
    door, over_udp = await loop.create_datagram_endpoint(lambda: OverUdp(meter.port), local_addr=("127.0.0.1", 0))
    try:
        port = door.get_extra_info("sockname")[1]
        await ami.start(meter.entry(address=f"127.0.0.1:{port}", transport="udp"))
        running = asyncio.create_task(ami.switch())
        await eventually(lambda: "open 1" in meter.asked)
        meter.in_the_middle = wrapper.encode(wrapper.WrapperPdu(1, 1, octets))
        (event, *_) = await eventually(lambda: ami.told("notification"))
        await running
    finally:
        await over_udp.close()
    assert (event["secured"], event["transport"]) == (True, "udp")


async def test_an_association_that_was_recorded_is_not_opened_again_by_the_next_life(ami: South) -> None:
    """The value that opened it is kept before anything else in it happens, so even the last session can't be repeated."""
    meter = await ami.meter(authentication="lls")
    await ami.start()
    assert (await ami.switch()).ok
    await ami.stop()
    meter.send_counter = SendCounter(1)  # it says again what it said
    await ami.start()
    outcome = await ami.switch(CONNECT)
    assert (outcome.ok, outcome.reply_code, outcome.attempted) == (False, "7.4", False)
    assert "used before" in outcome.reason and meter.actions == 1
