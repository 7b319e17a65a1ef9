"""What the console of the simulator asks for beside the rest of the API: one object with rights and values, and the stream of changes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import pytest
from patience import PATIENCE_S
from pydantic import ValidationError
from served_meters import Served, served

from ami_dlms.data import Data
from ami_dlms.obis import Obis
from ami_meter_sim.admin.objects import _value
from ami_meter_sim.control import FleetControl
from ami_meter_sim.settings import MeterSimSettings
from ami_packs.model import ObjectDescription


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Served]:
    async with served(tmp_path) as one:
        yield one


async def test_an_object_is_shown_with_names_rights_and_values(api: Served) -> None:
    found = await api.get("/api/v1/meters/M1001/objects/70/0-0:96.3.10*255")
    assert (found["class_name"], found["version"], found["associations"]) == ("disconnect_control", 0, ["management"])
    attributes = {one["name"]: one for one in found["attributes"]}
    assert list(attributes) == ["logical_name", "output_state", "control_state", "control_mode"]
    assert attributes["control_mode"]["access"] == {"management": "rw"}
    assert attributes["output_state"]["value"] == {"type": "boolean", "value": True}
    assert [(one["name"], one["associations"]) for one in found["methods"]] == [
        ("remote_disconnect", ["management"]),
        ("remote_reconnect", ["management"]),
    ]


async def test_every_object_of_the_model_is_shown_and_no_secret_is(api: Served) -> None:
    secrets = 0
    for described in await api.get("/api/v1/meters/M1001/objects"):
        found = await api.get(f"/api/v1/meters/M1001/objects/{described['class']}/{described['instance']}")
        assert (found["class"], found["instance"]) == (described["class"], described["instance"])
        for one in found["attributes"]:
            assert (one["value"] is None) == bool(one["why"])
            secrets += one["why"] == "a secret"
            assert one["why"] != "a secret" or one["value"] is None
    assert secrets > 0, "the association has one"


async def test_secrets_are_those_of_the_standard_and_not_those_of_some_names(tmp_path: Path) -> None:
    """The passwords of the optical port have other names, and a class of a later version has none that is known."""
    port = ObjectDescription(
        obis=Obis.parse("0-0:20.0.0*255"), class_id=19, version=99, name="IEC local port", source="", access={}
    )
    control = cast(FleetControl, NothingIsRead())
    for number in (7, 8, 9):
        assert _value(control, "M1001", port, number, "pass_p1") == (None, "a secret")
        assert _value(control, "M1001", port, number, "") == (None, "a secret")
    async with served(tmp_path) as api:
        answer = await api.client.get("/api/v1/meters/M1001/objects/15/0-0:40.0.0*255/7")
        assert answer.status_code == 409 and answer.json()["error"].endswith("attribute 7 of class 15 is a secret")


class NothingIsRead:
    def read(self, *_: object) -> Data:
        raise AssertionError("it is not even read")


@pytest.mark.parametrize("path", ["70/0-0:96.3.11*255", "9999/0-0:96.3.10*255", "70/nonsense"])
async def test_what_a_meter_does_not_have_is_said(api: Served, path: str) -> None:
    answer = await api.client.get(f"/api/v1/meters/M1001/objects/{path}")
    assert answer.status_code == 404 and "no object of class" in answer.json()["error"]


async def test_what_changes_is_told_once_for_each_meter(api: Served) -> None:
    async with api.client.stream("GET", "/api/v1/live") as stream:
        lines = stream.aiter_lines()
        await anext(lines)
        await api.post("/api/v1/power", on=False, name="M1001")
        await api.post("/api/v1/faults", fault="slow", meters=["M1002"])
        states: dict[str, Any] = {}
        rules = 0
        async with asyncio.timeout(PATIENCE_S):
            while states.get("M1001", {}).get("powered") is not False or not rules:
                text = await anext(lines)
                if text.startswith("data: {") and "now" in text:
                    frame = json.loads(text.removeprefix("data: "))
                    states |= {one["name"]: one for one in frame["meters"]}
                    rules = frame.get("rules", rules)
        assert rules == 1


async def test_the_console_is_at_the_root_and_asks_for_the_token(tmp_path: Path) -> None:
    async with served(tmp_path, token_file=tmp_path / "tokens") as api:
        root = await api.client.get("/")
        assert (root.status_code, root.headers["location"]) == (303, "/login?next=/")
        assert (await api.client.get("/api/v1/live")).status_code == 401
        token = (tmp_path / "tokens").read_text("utf-8").strip()
        assert (await api.client.post("/session", json={"token": token})).status_code == 204
        assert (await api.client.get("/")).headers["location"] == "/meters"
        assert (await api.client.get("/api/v1/meters")).status_code == 200


async def test_a_console_names_those_of_the_other_processes(tmp_path: Path) -> None:
    consoles = [
        {"meters": "M1001", "url": "http://127.0.0.1:8082"},
        {"meters": "M1002 to M1020", "url": "https://sim.example:8083"},
    ]
    settings = MeterSimSettings.model_validate({"consoles": consoles})
    async with served(tmp_path, settings=settings) as api:
        assert await api.get("/api/v1/consoles") == {"consoles": consoles}
    with pytest.raises(ValidationError, match="http"):
        MeterSimSettings.model_validate({"consoles": [{"meters": "M1001", "url": "javascript:alert(1)"}]})
