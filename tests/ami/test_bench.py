"""`ami bench` measures real requests of real processes; no figure of it is judged here."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ami_cli import bench
from ami_cli.__main__ import app
from ami_cli.bench_cpu import HesCpu
from ami_cli.bench_report import markdown
from ami_cli.sampling import STEPS
from ami_hes.jobs import CommandWorker
from ami_hes.meters import Meters, Session, link

METERS = 2


@pytest.mark.needs("proc")
@pytest.mark.ci
def test_the_hes_of_another_checkout_takes_turns_with_ours(tmp_path: Path) -> None:
    page = tmp_path / "bench.md"
    against = f"{sys.executable} -m ami_hes serve"
    options = ["--meters", str(METERS), "--runs", "1", "--warm-up", "0", "--json", "--write", str(page)]
    done = CliRunner().invoke(app, ["bench", *options, "--against", against])
    assert done.exit_code == 0, done.output
    used = json.loads(done.stdout)["hes_cpu"]
    assert [one["name"] for one in used] == ["the other one", "cold", "warm"]
    assert all(one["first_ms"] > 0 and len(one["known_ms"]) == 1 for one in used)
    assert "| cold |" in page.read_text("utf-8")
    assert "| step | share |" in page.read_text("utf-8")


def test_what_samples_are_counted_for_are_functions_of_the_hes() -> None:
    owners = {"": link, "Session": Session, "Meters": Meters, "CommandWorker": CommandWorker}
    for name in STEPS:
        owner, _, function = name.rpartition(".")
        assert getattr(owners[owner], function).__qualname__ == name


def test_ratios_are_to_the_first_of_the_list() -> None:
    cpu = [HesCpu("the other one", 10, 4.0, (2.0, 2.0, 9.0)), HesCpu("warm", 10, 3.0, (1.0,))]
    figures = [bench.Figures(10, (1.0,), (("store", 1.0),), (("connecting", 1.0),))]
    page = markdown(figures, "a machine", cpu=cpu)
    assert "| the other one | 4.00 | 2.00 | 1.00 |" in page
    assert "| warm | 3.00 | 1.00 | 0.50 |" in page


@pytest.mark.needs("proc")
@pytest.mark.ci
def test_an_hes_that_does_not_start_is_said(tmp_path: Path) -> None:
    options = ["--meters", str(METERS), "--runs", "1", "--warm-up", "0"]
    done = CliRunner().invoke(app, ["bench", *options, "--against", f"{sys.executable} -m ami_hes nothing"])
    assert done.exit_code == 1
    assert "the other one did not start" in done.output
