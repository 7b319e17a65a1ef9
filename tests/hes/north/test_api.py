"""The REST API of the HES over real sockets: meters, requests, jobs, metrics; tokens, bounds, and no secret in any answer."""

from __future__ import annotations

import asyncio
import json
import stat
import threading
from pathlib import Path
from typing import Any

import httpx
import pytest
from north_bench import DISCONNECT as CODE
from north_bench import Cis, StandIn, control, entries, mrid, north, request
from patience import PATIENCE_S
from prometheus_client.parser import text_string_to_metric_families

from ami_hes import events
from ami_hes.api import metric_families as families
from ami_hes.api.openapi import OPERATIONS, openapi
from ami_hes.commands import Outcome
from ami_hes.registry.packed_meters import PackedMeters
from ami_hes.store import StoredMeter
from ami_process.environment import Environment
from ami_process.events import Event

SECRET = "5A3C" * 8
KEYED = {"authentication": "hls-gmac", "encryption_key": SECRET, "authentication_key": SECRET[::-1]}


def row(number: int, **changes: Any) -> dict[str, Any]:
    return entries(number)[-1] | KEYED | {"system_title": f"414D4900000000{number:02X}"} | changes


def importing(*rows: dict[str, Any], **more: Any) -> dict[str, Any]:
    placed = [{"place": f"line {number}", "columns": one} for number, one in enumerate(rows, 2)]
    return {"rows": placed} | more


async def test_meters_are_imported_listed_and_shown_without_a_secret(tmp_path: Path) -> None:
    async with north(tmp_path) as hes:
        url = f"{hes.url}/api/v1/meters"
        imported = await hes.client.post(url, json=importing(row(7, feeder="F1"), row(8, suite=9), row(1)))
        assert imported.status_code == 200
        outcomes = [(one["place"], one["meter"], one["outcome"]) for one in imported.json()["rows"]]
        assert outcomes == [("line 2", "M7", "accepted"), ("line 3", "M8", "refused"), ("line 4", "M1", "refused")]
        listed = (await hes.client.get(url)).json()
        assert [one["name"] for one in listed["meters"]] == ["M1", "M2", "M3", "M7"]
        assert (listed["total"], listed["next"]) == (4, None)
        assert listed["meters"][3] == {
            "name": "M7",
            "mrid": mrid(7),
            "address": "127.0.0.1:7",
            "source": "import",
            "tags": {"feeder": "F1"},
            "state": "new",
        }
        page = (await hes.client.get(url, params={"limit": 2, "after": "M1"})).json()
        assert ([one["name"] for one in page["meters"]], page["next"]) == (["M2", "M3"], "M3")
        group = (await hes.client.get(url, params={"group": "feeder=F1"})).json()
        assert [one["name"] for one in group["meters"]] == ["M7"]
        assert (await hes.client.get(f"{hes.url}/api/v1/groups")).json() == {"groups": {"feeder": {"F1": 1}}}
        for name in ("M7", mrid(7).upper()):
            shown = await hes.client.get(f"{url}/{name}")
            assert shown.json()["entry"]["logical_device_name"] == "LDN7"
            assert shown.json()["secrets"] == ["encryption_key", "authentication_key"]
            assert SECRET.lower() not in shown.text.lower() and SECRET[::-1].lower() not in shown.text.lower()
        assert SECRET.lower() not in imported.text.lower()


async def test_meters_of_a_large_registry_are_sought_beside_the_event_loop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of them are looked at for each page."""
    threads: list[int] = []
    stored = PackedMeters.stored

    def seen(meters: PackedMeters, mrid: str) -> StoredMeter | None:
        threads.append(threading.get_ident())
        return stored(meters, mrid)

    async with north(tmp_path) as hes:
        monkeypatch.setattr(PackedMeters, "stored", seen)
        page = (await hes.client.get(f"{hes.url}/api/v1/meters?limit=2&after=M1")).json()
        assert [one["name"] for one in page["meters"]] == ["M2", "M3"]
        assert threads and threading.get_ident() not in threads


async def test_a_row_whose_texts_no_answer_could_have_is_refused_and_no_other(tmp_path: Path) -> None:
    """A reply names its meters: with a NUL in the name of one, none could be written for all of them."""
    async with north(tmp_path) as hes:
        rows = row(7, name="M\x007"), row(8, feeder="F\x1b[2J"), row(9, name="M" * 50_000), row(10, feeder="F1")
        imported = await hes.client.post(f"{hes.url}/api/v1/meters", json=importing(*rows))
        outcomes = [(one["meter"], one["outcome"]) for one in imported.json()["rows"]]
        assert outcomes == [(None, "refused"), ("M8", "refused"), ("M" * 1_000, "refused"), ("M10", "accepted")]
        assert len(imported.text) < 5_000


async def test_a_meter_that_was_imported_is_worked(tmp_path: Path) -> None:
    async with north(tmp_path) as hes:
        await hes.client.post(f"{hes.url}/api/v1/meters", json=importing(row(7)))
        answer = await hes.ask(request(control(CODE, "M7")))
        assert answer.reply is not None and answer.reply.result == "OK"
        assert [command.meter.name for command in hes.meters.commands] == ["M7"]


@pytest.mark.parametrize(
    ("method", "path", "content", "status", "why"),
    [
        ("GET", "/meters?limit=0", None, 422, "limit: a whole number from 1 to 1000"),
        ("GET", "/meters?limit=9999999999999999999999", None, 422, "limit: a whole number"),
        ("GET", "/meters?group=F1", None, 422, "group: TAG=VALUE"),
        ("GET", "/meters?group=feeder=F1&group=feeder=F2", None, 422, "group: is given more than once"),
        ("GET", "/meters?state=new&state=failed", None, 422, "state: is given more than once"),
        ("POST", "/outages/ping", b"{}", 409, "no meter is dark"),
        ("GET", "/meters?colour=red", None, 422, "there is no such parameter"),
        ("GET", "/meters/M1?full=true", None, 422, "full: there is no such parameter; there are none here"),
        ("GET", "/groups?tag=feeder", None, 422, "tag: there is no such parameter"),
        ("GET", "/jobs?lane=read", None, 422, "lane: there is no such parameter"),
        ("GET", "/requests/nothing?limit=1", None, 422, "limit: there is no such parameter"),
        ("GET", f"/meters?after={'x' * 301}", None, 422, "more than 300 characters"),
        ("GET", "/meters/M99", None, 404, "no meter with the name or mRID M99"),
        ("GET", "/requests/nothing", None, 404, "no request with the MessageID nothing"),
        ("GET", "/nothing", None, 404, "nothing is served there"),
        ("POST", "/meters", b"{", 422, "JSON"),
        ("POST", "/meters", b'{"rows": []}', 422, "rows: "),
        (
            "POST",
            "/meters",
            b'{"rows": [{"place": "1", "columns": {"encryption_key": "%s"}, "x": 1}]}',
            422,
            "rows.0.x",
        ),
        ("POST", "/meters", b'{"rows": "%s"}' % (b"x" * 100_001), 413, "octets"),
        ("DELETE", "/meters", None, 405, "nothing is served there"),
    ],
)
async def test_what_is_asked_wrongly_is_refused_in_a_sentence(
    tmp_path: Path, method: str, path: str, content: bytes | None, status: int, why: str
) -> None:
    async with north(tmp_path) as hes:
        content = None if content is None else content.replace(b"%s", SECRET.encode())
        headers = {} if content is None else {"Content-Type": "application/json"}
        answer = await hes.client.request(method, f"{hes.url}/api/v1{path}", content=content, headers=headers)
        assert answer.status_code == status
        assert why in answer.json()["error"]
        assert SECRET not in answer.text


async def test_requests_and_jobs_are_shown(tmp_path: Path) -> None:
    stand_in = StandIn(outcomes={"M2": Outcome(False, "5.4", "FATAL", "it does not answer", attempted=True)})
    failed = asyncio.Event()

    def noticed(event: Event) -> None:
        if isinstance(event, events.ReplyPostponed):
            failed.set()

    environment = Environment(emit=noticed)
    async with (
        Cis((500, b"no")).serving() as cis,
        north(tmp_path, stand_in, environment, reply_retry_first_s=60.0) as hes,
    ):
        await hes.ask(request(control(CODE, "M1", "M2"), message_id="the-first"))
        asynchronous = {"async_reply_flag": True, "reply_address": cis.url}
        await hes.ask(request(control(CODE, "M3"), message_id="a/b c", **asynchronous))
        await failed.wait()
        url = f"{hes.url}/api/v1"
        listed = (await hes.client.get(f"{url}/requests")).json()
        assert [(one["message_id"], one["meters"]) for one in listed["requests"]] == [("a/b c", 1), ("the-first", 2)]
        page = (await hes.client.get(f"{url}/requests", params={"limit": 1, "before": "a/b c"})).json()
        assert [one["message_id"] for one in page["requests"]] == ["the-first"]
        shown = (await hes.client.get(f"{url}/requests/the-first")).json()
        assert (shown["request"]["done"], shown["request"]["ok"], shown["request"]["asynchronous"]) == (2, 1, False)
        ends = [(one["meter"], one["ok"], one["reply_code"], one["reason"]) for one in shown["commands"]]
        assert ends[1] == ("M2", False, "5.4", "it does not answer")
        assert (await hes.client.get(f"{url}/requests/a%2Fb%20c")).json()["reply_address"] == cis.url
        delivery = (await hes.client.get(f"{url}/requests/a%2Fb%20c")).json()["delivery"]
        assert (delivery["attempts"], delivery["given_up_at"]) == (1, None)
        jobs = (await hes.client.get(f"{url}/jobs")).json()
        assert (jobs["commands"], jobs["requests"], jobs["replies_owed"], jobs["dead_letters"]) == ({}, 0, 1, 0)
        assert jobs["undelivered"] == [delivery]


async def test_health_readiness_and_metrics(tmp_path: Path) -> None:
    stand_in = StandIn(outcomes={"M2": Outcome(False, "5.4", "FATAL", "it does not answer")})
    async with north(tmp_path, stand_in, max_pending=2) as hes:
        await hes.ask(request(control(CODE, "M1", "M2")))
        assert (await hes.client.get(f"{hes.url}/readyz")).json() == {"status": "ok"}
        text = (await hes.client.get(f"{hes.url}/metrics")).text
        found = {
            (sample.name, *sorted(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }
        ok = (("operation", "disconnect_control"), ("outcome", "ok"), ("reply_code", ""))
        failed = (("operation", "disconnect_control"), ("outcome", "failed"), ("reply_code", "5.4"))
        assert found[("hes_commands_total", *ok)] == found[("hes_commands_total", *failed)] == 1
        assert found[("hes_requests_total", ("noun", "EndDeviceControls"), ("outcome", "accepted"))] == 1
        assert found[("hes_replies_total", ("outcome", "returned"))] == 1
        assert found[("hes_meters",)] == 3
        assert found[("hes_requests_open",)] == found[("hes_replies_owed",)] == found[("hes_dead_letters",)] == 0
        assert found[("hes_lane_done_total", ("lane", "control"), ("outcome", "failed"))] == 1
        assert found[("hes_lane_wait_seconds_count", ("lane", "control"))] == 2
        assert found[("hes_lane_depth", ("lane", "control"))] == found[("hes_lane_in_hand", ("lane", "control"))] == 0
        assert (found[("hes_lane_limit", ("lane", "control"))], found[("hes_engine_up",)]) == (2, 1)
        there = {one.name for one in text_string_to_metric_families(text) if one.name.startswith("hes_")}
        alone = {one.name for one in (families.PARTITIONS, families.PARTITIONS_MOVED, families.IN_CHARGE)}
        assert there == {one.name for one in families.ALL} - alone, "all of them, and none that is not declared"
        transactions = found[("hes_store_transaction_seconds_count",)]
        assert transactions == found[("hes_store_transaction_seconds_bucket", ("le", "+Inf"))] > 0


async def test_a_process_without_room_is_healthy_and_not_ready(tmp_path: Path) -> None:
    stand_in = StandIn()
    stand_in.open.clear()
    async with Cis().serving() as cis, north(tmp_path, stand_in, max_pending=1) as hes:
        asynchronous = {"async_reply_flag": True, "reply_address": cis.url}
        await hes.ask(request(control(CODE, "M1"), **asynchronous))
        ready = await hes.client.get(f"{hes.url}/readyz")
        assert ready.status_code == 503
        assert "in the lane control" in ready.json()["failed"]["commands"]
        assert (await hes.client.get(f"{hes.url}/healthz")).status_code == 200
        stand_in.open.set()


async def test_nothing_is_told_without_the_token(tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    async with north(tmp_path, token_file=file) as hes:
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        bearer = {"Authorization": f"Bearer {file.read_text().strip()}"}
        for path in ("/api/v1/meters", "/api/v1/requests", "/api/v1/jobs", "/api/v1/groups", "/metrics"):
            assert (await hes.client.get(hes.url + path)).status_code == 401
        for method, path in [*ROUTES, *READ]:
            assert (await hes.client.request(method, hes.url + path)).status_code in (401, 415), (method, path)
        for path in ("/api/v1/meters", "/api/v1/requests", "/api/v1/jobs", "/api/v1/groups", "/metrics"):
            assert (await hes.client.get(hes.url + path, headers=bearer)).status_code == 200
        assert (await hes.client.get(f"{hes.url}/readyz")).status_code == 200


ROUTES = [
    (one.method, one.path.replace(":path", "").format(name="M1", message_id="m-1", identifier="fw-1"))
    for one in OPERATIONS
]
READ = [("get", "/metrics"), ("get", "/api/v1/openapi.json"), ("get", "/api/v1/clock")]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "http://elsewhere.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Host": "elsewhere.example"}, 421),
        ({"Content-Type": "text/plain"}, 415),
        ({"Content-Type": "application/x-www-form-urlencoded"}, 415),
        ({"Content-Length": "4294967296"}, 413),
    ],
)
async def test_what_a_page_in_a_browser_can_send_is_not_taken_anywhere(
    tmp_path: Path, headers: dict[str, str], status: int
) -> None:
    async with north(tmp_path) as hes:
        for method, path in [*ROUTES, *READ]:
            if status in (413, 415) and method == "get":
                continue
            body = {"Content-Type": "application/json", "Content-Length": "2"}
            answer = await answered(f"{hes.url}{path}", method, body | headers)
            assert answer.startswith(f"HTTP/1.1 {status} "), (method, path, answer)
            assert '{"error":"' in answer, "in the words of the API"
        assert (await hes.client.get(f"{hes.url}/api/v1/meters")).json()["total"] == 3
        assert (await hes.client.get(f"{hes.url}/api/v1/schedules")).json() == {"schedules": []}


async def answered(url: str, method: str, headers: dict[str, str]) -> str:
    """Octet for octet, so that a length can be said of a body that never comes."""
    where = httpx.URL(url)
    reader, writer = await asyncio.open_connection(where.host, where.port)
    lines = {"Host": f"{where.host}:{where.port}", "Content-Length": "0", "Connection": "close"} | headers
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    writer.write(f"{method.upper()} {where.raw_path.decode()} HTTP/1.1\r\n{head}\r\n".encode())
    writer.write_eof()
    try:
        async with asyncio.timeout(PATIENCE_S):
            return (await reader.read()).decode()
    finally:
        writer.close()


async def test_the_description_names_what_is_served(tmp_path: Path) -> None:
    async with north(tmp_path) as hes:
        described = (await hes.client.get(f"{hes.url}/api/v1/openapi.json")).json()
    assert described == json.loads(json.dumps(openapi()))
    named = {f"#/components/schemas/{name}" for name in described["components"]["schemas"]}
    assert set(_references(described)) <= named
    assert sum(len(methods) for methods in described["paths"].values()) == len(OPERATIONS)


def _references(value: Any) -> list[str]:
    if isinstance(value, dict):
        own = [value["$ref"]] if "$ref" in value else []
        return own + [one for inner in value.values() for one in _references(inner)]
    return [one for inner in value for one in _references(inner)] if isinstance(value, list) else []
