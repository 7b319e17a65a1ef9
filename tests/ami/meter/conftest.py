from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from meter_bench import Ami, Fleet


@pytest.fixture(scope="session")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """Simulated meters of every kind in one process, shared by the tests; each test leaves them connected."""
    with Fleet.of_every_kind(tmp_path_factory.mktemp("fleet")) as one:
        yield one


@pytest.fixture
def ami(fleet: Fleet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ami:
    """`ami meter` with a counter file of the test's own."""
    monkeypatch.setenv("AMI_METER_COUNTERS", str(tmp_path / "counters.json"))
    return Ami(fleet)
