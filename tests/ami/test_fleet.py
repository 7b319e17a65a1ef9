"""Many meters: unique, the same ones for the same seed, placed as the layout says; and what config/docker.toml is."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from ami_cli import generated_meters
from ami_cli.__main__ import app
from ami_cli.generated_meters import Layout

ROOT = Path(__file__).parents[2]


def made(document: dict[str, Any], layout: Layout, count: int = 130) -> list[dict[str, Any]]:
    meters: list[dict[str, Any]] = generated_meters.fleet(
        document, count, seed="s", layout=layout, address="127.0.0.1:4061"
    )["meters"]
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
    called = [(meter["address"], meter["server_wport"]) for meter in meters if meter["address"] != "dials-in"]
    assert len(set(called)) == len(called) == (65 if layout is Layout.SCALE else 130)
    assert {len(meter["logical_device_name"]) for meter in meters} == {16}
    assert {len(bytes.fromhex(meter["encryption_key"])) for meter in meters} == {16}


def test_the_same_seed_makes_the_same_fleet_and_another_one_does_not() -> None:
    assert generated_meters.meter(7, "a:1", seed="x") == generated_meters.meter(7, "a:1", seed="x")
    assert (
        generated_meters.meter(7, "a:1", seed="x")["encryption_key"]
        != generated_meters.meter(7, "a:1", seed="y")["encryption_key"]
    )


def test_logical_devices_leave_out_the_all_station_address(document: dict[str, Any]) -> None:
    wports = [meter["server_wport"] for meter in made(document, Layout.ONE_ADDRESS)]
    assert wports[0] == 16
    assert 127 not in wports
    assert wports == sorted(wports)


def test_the_compose_layout_has_two_containers_of_one_meter_and_one_of_the_others(document: dict[str, Any]) -> None:
    meters = made(document, Layout.DOCKER)
    assert [meter["address"] for meter in meters[:4]] == ["meter-1:4059", "meter-2:4059", "meters:4059", "meters:4059"]
    listening = [meter["simulated"]["listen"] for meter in meters[:3]]
    assert listening == ["meter-1-south:4059", "meter-2-south:4059", "meters-south:4059"], (
        "on the network of the HES alone"
    )
    assert meters[0]["encryption_key"] == document["meters"][0]["encryption_key"]


FOLDER = ROOT / "config/docker"
NAMES = [f"M{number}" for number in range(1001, 1101)]
SHARES = {"hes": NAMES, "meter-1": NAMES[:1], "meter-2": NAMES[1:2], "meters": NAMES[2:]}


def kept(name: str) -> dict[str, Any]:
    return tomllib.loads((FOLDER / name).read_text("utf-8"))


BY_HAND = {FOLDER / name for name in ("field.toml", "town.toml", "cis-principals.toml", "hes-principals.toml")}
"""The populations of the profiles `field` and `town`, and who is known to whom in secure containers."""
GENERATED = sorted({*FOLDER.rglob("*.toml"), *FOLDER.with_name("scale").glob("*.toml")} - BY_HAND)


@pytest.mark.parametrize("file", GENERATED, ids=lambda file: str(file.relative_to(FOLDER.parent)))
def test_the_compose_configuration_is_what_its_heading_says(tmp_path: Path, file: Path) -> None:
    arguments = file.read_text("utf-8").splitlines()[0].partition("ami fleet ")[2].split()
    path = tmp_path / "again.toml"
    arguments[arguments.index("--base") + 1] = str(ROOT / "config/demo.toml")
    result = CliRunner().invoke(app, ["fleet", *arguments, "--output", str(path)])
    assert result.exit_code == 0, result.output
    assert path.read_text("utf-8").splitlines()[3:] == file.read_text("utf-8").splitlines()[3:]


@pytest.mark.parametrize(("folder", "authentication"), [("default", "hls-gmac"), ("none", "none")])
@pytest.mark.parametrize("whose", SHARES)
def test_a_container_gets_its_own_meters(folder: str, authentication: str, whose: str) -> None:
    document = kept(f"{folder}/{whose}.toml")
    assert [meter["name"] for meter in document["meters"]] == SHARES[whose]
    assert {meter["authentication"] for meter in document["meters"]} == {authentication}
    assert ("hes" in document) == (whose == "hes")
    assert {"simulated" in meter for meter in document["meters"]} == {whose != "hes"}


def test_the_cis_gets_no_key() -> None:
    document = kept("cis.toml")
    assert {key for meter in document["meters"] for key in meter} == {
        "name",
        "mrid",
        "usage_points",
        *generated_meters.PLACE,
    }
    assert [meter["name"] for meter in document["meters"]] == NAMES
    keys = [meter["encryption_key"] for meter in kept("default/hes.toml")["meters"]]
    assert not [key for key in keys if key in (FOLDER / "cis.toml").read_text()]
