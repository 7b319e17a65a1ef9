"""Firmware goes to a group of meters that lose blocks and restart, while the head-end is killed: each ends in the new version, or is named with a fault that stays."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from free_ports import free_port
from harness import System, system, until
from test_key_campaigns import campaign, hes_command
from test_population import ship_and_start, shipment, town

from ami_meter_sim.objects.firmware import make_image

VERSION, BLOCK = "2.0", 512
FIRST_SERIAL = 1_000_001
REBOOTS_AFTER, RESTART_S = 20, 3.0
STAYING = {"loses-image-blocks": "has none of them afterwards", "silent": "did not answer in time"}
"""Faults that no head-end can wait out, and what the failure says."""


def image(directory: Path, blocks: int) -> Path:
    file = directory / "firmware.bin"
    content = random.Random(blocks).randbytes(blocks * BLOCK - BLOCK // 2)
    file.write_bytes(make_image(VERSION, content))
    return file


def names_of(count: int) -> list[str]:
    return [f"AMI000{FIRST_SERIAL + index}" for index in range(count)]


def faults_of(names: list[str], staying: dict[str, list[str]]) -> list[dict[str, Any]]:
    """Every meter but those of `staying` loses a tenth of the blocks, and every other one of them restarts in the middle."""
    for_good = {name for found in staying.values() for name in found}
    well = [name for name in names if name not in for_good]
    reboots = {"fault": "reboots-in-image-transfer", "blocks": REBOOTS_AFTER, "restart_s": RESTART_S}
    return [
        {"fault": "loses-image-blocks", "meters": well, "probability": 0.1, "seed": 7},
        {**reboots, "meters": well[::2]},
        {"fault": "loses-image-blocks", "meters": staying["loses-image-blocks"], "probability": 1.0},
        {"fault": "silent", "meters": staying["silent"]},
    ]


@pytest.mark.needs("loopback-block")
@pytest.mark.parametrize(
    ("count", "blocks"),
    [
        pytest.param(8, 60, marks=pytest.mark.ci),
        pytest.param(100, 200, marks=[pytest.mark.acceptance, pytest.mark.timeout(900)]),
    ],
)
def test_every_meter_whose_faults_pass_ends_in_the_new_version(tmp_path: Path, count: int, blocks: int) -> None:
    names = names_of(count)
    step = count // 4
    staying = {"loses-image-blocks": names[1::step][: step // 2], "silent": names[2::step][: step // 2]}
    with system(tmp_path) as ami:
        ami.config["faults"] = faults_of(names, staying)
        ami.config["hes"] |= {"max_sessions": 16, "apdu_timeout_s": 3.0}
        ami.config["hes"]["lanes"] = {"campaign": {"retry_most_s": 0.5}}
        ship_and_start(ami, "json", town(free_port(), count=count, model="single-phase", first_serial=FIRST_SERIAL))
        rows = json.loads(shipment(ami.path, "--for", "cis").stdout)["meters"]
        assert [row["name"] for row in rows] == names
        order(ami, image(tmp_path, blocks))
        started = hes_command(ami, "firmware", "start", "--image", "fw-2", "--group", "model=single-phase", "--json")
        assert started.exit_code == 0, started.output
        campaign_id = json.loads(started.stdout)["id"]
        until(lambda: campaign(ami, campaign_id)["blocks_percent"] > 10, "a tenth of the blocks")
        assert ami.hes is not None
        ami.hes.kill()
        ami.start_hes()
        assert campaign(ami, campaign_id)["done"] < count, "the head-end was killed in the middle"
        until(lambda: campaign(ami, campaign_id)["done"] == count, "the end of the campaign", 600.0, every_s=0.5)
        found = campaign(ami, campaign_id)
        failed = {one["meter"]: one["reason"] for one in found["failures"]}
        assert set(failed) == {name for group in staying.values() for name in group}, failed
        for fault, group in staying.items():
            assert all(STAYING[fault] in failed[name] for name in group), failed
        meters = next(one for one in ami.processes if one.name.startswith("ami_meter_sim"))
        happened = {(one["fault"], one["meter"]) for one in meters.seen("fault_happened")}
        well = [name for name in names if name not in failed]
        assert {name for fault, name in happened if fault == "reboots-in-image-transfer"} == set(well[::2])
        assert (found["ok"], found["state"]) == (count - len(failed), "ended")
        again = hes_command(ami, "firmware", "start", "--image", "fw-2", "--meter", names[0], "--wait", "--json")
        assert again.exit_code == 0, again.output
        shown = hes_command(ami, "campaigns", "show", campaign_id)
        assert "] " in shown.stdout and names[1] in shown.stdout


def order(ami: System, file: Path) -> None:
    imported = hes_command(ami, "images", "import", str(file), "--identifier", "fw-2", "--version", VERSION, "--json")
    assert imported.exit_code == 0, imported.output
    assert json.loads(imported.stdout)["complete"]
