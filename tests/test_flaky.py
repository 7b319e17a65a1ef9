"""Repeating by seed reaches what uses chance, and the usual run uses none."""

from __future__ import annotations

import tomllib
from pathlib import Path

import flaky

ROOT = Path(__file__).resolve().parents[1]


def test_properties_are_drawn_with_a_fixed_seed() -> None:
    options = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["pytest"]["ini_options"]["addopts"]
    assert "--hypothesis-seed=0" in options.split()


def test_every_module_with_properties_is_repeated() -> None:
    named = set(flaky.with_properties())
    for path in (ROOT / "tests").rglob("test_*.py"):
        assert any(line.strip().startswith("@given(") for line in path.read_text("utf-8").splitlines()) == (
            str(path) in named
        ), path


def test_each_run_of_a_step_has_its_own_seed() -> None:
    assert "--hypothesis-seed=7" in flaky.properties(7)
    assert flaky.fuzz(7)[-2:] == ["--seed", "7"]
