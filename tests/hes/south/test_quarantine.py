"""Callers that no entry names are kept and can be taken in; a meter that has moved is followed once its keys are proved, and only then."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import Result
from patience import PATIENCE_S
from reported import ignore, into
from small_meter import SmallMeter, eventually
from typer.testing import CliRunner

from ami_dlms import apdu
from ami_dlms.apdu.ciphered import GeneralGloCiphering
from ami_dlms.framing import wrapper
from ami_hes.__main__ import app
from ami_hes.app import running
from ami_hes.meters import quarantine as quarantining
from ami_hes.meters.quarantine import MOST_CALLERS, MOST_PER_HOST, Quarantine
from ami_hes.settings import Settings
from ami_hes.store import Database, SqlQuarantine, StoredCaller, StoreUnavailable
from ami_process.environment import Environment
from ami_process.store.places import Place

HERE, THERE = "127.0.0.1", "127.0.0.9"


class HeadEnd:
    """A running one, asked over its API."""

    def __init__(self, addresses: list[str], client: httpx.AsyncClient, events: list[Any]) -> None:
        self.url = f"http://{addresses[0]}/api/v1"
        host, _, port = addresses[-1].rpartition(":")
        self.dlms = host, int(port)
        self.client = client
        self.events = events

    def told(self, event: str) -> list[Any]:
        return [one for one in self.events if one["event"] == event]

    async def callers(self) -> dict[str, dict[str, Any]]:
        found = (await self.client.get(f"{self.url}/quarantine")).json()["callers"]
        return {one["name"]: one for one in found}

    async def ship(self, *entries: dict[str, Any]) -> None:
        rows = [{"place": one["name"], "columns": one} for one in entries]
        report = (await self.client.post(f"{self.url}/meters", json={"rows": rows})).json()["rows"]
        assert {one["outcome"] for one in report} == {"accepted"}, report

    async def address(self, name: str) -> str:
        entry: dict[str, str] = (await self.client.get(f"{self.url}/meters/{name}")).json()["entry"]
        return entry["address"]


@asynccontextmanager
async def head_end(directory: Path) -> AsyncIterator[HeadEnd]:
    events: list[Any] = []
    settings = Settings(hes={"port": 0, "dlms_port": 0, "store": directory / "hes.sqlite"})
    async with (
        running(settings, Environment(emit=into(events))) as addresses,
        httpx.AsyncClient(timeout=PATIENCE_S, trust_env=False) as client,
    ):
        yield HeadEnd(addresses, client, events)


@asynccontextmanager
async def a_meter(**settings: Any) -> AsyncIterator[SmallMeter]:
    meter = SmallMeter(**settings)
    try:
        yield meter
    finally:
        await meter.close()


async def test_a_stranger_is_kept_and_is_recognised_once_it_is_taken_in(tmp_path: Path) -> None:
    async with a_meter(number=7001) as meter:
        name = "AMI0000000007001"
        async with head_end(tmp_path) as hes:
            for calls in (1, 2):
                await meter.dial(hes.dlms)
                await eventually(lambda: len(hes.told("dropped")) == calls)  # noqa: B023
            first = (await hes.callers())[name]
            assert (first["calls"], first["system_title"]) == (2, None) and first["address"].startswith(HERE)
            assert [one["caller"] for one in hes.told("quarantined")] == [name]
        async with head_end(tmp_path) as hes:
            assert await hes.callers() == {name: first}, "a later life knows it"
            path = f"{hes.url}/quarantine/{name}"
            wrong = await hes.client.post(path, json={"columns": meter.entry(logical_device_name="OTHER")})
            assert wrong.status_code == 422 and "the caller says" in wrong.json()["error"]
            assert (await hes.client.post(path, json={"columns": {"name": "M7001"}})).status_code == 422
            taken = await hes.client.post(path, json={"columns": meter.entry()})
            assert (taken.status_code, taken.json()["outcome"]) == (200, "accepted"), taken.text
            assert (await hes.callers(), (await hes.client.get(path)).status_code) == ({}, 404)
            await meter.dial(hes.dlms)
            (dialled,) = await eventually(lambda: hes.told("dialled_in"))
            assert (dialled["meter"], dialled["standing"]) == ("M7001", "proved")
        async with head_end(tmp_path) as hes:
            assert await hes.callers() == {}


async def test_who_pushes_under_a_title_of_nobody_is_kept_by_it_and_can_be_forgotten(tmp_path: Path) -> None:
    octets = apdu.encode(GeneralGloCiphering(b"XYZ\x00\x00\x00\x1b\x59", bytes((0x30,)) + bytes(20)))
    async with head_end(tmp_path) as hes, a_meter(number=7001) as meter:
        await meter.dial(hes.dlms)
        await eventually(lambda: meter.connected)
        meter.say(wrapper.encode(wrapper.WrapperPdu(1, 1, octets)))
        await eventually(lambda: hes.told("quarantined"))
        title = "58595a0000001b59"
        assert (await hes.callers())[title]["system_title"] == title
        assert (await hes.client.delete(f"{hes.url}/quarantine/{title}")).status_code == 200
        assert title not in await hes.callers()
        await hes.ship(meter.entry(address="dials-in"))
        assert await hes.callers() == {}, "who is registered meanwhile is not shown"


async def test_an_operator_takes_a_caller_in_by_its_row_of_a_shipment(tmp_path: Path) -> None:
    async with head_end(tmp_path) as hes, a_meter(number=7001) as meter, a_meter(number=7002) as other:
        name, row = "AMI0000000007001", meter.entry()
        for one in (meter, other):
            await one.dial(hes.dlms)
        await eventually(lambda: len(hes.told("quarantined")) == 2)

        async def command(*arguments: str) -> Result:
            line = ["meters", "quarantine", *arguments, "--url", hes.url.removesuffix("/api/v1")]
            return await asyncio.to_thread(CliRunner().invoke, app, line)

        assert name in (await command("list")).stdout and "127.0.0.1" in (await command("show", name)).stdout
        shipment = tmp_path / "shipment.json"
        shipment.write_text(
            json.dumps({"format": 1, "meters": [other.entry() | {"logical_device_name": "X"}]}), "utf-8"
        )
        refused = await command("accept", name, "--shipment", str(shipment))
        assert refused.exit_code == 2 and f"has no row for {name}" in refused.output
        shipment.write_text(json.dumps({"format": 1, "meters": [other.entry(), row]}), "utf-8")
        taken = await command("accept", name, "--shipment", str(shipment))
        assert (taken.exit_code, taken.stdout) == (
            0,
            "M7001 is in the registry (accepted): its next call is recognised\n",
        )
        assert (await command("forget", "AMI0000000007002")).exit_code == 0
        assert (await command("list")).stdout == "Nobody is in quarantine.\n"
        assert (await command("forget", name)).exit_code == 2


async def test_who_floods_pushes_out_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    quarantine = Quarantine(None, Environment(emit=ignore))
    quarantine.note("A REAL METER", None, "192.0.2.1:4059")
    for number in range(MOST_PER_HOST + 7):
        quarantine.note(f"FLOOD{number}", None, "192.0.2.2:4059")
    assert quarantine.find("A REAL METER") and quarantine.find("FLOOD6") is None and quarantine.find("FLOOD7")
    for number in range(MOST_CALLERS):
        quarantine.note(f"MANY{number}", None, f"198.51.{number // 256}.{number % 256}:1")
    assert len(quarantine.callers(but=lambda _: False)) == MOST_CALLERS


async def test_a_flood_of_names_is_not_gone_through_for_each_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    quarantine = Quarantine(None, Environment(emit=ignore))
    for number in range(MOST_CALLERS):
        quarantine.note(f"MANY{number}", None, f"198.51.{number // 256}.{number % 256}:1")
    looked_at: list[str] = []

    def counted(host: str) -> str:
        looked_at.append(host)
        return host

    monkeypatch.setattr(quarantining, "counted_address", counted)
    quarantine.note("ONE MORE", None, "192.0.2.1:1")
    assert quarantine.find("ONE MORE") and quarantine.find("MANY0") is None and quarantine.find("MANY1")
    assert len(looked_at) < 10, "the addresses of those who are there are left alone"


class AwayStore:
    """Takes nothing until it is back; counts what it is asked to keep at once."""

    def __init__(self) -> None:
        self.back = False
        self.most = 0
        self.kept: dict[str, StoredCaller] = {}

    async def load(self) -> list[StoredCaller]:
        return []

    async def keep(self, callers: Sequence[StoredCaller], forgotten: Sequence[str]) -> None:
        self.most = max(self.most, len(callers) + len(forgotten))
        if not self.back:
            raise StoreUnavailable("away")
        self.kept |= {one.name: one for one in callers}
        for name in forgotten:
            self.kept.pop(name, None)


async def test_a_store_that_is_away_gets_who_is_left_when_it_is_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """And no name of a flood waits for it."""
    monkeypatch.setattr(quarantining, "RETRY_S", 0.0)
    store = AwayStore()
    quarantine = Quarantine(store, Environment(emit=ignore))
    await quarantine.start()
    for number in range(5 * MOST_PER_HOST):
        quarantine.note(f"FLOOD{number}", None, "192.0.2.2:4059")
        if number % 50 == 0:
            tries = store.most
            await eventually(lambda: store.most > tries or store.most >= MOST_PER_HOST)  # noqa: B023
    store.back = True
    await eventually(lambda: len(store.kept) == MOST_PER_HOST)
    assert store.most <= 2 * MOST_PER_HOST
    quarantine.forget(f"FLOOD{5 * MOST_PER_HOST - 1}")
    await eventually(lambda: len(store.kept) == MOST_PER_HOST - 1)
    await quarantine.stop()


async def test_a_fault_is_reported_once_and_does_not_end_the_writing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quarantining, "RETRY_S", 0.0)
    events: list[Any] = []
    store, tries = AwayStore(), 0

    async def keep(callers: Sequence[StoredCaller], forgotten: Sequence[str]) -> None:
        nonlocal tries
        tries += 1
        if tries in (1, 2, 4):
            raise ValueError("no row of a table")
        await AwayStore.keep(store, callers, forgotten)

    store.back = True
    monkeypatch.setattr(store, "keep", keep)
    quarantine = Quarantine(store, Environment(emit=into(events)))
    await quarantine.start()
    for number, failures in enumerate((1, 2), 1):
        quarantine.note(f"CALLER{number}", None, "192.0.2.2:4059")
        await eventually(lambda: len(store.kept) == number)  # noqa: B023
        failed = [one for one in events if one["event"] == "quarantine_failed"]
        assert len(failed) == failures and "no row of a table" in failed[-1]["exception"]
    await quarantine.stop()


async def moved(hes: HeadEnd, meter: SmallMeter, ends: Callable[[], list[Any]], source: str = HERE) -> list[Any]:
    await meter.dial(hes.dlms, source)
    return await eventually(ends)


@pytest.mark.needs("loopback-block")
async def test_a_meter_that_has_moved_is_followed_once_it_has_proved_its_keys_there(tmp_path: Path) -> None:
    async with head_end(tmp_path) as hes, a_meter() as meter, a_meter() as liar:
        await meter.listen()
        before = f"{THERE}:{meter.port}"
        await hes.ship(meter.entry(address=before))
        (refuted,) = await moved(hes, liar, lambda: hes.told("not_proved"), "127.0.0.2")
        assert (refuted["meter"], await hes.address("M1001")) == ("M1001", before), "who has other keys moves nothing"
        _, behind = await moved(hes, meter, lambda: hes.told("not_proved")[1:] and hes.told("not_proved"), "127.0.0.3")
        assert "127.0.0.3" in behind["reason"] and await hes.address("M1001") == before, "nothing answers there"
        (followed,) = await moved(hes, meter, lambda: hes.told("meter_moved"))
        assert (followed["before"], followed["followed"], followed["reason"]) == (before, True, "")
        assert await hes.address("M1001") == f"{HERE}:{meter.port}" == followed["address"]
        count = (await hes.client.get(f"{hes.url}/meters")).json()["total"]
        assert count == 1, "it is the same meter"
    async with head_end(tmp_path) as hes:
        assert await hes.address("M1001") == f"{HERE}:{meter.port}"


async def test_processes_that_share_a_store_see_whom_the_others_have_heard_and_forgotten(place: Place) -> None:
    async with Database(place) as database:
        here, there = (Quarantine(SqlQuarantine(database), Environment(emit=ignore), shared=True) for _ in range(2))
        await here.start()
        await there.start()
        there.note("XYZ1", None, "192.0.2.1:40000")
        await there.stop()
        await here.look()
        assert [one.name for one in here.callers(but=lambda _: False)] == ["XYZ1"]
        here.forget("XYZ1")
        await here.stop()
        await there.look()
        assert there.find("XYZ1") is None
