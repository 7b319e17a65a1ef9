"""`ami bench-fleet` measures real processes with real dialogues; no wall-clock figure of it is judged here."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
import warm_start
from typer.testing import CliRunner

from ami_cli.bench_fleet import measuring
from ami_cli.bench_fleet.cli import app
from ami_cli.bench_fleet.figures import Dialogues
from ami_cli.bench_fleet.measuring import Size, measure

MEGA = 1e6


@pytest.mark.ci
@pytest.mark.needs("loopback-block")
def test_one_population_as_json_and_as_a_page(tmp_path: Path) -> None:
    page = tmp_path / "bench-fleet.md"
    options = ["--meters", "200", "--dialogues", "40", "--sessions", "20", "--json", "--write", str(page)]
    done = CliRunner().invoke(app, options)
    assert done.exit_code == 0, done.output
    (found,) = json.loads(done.stdout)["populations"]
    assert (found["meters"], found["open_sessions"]) == (200, 20)
    assert 0 < found["dialogue_p50_s"] <= found["dialogue_p99_s"]
    assert found["dialogues_per_core_second"] > 0
    assert found["last_gasps"] == 200 and found["last_gasps_s"] > 0 and found["longest_turn_s"] > 0
    assert 35_036 <= found["profile_rows"] <= 35_041 and found["profile_s"] > 0, (
        "less what nobody captured at a change of DST"
    )
    assert "| 200 |" in page.read_text("utf-8")


def test_what_can_not_be_measured_is_said() -> None:
    done = CliRunner().invoke(app, ["--meters", "0"])
    assert done.exit_code == 1 and "count" in done.output


def test_percentiles() -> None:
    figures = Dialogues(tuple(float(number) for number in range(100)), 50.0)
    assert (figures.percentile(50), figures.percentile(99), figures.per_core_second) == (50.0, 99.0, 2.0)


@pytest.mark.parametrize(
    ("meters", "sessions", "most_mb"),
    [
        pytest.param(100_000, 200, 150, id="100,000", marks=pytest.mark.ci),
        pytest.param(1_000_000, 10_000, 500, id="1,000,000", marks=pytest.mark.acceptance),
    ],
)
@pytest.mark.timeout(1_200)
def test_a_population_fits_into_its_memory(
    meters: int, sessions: int, most_mb: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subprocess, "Popen", warm_start.Cold)  # a forked one has what HES and CIS import as well
    found = measure(Size(meters, dialogues=100, sessions=sessions), lambda text: None)
    assert found.memory < most_mb * MEGA
    assert found.open_sessions == min(sessions, measuring.most_sessions(sessions))
    assert found.open_memory / found.open_sessions < 60_000
