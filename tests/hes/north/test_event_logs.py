"""Event logs: what a buffer says, when an entry is what was pushed before, and the turns of the clock by which all meters are read."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from north_bench import StandIn, ignore, north
from patience import PATIENCE_S
from pushing_meter import NOON, ciphered
from test_campaigns import begun, ended

from ami_dlms import data
from ami_dlms.cosem.selection import CaptureObject
from ami_dlms.data import Data
from ami_dlms.datetimes import CosemDateTime
from ami_dlms.errors import DecodeError
from ami_dlms.obis import Obis
from ami_hes.campaigns import CampaignBook, event_logs
from ami_hes.end_device_events.log_entries import entries_of, not_pushed
from ami_hes.meters.registry import Meter, read_entry
from ami_hes.store import StoredDeviceEvent
from ami_process.clocks import SteppedClock
from ami_process.environment import Environment

LOG = Obis.parse("0-0:99.98.1*255")
COLUMNS = (
    CaptureObject(8, Obis.parse("0-0:1.0.0*255"), 2, 0),
    CaptureObject(1, Obis.parse("0-0:96.11.1*255"), 2, 0),
)


def meter() -> Meter:
    return read_entry(1, ciphered(1), lambda reference: reference)


def row(at: datetime | None, number: Data) -> Data:
    said = CosemDateTime() if at is None else CosemDateTime.from_datetime(at)
    return data.structure(data.octet_string(said.encode()), number)


def entries(*rows: Data) -> tuple[list[StoredDeviceEvent], int]:
    found = entries_of(data.array(*rows), COLUMNS, LOG, meter(), NOON + timedelta(days=1))
    return list(found.events), found.odd


def test_rows_are_events_in_the_order_of_their_time_and_what_is_none_is_counted() -> None:
    later = NOON + timedelta(minutes=5)
    found, odd = entries(
        row(later, data.unsigned(41)),
        row(NOON, data.unsigned(40)),
        row(None, data.unsigned(40)),
        row(NOON, data.octet_string(b"40")),
        data.unsigned(1),
    )
    assert [(one.code, one.created_at, one.by_meter) for one in found] == [
        ("0.12.29.212", NOON, True),
        ("0.12.29.16", later, True),
    ]
    assert odd == 3 and entries(row(NOON, data.unsigned(40)))[0] == found[:1]
    with pytest.raises(DecodeError):
        entries_of(data.unsigned(1), COLUMNS, LOG, meter(), NOON)
    with pytest.raises(ValueError, match="10001 entries"):
        entries(*[data.unsigned(1)] * 10_001)
    with pytest.raises(ValueError, match="no column"):
        entries_of(data.array(), COLUMNS[:1], LOG, meter(), NOON)


def test_an_entry_whose_number_was_pushed_shortly_after_is_that_event() -> None:
    """A push has its own time. Each push is that of one entry, and none is that of an entry of its own second."""
    found, _ = entries(*(row(NOON + timedelta(seconds=at), data.unsigned(40)) for at in (0, 10, 100)))

    def pushed(second: int) -> StoredDeviceEvent:
        return replace(found[0], event_id=f"push-{second}", created_at=NOON + timedelta(seconds=second))

    assert list(not_pushed(found, [])) == found
    assert list(not_pushed(found, [pushed(3)])) == found[1:]
    assert list(not_pushed(found, [pushed(3), pushed(12)])) == found[2:]
    assert list(not_pushed(found, [found[0], pushed(12)])) == [found[0], found[2]]
    assert list(not_pushed(found, [pushed(-1), pushed(161), replace(pushed(3), details="[]")])) == found


def test_each_push_goes_to_the_entry_that_needs_it_however_many_there_are() -> None:
    """Of two that can be that of the first entry, the other one is left to the second."""
    found, _ = entries(*(row(NOON + timedelta(seconds=2 * at), data.unsigned(40)) for at in range(10_000)))
    kept = [
        replace(found[0], event_id=f"push-{number}", created_at=one.created_at + timedelta(seconds=after))
        for number, (one, after) in enumerate((one, after) for one in found[:-1] for after in (1, -100_000))
    ]
    assert list(not_pushed(found, reversed(kept))) == found[-1:]
    pushes = [replace(found[0], event_id=f"{at}", created_at=NOON + timedelta(seconds=at)) for at in (55, 40)]
    assert list(not_pushed([found[0], found[25]], pushes)) == []


async def test_all_meters_have_their_turn_by_the_clock_and_a_restart_takes_none_twice(tmp_path: Path) -> None:
    for hours, turns in ((0, 1), (5, 1), (6, 2), (11, 2)):
        environment = Environment(emit=ignore).by(SteppedClock(NOON + timedelta(hours=hours)))
        meters = StandIn()
        async with north(tmp_path, meters, environment, event_log_hours=6.0) as hes:
            if (hours, turns) in ((0, 1), (6, 2)):
                await begun(meters, 3)
                assert {one.operation for one in meters.commands} == {"read_event_logs"}
            async with asyncio.timeout(PATIENCE_S):
                while True:
                    found = (await hes.client.get(f"{hes.url}/api/v1/campaigns")).json()["campaigns"]
                    if found and all(one["state"] == "ended" for one in found):
                        break
        assert [one["summary"] for one in found] == ["read event logs of all meters"] * turns


async def test_a_turn_of_several_campaigns_that_is_interrupted_reads_the_rest_and_none_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process ends between the first campaign of a turn and the second one."""
    monkeypatch.setattr(event_logs, "MOST_METERS", 2)
    environment, orders = Environment(emit=ignore).by(SteppedClock(NOON)), 0
    whole_order = CampaignBook.order

    async def order(book: CampaignBook, *arguments: Any) -> str:
        nonlocal orders
        orders += 1
        if orders > 1:
            await asyncio.Event().wait()
        return await whole_order(book, *arguments)

    read: list[str] = []
    with monkeypatch.context() as first_life:
        first_life.setattr(CampaignBook, "order", order)
        async with north(tmp_path, meters := StandIn(), environment, event_log_hours=6.0) as hes:
            await begun(meters, 2)
            (one,) = (await hes.client.get(f"{hes.url}/api/v1/campaigns")).json()["campaigns"]
            await ended(hes, one["id"], 2)
            read += [command.meter.name for command in meters.commands]
    for left in (1, 0):
        async with north(tmp_path, meters := StandIn(), environment, event_log_hours=6.0) as hes:
            await begun(meters, left)
            read += [command.meter.name for command in meters.commands]
            found = (await hes.client.get(f"{hes.url}/api/v1/campaigns")).json()["campaigns"]
            assert sorted(one["meters"] for one in found) == [1, 2]
            for one in found:
                await ended(hes, one["id"], one["meters"])
    assert sorted(read) == ["M1", "M2", "M3"]
