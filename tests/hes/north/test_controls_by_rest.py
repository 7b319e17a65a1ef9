"""POST `/api/v1/controls`: an order of an operator is the EndDeviceControls of any client, with its guard, audit log, trace and reply codes."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from north_bench import DISCONNECT, North, StandIn, entries, mrid, north

from ami_hes.commands import Outcome

FEW = {"disconnects": {"per_principal": 2, "in_all": 3}}
ORDER = {"control": "disconnect", "groups": ["feeder=F12"]}
PEOPLE = {"Ann": "controller", "Olga": "security-officer", "Rob": "reader"}


def on_a_feeder(count: int) -> list[dict[str, Any]]:
    return [one | {"tags": {"feeder": "F12"}} for one in entries(count)]


def people(directory: Path) -> Path:
    """A file of principals whose tokens are their names, often enough."""
    file = directory / "principals.toml"
    lines = '[[principals]]\nname = "{0}"\nroles = ["{1}"]\ntoken_sha256 = "{2}"\n'
    file.write_text(
        "".join(lines.format(name, role, sha256(token(name).encode()).hexdigest()) for name, role in PEOPLE.items())
    )
    file.chmod(0o600)
    return file


def token(name: str) -> str:
    return name * 20


def as_(name: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token(name)}"}


async def ordered(running: North, order: dict[str, Any], name: str | None = None) -> dict[str, Any]:
    headers = {} if name is None else as_(name)
    answer = await running.client.post(f"{running.url}/api/v1/controls", json=order, headers=headers)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def got(running: North, path: str, name: str | None = None) -> Any:
    headers = {} if name is None else as_(name)
    answer = await running.client.get(f"{running.url}/api/v1/{path}", headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def ended(running: North, message_id: str, name: str) -> Any:
    """A request, once it has an end."""
    while (found := await got(running, f"requests/{message_id}", name))["request"]["result"] is None:
        pass
    return found


async def test_meters_and_groups_are_controlled_and_each_refusal_has_a_code(tmp_path: Path) -> None:
    outcomes: dict[str, Outcome | Exception] = {"M2": Outcome(False, "5.6", "FATAL", "it did not switch")}
    async with north(tmp_path, StandIn(outcomes), registry=on_a_feeder(3)) as running:
        answer = await ordered(running, {"control": "connect", "meters": ["M1", mrid(3).upper()], "message_id": "two"})
        assert answer == {"message_id": "two", "result": "OK", "accepted": False, "errors": []}
        assert sorted(running.meters.told()) == [("M1", "3.31.0.18", False), ("M3", "3.31.0.18", False)]
        assert await ordered(
            running, {"control": "connect", "meters": ["M1", mrid(3).upper()], "message_id": "two"}
        ) == (answer)
        assert len(running.meters.commands) == 2
        other = await ordered(running, {"control": DISCONNECT, "meters": ["M1"], "message_id": "two"})
        assert [one["code"] for one in other["errors"]] == ["2.15"]
        some = await ordered(running, ORDER | {"meters": ["M9"]})
        assert some["result"] == "PARTIAL"
        assert sorted((one["code"], one["meter"]) for one in some["errors"]) == [("2.4", "M9"), ("5.6", "M2")]
        none = await ordered(running, {"control": "limit-set", "meters": ["M1"]})
        assert none["result"] == "FAILED" and none["errors"][0]["code"] and none["errors"][0]["reason"]
        while not (
            found := [one for one in (await got(running, "traces/two"))["spans"] if one["kind"] == "cim-request"]
        ):
            pass  # it is kept beside the answer
        assert mrid(3).upper() in found[0]["xml"] and "HES API" in found[0]["xml"]


@pytest.mark.parametrize(
    ("order", "words"),
    [
        ({"control": "disconnect"}, "name at least one of meters and groups"),
        ({"control": "switch-off", "meters": ["M1"]}, "'switch-off' is neither an EndDeviceControlType"),
        ({"control": "key-change", "meters": ["M1"]}, "keys and firmware are changed by campaigns"),
        ({"control": "0.11.283.26", "meters": ["M1"]}, "keys and firmware are changed by campaigns"),
        ({"control": "connect", "meters": ["M1"], "start_at": "2030-01-01T00:00:00Z"}, "later is asynchronous"),
        ({"control": "connect", "meters": ["M\u0001"]}, "characters that XML can't have"),
        ({"control": "connect", "meters": ["M1"] * 1_001}, "at most 1000 items"),
        ({"control": "connect", "meters": ["M1"], "reply_address": "http://127.0.0.1/"}, "reply_address"),
    ],
)
async def test_what_is_no_order_is_refused_and_nothing_is_done(
    tmp_path: Path, order: dict[str, Any], words: str
) -> None:
    async with north(tmp_path) as running:
        answer = await running.client.post(f"{running.url}/api/v1/controls", json=order)
        assert answer.status_code == 422 and words in answer.json()["error"], answer.text
        assert running.meters.commands == []


async def test_what_is_beyond_a_limit_waits_for_a_second_person(tmp_path: Path) -> None:
    async with north(tmp_path, registry=on_a_feeder(5), guard=FEW, principals=people(tmp_path)) as running:
        refused = await ordered(running, ORDER, "Ann")
        assert (refused["result"], [one["code"] for one in refused["errors"]]) == ("FAILED", ["5.2"])
        assert "more than the 2" in refused["errors"][0]["reason"] and "asynchronous" in refused["errors"][0]["reason"]
        waiting = await ordered(running, ORDER | {"asynchronous": True, "message_id": "many"}, "Ann")
        assert waiting["accepted"] and [one["code"] for one in waiting["errors"]] == ["0.3"]
        assert "approval of a second person" in waiting["errors"][0]["reason"]
        assert "ReplyAddress" not in waiting["errors"][0]["reason"] and running.meters.commands == []
        shown = await got(running, "approvals/many", "Rob")
        assert (shown["asked_by"], shown["meters"], shown["state"]) == ("Ann", 5, "waiting")
        approve = f"{running.url}/api/v1/approvals/many/approve"
        assert (await running.client.post(approve, json={"note": ""}, headers=as_("Ann"))).status_code == 403
        assert (await running.client.post(approve, json={"note": "so"}, headers=as_("Olga"))).status_code == 200
        found = await ended(running, "many", "Rob")
        assert found["request"]["result"] == "OK" and len(running.meters.commands) == 5
        assert (await ordered(running, ORDER | {"asynchronous": True, "message_id": "many"}, "Ann"))["accepted"]
        assert len(running.meters.commands) == 5
        entries_ = [json.loads(one["entry"]) for one in (await got(running, "audit?limit=100", "Olga"))["entries"]]
        of_it = [(one["what"], one["principal"]) for one in entries_ if one.get("meters") == 5]
        assert of_it == [("approval-wanted", "Ann"), ("approved", "Olga"), ("accepted", "Ann")]
        assert any(one["what"] == "refused" and one["outcome"] == "5.2" for one in entries_)
        denied = await running.client.post(f"{running.url}/api/v1/controls", json=ORDER, headers=as_("Olga"))
        assert denied.status_code == 403


async def test_a_stop_refuses_it_and_a_rejected_one_says_so(tmp_path: Path) -> None:
    async with north(tmp_path, registry=on_a_feeder(5), guard=FEW, principals=people(tmp_path)) as running:
        stop = {"json": {"reason": "who has sent this?"}, "headers": as_("Ann")}
        await ordered(running, ORDER | {"asynchronous": True, "message_id": "many"}, "Ann")
        assert (await running.client.post(f"{running.url}/api/v1/guard/stop", **stop)).status_code == 200
        stopped = await ordered(running, {"control": "connect", "meters": ["M1"]}, "Ann")
        assert [one["code"] for one in stopped["errors"]] == ["5.2"] and "stopped" in stopped["errors"][0]["reason"]
        reject = f"{running.url}/api/v1/approvals/many/reject"
        await running.client.post(reject, json={"note": "wrong list"}, headers=as_("Olga"))
        found = await ended(running, "many", "Rob")
        assert found["request"]["result"] == "FAILED" and running.meters.commands == []
