"""The API of the process over a real socket: its meters, their objects, faults, events and metrics; and what is refused."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from bench import (
    EVENT_LOG,
    IMPORT,
    RESIDENTIAL,
    START,
    Caller,
    attribute,
    clear_client,
    no_room,
)
from patience import PATIENCE_S
from served_meters import Served, served

from ami_dlms import data
from ami_dlms.association import Get, Open, Opened
from ami_dlms.enums import DataAccessResult
from ami_dlms.obis import Obis
from ami_meter_sim import tap as tapping
from ami_meter_sim.admin import values
from ami_meter_sim.faults import FAULTS
from ami_packs.event_list import EventList, LoggedEvent, Occurrence
from ami_packs.model import Model
from ami_process.tokens import load

SWITCH = "/api/v1/meters/M1001/objects/70/0-0:96.3.10*255"
CLOCK = "/api/v1/meters/M1001/objects/8/0-0:1.0.0*255"


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Served]:
    async with served(tmp_path) as one:
        yield one


async def disconnected_by_hand(api: Served, name: str) -> None:
    """In a control mode that lets a hand do it."""
    mode = f"/api/v1/meters/{name}/objects/70/0-0:96.3.10*255/4"
    assert (await api.client.put(mode, json={"type": "enum", "value": 2})).status_code == 200
    state = await api.post(f"/api/v1/meters/{name}/button", button="disconnect")
    assert state["switch"] == {"output_state": False, "control_state": 2, "control_mode": 2}


# --- meters


async def test_meters_are_listed_a_part_at_a_time(api: Served) -> None:
    whole = await api.get("/api/v1/meters")
    assert whole == {
        "meters": [
            {"name": name, "connected": True, "powered": True, "faults": []} for name in ("M1001", "M1002", "N1003")
        ],
        "more": False,
    }
    part = await api.get("/api/v1/meters", limit=1, skip=1)
    assert ([one["name"] for one in part["meters"]], part["more"]) == (["M1002"], True)


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        ({"name": "M*"}, ["M1001", "M1002"]),
        ({"name": "N1003"}, ["N1003"]),
        ({"connected": False}, ["M1002"]),
        ({"fault": "slow"}, ["N1003"]),
        ({"name": "M*", "connected": True}, ["M1001"]),
        ({"group": "feeder-1"}, []),
        ({"group": "feeder-2"}, ["M1002", "N1003"]),
        ({"group": ["feeder-2", "prosumer"]}, ["N1003"]),
    ],
)
async def test_meters_are_filtered(api: Served, wanted: dict[str, Any], names: list[str]) -> None:
    groups = {"M1002": {"feeder-2"}, "N1003": {"feeder-2", "prosumer"}}
    api.wire.fleet.faults.groups_of = lambda name: groups.get(name, set())
    await disconnected_by_hand(api, "M1002")
    await api.post("/api/v1/faults", fault="slow", meters=["N*"])
    assert [one["name"] for one in (await api.get("/api/v1/meters", **wanted))["meters"]] == names


async def test_the_state_of_a_meter_at_a_glance(api: Served) -> None:
    state = await api.get("/api/v1/meters/M1001")
    assert (state["device_id"], state["logical_device_name"], state["system_title"]) == (
        "1001",
        "AMIM1001",
        "414d4900000003e9",
    )
    assert state["switch"] == {"output_state": True, "control_state": 1, "control_mode": 4}
    assert state["clock"] == START.isoformat()
    assert {"import_wh", "import_power_w", "lowest_accepted_counter"} <= state.keys()


async def test_an_attribute_is_read_as_the_meter_sees_it(api: Served) -> None:
    assert await api.get(f"{SWITCH}/2") == {"type": "boolean", "value": True}
    await api.post("/api/v1/faults", fault="refuses", when={"service": "get"})
    assert await api.get(f"{SWITCH}/3") == {"type": "enum", "value": 1}, "no fault is between"
    objects = await api.get("/api/v1/meters/M1001/objects")
    assert {"class": 70, "version": 0, "instance": "0-0:96.3.10*255", "name": "Disconnect control"} in objects


async def test_an_attribute_is_set_and_a_client_sees_it(api: Served) -> None:
    answer = await api.client.put(f"{SWITCH}/4", json={"type": "enum", "value": 2})
    assert (answer.status_code, answer.json()) == (200, {"type": "enum", "value": 2})
    caller = await Caller.call(api.wire.port, clear_client())
    assert isinstance(await caller.ask(Open()), Opened)
    assert (await caller.ask(Get(attribute((70, "0-0:96.3.10"), 4)))).value == data.enum(2)
    await caller.close()


async def test_the_button_moves_the_switch_or_says_why_not(api: Served) -> None:
    await disconnected_by_hand(api, "M1001")
    state = await api.post("/api/v1/meters/M1001/button", button="connect")
    assert state["switch"]["output_state"] is True
    await api.client.put(f"{SWITCH}/4", json={"type": "enum", "value": 0})
    answer = await api.client.post("/api/v1/meters/M1001/button", json={"button": "billing"})
    assert answer.status_code == 409 and "no billing period" in answer.json()["error"]
    answer = await api.client.post("/api/v1/meters/M1001/button", json={"button": "disconnect"})
    assert answer.status_code == 409 and "control mode 0" in answer.json()["error"]


async def test_a_cover_is_opened_and_closed(api: Served) -> None:
    path = "/api/v1/meters/M1001/conditions"
    assert (await api.post(path, condition="terminal_cover", there=True))["conditions"] == ["terminal_cover"]
    assert (await api.post(path, condition="magnet", there=True))["conditions"] == ["magnet", "terminal_cover"]
    answer = await api.client.post(path, json={"condition": "magnet", "there": True})
    assert answer.status_code == 409 and "is so already" in answer.json()["error"]
    assert (await api.post(path, condition="terminal_cover", there=False))["conditions"] == ["magnet"]


async def test_what_happens_to_a_meter_is_logged(tmp_path: Path) -> None:
    log = Obis.parse(EVENT_LOG[1])
    noted = EventList({Occurrence.MAGNET_ON: (LoggedEvent(log, 42),)})
    model = Model(tuple(RESIDENTIAL.objects.values()), RESIDENTIAL.associations, RESIDENTIAL.load, noted)
    async with served(tmp_path, model=model) as api:
        await api.post("/api/v1/meters/M1001/occurrences", occurrence="magnet_on")
        rows = await api.get(f"/api/v1/meters/M1001/objects/7/{log}/2")
        assert [row["value"][1] for row in rows["value"]] == [{"type": "unsigned", "value": 42}]
        unknown = {"occurrence": "magnet_off"}
        answer = await api.client.post("/api/v1/meters/M1001/occurrences", json=unknown)
        assert answer.status_code == 409 and "notes no magnet_off" in answer.json()["error"]


async def test_a_load_flows_in_addition_from_now_on(api: Served) -> None:
    path, wire = "/api/v1/meters/M1001", api.wire
    before = await api.get(path)
    await api.post(f"{path}/load", power_w=1500)
    wire.fleet.environment = replace(wire.fleet.environment, now=lambda: START + timedelta(hours=2))
    loaded = await api.get(path)
    house = await api.get("/api/v1/meters/M1002")
    assert loaded["import_wh"] - before["import_wh"] >= 3000
    assert loaded["import_power_w"] >= 1500 > house["import_power_w"]
    await api.post(f"{path}/load", power_w=-500)
    wire.fleet.environment = replace(wire.fleet.environment, now=lambda: START + timedelta(hours=4))
    fed = await api.get(path)
    assert fed["export_wh"] - loaded["export_wh"] == 1000
    assert fed["import_wh"] - loaded["import_wh"] < 3000


async def test_another_household_is_behind_a_meter_from_now_on(api: Served) -> None:
    path = "/api/v1/meters/M1001"
    before = await api.get(path)
    wanted = "shop" if before["household"] != "shop" else "car"
    after = await api.post(f"{path}/household", kind=wanted)
    assert (after["household"], after["import_wh"]) == (wanted, before["import_wh"])
    await api.post("/api/v1/power", on=False, name="M1001")
    while not api.wire.events("power_lost"):
        await asyncio.sleep(0)
    refused = await api.client.post(f"{path}/household", json={"kind": "solar"})
    assert refused.status_code == 409 and "has no power" in refused.json()["error"]


async def test_power_goes_and_comes_back(api: Served) -> None:
    assert await api.post("/api/v1/power", on=False, name="M*") == {"meters": 2}
    while len(api.wire.events("power_lost")) < 2:
        await asyncio.sleep(0)
    without = await api.get("/api/v1/meters", powered=False)
    assert [one["name"] for one in without["meters"]] == ["M1001", "M1002"]
    assert await api.post("/api/v1/power", on=False) == {"meters": 1}, "the one that had some"
    assert await api.post("/api/v1/power", on=True, share=0.0) == {"meters": 0}


# --- faults


async def test_faults_are_set_listed_and_reset(api: Served) -> None:
    made = await api.post("/api/v1/faults", fault="refuses", result="hardware-fault", meters=["M1001"], seed=3)
    assert made["rule"]["when"] == {"service": ["action"], "class": [70]}
    other = await api.post("/api/v1/faults", fault="slow", share=0.5)
    assert await api.get("/api/v1/faults") == [made, other]
    assert (await api.client.delete(f"/api/v1/faults/{other['number']}")).json() == {"rules": 1}
    assert (await api.client.delete(f"/api/v1/faults/{other['number']}")).status_code == 404
    assert (await api.client.delete("/api/v1/faults")).json() == {"rules": 1, "conditions": 0}
    assert await api.get("/api/v1/faults") == []


async def test_a_fault_counts_for_connections_that_are_open(api: Served) -> None:
    caller = await Caller.call(api.wire.port, clear_client())
    assert isinstance(await caller.ask(Open()), Opened)
    reading = Get(attribute(IMPORT, 2))
    assert (await caller.ask(reading)).result is DataAccessResult.SUCCESS
    await api.post("/api/v1/faults", fault="busy", meters=["M1001"])
    assert (await caller.ask(reading)).result is DataAccessResult.TEMPORARY_FAILURE
    await api.client.delete("/api/v1/faults")
    assert (await caller.ask(reading)).result is DataAccessResult.SUCCESS
    await caller.close()


async def test_every_kind_of_fault_is_described(api: Served) -> None:
    kinds = await api.get("/api/v1/faults/kinds")
    assert [one["fault"] for one in kinds] == list(FAULTS)
    assert all(one["does"] and one["head_end"] for one in kinds)


# --- scenarios


async def test_a_scenario_is_started_followed_and_stopped(api: Served) -> None:
    assert await api.get("/api/v1/scenario") == {"status": "none"}
    assert "feeder-outage" in [one["name"] for one in await api.get("/api/v1/scenarios")]
    steps = [{"do": "lose_power"}, {"wait_for": "power_lost"}, {"wait_s": 3600}]
    made = {"name": "mine", "about": "a test", "tracks": [{"name": "out", "meters": "M*", "steps": steps}]}
    started = await api.post("/api/v1/scenario", scenario=made)
    assert (started["status"], started["name"]) == ("running", "mine")
    shown: dict[str, Any] = {}
    while [one["step"] for one in shown.get("places", [])] != [3, 3]:
        shown = await api.get("/api/v1/scenario", limit=10)
    assert shown["meters"] == {"under way": 2} and shown["places"][0]["until"] > shown["began_at"]
    of_one = await api.get("/api/v1/scenario", limit=10, meter="M1002")
    assert [one["what"] for one in of_one["history"]] == [
        "lose_power",
        "wait for power_lost",
        "power_lost came",
        "wait 3600 s",
    ]
    answer = await api.client.post("/api/v1/scenario", json={"name": "chaos"})
    assert answer.status_code == 409 and "stop it first" in answer.json()["error"]
    assert (await api.client.delete("/api/v1/scenario")).json()["status"] == "stopped"


async def test_a_scenario_is_aimed_by_the_api(api: Served) -> None:
    groups = {"M1002": {"feeder-2"}, "N1003": {"feeder-2", "prosumer"}}
    api.wire.fleet.faults.groups_of = lambda name: groups.get(name, set())
    target = {"group": ["feeder-2"], "meters": "M*"}
    await api.post("/api/v1/scenario", name="feeder-outage", target=target)
    while not await api.get("/api/v1/faults"):
        pass
    shown = await api.get("/api/v1/scenario", limit=10)
    assert [one["meter"] for one in shown["places"]] == ["M1002"]
    [rule] = [one["rule"] for one in await api.get("/api/v1/faults")]
    assert (rule["group"], rule["meters"]) == (["feeder-2"], ["M*"])
    answer = await api.client.post("/api/v1/scenario", json={"name": "chaos", "target": {"feeder": "S1"}})
    assert answer.status_code == 422 and "target.feeder" in answer.json()["error"]


# --- what happens


async def test_events_are_streamed_as_they_happen(api: Served) -> None:
    await api.post("/api/v1/faults", fault="slow", seconds=0)
    async with api.client.stream(
        "GET", "/api/v1/events", params={"event": ["fault_happened", "association"], "meter": "M1*"}
    ) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        lines = answer.aiter_lines()
        assert await anext(lines) == ": these are the events from now on"
        caller = await Caller.call(api.wire.port, clear_client())
        await caller.ask(Open())
        seen = await written(lines, 4)
        await caller.close()
    assert seen[::2] == ["event: fault_happened", "event: association"]
    first, second = (json.loads(line.removeprefix("data: ")) for line in seen[1::2])
    assert first == {"at": START.isoformat(), "meter": "M1001", "fault": "slow", "rule": 1}
    assert second == {"at": START.isoformat(), "meter": "M1001", "client_wport": 1, "what": "opened"}


async def written(lines: AsyncIterator[str], number: int) -> list[str]:
    """So many lines that are not empty."""
    found: list[str] = []
    while len(found) < number:
        found += [line] if (line := await asyncio.wait_for(anext(lines), PATIENCE_S)) else []
    return found


async def test_a_reader_that_does_not_read_holds_nothing_up(api: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tapping, "MOST_READERS", 1)
    with api.tap.read() as reader:
        for _ in range(tapping.MOST_WAITING + 7):
            api.tap(tapping.events.Discarded(meter="M1001", reason="x"))
        assert reader.take_dropped() == 7 and reader.take_dropped() == 0
        answer = await api.client.get("/api/v1/events")
        assert answer.status_code == 503
    assert not api.tap.full


async def test_metrics_count_what_was_carried(api: Served) -> None:
    await api.post("/api/v1/faults", fault="busy", meters=["M1001"])
    caller = await Caller.call(api.wire.port, clear_client())
    await caller.ask(Open())
    await caller.ask(Get(attribute(IMPORT, 2)))
    text = (await api.client.get("/metrics")).text
    found = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    assert found["meter_sim_meters"] == "3.0"
    assert (found["meter_sim_sessions_total"], found["meter_sim_sessions_open"]) == ("1.0", "1.0")
    assert found["meter_sim_frames_sent_total"] == "2.0"
    assert [found[f'meter_sim_apdus_total{{direction="{way}"}}'] for way in ("received", "sent")] == ["2.0", "2.0"]
    assert found['meter_sim_associations_total{what="opened"}'] == "1.0"
    assert found['meter_sim_faults_total{fault="busy"}'] == "1.0"
    assert found['meter_sim_fault_rules{fault="busy"}'] == "1.0"
    assert float(found['meter_sim_octets_total{direction="sent"}']) > 20
    await caller.close()


async def test_the_clock_is_where_it_was(api: Served) -> None:
    assert (await api.get("/api/v1/clock"))["mode"] == "real"


# --- what is refused, with nothing half-done


async def test_while_nothing_can_be_kept_nothing_is_done(tmp_path: Path) -> None:
    log = Obis.parse(EVENT_LOG[1])
    noted = EventList({Occurrence.MAGNET_ON: (LoggedEvent(log, 42),)})
    model = Model(tuple(RESIDENTIAL.objects.values()), RESIDENTIAL.associations, RESIDENTIAL.load, noted)
    async with served(tmp_path, model=model) as api:
        await api.client.put(f"{SWITCH}/4", json={"type": "enum", "value": 2})
        await api.post("/api/v1/faults", fault="slow")
        path, requests = "/api/v1/meters/M1001", api.client.request
        before = [await api.get(path), await api.get(f"{path}/objects/7/{log}/2"), await api.get("/api/v1/faults")]
        with no_room(api.bench):
            refused = [
                await requests("PUT", f"{SWITCH}/4", json={"type": "enum", "value": 4}),
                await requests("POST", f"{path}/button", json={"button": "disconnect"}),
                await requests("POST", f"{path}/conditions", json={"condition": "magnet", "there": True}),
                await requests("POST", f"{path}/occurrences", json={"occurrence": "magnet_on"}),
                await requests("DELETE", "/api/v1/faults"),
            ]
            assert [(one.status_code, "can't be written" in one.json()["error"]) for one in refused] == [
                (409, True)
            ] * 5
            after = [await api.get(path), await api.get(f"{path}/objects/7/{log}/2"), await api.get("/api/v1/faults")]
            assert after == before
        await api.post(f"{path}/button", button="disconnect")


async def test_a_reset_ends_faults_and_conditions(api: Served) -> None:
    await api.post("/api/v1/faults", fault="slow")
    for condition in ("magnet", "terminal_cover"):
        await api.post("/api/v1/meters/M1001/conditions", condition=condition, there=True)
    assert (await api.client.delete("/api/v1/faults")).json() == {"rules": 1, "conditions": 2}
    assert (await api.get("/api/v1/meters/M1001"))["conditions"] == []
    changes = [(one["condition"], one["there"]) for one in api.wire.events("condition_changed")]
    assert changes == [("magnet", True), ("terminal_cover", True), ("magnet", False), ("terminal_cover", False)]


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "reason"),
    [
        ("GET", "/api/v1/meters?limit=0", None, 422, "limit"),
        ("GET", "/api/v1/meters?limit=1001", None, 422, "limit"),
        ("GET", "/api/v1/meters?colour=red", None, 422, "colour"),
        ("GET", "/api/v1/meters/M7", None, 404, "no meter 'M7'"),
        ("GET", "/api/v1/meters/" + "x" * 65, None, 422, "name"),
        ("GET", f"{SWITCH}/9", None, 404, "attribute 9"),
        ("GET", f"{SWITCH}/0", None, 422, "attribute"),
        ("GET", "/api/v1/meters/M1001/objects/70/everything/2", None, 404, "no logical name"),
        ("GET", "/api/v1/meters/M1001/objects/71/0-0:96.3.10*255/2", None, 404, "no attribute 2 of class 71"),
        ("GET", "/api/v1/nothing", None, 404, "nothing is served"),
        ("PUT", f"{SWITCH}/4", {"type": "enum", "value": 99}, 409, "type-unmatched"),
        ("PUT", f"{SWITCH}/2", {"type": "boolean", "value": False}, 409, "read-write-denied"),
        ("PUT", f"{SWITCH}/4", {"type": "number", "value": 1}, 422, "no type 'number'"),
        ("PUT", f"{SWITCH}/4", {"type": "enum", "value": "1"}, 422, "no value of enum"),
        ("PUT", f"{SWITCH}/4", {"type": "enum", "value": True}, 422, "no value of enum"),
        ("PUT", f"{SWITCH}/4", {"type": "enum", "value": 256}, 422, "no value of its type"),
        ("PUT", f"{SWITCH}/4", {"type": "enum"}, 422, "no value of enum"),
        ("PUT", f"{SWITCH}/4", {"type": "enum", "value": 1, "more": 1}, 422, "more"),
        ("PUT", f"{CLOCK}/2", {"type": "octet-string", "value": "zz"}, 422, "hexadecimal"),
        ("PUT", f"{CLOCK}/2", {"type": "octet-string", "value": "00"}, 409, "type-unmatched"),
        ("POST", "/api/v1/meters/M1001/button", {"button": "both"}, 422, "button"),
        ("POST", "/api/v1/meters/M7/button", {"button": "connect"}, 404, "no meter 'M7'"),
        ("POST", "/api/v1/meters/M1001/occurrences", {"occurrence": "rain"}, 422, "occurrence"),
        ("POST", "/api/v1/meters/M1001/conditions", {"condition": "rain", "there": True}, 422, "condition"),
        ("POST", "/api/v1/power", {}, 422, "on"),
        ("POST", "/api/v1/meters/M1001/load", {"power_w": 100_001}, 422, "power_w"),
        ("POST", "/api/v1/meters/M1001/load", {}, 422, "power_w"),
        ("POST", "/api/v1/meters/M7/load", {"power_w": 1}, 404, "no meter 'M7'"),
        ("POST", "/api/v1/meters/M1001/household", {"kind": "castle"}, 422, "kind"),
        ("POST", "/api/v1/meters/M1001/token", {"amount": 0}, 422, "amount"),
        ("POST", "/api/v1/meters/M1001/token", {"amount": 1}, 409, "no token gateway"),
        ("POST", "/api/v1/meters/M7/household", {"kind": "shop"}, 404, "no meter 'M7'"),
        ("POST", "/api/v1/scenario", {}, 422, "either name or scenario"),
        ("POST", "/api/v1/scenario", {"name": "flood"}, 422, "no scenario 'flood'"),
        ("POST", "/api/v1/scenario", {"name": "../x"}, 422, "name"),
        ("POST", "/api/v1/scenario", {"name": "x.toml"}, 422, "name"),
        ("POST", "/api/v1/scenario", {"scenario": {"name": "a"}}, 422, "about"),
        ("GET", "/api/v1/scenario?limit=1001", None, 422, "limit"),
        ("POST", "/api/v1/power", {"on": False, "spread_s": -1}, 422, "spread_s"),
        ("POST", "/api/v1/faults", {"fault": "lazy"}, 422, "there is no 'lazy'; there are silent"),
        ("POST", "/api/v1/faults", {"fault": "slow", "second": 1}, 422, "there is no 'second'"),
        ("POST", "/api/v1/faults", [], 422, "body"),
        ("DELETE", "/api/v1/faults/77", None, 404, "no rule number 77"),
        ("DELETE", "/api/v1/faults/0", None, 422, "number"),
        ("DELETE", "/api/v1/meters", None, 405, "method not allowed"),
    ],
)
async def test_bad_input_is_refused(api: Served, method: str, path: str, body: Any, status: int, reason: str) -> None:
    before = [await api.get(f"/api/v1/meters/{name}") for name in ("M1001", "M1002")]
    answer = (
        await api.client.request(method, path, json=body)
        if body is not None
        else await api.client.request(method, path)
    )
    assert answer.status_code == status, answer.text
    assert reason in answer.json()["error"], answer.json()
    assert [await api.get(f"/api/v1/meters/{name}") for name in ("M1001", "M1002")] == before
    assert await api.get("/api/v1/faults") == []


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"", 422),
        (b"{", 422),
        (b'{"fault": "slow", "seconds": 1e999}', 422),
        (b"[" * 50_000, 400),
        (b" " * 200_000, 413),
    ],
)
async def test_hostile_bodies(api: Served, content: bytes, status: int) -> None:
    answer = await api.client.post("/api/v1/faults", content=content, headers={"Content-Type": "application/json"})
    assert answer.status_code == status, answer.text
    assert answer.json()["error"]


async def test_a_body_that_is_too_large_and_says_no_length(api: Served) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield b" " * 10_000

    answer = await api.client.put(f"{SWITCH}/4", content=chunks(), headers={"Content-Type": "application/json"})
    assert answer.status_code == 413


async def test_no_one_comes_in_without_a_token(tmp_path: Path) -> None:
    file = tmp_path / "token"
    [token] = load(file, "meter_sim.token_file")
    async with served(tmp_path / "state", file) as api:
        for path in ("/api/v1/meters", "/metrics", "/api/v1/events", "/api/v1/openapi.json", "/api/v1/clock"):
            assert (await api.client.get(path)).status_code == 401
        api.client.headers["Authorization"] = f"Bearer {token}"
        assert len((await api.get("/api/v1/meters"))["meters"]) == 3


async def test_the_schema_describes_every_route(api: Served) -> None:
    schema = await api.get("/api/v1/openapi.json")
    routes = [(path, method) for path, methods in schema["paths"].items() for method in methods]
    assert len(routes) >= 14
    assert all(schema["paths"][path][method].get("description") for path, method in routes)
    called = [schema["paths"][path][method]["summary"] for path, method in routes]
    assert len(set(called)) == len(called), "each of its own"
    assert schema["paths"]["/api/v1/meters"]["get"]["summary"] == "The meters of the process, a part at a time"


# --- values


@pytest.mark.parametrize(
    "value",
    [
        data.null(),
        data.boolean(True),
        data.long_unsigned(230),
        data.octet_string(b"\x00\xff"),
        data.visible_string("AMI"),
        data.bit_string((True, False)),
        data.array(data.structure(data.integer(-1), data.enum(30)), data.structure(data.float64(0.5))),
    ],
)
def test_values_go_both_ways(value: data.Data) -> None:
    assert values.from_json(values.to_json(value)) == value


@pytest.mark.parametrize(
    "given",
    [
        None,
        [],
        {"type": "array"},
        {"type": [], "value": 1},
        {"type": "array", "value": 1},
        {"type": "date-time", "value": "2026"},
        {"type": "bit-string", "value": [1]},
        {"type": "array", "value": [{"type": "null-data", "value": None}] * 10_001},
        {"type": "double-long", "value": 2**40},
        {"type": "float64", "value": "1"},
    ],
)
def test_what_is_no_value(given: Any) -> None:
    with pytest.raises(ValueError, match=r"value|elements|type|written"):
        values.from_json(given)


def test_values_are_not_nested_without_end() -> None:
    given: Any = {"type": "null-data", "value": None}
    for _ in range(9):
        given = {"type": "array", "value": [given]}
    with pytest.raises(ValueError, match="deep"):
        values.from_json(given)


def test_a_value_that_is_too_long_is_not_shown() -> None:
    with pytest.raises(ValueError, match="read it by DLMS"):
        values.to_json(data.octet_string(bytes(values.MOST_OCTETS)))
