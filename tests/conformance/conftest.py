"""Meters of every pack in one process, with a management client each, over the wrapper and over HDLC."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "ami" / "meter"))

from conformance_bench import Conformance, entries
from meter_bench import Fleet


@pytest.fixture(scope="session")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with Fleet(tmp_path_factory.mktemp("fleet"), entries()) as one:
        yield one


@pytest.fixture
def conformance(fleet: Fleet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Conformance:
    """`ami conformance run` with counters and a journal of the test's own."""
    monkeypatch.setenv("AMI_METER_COUNTERS", str(tmp_path / "counters.json"))
    return Conformance(fleet, tmp_path)
