"""Forty kills of a fixed seed, and the other faults between them, as `make chaos` does them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]


@pytest.mark.ci
@pytest.mark.needs("linux")
@pytest.mark.parametrize("store", ["sqlite", pytest.param("postgresql", marks=[pytest.mark.acceptance])])
def test_forty_kills(store: str) -> None:
    """What fails says in which step, and where its logs and stores are."""
    command = [sys.executable, "-m", "chaos", "--seed", "40", "--store", store]
    environment = {**os.environ, "PYTHONPATH": str(TESTS)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "40 kills of seed 40" in done.stdout
