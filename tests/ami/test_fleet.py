"""Many meters: unique, the same ones for the same seed, placed as the layout says; and what config/docker.toml is."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from ami import fleet
from ami.__main__ import app
from ami.fleet import Layout

ROOT = Path(__file__).parents[2]


def made(document: dict[str, Any], layout: Layout, count: int = 130) -> list[dict[str, Any]]:
    meters: list[dict[str, Any]] = fleet.fleet(document, count, seed="s", layout=layout, address="127.0.0.1:4061")[
        "meters"
    ]
    return meters


@pytest.mark.parametrize("layout", list(Layout))
def test_every_meter_has_keys_identity_and_place_of_its_own(document: dict[str, Any], layout: Layout) -> None:
    meters = made(document, layout)
    assert len(meters) == 130
    for key in (
        "name",
        "mrid",
        "encryption_key",
        "authentication_key",
        "system_title",
        "logical_device_name",
        "device_id",
    ):
        assert len({meter[key] for meter in meters}) == 130, key
    assert len({(meter["address"], meter["server_wport"]) for meter in meters}) == 130
    assert {len(meter["logical_device_name"]) for meter in meters} == {16}
    assert {len(bytes.fromhex(meter["encryption_key"])) for meter in meters} == {16}


def test_the_same_seed_makes_the_same_fleet_and_another_one_does_not() -> None:
    assert fleet.meter(7, "a:1", seed="x") == fleet.meter(7, "a:1", seed="x")
    assert fleet.meter(7, "a:1", seed="x")["encryption_key"] != fleet.meter(7, "a:1", seed="y")["encryption_key"]


def test_logical_devices_leave_out_the_all_station_address(document: dict[str, Any]) -> None:
    wports = [meter["server_wport"] for meter in made(document, Layout.ONE_ADDRESS)]
    assert wports[0] == 16
    assert 127 not in wports
    assert wports == sorted(wports)


def test_the_compose_layout_has_two_containers_of_one_meter_and_one_of_the_others(document: dict[str, Any]) -> None:
    meters = made(document, Layout.DOCKER)
    assert [meter["address"] for meter in meters[:4]] == ["meter-1:4059", "meter-2:4059", "meters:4059", "meters:4059"]
    assert all("listen" not in meter["simulated"] for meter in meters), "it listens on the name that compose gives it"
    assert meters[0]["encryption_key"] == document["meters"][0]["encryption_key"]


@pytest.mark.parametrize(
    ("name", "authentication"),
    [("docker.toml", "hls-gmac"), ("docker-none.toml", "none"), ("docker-cis.toml", None)],
)
def test_the_compose_configuration_is_what_its_heading_says(
    tmp_path: Path, name: str, authentication: str | None
) -> None:
    kept = (ROOT / "config" / name).read_text("utf-8")
    arguments = kept.splitlines()[0].partition("ami fleet ")[2].split()
    path = tmp_path / "docker.toml"
    arguments[arguments.index("--base") + 1] = str(ROOT / "config/demo.toml")
    result = CliRunner().invoke(app, ["fleet", *arguments, "--output", str(path)])
    assert result.exit_code == 0, result.output
    assert tomllib.loads(path.read_text("utf-8")) == tomllib.loads(kept)
    assert [meter.get("authentication") for meter in tomllib.loads(kept)["meters"]] == [authentication] * 100


def test_the_cis_gets_no_key() -> None:
    meters = tomllib.loads((ROOT / "config/docker-cis.toml").read_text("utf-8"))["meters"]
    assert {key for meter in meters for key in meter} == {"name", "mrid", "usage_points"}
    keys = [meter["encryption_key"] for meter in tomllib.loads((ROOT / "config/docker.toml").read_text())["meters"]]
    assert not [key for key in keys if key in (ROOT / "config/docker-cis.toml").read_text()]
