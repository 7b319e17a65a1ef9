"""Where usage points are: from the configuration, from shipment files and by the REST API; kept, shown with the meters, and told live."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from cis_stand_in import Events as Told
from cis_stand_in import StandInHes, asking, environment, settings
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from ami_cis.app import running
from ami_cis.meters import Meter, Place
from ami_cis.settings import Settings
from ami_cis.shipments import read_shipments
from ami_process.settings import SettingsError

ELM = {"latitude": 0.001, "longitude": -0.5, "main_address": "1 Elm Street"}
OAK = {"latitude": -12.5, "longitude": 179.999999, "main_address": None}
HERE = Meter(name="M1", usage_points=("UP-1", "mrid-of-1"), latitude=0.001, longitude=-0.5, main_address="1 Elm Street")
NOWHERE = Meter(name="M2", usage_points=("UP-2",))


async def places(client: httpx.AsyncClient) -> dict[str, Any]:
    listed = (await client.get("/api/v1/usage-points")).json()["usage_points"]
    return {one["meter"]: one["place"] for one in listed}


async def test_what_the_configuration_says_is_shown_and_what_is_said_by_rest_stays(
    tmp_path: Path, hes: StandInHes
) -> None:
    async with asking(tmp_path, hes, meters=(HERE, NOWHERE)) as (_, client):
        assert await places(client) == {"M1": ELM, "M2": None}
        said = {"places": [{"usage_point": "UP-2", **OAK}, {"usage_point": "mrid-of-1", **OAK}]}
        assert (await client.post("/api/v1/places", json=said)).json() == {"usage_points": 2}
        assert await places(client) == {"M1": OAK, "M2": OAK}
    async with asking(tmp_path, hes, meters=(HERE, NOWHERE)) as (system, client):
        assert await places(client) == {"M1": ELM, "M2": OAK}, "the configuration has the say over what it names"
        assert [one.usage_point for one in await system.store.places()] == ["UP-1", "UP-2"]
        assert (await client.delete("/api/v1/places/UP-2")).json() == {"usage_points": 1}
        assert (await client.delete("/api/v1/places/UP-2")).json() == {"usage_points": 0}
        assert await places(client) == {"M1": ELM, "M2": None}
    without = HERE.model_copy(update={"latitude": None, "longitude": None, "main_address": None})
    async with asking(tmp_path, hes, meters=(without, NOWHERE)) as (_, client):
        assert await places(client) == {"M1": ELM, "M2": None}, "what it no longer says is not taken back"


async def test_a_place_is_told_to_those_who_look(tmp_path: Path, hes: StandInHes) -> None:
    async with (
        asking(tmp_path, hes, meters=(HERE, NOWHERE)) as (_, client),
        client.stream("GET", "/api/v1/live") as live,
    ):
        lines = live.aiter_lines()
        await anext(lines)
        posted = await client.post("/api/v1/places", json={"places": [{"usage_point": "UP-2", **OAK}]})
        assert posted.status_code == 200
        async for line in lines:
            if line.startswith("data:") and (points := json.loads(line[5:]).get("usage_points")):
                assert [(one["meter"], one["place"]) for one in points] == [("M2", OAK)]
                break


@pytest.mark.parametrize(
    ("body", "status", "why"),
    [
        ({"places": []}, 422, "places"),
        ({"places": [{"usage_point": "UP-2", "latitude": 90.01, "longitude": 0}]}, 422, "latitude"),
        ({"places": [{"usage_point": "UP-2", "latitude": 0, "longitude": -180.5}]}, 422, "longitude"),
        ({"places": [{"usage_point": "UP-2", "latitude": 0}]}, 422, "longitude"),
        (
            {"places": [{"usage_point": "UP-2", "latitude": 0, "longitude": 0, "main_address": "a\nb"}]},
            422,
            "main_addr",
        ),
        ({"places": [{"usage_point": "UP-2", "latitude": 0, "longitude": 0, "town": "x"}]}, 422, "town"),
        ({"places": [{"usage_point": "UP-2", **OAK}, {"usage_point": "UP-9", **OAK}]}, 404, "UP-9"),
        ({"places": [{"usage_point": "M2", **OAK}]}, 404, "no usage point M2"),
        ({"places": [{"usage_point": "UP-2", **OAK}] * 1_001}, 422, "places"),
    ],
)
async def test_what_is_no_place_is_refused_and_nothing_of_it_is_kept(
    tmp_path: Path, hes: StandInHes, body: dict[str, Any], status: int, why: str
) -> None:
    async with asking(tmp_path, hes, meters=(NOWHERE,)) as (system, client):
        refused = await client.post("/api/v1/places", json=body)
        assert refused.status_code == status
        assert why in refused.json()["error"]
        assert await system.store.places() == []
        assert (await client.delete("/api/v1/places/UP-9")).status_code == 404


async def test_thousands_of_places_are_kept_at_a_start_and_written_once(tmp_path: Path, hes: StandInHes) -> None:
    many = tuple(
        Meter(name=f"M{n}", usage_points=(f"UP-{n}",), latitude=n / 1000, longitude=n / 500) for n in range(2_500)
    )
    for _ in range(2):
        async with running(settings(tmp_path, hes.url, meters=many), environment(Told()), 0) as system:
            kept = await system.store.places()
    assert len(kept) == 2_500
    assert len({one.said_at for one in kept}) == 1, "a second start changed nothing"


def test_toml_json_and_csv_say_the_same_place(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(
        json.dumps({"format": 1, "meters": [{"name": "M1", "usage_points": ["UP-1", "mrid-of-1"], **ELM}]})
    )
    (tmp_path / "a.csv").write_text(
        "name,usage_points,latitude,longitude,main_address\nM1,UP-1;mrid-of-1,0.001,-0.5,1 Elm Street\nM2,UP-2,,,\n"
    )
    (tmp_path / "a.toml").write_text(
        '[[meters]]\nname = "M1"\nusage_points = ["UP-1", "mrid-of-1"]\nlatitude = 0.001\nlongitude = -0.5\n'
        'main_address = "1 Elm Street"\n'
    )
    assert list(read_shipments([tmp_path / "a.json"])) == [HERE]
    assert list(read_shipments([tmp_path / "a.csv"])) == [HERE, NOWHERE]
    assert Settings.load(tmp_path / "a.toml").meters == (HERE,)
    assert HERE.place == Place(**ELM)


@pytest.mark.parametrize(
    ("cells", "why"),
    [
        ("UP-1,0.5,,", "belong together"),
        ("UP-1,,,1 Elm Street", "give latitude and longitude too"),
        (",0.5,0.5,", "name it in usage_points"),
        ("UP-1,91,0.5,", "latitude"),
        ("UP-1,nan,0.5,", "latitude"),
        ("UP-1,north,0.5,", "latitude"),
    ],
)
def test_half_a_place_is_refused_with_its_line(tmp_path: Path, cells: str, why: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text(f"name,usage_points,latitude,longitude,main_address\nM1,{cells}\n")
    with pytest.raises(SettingsError, match=f"meter 1: .*{why}"):
        list(read_shipments([path]))


@given(st.floats(), st.floats(), st.text(max_size=300))
def test_whatever_is_taken_for_a_place_is_one(latitude: float, longitude: float, address: str) -> None:
    try:
        place = Place(latitude=latitude, longitude=longitude, main_address=address)
    except ValidationError:
        return
    assert -90 <= place.latitude <= 90 and -180 <= place.longitude <= 180
    assert 0 < len(address) <= 200 and not any(ord(one) < 32 or ord(one) == 127 for one in address)
