"""The REST API of the CIS over real sockets: a control is seen through, and what cannot be used is refused before anything is sent."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest
from cis_stand_in import METERS, Events, StandInHes, answering, asking, environment, reply_to, settings, soap
from patience import PATIENCE_S

from ami_cim.message import Reply, ReplyError
from ami_cis.api_values.controls import CONTROLS
from ami_cis.api_values.readings import READINGS
from ami_cis.app import running
from ami_cis.store import State
from ami_cis.under_way import AT_ONCE
from ami_process.api import MAX_BODY

ORDER = {"code": "3.31.0.23", "meters": ["M1001"], "message_id": "mine"}


async def test_a_control_is_seen_through(tmp_path: Path, hes: StandInHes) -> None:
    hes.behaviour = answering(Reply(result="OK", errors=(ReplyError(code="0.0"),)))
    async with asking(tmp_path, hes) as (_, client):
        answer = await client.post(CONTROLS, json=ORDER)
    said = answer.json()
    assert answer.status_code == 200
    assert (said["result"], said["confirmed"], said["message_id"], said["meters"]) == ("OK", True, "mine", ["M1001"])
    assert [device.mrid for device in hes.control.end_devices] == [METERS[0].mrid]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"meters": []}, "body: name at least one of meters, mrids, usage_points, groups and usage_point_groups"),
        ({"colour": "blue"}, "colour: Extra inputs are not permitted"),
        ({"verb": "get"}, "verb: "),
        ({"code": "a\u0000b"}, "code: has to be printable text"),
        ({"meters": ["M" * 257]}, "meters.0: "),
        ({"code": None}, "code: "),
        ({"changes": "another"}, "body: what changes a control for later has a start_at"),
        ({"code": "limit-set", "limiter": {"threshold": "1E+99999999"}}, "limiter.threshold: "),
        ({"code": "limit-set", "limiter": {"threshold": "1E-99999999"}}, "limiter.threshold: "),
        ({"code": "limit-set", "limiter": {"threshold": "-5"}}, "limiter.threshold: Input should be greater than"),
        ({"code": "limit-set", "limiter": {"threshold": 5, "over_s": -1}}, "limiter.over_s: Input should be greater"),
        (
            {"code": "limit-set", "limiter": {"threshold": 5, "over_s": True}},
            "limiter.over_s: Input should be a valid int",
        ),
        ({"code": "disconnect", "asynchronous": 1}, "asynchronous: Input should be a valid boolean"),
        ({"code": "key-change", "key_change": {"key": "all"}}, "key_change.key: Input should be 'encryption'"),
    ],
)
async def test_what_cannot_be_used_is_refused(
    tmp_path: Path, hes: StandInHes, change: dict[str, Any], said: str
) -> None:
    async with asking(tmp_path, hes) as (_, client):
        answer = await client.post(CONTROLS, json=ORDER | change)
    assert answer.status_code == 422
    assert answer.json()["error"].startswith(said)
    assert hes.requests == []


async def test_what_cannot_be_said_in_a_message_is_not_sent(tmp_path: Path, hes: StandInHes) -> None:
    async with asking(tmp_path, hes) as (_, client):
        for change in (
            {"start_at": "9999-12-31T23:59:59-14:00", "asynchronous": True},
            {"end_at": "0001-01-01T00:00:00+14:00"},
            {"code": "limit-set", "limiter": {"threshold": 1, "over_s": 10**30}},
            {
                "code": "emergency-limit-set",
                "limiter_emergency": {"threshold": 1, "duration_s": 1, "start_at": "2026-01-01T00:00"},
            },
        ):
            answer = await client.post(CONTROLS, json=ORDER | change)
            assert answer.status_code < 500, change
            assert answer.status_code == 422 or answer.json()["not_sent"], answer.text
    assert hes.requests == []


@pytest.mark.parametrize(
    ("content", "headers", "status"),
    [
        (b"{", {}, 422),
        (b" " * (MAX_BODY + 1), {}, 413),
        (b"{}", {"Content-Type": "text/plain"}, 415),
        (b"{}", {"Origin": "http://elsewhere.example"}, 403),
        (b"{}", {"Host": "elsewhere.example"}, 421),
    ],
)
async def test_what_is_no_request_of_ours_is_refused(
    tmp_path: Path, hes: StandInHes, content: bytes, headers: dict[str, str], status: int
) -> None:
    async with asking(tmp_path, hes) as (_, client):
        for path in (CONTROLS, READINGS):
            answer = await client.post(path, content=content, headers={"Content-Type": "application/json"} | headers)
            assert answer.status_code == status
            assert answer.json()["error"]
        if status in (403, 421):
            assert (await client.get(READINGS, headers=headers)).status_code == status
    assert hes.requests == []


async def test_where_there_are_tokens_one_is_needed(tmp_path: Path, hes: StandInHes) -> None:
    hes.behaviour = answering(Reply(result="OK", errors=(ReplyError(code="0.0"),)))
    tokens = tmp_path / "tokens"
    async with asking(tmp_path, hes, token_file=tokens, host="0.0.0.0") as (_, client):
        assert (await client.post(CONTROLS, json=ORDER)).status_code == 401
        assert (await client.post(READINGS, json={})).status_code == 401
        assert (await client.get(READINGS)).status_code == 401
        assert hes.requests == []
        bearer = {"Authorization": f"Bearer {tokens.read_text().strip()}"}
        assert (await client.post(CONTROLS, json=ORDER, headers=bearer)).json()["result"] == "OK"


async def test_others_than_this_machine_are_not_let_in(tmp_path: Path, hes: StandInHes) -> None:
    async with asking(tmp_path, hes, host="0.0.0.0") as (_, client):
        answer = await client.post(CONTROLS, json=ORDER)
        assert (await client.get("/healthz")).status_code == 200
    assert answer.status_code == 403
    assert "loopback" in answer.json()["error"]
    assert hes.requests == []


async def test_one_message_id_is_under_way_once_and_there_is_an_end_of_room(tmp_path: Path, hes: StandInHes) -> None:
    go_on = asyncio.Event()
    asked = asyncio.Semaphore(0)

    async def wait(_: StandInHes, received: Any) -> Any:
        asked.release()
        await go_on.wait()
        return soap(reply_to(received.message, Reply(result="OK", errors=(ReplyError(code="0.0"),))), received.wrapper)

    hes.behaviour = wait
    async with asking(tmp_path, hes) as (_, client), asyncio.TaskGroup() as group:
        first = [
            group.create_task(client.post(CONTROLS, json=ORDER | {"message_id": str(number)}))
            for number in range(AT_ONCE)
        ]
        for _ in first:
            await asked.acquire()
        assert (await client.post(CONTROLS, json=ORDER | {"message_id": "0"})).status_code == 409
        assert (await client.post(CONTROLS, json=ORDER)).status_code == 503
        go_on.set()
        assert {(await one).json()["result"] for one in first} == {"OK"}
        assert (await client.post(CONTROLS, json=ORDER | {"message_id": "0"})).json()["result"] == "OK"


async def test_a_caller_that_goes_away_changes_nothing(tmp_path: Path, hes: StandInHes) -> None:
    go_on, asked = asyncio.Event(), asyncio.Event()

    async def wait(_: StandInHes, received: Any) -> Any:
        asked.set()
        await go_on.wait()
        return soap(reply_to(received.message, Reply(result="OK", errors=(ReplyError(code="0.0"),))), received.wrapper)

    hes.behaviour = wait
    async with asking(tmp_path, hes) as (system, client):
        gone = asyncio.create_task(client.post(CONTROLS, json=ORDER))
        await asked.wait()
        gone.cancel()
        await asyncio.gather(gone, return_exceptions=True)
        go_on.set()
        async with asyncio.timeout(PATIENCE_S):
            while await system.store.count(State.ANSWERED) == 0:
                await asyncio.sleep(0)


@pytest.mark.parametrize("path", [CONTROLS, READINGS])
async def test_who_waits_when_the_process_stops_is_given_what_to_do(tmp_path: Path, hes: StandInHes, path: str) -> None:
    go_on, asked = asyncio.Event(), asyncio.Event()

    async def wait(_: StandInHes, received: Any) -> Any:
        asked.set()
        await go_on.wait()
        return soap(reply_to(received.message, Reply(result="OK")), received.wrapper)

    hes.behaviour = wait
    order = {"meters": ["M1001"], "message_id": "mine"} | ({"code": "3.31.0.23"} if path == CONTROLS else {})
    async with httpx.AsyncClient(trust_env=False, timeout=PATIENCE_S) as client:
        async with running(settings(tmp_path, hes.url), environment(Events()), 0) as system:
            url = f"http://127.0.0.1:{system.listen.rpartition(':')[2]}"
            waiting = asyncio.create_task(client.post(url + path, json=order))
            await asked.wait()
        answer = await waiting
        go_on.set()
    said = answer.json()
    assert (answer.status_code, said["undecided"]) == (503, True)
    assert "stopping" in said["error"] and "with the MessageID mine" in said["error"]


async def test_it_describes_itself(tmp_path: Path, hes: StandInHes) -> None:
    async with asking(tmp_path, hes) as (_, client):
        described = (await client.get("/api/v1/openapi.json")).json()
    operation = described["paths"][CONTROLS]["post"]
    assert operation["requestBody"]["content"]["application/json"]["schema"]["$ref"].endswith("/ControlOrder")
    schema = described["components"]["schemas"]["ControlOrder"]
    assert set(schema["properties"]) >= {"code", "meters", "mrids", "usage_points", "verb", "message_id"}
    assert {"200", "401", "403", "409", "422", "503"} <= set(operation["responses"])
