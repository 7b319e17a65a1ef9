"""`ami bench-readings` measures real requests of real processes; no figure of it is judged here."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ami_cli.__main__ import app
from ami_cli.bench_readings import report
from ami_cli.bench_readings.figures import Memory, Rate, Ratio, ReadingFigures, Run

METERS = 3


@pytest.mark.ci
@pytest.mark.needs("proc")
def test_ours_reads_in_turn_with_another_one_that_switches(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    page = tmp_path / "bench-readings.md"
    sizes = [f"--{name}={METERS}" for name in ("meters", "profiles", "switched", "registered")]
    other = [
        "--against",
        f"{sys.executable} -m ami_hes serve",
        "--against-meters",
        f"{sys.executable} -m ami_meter_sim serve",
    ]
    done = CliRunner().invoke(app, ["bench-readings", *sizes, *other, "--runs", "1", "--json", "--write", str(page)])
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    named = [
        "switched by the other one",
        "switched",
        "registers on demand",
        "day of quarters",
        "the same, in the store",
    ]
    assert [(one["name"], one["meters"], len(one["runs"])) for one in found["rates"]] == [
        (name, METERS, 1) for name in named
    ]
    assert all(run["seconds"] > 0 for one in found["rates"] for run in one["runs"])
    assert all(one["octets"] > 0 for one in found["memory"])
    assert all(one["times"] > 0 for one in found["ratios"])
    assert "*The other one*" in page.read_text("utf-8")


def test_rates_are_beside_the_first_of_them() -> None:
    runs = (Run(1.0, 0.3, 0.1), Run(2.0, 0.4, 0.2), Run(9.0, 5.0, 5.0))
    figures = ReadingFigures(
        rates=(Rate("switched by the other one", 100, runs), Rate("registers on demand", 1_000, runs)),
        urgent_s=(0.05, 0.2, 0.1),
        memory=(Memory("each of them read", 1_000, 123_400_000),),
        ratios=(Ratio("a value", "another", 1.234),),
    )
    page = report.markdown(figures, "a machine")
    assert "| switched by the other one | 100 | 3 | 50 | 1.00 | 4.00 | 2.00 |" in page
    assert "| registers on demand | 1,000 | 3 | 500 | 10.00 | 0.40 | 0.20 |" in page
    assert "| one meter, answered after | 3 | 100 ms | 200 ms |" in page
    assert "| each of them read | 1,000 | 123 MB |" in page
    assert "| a value | another | 1.23 |" in page


def test_another_checkout_needs_both_of_its_commands() -> None:
    done = CliRunner().invoke(app, ["bench-readings", "--against", "hes serve"])
    assert done.exit_code == 2
    assert "belong together" in done.output
