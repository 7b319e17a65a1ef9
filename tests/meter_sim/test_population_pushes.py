"""What a population pushes though nobody has talked to its meters, seen by a bare socket that deciphers with the shipment's keys."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from bench import START, attribute
from free_ports import free_port
from patience import PATIENCE_S
from reported import Reported
from served import load, table
from test_population_associations import shipped

from ami_dlms import data
from ami_dlms.association import unprotect_notification
from ami_dlms.enums import DataAccessResult
from ami_dlms.framing.wrapper import decode_datagram
from ami_dlms.security import GlobalKeys, ReceiveCounter
from ami_meter_sim import fleet
from ami_meter_sim.app import Running, start
from ami_meter_sim.control import FleetControl
from ami_meter_sim.lines import push as push_sender
from ami_meter_sim.meter.pushes import INTERVAL, SETUPS
from ami_meter_sim.meter.simulated_meter import Meter
from ami_meter_sim.objects.conditions import Condition
from ami_meter_sim.objects.push_setup import PushSetupV0
from ami_meter_sim.outages import Outages
from ami_meter_sim.populating import prepare
from ami_meter_sim.settings import Settings
from ami_packs.event_list import Occurrence
from ami_process.clocks import SteppedClock
from ami_process.environment import Environment
from ami_process.settings import SettingsError

pytestmark = pytest.mark.needs("loopback-block")
METERS = 8


@dataclass
class Came:
    """A push that has come; `meter` None: nobody vouches for it."""

    host: str
    client_wport: int
    meter: str | None
    body: tuple[Any, ...]
    sent_at: datetime


class Town:
    """A population with a clock that is stepped, and a head-end that only listens."""

    def __init__(self, directory: Path, receiver: socket.socket, push: dict[str, Any], **more: Any) -> None:
        self.receiver = receiver
        given = {"to": f"udp://127.0.0.1:{receiver.getsockname()[1]}"} | push
        self.settings: Settings = load(
            directory, table(port=free_port(), model="single-phase", count=METERS, push=given, **more)
        )
        self.clock = SteppedClock(START)
        self.reported = Reported()
        (self.prepared,) = prepare(self.settings.populations)
        self.running: Running

    async def start(self) -> None:
        self.running = await start(self.settings, (), Environment(emit=self.reported).by(self.clock))
        self.control = FleetControl(self.running.fleet)
        while self.clock.next_due_at is None:  # until the first scan waits for its time
            await asyncio.sleep(0)

    def keys(self, title: bytes) -> tuple[GlobalKeys, ReceiveCounter] | None:
        """By the shipment file alone."""
        rows = {bytes.fromhex(row["system_title"]): row for row in self.prepared.shipment().rows()}
        row = rows.get(title)
        if row is None:
            return None
        keys = (bytes.fromhex(row[f"push.{name}"]) for name in ("encryption_key", "authentication_key"))
        return GlobalKeys(*keys), ReceiveCounter(0)

    async def come(self, count: int, step_s: float = 1.0) -> list[Came]:
        """The next pushes, deciphered; the clock goes on in such steps until they are there."""
        found: list[Came] = []
        async with asyncio.timeout(PATIENCE_S):
            while len(found) < count:
                found += self._arrived()
                if len(found) < count:
                    await self.later(seconds=step_s)
        return found

    def _arrived(self) -> Iterator[Came]:
        while True:
            try:
                octets, (host, _) = self.receiver.recvfrom(65536)
            except BlockingIOError:
                return
            pdu = decode_datagram(octets)
            notification, title = unprotect_notification(pdu.apdu, self.keys)
            index = None if title is None else self.prepared.population.identities.index_of_system_title(title)
            name = None if index is None else self.prepared.population.identities.name(index)
            assert notification.date_time is not None
            sent_at = notification.date_time.to_datetime()
            yield Came(host, pdu.destination, name, notification.body.value, sent_at)

    def none_has_come(self) -> bool:
        try:
            self.receiver.recv(65536)
        except BlockingIOError:
            return True
        return False

    @property
    def names(self) -> list[str]:
        return [self.prepared.population.identities.name(index) for index in range(METERS)]

    async def later(self, **time: float) -> None:
        await self.clock.advance_to(self.clock.now() + timedelta(**time))


@asynccontextmanager
async def town(directory: Path, *, started: bool = True, push: dict[str, Any], **more: Any) -> AsyncIterator[Town]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.setblocking(False)
        one = Town(directory, receiver, push, **more)
        if started:
            await one.start()
        yield one
        await one.running.stop()


def sent_by(came: list[Came]) -> list[str | None]:
    return sorted(str(one.meter) for one in came)


async def test_each_pushes_its_interval_though_nobody_has_talked_to_it(tmp_path: Path) -> None:
    async with town(tmp_path, push={"on": [], "interval_s": 900}) as one:
        await one.later(minutes=9)
        assert one.none_has_come()
        for minutes in (1, 10):
            await one.later(minutes=minutes)
            came = await one.come(METERS, step_s=10)
            assert sent_by(came) == one.names, "each of them once"
            assert {push.client_wport for push in came} == {102}, "for the client of the push association"
            assert {push.host for push in came} == {one.prepared.plan.place(index)[0] for index in range(METERS)}
            assert {bytes(push.body[0].value) for push in came} == {bytes(SETUPS[INTERVAL])}
            assert one.none_has_come() and one.clock.now() < START + timedelta(minutes=30)


async def test_a_day_at_once_pushes_every_hour(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock waits at each hour until its pushes have left, be it many rounds of the event loop."""
    monkeypatch.setattr(push_sender, "AT_ONCE", 1)
    monkeypatch.setattr(fleet, "MOST_OF_A_PORTION", 1)
    async with town(tmp_path, push={"on": [], "interval_s": 3600, "randomised_s": 0}) as one:
        await one.clock.advance_to(START + timedelta(hours=24, seconds=1))
        came = await one.come(METERS * 25)
        at_midnight = START.replace(hour=0, minute=0) + timedelta(days=1)
        hours = [START.replace(minute=0) + timedelta(hours=number) for number in range(1, 25)]
        expected = sorted([*hours, at_midnight + timedelta(minutes=5)])  # the model's own schedule
        for name in one.names:
            assert [push.sent_at for push in came if push.meter == name] == expected
        assert one.none_has_come()


async def test_what_is_due_survives_the_process(tmp_path: Path) -> None:
    async with town(tmp_path, push={"on": [], "interval_s": 900}) as one:
        await one.running.stop()
        await one.start()
        await one.later(minutes=8)
        assert sent_by(await one.come(METERS, step_s=10)) == one.names


async def test_a_new_meter_announces_itself_once_in_its_life(tmp_path: Path) -> None:
    async with town(tmp_path, push={"on": ["installation"]}) as one:
        await one.later(seconds=2)
        assert sent_by(await one.come(METERS)) == one.names
        await one.running.stop()
        await one.start()
        await one.later(hours=1)
        assert one.none_has_come()


async def test_a_destination_that_a_client_wrote_is_pushed_to_after_a_restart(tmp_path: Path) -> None:
    """The model's own schedule, five minutes after midnight; the settings say nothing of pushes."""
    async with town(tmp_path, push={"on": []}) as one:
        where = one.settings.populations[0].push
        assert where is not None
        host, port = one.receiver.getsockname()
        destination = data.structure(data.enum(1), data.octet_string(f"{host}:{port}".encode()), data.enum(0))
        meter = one.running.fleet.live(3)
        written = meter.set(attribute((40, "0-1:25.9.0"), 3), destination, one.clock.now())
        assert written is DataAccessResult.SUCCESS
        del meter
        await one.running.stop()
        await one.start()
        await one.clock.advance_to(datetime(START.year, START.month, START.day + 1, tzinfo=UTC))
        (push,) = await one.come(1, step_s=10)
        assert push.meter == one.names[3] and one.none_has_come()


async def test_a_randomised_start_is_that_of_its_seed(tmp_path: Path) -> None:
    async def order(directory: Path, seed: int) -> list[str | None]:
        push = {"on": [], "interval_s": 900, "randomised_s": 600, "seed": seed}
        directory.mkdir()
        async with town(directory, push=push) as one:
            await one.clock.advance_to(START + timedelta(minutes=10, seconds=1))
            assert one.running.fleet.store is not None
            planned = one.running.fleet.store.columns["next_due_at"]
            while planned.min() <= one.clock.now().timestamp():
                await asyncio.sleep(0)
            return [push.meter for push in await one.come(METERS)]

    first, same, other = [await order(tmp_path / name, seed) for name, seed in (("a", 1), ("b", 1), ("c", 2))]
    assert first == same and first != other
    assert sorted(map(str, first)) == sorted(map(str, other))


async def test_a_meter_that_gasps_is_made_once_and_goes_with_its_gasp(tmp_path: Path) -> None:
    async with town(tmp_path, push={"on": ["power-down"]}) as one:
        fleet, made = one.running.fleet, list[str]()
        watch = fleet.when_live

        def count(meter: Meter) -> None:
            made.append(meter.name)
            watch(meter)

        fleet.when_live = count
        outages = Outages(fleet)
        outages.want([(name, 0.0) for name in one.names], on=False)
        assert sent_by(await one.come(METERS)) == one.names
        await outages.end()
        assert sorted(made) == one.names
        assert fleet.alive == 0


async def test_an_alarm_is_pushed_by_its_meter_alone(tmp_path: Path) -> None:
    async with town(tmp_path, push={"on": ["alarm"]}) as one:
        name = one.names[5]
        one.control.occur(name, Occurrence.TERMINAL_COVER_OPENED)
        await one.later(seconds=10)
        (alarm,) = await one.come(1)
        assert alarm.meter == name and bytes(alarm.body[1].value) == bytes(SETUPS["alarm"])
        assert one.none_has_come()


async def test_an_outage_and_the_return(tmp_path: Path) -> None:
    async with town(tmp_path, push={"randomised_s": 0, "on": ["power-down", "power-up"]}) as one:
        one.control.power(one.names, on=False)
        gasps = await one.come(METERS)
        assert sent_by(gasps) == one.names, "nothing is retried or waited for without power"
        await one.later(minutes=3)
        one.control.power(one.names, on=True)
        await one.later(seconds=1)
        assert sent_by(await one.come(METERS)) == one.names
        await one.control.end()


async def test_a_condition_plans_what_follows(tmp_path: Path) -> None:
    """An alarm monitor is not due by time, but what the alarm begins may be."""
    async with town(tmp_path, push={"on": ["alarm"]}) as one:
        one.control.set_condition(one.names[2], Condition.MAGNET, there=True)
        await one.later(seconds=10)
        assert [push.meter for push in await one.come(1)] == [one.names[2]]


async def test_others_than_alarms_wait_for_a_window(tmp_path: Path) -> None:
    """The clock begins at 10:05."""
    push = {"on": ["alarm", "installation"], "windows": ["11:00-11:30"], "randomised_s": 0}
    async with town(tmp_path, push=push) as one:
        one.control.occur(one.names[0], Occurrence.TERMINAL_COVER_OPENED)
        await one.later(seconds=10)
        (alarm,) = await one.come(1)
        assert bytes(alarm.body[1].value) == bytes(SETUPS["alarm"])
        await one.later(minutes=50)
        assert one.none_has_come()
        await one.later(minutes=6)
        assert sent_by(await one.come(METERS)) == one.names


async def test_unencrypted_where_the_table_says_so(tmp_path: Path) -> None:
    async with town(tmp_path, push={"on": ["installation"], "protected": False, "client_wport": 16}) as one:
        await one.later(seconds=2)
        came = await one.come(METERS)
        assert {(push.meter, push.client_wport) for push in came} == {(None, 16)}


async def test_over_tcp_it_is_tried_again_until_somebody_listens(tmp_path: Path) -> None:
    port = free_port()
    push = {
        "to": f"tcp://127.0.0.1:{port}",
        "on": ["installation"],
        "retries": 200,
        "retry_delay_s": 5,
        "randomised_s": 0,
    }
    calls: asyncio.Queue[bytes] = asyncio.Queue()

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        calls.put_nowait(await reader.read())
        writer.close()

    async with town(tmp_path, push=push) as one:
        await one.later(seconds=2)
        while len(one.reported.seen("push_failed")) < METERS:
            await asyncio.sleep(0)
        server = await asyncio.start_server(take, "127.0.0.1", port)
        while calls.qsize() < METERS:
            await one.later(seconds=5)
            await asyncio.sleep(0.0)
        titles = {unprotect_notification(decode_datagram(calls.get_nowait()).apdu, one.keys)[1] for _ in range(METERS)}
        assert len(titles) == METERS
        server.close()
        await server.wait_closed()


def test_the_push_setups_say_what_the_table_says(tmp_path: Path) -> None:
    push = {
        "to": "tcp://[::1]:4060",
        "interval_s": 3600,
        "randomised_s": 90,
        "retries": 7,
        "retry_delay_s": 30,
        "windows": ["01:00-05:30"],
    }
    (one,) = prepare(load(tmp_path, table(model="single-phase", push=push)).populations)
    shown = one.population.model.objects[PushSetupV0.class_id, SETUPS[INTERVAL]]
    assert shown.attributes[3] == data.structure(data.enum(0), data.octet_string(b"[::1]:4060"), data.enum(0))
    assert (shown.attributes[5], shown.attributes[6], shown.attributes[7]) == (
        data.long_unsigned(90),
        data.unsigned(7),
        data.long_unsigned(30),
    )
    assert len(shown.attributes[4].value) == 1
    gasp = one.population.model.objects[PushSetupV0.class_id, SETUPS["power-down"]]
    assert gasp.attributes[6] == data.unsigned(0) and not gasp.attributes[4].value


@pytest.mark.parametrize(
    ("push", "said"),
    [
        ({"to": "127.0.0.1:4059"}, "tcp://host:port"),
        ({"to": "udp://127.0.0.1:4059", "on": ["birthday"]}, "on"),
        ({"to": "udp://127.0.0.1:4059", "windows": ["1-2"]}, "hh:mm-hh:mm"),
        ({"to": "udp://127.0.0.1:4059", "windows": ["25:00-26:00"]}, "hh:mm-hh:mm"),
        ({"to": "udp://127.0.0.1:4059", "interval_s": 0}, "interval_s"),
        ({"to": "udp://127.0.0.1:4059", "retries": 256}, "retries"),
        ({"on": []}, "to"),
    ],
)
def test_what_can_not_be_pushed_is_refused(tmp_path: Path, push: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        prepare(load(tmp_path, table(push=push)).populations)


def test_the_shipment_has_the_keys_of_the_push_association(tmp_path: Path) -> None:
    row, _ = shipped(load(tmp_path, table(model="single-phase")))
    assert (row["push.client_wport"], row["push.encryption_key"]) == (102, row["encryption_key"])
