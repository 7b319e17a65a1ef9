"""Outages out of events: what is momentary, which place explains it, and that what matters most is told first."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from free_ports import free_port
from north_bench import Cis, North, entries, ignore
from patience import PATIENCE_S
from pushing_meter import NOON
from told_events import CLOCK, FRAUD, events_of, head_end

from ami_cim.codes import Level
from ami_cim.identity import EndDevice, Identifier
from ami_cim.message import Reply, ReplyError, RequestMessage, ResponseMessage
from ami_cim.payloads.meter_readings import MeterReading, MeterReadings, Reading
from ami_dlms import data
from ami_hes.end_device_events import EventTaker
from ami_hes.jobs import reply_sender
from ami_hes.jobs.destinations import Destinations
from ami_hes.meters.registry import Registry
from ami_hes.outages import OutageBook
from ami_hes.outages.book import PINGED
from ami_hes.outages.places import Place, places_of
from ami_hes.outages.power import powers
from ami_hes.outages.sharing import Shared
from ami_hes.store import Database, Happened, SqlDeviceEvents, StoredDeviceEvent
from ami_mapping.events import IMPORTANCE, rank_of
from ami_process.environment import Environment
from ami_process.store.places import Place as StorePlace

LOST, BACK, UP, VERIFIED = "0.26.38.85", "0.1.0.49", "0.26.38.49", "0.26.0.216"
MOMENTARY = timedelta(seconds=60)
AT = datetime(2026, 3, 27, 12, tzinfo=UTC)


def event(code: str, seconds: float = 0, mrid: str = "m", source: str = "push") -> StoredDeviceEvent:
    at = AT + timedelta(seconds=seconds)
    return StoredDeviceEvent(
        event_id=f"{mrid}/{code}/{seconds}/{source}",
        mrid=mrid,
        meter_name=mrid,
        code=code,
        source=source,
        created_at=at,
        by_meter=True,
        received_at=at,
        secured=True,
    )


@pytest.mark.parametrize(
    ("told", "dark", "momentary", "sustained"),
    [
        ([(LOST, 0)], True, 0, 0),
        ([(LOST, 0), (BACK, 3)], False, 1, 0),
        ([(LOST, 0), (BACK, 60)], False, 1, 0),
        ([(LOST, 0), (BACK, 61)], False, 0, 1),
        ([(LOST, 0), (BACK, 61), (LOST, 100), (UP, 103)], False, 1, 1),
        ([(LOST, 0), (LOST, 2), (BACK, 90), (UP, 95)], False, 0, 1),
        ([(BACK, 0)], False, 0, 0),
        ([(LOST, 0), (BACK, 90), (LOST, 200)], True, 0, 1),
    ],
)
def test_interruptions_are_momentary_or_sustained(
    told: list[tuple[str, float]], dark: bool, momentary: int, sustained: int
) -> None:
    (one,) = powers([event(*each) for each in told], MOMENTARY).values()
    assert (one.dark_since is not None, one.momentary, one.sustained) == (dark, momentary, sustained)


def test_the_alarm_of_a_power_down_is_no_outage() -> None:
    """It leaves when the power is back."""
    (one,) = powers([event(LOST, 0), event(BACK, 90), event(LOST, 91, source="alarm")], MOMENTARY).values()
    assert (one.dark_since, one.sustained, one.verified) == (None, 1, False)


def test_a_ping_verifies_what_a_meter_has_said_until_it_is_dark_again() -> None:
    told = [event(LOST, 0), event(BACK, 90), event(VERIFIED, 95)]
    (one,) = powers(told, MOMENTARY).values()
    assert one.verified and one.restored_at == AT + timedelta(seconds=90)
    (one,) = powers([*told, event(LOST, 200)], MOMENTARY).values()
    assert not one.verified


def by_clock(code: str, received: float, fast: float = 0, source: str = "push") -> StoredDeviceEvent:
    """An event of a meter whose clock is so many seconds fast; `ping`: of the head-end."""
    one = event(code, received, source=source)
    return replace(one, created_at=one.received_at + timedelta(seconds=fast), by_meter=source != "ping")


def pinged(received: float) -> StoredDeviceEvent:
    return by_clock(VERIFIED, received, source="ping")


@pytest.mark.parametrize("fast", [-600, 0, 600])
def test_a_ping_ends_what_was_received_before_it_whatever_the_clock_of_the_meter_is(fast: float) -> None:
    told = [by_clock(LOST, 0, fast), pinged(90), by_clock(LOST, 120, fast), pinged(150), by_clock(LOST, 300, fast)]
    for count, dark, momentary, sustained in ((2, 0, 0, 1), (3, 1, 0, 1), (4, 0, 1, 1), (5, 1, 1, 1)):
        by_time = sorted(told[:count], key=lambda one: one.created_at)
        (one,) = powers(by_time, MOMENTARY).values()
        assert (one.dark_since is not None, one.momentary, one.sustained) == (dark, momentary, sustained), count
        assert one.verified is not bool(dark)
    (one,) = powers([*told, by_clock(BACK, 303, fast)], MOMENTARY).values()
    assert (one.dark_since, one.momentary, one.sustained, one.verified) == (None, 2, 1, False)


@pytest.mark.parametrize("fast", [-600, 0, 600])
def test_what_a_log_says_afterwards_is_no_new_outage(fast: float) -> None:
    """It is read when power is there."""
    log = [by_clock(code, 7200, at - 7200 + fast, "log") for code, at in ((LOST, 2), (UP, 1000))]
    told = [by_clock(LOST, 0, fast), pinged(3600)]
    for later in (log[:1], log):
        (one,) = powers([*told, *later], MOMENTARY).values()
        assert (one.dark_since, one.momentary, one.sustained, one.verified) == (None, 0, 1, True)


@pytest.mark.parametrize("fast", [-600, -60, 60])
def test_a_loss_that_is_pushed_after_a_ping_counts_though_the_clock_was_set(fast: float) -> None:
    (one,) = powers([by_clock(LOST, 0), pinged(90), by_clock(LOST, 120, fast)], MOMENTARY).values()
    assert (one.dark_since, one.sustained) == (AT + timedelta(seconds=120 + fast), 1)


def network() -> Registry:
    """Two feeders with two transformers each, and four meters behind each of these."""
    rows = [
        entry | {"tags": {"feeder": f"F{number // 8}", "transformer": f"T{number // 4}"}}
        for number, entry in enumerate(entries(16))
    ]
    return Registry(rows)


def test_places_explain_meters() -> None:
    """A transformer with half of its meters dark, a feeder where both transformers are out, a meter by itself."""
    registry = network()
    mrids = [meter.mrid for meter in registry.meters]
    dark = dict.fromkeys(mrids[:2], AT) | {one: AT + timedelta(seconds=5) for one in mrids[8:15]}
    dark[mrids[4]] = AT

    def found(share: float) -> list[tuple[str, str, int, int]]:
        places: list[Place] = places_of(dark, registry, ("feeder", "transformer"), share)
        assert sorted(one for place in places for one in place.dark) == sorted(dark), "each is in one place"
        return [(one.level, one.name, len(one.dark), one.meters) for one in places]

    name = registry.name_of(mrids[4]) or ""
    assert found(0.5) == [("feeder", "F1", 7, 8), ("transformer", "T0", 2, 4), ("meter", name, 1, 1)]
    (first, *others) = found(0.8)
    assert first == ("transformer", "T2", 4, 4) and {one[0] for one in others} == {"meter"}
    assert {one.level for one in places_of(dark, registry, (), 0.5)} == {"meter"}


def test_ranks() -> None:
    assert [rank_of(code) for code in (LOST, BACK, VERIFIED, "3.12.0.257", "0.36.114.35", "0.1.0.490", "0.0.0.0")] == [
        *(0, 0, 0, 1, 2, 2, 2)
    ]


async def test_what_matters_most_is_handed_on_first(place: StorePlace) -> None:
    async with Database(place) as database:
        store = SqlDeviceEvents(database)
        codes = ["0.36.114.35", "0.12.0.257", LOST, "0.1.0.490", BACK]
        for number, code in enumerate(codes):
            one = event(code, number)
            await store.keep(Happened(mrid="m", at=one.created_at, events=(one,)))
        assert await store.waiting(IMPORTANCE) == [2, 1, 2]
        told = [change.event.code for change in await store.changes(4, IMPORTANCE)]
        assert told == [LOST, BACK, "0.12.0.257", "0.36.114.35"]
        assert [change.event.code for change in await store.changes(9)] == codes
        await store.all_handed_on()
        assert (await store.waiting(IMPORTANCE), await store.changes(4, IMPORTANCE)) == ([0, 0, 0], [])
        assert len(await store.changes_after(0, 10)) == len(codes), "who follows them sees them all the same"


def test_what_waits_for_a_receiver_goes_by_rank() -> None:
    destinations: Destinations[str] = Destinations(room=10, per_destination=10)
    for item, rank in (("reading", 2), ("tamper", 1), ("gasp", 0), ("reading 2", 2), ("gasp 2", 0)):
        destinations.add("oms", item, rank)
    assert list(destinations.waiting("oms")) == ["gasp", "gasp 2", "tamper", "reading", "reading 2"]
    destinations.remove("oms", "tamper")
    order = []
    while (post := destinations.next()) is not None:
        order.append(post.item)
    assert order == ["gasp", "gasp 2", "reading", "reading 2"]


async def test_all_of_them_come_and_the_queue_is_to_be_seen(tmp_path: Path, events: list[Any]) -> None:
    """At a receiver that has refused the first message."""
    async with Cis((503, b""), (200, b"")).serving() as oms, head_end(tmp_path, oms.url, events) as (hes, meter):
        meter.send(meter.alarms(CLOCK, 0), meter.alarms(CLOCK | FRAUD, 0, at=NOON + timedelta(seconds=1)))
        meter.send(meter.last_gasp())
        codes: list[str] = []
        while len(set(codes)) < 3:
            codes += [one.event_type for one in events_of(await oms.taken.get())]
        text = (await hes.client.get(f"{hes.url}/metrics")).text
    assert set(codes) == {"0.36.114.35", "0.12.0.257", LOST}
    for line in ('hes_datagrams_total{outcome="worked"} 3.0', 'hes_device_events_waiting{importance="0"} 0.0'):
        assert line in text, text


class Held:
    """A subscriber that answers nobody until it is told to; what it was sent, in the order in which it came."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.came = asyncio.Event()
        self.release = asyncio.Event()
        self.url = ""

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[Held]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", free_port())
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/cim"
        try:
            yield self
        finally:
            server.close()

    async def until(self, count: int) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while len(self.bodies) < count:
                self.came.clear()
                await self.came.wait()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = re.search(rb"content-length: (\d+)", head)
        assert length is not None
        self.bodies.append(await reader.readexactly(int(length[1])))
        self.came.set()
        await self.release.wait()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()


async def test_who_has_answered_a_ping_and_is_dark_again_or_was_never_asked_is_not_restored(place: StorePlace) -> None:
    """A ping has its end when the last meter has answered or is given up; what comes until then counts."""
    registry = network()
    again, back, never = (meter.mrid for meter in registry.meters[:3])
    environment = Environment(emit=ignore)
    async with Database(place) as database:
        taker = EventTaker(SqlDeviceEvents(database), environment)

        async def lose(mrid: str) -> None:
            now = environment.now()
            lost = replace(event(LOST, mrid=mrid), event_id=str(uuid4()), created_at=now, received_at=now)
            await taker.take(Happened(mrid=mrid, at=now, events=(lost,)))

        async def ask(message: RequestMessage) -> ResponseMessage:
            await lose(again)
            value = Reading(reading_type=PINGED, value="1", taken_at=environment.now())
            read = tuple(MeterReading(meter=EndDevice(mrid=one), readings=(value,)) for one in (again, back))
            identifier = Identifier(value=never, kind="uuid", object_type="EndDevice")
            unserved = ReplyError(code="2.10", level=Level.FATAL, reason="no such type", identifier=identifier)
            reply = Reply(result="PARTIAL", errors=(unserved,))
            header = replace(message.header, verb="reply")
            return ResponseMessage(header=header, reply=reply, payload=MeterReadings(meter_readings=read))

        for one in (again, back, never):
            await lose(one)
        book = OutageBook(
            taker=taker,
            registry=registry,
            environment=environment,
            ask=ask,
            levels=(),
            share=0.5,
            momentary=MOMENTARY,
            look_back=timedelta(days=1),
        )
        ping = await book.ping()
        assert (ping.answered, ping.silent, ping.restored) == ([again, back], [(never, "2.10")], [back])
        assert sorted(one for found in (await book.report()).places for one in found.dark) == sorted((again, never))


async def test_who_asks_while_it_is_looked_is_told_together_what_is_found_after_that() -> None:
    looks: list[asyncio.Future[int]] = []

    async def look() -> int:
        looks.append(asyncio.get_running_loop().create_future())
        return await looks[-1]

    async def until(count: int) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while len(looks) < count:
                await asyncio.sleep(0)

    shared = Shared(look)
    first = asyncio.create_task(shared.get())
    await until(1)
    gone, *others = (asyncio.create_task(shared.get()) for _ in range(20))
    await asyncio.sleep(0)
    gone.cancel()
    assert len(looks) == 1, "one at a time"
    looks[0].set_result(1)
    await until(2)
    looks[1].set_exception(ValueError("away"))
    assert await first == 1
    assert [str(one) for one in await asyncio.gather(*others, return_exceptions=True)] == ["away"] * 19
    last = asyncio.create_task(shared.get())
    await until(3)
    looks[2].set_result(3)
    assert (await last, len(looks)) == (3, 3)


async def test_a_gasp_overtakes_what_waits_for_a_slow_subscriber(
    tmp_path: Path, events: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that wait are posted by importance and not in the order in which they came."""
    monkeypatch.setattr(reply_sender, "PER_DESTINATION", 1)
    async with Held().serving() as oms, head_end(tmp_path, oms.url, events, timeout_s=PATIENCE_S) as (hes, meter):
        pushes = [
            meter.notified(1, "0-0:96.11.1", data.unsigned(251)),
            meter.notified(1, "0-0:96.11.1", data.unsigned(252)),
            meter.alarms(FRAUD),
            meter.last_gasp(),
        ]
        for number, one in enumerate(pushes, 1):
            meter.send(one)
            await owed(hes, number)
        assert len(oms.bodies) == 1
        oms.release.set()
        await oms.until(len(pushes))
    codes = [one.event_type for body in oms.bodies for one in events_of(body)]
    assert codes == ["0.0.0.0", LOST, "0.12.0.257", "0.0.0.0"]


async def owed(hes: North, number: int) -> None:
    """Wait until so many messages are on their way and no event waits to be made into one."""
    wanted = {
        f"hes_replies_owed {number}.0",
        *(f'hes_device_events_waiting{{importance="{one}"}} 0.0' for one in "012"),
    }
    async with asyncio.timeout(PATIENCE_S):
        while not wanted <= set((await hes.client.get(f"{hes.url}/metrics")).text.splitlines()):
            await asyncio.sleep(0.01)
