"""Events of meters over the REST API and by `hes events`: listed, and followed from where a follower was, over real sockets."""

from __future__ import annotations

import asyncio
import csv
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from free_ports import free_port
from north_bench import North, mrid, north
from patience import PATIENCE_S
from pushing_meter import NOON, PushingMeter, ciphered
from test_asked_events import COVER, FRAUD, KEPT, POWER_DOWN, event, keep

from ami_hes.__main__ import main as hes_command
from ami_hes.api import device_events
from ami_hes.client import device_events as client
from ami_hes.store import Database, EventQuery, Happened, SqlDeviceEvents
from ami_process.store.places import Place

EVENTS, STREAM = "/api/v1/events", "/api/v1/events/stream"
ALARM, CLOCK = 1 << 13, 1


@asynccontextmanager
async def head_end(directory: Path, **settings: Any) -> AsyncIterator[tuple[North, PushingMeter]]:
    port = free_port()
    registry = [ciphered(1), ciphered(2), ciphered(3, tags={"feeder": "F13"})]
    async with north(directory, registry=registry, dlms_port=port, **settings) as hes:
        yield hes, PushingMeter(ciphered(1), port)


async def listed(hes: North, **query: Any) -> list[tuple[str, str]]:
    answer = await hes.client.get(hes.url + EVENTS, params=query)
    assert answer.status_code == 200, answer.text
    return [(one["meter"], one["type"]) for one in answer.json()["events"]]


async def messages(lines: AsyncIterator[str], number: int) -> list[dict[str, Any]]:
    """So many of them."""
    found: list[dict[str, Any]] = []
    fields: dict[str, str] = {}
    while len(found) < number:
        line = await asyncio.wait_for(anext(lines), PATIENCE_S)
        name, _, value = line.partition(": ")
        fields[name] = value
        if not line:
            found += [{**json.loads(fields["data"]), **fields}] if "data" in fields else []
            fields = {}
    return found


async def test_events_are_listed_by_meter_group_type_and_time_in_pages(tmp_path: Path) -> None:
    await keep(tmp_path, KEPT)
    async with head_end(tmp_path) as (hes, _):
        everything = [("M1", FRAUD), ("M3", COVER), ("M2", POWER_DOWN), ("M1", POWER_DOWN)]
        assert await listed(hes) == everything
        assert await listed(hes, limit=3, offset=1) == everything[1:]
        assert await listed(hes, meter=["M2", mrid(3)]) == everything[1:3]
        assert await listed(hes, group="feeder=F12", type="power-down") == everything[2:]
        assert await listed(hes, type=["3.12.29.212", "fraud"]) == everything[:2]
        assert await listed(hes, **{"from": (NOON + timedelta(minutes=1)).isoformat(), "to": "2026-11-20T12:02"}) == [
            ("M2", POWER_DOWN)
        ]
        assert await listed(hes, open="true") == await listed(hes, group="feeder=F99") == []
        for query, status, word in (
            ({"type": "frad"}, 422, "fraud"),
            ({"type": "0.26.38.86"}, 422, "0.26.38.85 (power-down)"),
            ({"meter": "M9"}, 404, "no meter"),
            ({"kind": "x"}, 422, "no such parameter"),
            ({"offset": "-1"}, 422, "whole number"),
        ):
            answer = await hes.client.get(hes.url + EVENTS, params=query)
            assert (answer.status_code, word in answer.text) == (status, True), answer.text


async def test_they_are_followed_as_they_are_kept_and_from_what_was_seen_last(tmp_path: Path) -> None:
    await keep(tmp_path, KEPT)
    async with head_end(tmp_path) as (hes, meter):
        async with hes.client.stream("GET", hes.url + STREAM, params={"type": "fraud"}) as answer:
            assert answer.headers["content-type"].startswith("text/event-stream")
            lines = answer.aiter_lines()
            assert await anext(lines) == "id: 4"
            meter.send(meter.alarms(ALARM | CLOCK), meter.alarms(CLOCK, at=NOON + timedelta(minutes=1)))
            begun, ended = await messages(lines, 2)
        assert [(one["event"], one["type"], one["meter"]) for one in (begun, ended)] == [
            ("created", FRAUD, "M1"),
            ("closed", FRAUD, "M1"),
        ]
        assert ended["event_id"] == begun["event_id"] and ended["closed_at"] is not None
        behind = {"Last-Event-ID": "1"}
        async with hes.client.stream("GET", hes.url + STREAM, params={"meter": "M1"}, headers=behind) as answer:
            again = await messages(answer.aiter_lines(), 4)
        assert [(one["id"], one["event"]) for one in again[:1]] == [("2", "created")]
        assert [one["event_id"] for one in again].count(begun["event_id"]) == 2
        refused = await hes.client.get(hes.url + STREAM, headers={"Last-Event-ID": "x"})
        assert refused.status_code == 422


async def test_who_wants_none_of_many_events_sees_that_there_is_somebody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And how far they are, so that it goes on from there."""
    monkeypatch.setattr(device_events, "AT_ONCE", 1)
    await keep(tmp_path, KEPT)
    async with head_end(tmp_path) as (hes, _):
        wanted, behind = {"type": "fraud"}, {"Last-Event-ID": "0"}
        async with hes.client.stream("GET", hes.url + STREAM, params=wanted, headers=behind) as answer:
            lines, ids = answer.aiter_lines(), []
            while len(ids) < 1 + len(KEPT):
                name, _, value = (await asyncio.wait_for(anext(lines), PATIENCE_S)).partition(": ")
                ids += [value] if name == "id" else []
    assert ids == ["0", "1", "2", "3", "4"]


async def test_there_are_no_more_followers_than_may_and_who_leaves_makes_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device_events, "MOST_FOLLOWERS", 1)
    monkeypatch.setattr(device_events, "QUIET_S", 0.02)
    tokens = tmp_path / "tokens"
    tokens.write_text("a-token-that-is-long-enough-for-this\n")
    tokens.chmod(0o600)
    async with head_end(tmp_path, token_file=str(tokens)) as (hes, _):
        assert (await hes.client.get(hes.url + STREAM)).status_code == 401
        hes.client.headers["Authorization"] = f"Bearer {tokens.read_text().strip()}"
        async with hes.client.stream("GET", hes.url + STREAM):
            assert (await hes.client.get(hes.url + STREAM)).status_code == 503
        async with asyncio.timeout(PATIENCE_S):
            while True:
                async with hes.client.stream("GET", hes.url + STREAM) as answer:
                    if answer.status_code == 200:
                        break


async def test_numbers_of_changes_go_on_when_all_that_was_old_is_forgotten(place: Place) -> None:
    """Else who follows would be given nothing behind what it saw last. Marks of logs are moved on, each for itself."""
    async with Database(place) as database:
        store = SqlDeviceEvents(database)
        for one in KEPT:
            await store.keep(Happened(mrid=one.mrid, at=one.created_at, events=[one]))
        assert await store.latest_change() == 4
        assert await store.forget(NOON + timedelta(days=1)) == 3
        late = event(9, 2, FRAUD, NOON)
        await store.keep(Happened(mrid=late.mrid, at=NOON, events=[late]))
        assert [one.number for one in await store.changes_after(0, 10)] == [4, 5]
        found = await store.find(EventQuery(codes=("3.12.0.257", FRAUD), code_tails=("12.29.212",)))
        assert [one.event_id for one in found] == [late.event_id, KEPT[3].event_id]
        for log, minute in (("a", 1), ("b", 2), ("a", 3)):
            at = NOON + timedelta(minutes=minute)
            await store.mark_log(mrid(1), log, seen_at=at, read_at=NOON)
        assert await store.log_marks(mrid(1)) == {"a": NOON + timedelta(minutes=3), "b": NOON + timedelta(minutes=2)}


async def test_the_commands_list_and_follow(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    await keep(tmp_path, KEPT)
    async with head_end(tmp_path) as (hes, meter):

        def run(*arguments: str) -> tuple[int, str, str]:
            code = hes_command(["events", *arguments, "--url", hes.url])
            return code, *capsys.readouterr()

        code, out, _ = await asyncio.to_thread(run, "list", "--meter", "M1", "--limit", "1")
        assert (code, FRAUD in out, "--offset 1" in out) == (0, True, True)
        monkeypatch.setattr(client, "PAGE", 3)
        code, out, _ = await asyncio.to_thread(run, "list", "--csv")
        rows = list(csv.DictReader(out.splitlines()))
        assert code == 0 and [(one["meter"], one["type"]) for one in rows] == [
            *(("M1", FRAUD), ("M3", COVER), ("M2", POWER_DOWN), ("M1", POWER_DOWN))
        ]
        assert {one["time"][-1] for one in rows} == {"Z"} and len({one["event_id"] for one in rows}) == 4
        code, out, _ = await asyncio.to_thread(run, "list", "--csv", "--meter", "M1", "--limit", "1")
        assert (code, len(out.splitlines())) == (0, 2)
        assert (await asyncio.to_thread(run, "list", "--csv", "--json"))[0] == 2
        code, _, err = await asyncio.to_thread(run, "list", "--type", "frad")
        assert (code, "fraud" in err) == (2, True)
        following = asyncio.create_task(asyncio.to_thread(run, "follow", "--after", "3", "--json"))
        out = ""
        async with asyncio.timeout(PATIENCE_S):
            while COVER not in out:
                await listed(hes)
                out += capsys.readouterr().out
        meter.send(meter.alarms(ALARM))
        async with hes.client.stream("GET", hes.url + STREAM, headers={"Last-Event-ID": "4"}) as answer:
            await messages(answer.aiter_lines(), 1)
    code, rest, _ = await following
    seen = [json.loads(line) for line in (out + rest).splitlines()]
    assert code == 0 and [(one["id"], one["event"]["type"]) for one in seen] == [(4, COVER), (5, FRAUD)]
