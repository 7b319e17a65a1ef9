from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import scaled
import secured
from harness import System, system
from stranger import CONNECT, Stranger, by_mrid


def pytest_configure(config: pytest.Config) -> None:
    secured.chosen = bool(config.getoption("--secure"))
    scaled.chosen = config.getoption("--engine") == "nats"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What can't be run as it was chosen is no test of such a run: the tables say why."""
    left_out = [
        item
        for item in items
        if (scaled.chosen and scaled.why_not(item.nodeid)) or (secured.chosen and secured.why_not(item.nodeid))
    ]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in set(left_out)]


@pytest.fixture(scope="session", autouse=True)
def _servers(request: pytest.FixtureRequest) -> None:
    """Those of the engine of many processes, where that was chosen."""
    if scaled.chosen:
        scaled.servers.append((request.getfixturevalue("postgresql"), request.getfixturevalue("nats")))


@pytest.fixture
def ami(tmp_path: Path) -> Iterator[System]:
    with system(tmp_path) as one:
        yield one


@pytest.fixture(scope="session")
def _whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    with system(tmp_path_factory.mktemp("whole")) as one:
        one.tap("M1001")
        one.start()
        yield one


@pytest.fixture
def whole(_whole: System) -> System:
    """Two well-behaved meters (a tap before M1001) and a HES that tests share; both meters are connected."""
    both = [by_mrid(meter) for meter in _whole.config["meters"]]
    assert Stranger(_whole.hes_url).switch(CONNECT, both).result == "OK"
    _whole.forget()
    return _whole


@pytest.fixture(scope="module")
def modes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """Seven meters, the control mode of each being its place: M1001 has mode 0, M1007 mode 6."""
    with system(tmp_path_factory.mktemp("modes"), meters=7) as one:
        for mode, meter in enumerate(one.config["meters"]):
            meter["simulated"]["control_mode"] = mode
        yield one.start_together()
