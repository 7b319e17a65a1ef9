"""A virtual clock from the command line: months pass in seconds, and the same seed gives the same octets in two processes."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import pytest
import tomli_w
from free_ports import free_port
from typer.testing import CliRunner

from ami_meter_sim.__main__ import app
from ami_packs.model_files import model_text

COUNT = 100
START = "2026-03-28T00:00+01:00"
MOMENTS = (
    "2026-03-29T12:00+02:00",
    "2026-04-28T00:00+02:00",
    "2026-05-28T00:00+02:00",
    "2026-06-28T00:00+02:00",
    "2026-07-28T00:00+02:00",
    "2026-08-28T00:00+02:00",
    "2026-09-28T00:00+02:00",
    "2026-10-25T12:00+01:00",
)
CLOCK = 'source = "BB; IDIS; public read: own"\n'
WITH_DAYLIGHT_SAVING = (
    CLOCK,
    CLOCK
    + """[objects.attributes]
daylight_savings_begin = { date_time = "*-03-last Sun 02:00" }
daylight_savings_end = { date_time = "*-10-last Sun 03:00" }
daylight_savings_deviation = { integer = 60 }
daylight_savings_enabled = { boolean = true }
""",
    1,
)
IMPORT, PROFILE = "3/1-0:1.8.0*255/2", "7/1-0:99.1.0*255/2"


def write(directory: Path, **section: Any) -> Path:
    directory.mkdir(exist_ok=True)
    model = directory / "model.toml"
    model.write_text(model_text("residential").replace(*WITH_DAYLIGHT_SAVING))
    town = {
        "name": "town",
        "count": COUNT,
        "seed": "a seed of a test",
        "model": str(model),
        "time_zone_minutes": -60,
    }
    config = {
        "meter_sim": {"state": str(directory / "meters"), **section},
        "populations": [{**town, "port": free_port()}],
    }
    path = directory / "ami.toml"
    path.write_text(tomli_w.dumps(config))
    return path


@contextmanager
def process(path: Path, *words: str) -> Iterator[tuple[httpx.Client, str]]:
    """A process that serves its API, and the name of its first meter."""
    command = [sys.executable, "-m", "ami_meter_sim", "serve", "--config", str(path), *words]
    running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert running.stdout is not None
    reading = Thread(target=running.stdout.read)
    try:
        ready = json.loads(running.stdout.readline())
        reading.start()
        with httpx.Client(base_url=f"http://{ready['listen'][-1]}", trust_env=False, timeout=100) as client:
            yield client, client.get("/api/v1/meters").json()["meters"][0]["name"]
    finally:
        running.terminate()
        running.wait(20)
        reading.join()
        running.stdout.close()


def lived(directory: Path) -> tuple[str, list[str]]:
    """All that the meters of a process show after every moment, as one hash; and what the clock of the first one showed."""
    seen, clocks = sha256(), []
    with process(write(directory, port=0), "--clock", "virtual", "--start", START) as (client, first):
        names = [one["name"] for one in client.get("/api/v1/meters", params={"limit": COUNT}).json()["meters"]]
        assert len(names) == COUNT and names[0] == first
        for moment in MOMENTS:
            assert client.post("/api/v1/clock", json={"to": moment}).status_code == 200
            clocks.append(client.get(f"/api/v1/meters/{first}").json()["clock"])
            seen.update(client.get(f"/api/v1/meters/{first}/objects/{IMPORT}").content)
        for name in names:
            answer = client.get(f"/api/v1/meters/{name}/objects/{IMPORT}")
            assert answer.status_code == 200, answer.text
            seen.update(answer.content)
        for name in names[:2]:
            answer = client.get(f"/api/v1/meters/{name}/objects/{PROFILE}")
            assert answer.status_code == 200 and len(answer.json()["value"]) > 1000, answer.text[:200]
            seen.update(answer.content)
    return seen.hexdigest(), clocks


@pytest.mark.ci
def test_both_changes_of_daylight_saving_for_a_hundred_meters_are_the_same_in_two_processes(tmp_path: Path) -> None:
    first, clocks = lived(tmp_path / "a")
    again, _ = lived(tmp_path / "b")
    assert first == again
    assert (clocks[0], clocks[-1]) == ("2026-03-29T12:00:00+02:00", "2026-10-25T12:00:00+01:00")


@pytest.mark.parametrize(
    ("section", "words", "reason"),
    [
        ({"port": 0}, ["--clock", "virtual"], "needs start_at"),
        ({"port": 0}, ["--clock", "scaled", "--start", START, "--rate", "0"], "greater than 0"),
        ({"port": 0}, ["--clock", "sundial"], "sundial"),
        ({"port": 0}, ["--clock", "virtual", "--start", "2026-03-28"], "no moment with a time zone"),
        ({}, ["--clock", "virtual", "--start", START], "needs meter_sim.port"),
    ],
)
def test_a_clock_that_can_not_be_had(tmp_path: Path, section: dict[str, Any], words: list[str], reason: str) -> None:
    found = CliRunner().invoke(app, ["serve", "--config", str(write(tmp_path, **section)), *words])
    assert found.exit_code == 2 and reason in found.output
