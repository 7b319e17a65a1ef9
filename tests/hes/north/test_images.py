"""Firmware images over the REST API and the command line, and what a campaign says of them: imported, gone on with, refused, removed."""

from __future__ import annotations

import asyncio
import json
from base64 import b64encode
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from north_bench import North, StandIn, entries, north
from patience import PATIENCE_S
from test_campaigns import begun, campaign, ended, move

from ami_hes.api.values.images import PART_OCTETS
from ami_hes.commands import Lane, Outcome
from ami_hes.engine import EmbeddedEngine
from ami_hes.operations.firmware_order import parse_order
from ami_hes.store.history import SqlHistory

CONTENT = bytes(range(256)) * 300
IMAGE = {
    "identifier": "fw/2 a",
    "version": "2.0",
    "size": len(CONTENT),
    "sha256": sha256(CONTENT).hexdigest(),
}
STARTS = "/api/v1/campaigns/firmware"


async def post(hes: North, path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    answer = await hes.client.post(f"{hes.url}{path}", json=body)
    return answer.status_code, answer.json()


async def add(hes: North, offset: int, octets: bytes, identifier: str = "fw%2F2%20a") -> tuple[int, dict[str, Any]]:
    part = {"offset": offset, "octets": b64encode(octets).decode()}
    return await post(hes, f"/api/v1/image-parts/{identifier}", part)


async def imported(hes: North) -> None:
    assert (await post(hes, "/api/v1/images", IMAGE))[0] == 200
    for offset in range(0, len(CONTENT), PART_OCTETS):
        status, image = await add(hes, offset, CONTENT[offset : offset + PART_OCTETS])
        assert status == 200
    assert image["complete"]


async def test_an_image_comes_in_parts_and_is_complete_with_its_digest_alone(tmp_path: Path) -> None:
    async with north(tmp_path) as hes:
        assert (await add(hes, 0, b"x"))[0] == 404
        status, image = await post(hes, "/api/v1/images", IMAGE)
        assert (status, image["octets"], image["complete"], image["version_object"]) == (200, 0, False, "1-0:0.2.0*255")
        assert (await add(hes, 100, b"x"))[0] == 409
        for _ in range(2):  # its answer may be lost
            assert (await add(hes, 0, CONTENT[:PART_OCTETS]))[1]["octets"] == PART_OCTETS
        status, refused = await add(hes, PART_OCTETS, bytes(len(CONTENT) - PART_OCTETS))
        assert (status, "another SHA-256" in refused["error"]) == (409, True)
        await imported(hes)
        assert (await post(hes, "/api/v1/images", IMAGE))[1]["complete"]
        assert (await post(hes, "/api/v1/images", IMAGE | {"version": "3.0"}))[0] == 409
    async with north(tmp_path) as hes:
        (image,) = (await hes.client.get(f"{hes.url}/api/v1/images")).json()["images"]
        assert (image["identifier"], image["octets"], image["complete"]) == ("fw/2 a", len(CONTENT), True)
        where = f"{hes.url}/api/v1/images/fw%2F2%20a"
        assert (await hes.client.delete(where)).status_code == 200
        assert (await hes.client.get(where)).status_code == 404


WRONG: tuple[dict[str, Any], ...] = (
    {"identifier": ""},
    {"identifier": "x" * 65},
    {"version": ""},
    {"version_object": "energy"},
    {"size": 0},
    {"size": 16 * 2**20 + 1},
    {"sha256": "00"},
)


async def test_what_is_no_image_is_refused(tmp_path: Path) -> None:
    async with north(tmp_path) as hes:
        for wrong in WRONG:
            status, refused = await post(hes, "/api/v1/images", IMAGE | wrong)
            assert status == 422 and next(iter(wrong)) in refused["error"], refused
        await post(hes, "/api/v1/images", IMAGE)
        for octets in ("", "no base64", b64encode(bytes(PART_OCTETS + 1)).decode()):
            assert (await post(hes, "/api/v1/image-parts/fw%2F2%20a", {"offset": 0, "octets": octets}))[0] == 422
        for order, why in (
            ({"image": "fw/2 a", "meters": ["M1"]}, "is not complete"),
            ({"image": "fw-9", "meters": ["M1"]}, "there is no image fw-9"),
        ):
            status, refused = await post(hes, STARTS, order)
            assert status == 422 and why in refused["error"]


async def test_a_campaign_has_the_image_that_was_there_and_keeps_it_from_being_removed(tmp_path: Path) -> None:
    meters = StandIn()
    meters.open.clear()
    async with north(tmp_path, meters, registry=entries(5)) as hes:
        await imported(hes)
        late = {"image": "fw/2 a", "meters": ["M1"], "activate_at": "2001-01-01T00:00:00Z"}
        assert "activate_at" in (await post(hes, STARTS, late))[1]["error"]
        status, one = await post(
            hes, STARTS, {"image": "fw/2 a", "meters": [f"M{n}" for n in range(1, 6)], "at_once": 2}
        )
        assert (status, one["summary"], one["blocks_percent"]) == (200, "firmware 2.0 to 5 named", 0.0)
        await begun(meters, 2)
        assert meters.at_once == 2
        status, refused = await post(hes, STARTS, {"image": "fw/2 a", "meters": ["M5", "M4"]})
        assert (status, "2 of the meters, first of them M4, have no end yet" in refused["error"]) == (409, True)
        where = f"{hes.url}/api/v1/images/fw%2F2%20a"
        assert (await hes.client.delete(where)).status_code == 409
        meters.open.set()
        found = await ended(hes, one["id"], 5)
        assert (found["ok"], found["blocks_percent"], meters.most_at_once) == (5, 100.0, 2)
        order = parse_order(meters.commands[0].body)
        assert (order.identifier, order.sha256, order.version) == ("fw/2 a", IMAGE["sha256"], "2.0")
        assert (await hes.client.delete(where)).status_code == 200


@pytest.fixture
def slow_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever else is there has its chance between what is looked up and what is done by it."""

    def slowly(look: Any) -> Any:
        async def looked(history: SqlHistory, operation: str) -> Any:
            found = await look(history, operation)
            for _ in range(2_000):
                await asyncio.sleep(0)
            return found

        return looked

    for name in ("open_meters", "open_bodies"):
        monkeypatch.setattr(SqlHistory, name, slowly(getattr(SqlHistory, name)))


@pytest.mark.usefixtures("slow_looks")
async def test_of_two_orders_of_firmware_at_once_one_has_the_meters(tmp_path: Path) -> None:
    meters = StandIn()
    meters.open.clear()
    async with north(tmp_path, meters, registry=entries(2)) as hes:
        await imported(hes)
        order = {"image": "fw/2 a", "meters": ["M1", "M2"]}
        answers = await asyncio.gather(*(post(hes, STARTS, order) for _ in range(2)))
        assert sorted(status for status, _ in answers) == [200, 409], answers


@pytest.mark.usefixtures("slow_looks")
async def test_an_image_is_removed_or_ordered_and_never_both(tmp_path: Path) -> None:
    meters = StandIn()
    meters.open.clear()
    async with north(tmp_path, meters, registry=entries(2)) as hes:
        await imported(hes)
        remove = hes.client.delete(f"{hes.url}/api/v1/images/fw%2F2%20a")
        (ordered, _), removed = await asyncio.gather(post(hes, STARTS, {"image": "fw/2 a", "meters": ["M1"]}), remove)
        assert (ordered, removed.status_code) in ((200, 409), (422, 200))


async def test_what_goes_on_is_held_back_while_its_campaign_is_paused(tmp_path: Path) -> None:
    """A stand-in that is never done until it is told so."""
    on = Outcome(False, attempted=True, goes_on_s=0.01)
    meters = StandIn({"M1": on})
    engines: list[EmbeddedEngine] = []

    def make(*args: Any, **settings: Any) -> EmbeddedEngine:
        engines.append(EmbeddedEngine(*args, **settings))
        return engines[0]

    async with north(tmp_path, meters, registry=entries(1), make_engine=make) as hes:
        await imported(hes)
        _, one = await post(hes, STARTS, {"image": "fw/2 a", "meters": ["M1"]})
        await begun(meters, 10)
        assert (await move(hes, one["id"], "pause"))[0] == 200
        async with asyncio.timeout(PATIENCE_S):
            while await engines[0].commands.pending(Lane.CAMPAIGN):
                await asyncio.sleep(0)
        count = len(meters.commands)
        assert (await campaign(hes, one["id"]))["done"] == 0
        assert (await move(hes, one["id"], "resume"))[0] == 200
        await begun(meters, count + 5)
        meters.outcomes = {}
        found = await ended(hes, one["id"], 1)
        assert found["ok"] == 1
        assert json.loads(meters.commands[-1].body)["version"] == "2.0"
