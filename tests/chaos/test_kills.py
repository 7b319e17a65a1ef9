"""Kills of a fixed seed, and the other faults between them, as `make chaos` does them: forty of one head-end, a few of one that is many processes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from chaos.faults import DATABASE, STREAMS, plan
from chaos.points.table import FRONTS, LISTENERS, WORKERS

TESTS = Path(__file__).resolve().parents[1]


@pytest.mark.ci
@pytest.mark.needs("linux")
@pytest.mark.parametrize("store", ["sqlite", pytest.param("postgresql", marks=[pytest.mark.acceptance])])
def test_forty_kills(store: str) -> None:
    """What fails says in which step, and where its logs and stores are."""
    assert "40 kills of seed 40" in held("--seed", "40", "--store", store)


SEVERAL, SEED = 9, 118
"""So few have each kind of process among their victims with this seed, and both servers and their loss."""


@pytest.mark.ci
@pytest.mark.needs("linux", "postgresql", "nats")
def test_kills_where_several_processes_are_the_head_end() -> None:
    steps = plan(SEVERAL, SEED, server=True, several=True)
    victims = {name for one in steps if one.is_kill for name in one.victims}
    assert all(victims & set(some) for some in (FRONTS, WORKERS, LISTENERS, {"nats"}, {"database"}))
    assert {STREAMS, DATABASE} <= {one.kind for one in steps}
    arguments = ("--kills", str(SEVERAL), "--seed", str(SEED), "--store", "postgresql", "--engine", "nats")
    assert f"{SEVERAL} kills of seed {SEED} on postgresql and NATS" in held(*arguments)


def held(*arguments: str) -> str:
    """What a run says that held."""
    environment = {**os.environ, "PYTHONPATH": str(TESTS)}
    command = [sys.executable, "-m", "chaos", *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
