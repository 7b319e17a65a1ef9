"""Repeating by seed reaches what uses chance, and the usual run uses none."""

from __future__ import annotations

import subprocess
import tomllib
from pathlib import Path

import flaky
from hypothesis import HealthCheck, settings
from patience import PATIENCE_S

ROOT = Path(__file__).resolve().parents[1]
KINDS = {"dlms/codec/test_rows.py": True, "hes/north/test_destinations.py": True, "ami/test_fleet.py": False}


def test_properties_are_drawn_with_a_fixed_seed() -> None:
    options = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["pytest"]["ini_options"]["addopts"]
    assert "--hypothesis-seed=0" in options.split()


def test_properties_are_all_that_draws_examples_and_nothing_else() -> None:
    """A few modules of each kind: with @given, with a state machine, with neither."""
    chosen = [str(ROOT / "tests" / name) for name in KINDS]
    command = [
        *(part for part in flaky.properties(1) if part != str(flaky.TESTS)),
        *chosen,
        "--collect-only",
        "-n",
        "0",
    ]
    listed = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, cwd=ROOT).stdout
    for name, drawn in KINDS.items():
        assert (name in listed) == drawn, listed


def test_each_run_of_a_step_has_its_own_seed() -> None:
    assert "--hypothesis-seed=7" in flaky.properties(7)
    assert flaky.fuzz(7)[-2:] == ["--seed", "7"]


def test_no_example_fails_because_the_machine_is_busy() -> None:
    assert settings.default is not None
    assert settings.default.deadline is None
    assert HealthCheck.too_slow in settings.default.suppress_health_check
