"""Campaigns over the REST API: ordered by group, counted, paused, resumed, cancelled, and gone on with in the next life."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from north_bench import North, StandIn, entries, mrid, north
from patience import PATIENCE_S

from ami_hes.__main__ import main
from ami_hes.campaigns import book
from ami_hes.commands import Outcome
from ami_hes.store import SqlResults, StoredCommand

KEYS = "/api/v1/campaigns/keys"
GROUP = "feeder=F12"


def registry(meters: int = 6) -> list[dict[str, Any]]:
    return [one | {"tags": {"feeder": "F12" if number else "F13"}} for number, one in enumerate(entries(meters))]


async def order(hes: North, **order: Any) -> dict[str, Any]:
    answer = await hes.client.post(hes.url + KEYS, json=order or {"group": GROUP})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def campaign(hes: North, campaign_id: str) -> dict[str, Any]:
    found: dict[str, Any] = (await hes.client.get(f"{hes.url}/api/v1/campaigns/{campaign_id}")).json()
    return found


async def move(hes: North, campaign_id: str, how: str) -> tuple[int, dict[str, Any]]:
    answer = await hes.client.post(f"{hes.url}/api/v1/campaigns/{campaign_id}/{how}", json={})
    return answer.status_code, answer.json()


async def ended(hes: North, campaign_id: str, done: int) -> dict[str, Any]:
    async with asyncio.timeout(PATIENCE_S):
        while (found := await campaign(hes, campaign_id))["done"] < done:
            await asyncio.sleep(0)
    return found


async def begun(meters: StandIn, count: int) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while len(meters.commands) < count:
            await asyncio.sleep(0)


async def test_a_group_is_worked_and_each_failure_has_its_reason(
    tmp_path: Path, events: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    meters = StandIn({"M3": Outcome(False, "5.3", "FATAL", "M3: the meter has refused the new key")})
    async with north(tmp_path, meters, registry=registry(), events=events) as hes:
        one = await order(hes, group=GROUP, key="authentication")
        assert (one["meters"], one["summary"]) == (5, "roll authentication of feeder=F12")
        found = await ended(hes, one["id"], 5)
        assert (found["state"], found["ok"], found["failed"], found["percent"]) == ("ended", 4, 1, 100.0)
        assert found["failures"] == [
            {"meter": "M3", "reply_code": "5.3", "reason": "M3: the meter has refused the new key"}
        ]
        assert {(one.operation, one.body) for one in meters.commands} == {("change_key", "authentication_key")}
        listed = (await hes.client.get(f"{hes.url}/api/v1/campaigns")).json()["campaigns"]
        assert [line["id"] for line in listed] == [one["id"]]
        assert (await move(hes, one["id"], "pause")) == (409, {"error": "the campaign is at its end"})
        assert await asyncio.to_thread(main, ["requests", "list", "--url", hes.url]) == 0
        assert capsys.readouterr().out.splitlines()[1].split()[1:4] == [one["id"], "campaign", "campaign"]


async def test_a_paused_campaign_begins_no_meter_also_in_the_next_life(tmp_path: Path) -> None:
    meters = StandIn()
    meters.open.clear()
    async with north(tmp_path, meters, registry=registry(), max_sessions=4) as hes:
        one = await order(hes)
        await begun(meters, 2)
        status, paused = await move(hes, one["id"], "pause")
        assert (status, paused["state"]) == (200, "paused")
        meters.open.set()
        found = await ended(hes, one["id"], len(meters.commands))
        assert found["done"] == len(meters.commands) < 5
        assert (await move(hes, one["id"], "pause"))[0] == 409
    left = 5 - len(meters.commands)
    async with north(tmp_path, next_life := StandIn(), registry=registry()) as hes:
        assert (await campaign(hes, one["id"]))["state"] == "paused"
        other = await order(hes, meters=["M1"])
        await ended(hes, other["id"], 1)
        assert [command.meter.name for command in next_life.commands] == ["M1"], "the paused one waits"
        assert (await move(hes, one["id"], "resume"))[0] == 200
        found = await ended(hes, one["id"], 5)
        assert (found["state"], found["ok"]) == ("ended", 5)
        assert len(next_life.commands) == left + 1


async def test_a_cancelled_campaign_ends_what_is_not_begun(tmp_path: Path) -> None:
    meters = StandIn()
    meters.open.clear()
    async with north(tmp_path, meters, registry=registry(), max_sessions=4) as hes:
        one = await order(hes)
        await begun(meters, 2)
        assert (await move(hes, one["id"], "pause"))[0] == 200
        worked = len(meters.commands)
        assert (await move(hes, one["id"], "cancel"))[1]["state"] == "cancelled"
        meters.open.set()
        found = await ended(hes, one["id"], 5)
        assert (found["state"], found["ok"], found["failed"]) == ("cancelled", worked, 5 - worked)
        assert len(meters.commands) == worked
        assert all("cancelled" in failure["reason"] for failure in found["failures"])


async def test_what_a_killed_life_has_left_goes_on(tmp_path: Path) -> None:
    meters = StandIn()
    meters.open.clear()
    async with north(tmp_path, meters, registry=registry(), max_sessions=4) as hes:
        one = await order(hes)
        await begun(meters, 2)
    async with north(tmp_path, next_life := StandIn(), registry=registry()) as hes:
        found = await ended(hes, one["id"], 5)
        assert (found["state"], found["ok"]) == ("ended", 5)
        attempted = [name for name, _, begun_before in next_life.told() if begun_before]
        assert set(attempted) <= {command.meter.name for command in meters.commands} and attempted


WRONG: tuple[tuple[dict[str, Any], str], ...] = (
    ({}, "name meters or a group of them"),
    ({"meters": ["M1"], "group": GROUP}, "name meters or a group of them"),
    ({"meters": ["M99"]}, "there is no meter with the name or mRID M99"),
    ({"group": "feeder=F99"}, "no meter is in the group feeder=F99"),
    ({"group": "feeder"}, "TAG=VALUE"),
    ({"group": GROUP, "key": "broadcast"}, "key"),
    ({"group": GROUP, "within_hours": 0}, "within_hours"),
)


async def test_what_can_not_be_ordered_is_refused_in_a_sentence(tmp_path: Path) -> None:
    async with north(tmp_path, registry=registry()) as hes:
        for wrong, reason in WRONG:
            answer = await hes.client.post(hes.url + KEYS, json=wrong)
            assert answer.status_code == 422 and reason in answer.json()["error"], answer.text
        assert (await hes.client.get(f"{hes.url}/api/v1/campaigns")).json() == {"campaigns": []}
        assert (await move(hes, mrid(9), "pause"))[0] == (await move(hes, mrid(9), "cancel"))[0] == 404


async def test_a_limited_campaign_goes_on_behind_a_meter_that_fails_after_several_attempts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ami_hes.campaigns.book.LOOK_EVERY_S", 0.05)
    loaded = 0
    whole_open_commands = SqlResults.open_commands

    async def open_commands(results: SqlResults, request_id: str) -> list[StoredCommand]:
        nonlocal loaded
        loaded += 1
        return await whole_open_commands(results, request_id)

    monkeypatch.setattr(SqlResults, "open_commands", open_commands)
    meters = StandIn({"M1": Outcome(False, "4.1", "WARNING", "M1: lost", again=True)})
    lanes = {"campaign": {"attempts": 3, "retry_first_s": 0.01}}
    async with north(tmp_path, meters, registry=registry(), lanes=lanes) as hes:
        one = await order(hes, meters=["M1", "M2", "M3"], at_once=1)
        found = await ended(hes, one["id"], 3)
        assert (found["ok"], found["failed"], meters.most_at_once) == (2, 1, 1)
        assert [command.meter.name for command in meters.commands] == ["M1", "M1", "M1", "M2", "M3"]
    assert loaded == 1, "those that are under way are looked up alone"


@pytest.mark.parametrize("at_once", [None, 2])
async def test_a_fault_of_ours_holds_a_campaign_up_and_not_for_good(
    tmp_path: Path, events: list[Any], monkeypatch: pytest.MonkeyPatch, at_once: int | None
) -> None:
    monkeypatch.setattr(book, "FAILED_S", 0.0)
    looked, known = SqlResults.open_commands, []

    async def open_commands(self: SqlResults, request_id: str) -> Any:
        known.append(request_id)
        if len(known) == 1:
            raise ValueError("a row that nobody understands")
        return await looked(self, request_id)

    monkeypatch.setattr(SqlResults, "open_commands", open_commands)
    async with north(tmp_path, StandIn(), registry=registry(), events=events) as hes:
        one = await order(hes, group=GROUP, **({} if at_once is None else {"at_once": at_once}))
        assert (await ended(hes, one["id"], 5))["ok"] == 5
    (failed,) = [event for event in events if event["event"] == "campaign_failed"]
    assert failed["campaign"] == one["id"] and "a row that nobody understands" in failed["exception"]
