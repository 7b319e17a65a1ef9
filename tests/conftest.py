"""What all tests share: how examples are drawn, how much of a large matrix is run, and which tests stay in one process.

Nothing fails because the machine is busy; the seed of examples is an option (pyproject.toml). A case that is marked `ci` is
one of many like it: `make test` leaves it out, `--size ci` (as in .ci/run) runs it; `--size acceptance` also runs those that are
marked so. What a test needs beside Python it says itself (tools.py).
"""

from __future__ import annotations

import functools
import gc
import os
import ssl
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import sizes
import tools
import warm_start
from hypothesis import HealthCheck, settings
from xdist.scheduler import LoadScopeScheduling

if TYPE_CHECKING:  # most tests want none of it, so it is not imported for them
    from nats_server import Broker
    from postgresql_server import Cluster

    from ami_process.store.places import Place

ONE_WORKER = (
    "tests/ami/meter/test_models_scanned.py",
    "tests/ami/meter/test_profiles.py",
    "tests/ami/test_simulated_faults.py",
    "tests/attacks/test_attacks.py",
    "tests/conformance/test_own_meters.py",
    "tests/console/test_outage.py",
    "tests/console/test_pages.py",
    "tests/docs/test_dlms_readme.py",
    "tests/e2e/test_attempted.py",
    "tests/e2e/test_cis_read.py",
    "tests/e2e/test_device_events.py",
    "tests/e2e/test_http.py",
    "tests/e2e/test_north.py",
    "tests/e2e/test_procedures.py",
    "tests/e2e/test_readings.py",
    "tests/e2e/test_second_noun.py",
    "tests/e2e/test_store_faults.py",
    "tests/e2e/test_survival.py",
    "tests/e2e/test_told_faults.py",
    "tests/e2e/test_truth.py",
    "tests/testkit/test_border.py",
    "tests/testkit/test_system.py",
)
"""Modules whose tests share a fixture that is several processes, or look at what one of many seconds has done: each worker would make it anew."""

COMPUTING = ("tests/cim/", "tests/dlms/", "tests/mapping/", "tests/packs/", "tests/registry/")
"""Folders whose tests wait for nothing. They go to the workers by the dozen, and last, so that all workers end together."""
AT_ONCE = 24
SYSTEMS = "tests/e2e/"


# A run starts hundreds of processes. Where Python may not keep what it compiles, each of them would compile all of our modules
# again (0.3 s), and each worker all tests (10 s); so here it may, whatever the environment says.
gc.disable()
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False


# Each client of httpx reads the certificates of all authorities anew, which is 20 ms, and hardly a test makes none. None of them
# changes such a context.
ssl.create_default_context = functools.cache(ssl.create_default_context)


class Scheduling(LoadScopeScheduling):
    """Test by test in the order of the collection, but some modules as a whole and those that only compute in parts.

    A worker has one message for each part, and xdist goes through all parts that it has had so far for each test that has ended:
    with one part for each of ten thousand tests that was a tenth of the time of a run.
    """

    def __init__(self, config: pytest.Config, log: Any) -> None:
        config.option.loadscopereorder = False
        super().__init__(config, log)
        self._tests: Counter[str] = Counter()
        self._parts: dict[str, str] = {}

    def _split_scope(self, nodeid: str) -> str:
        if nodeid not in self._parts:
            self._parts[nodeid] = self._part(nodeid)
        return self._parts[nodeid]

    def _part(self, nodeid: str) -> str:
        module = nodeid.partition("::")[0]
        if module in ONE_WORKER:
            return module
        if not module.startswith(COMPUTING):
            return nodeid
        self._tests[module] += 1
        return f"{module} {self._tests[module] // AT_ONCE}"


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Scheduling:
    return Scheduling(config, log)


def pytest_collection_finish() -> None:
    """What has been imported and collected stays, so that the collector need not look through it again (`gc.disable` above)."""
    gc.freeze()
    gc.enable()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--size",
        choices=tuple(sizes.SHARE),
        default="test",
        help="ci: also the cases that are marked ci, and every example of a property; acceptance: those marked so as well",
    )
    parser.addoption(
        "--secure",
        action="store_true",
        help="tests of whole systems: CIS and HES with mutual TLS, principals and tokens",
    )
    parser.addoption(
        "--engine",
        choices=("embedded", "nats"),
        default="embedded",
        help="tests of whole systems: nats has a front end and a worker on PostgreSQL and NATS in place of one process on a file",
    )


def pytest_configure(config: pytest.Config) -> None:
    sizes.chosen = config.getoption("--size")
    if warm_start.possible() and sizes.chosen != "acceptance":
        warm_start.begin()
        config.add_cleanup(warm_start.end)
    config.pluginmanager.register(tools)
    unhurried = settings(
        deadline=None,
        max_examples=sizes.examples(100),
        print_blob=True,
        suppress_health_check=[HealthCheck.too_slow],
    )
    settings.register_profile("unhurried", unhurried)
    settings.load_profile("unhurried")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    large = [item for item in items if any(map(item.get_closest_marker, sizes.larger()))]
    config.hook.pytest_deselected(items=large)
    left_out = set(large)
    items[:] = [item for item in items if item not in left_out]
    items.sort(key=_turn)


def _turn(item: pytest.Item) -> tuple[bool, bool, bool]:
    """What takes a worker longest goes first, so that none of them is left alone with it at the end."""
    module = item.nodeid.partition("::")[0]
    return module.startswith(COMPUTING), module not in ONE_WORKER, not module.startswith(SYSTEMS)


@pytest.fixture(scope="session")
def postgresql(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Iterator[Cluster]:
    """A PostgreSQL server of this test process; who uses it needs("postgresql")."""
    from postgresql_server import cluster

    own = tmp_path_factory.getbasetemp()
    with cluster(template=(own if worker_id == "master" else own.parent) / "postgresql") as one:
        yield one


@pytest.fixture(scope="session")
def nats() -> Iterator[Broker]:
    """A NATS server of this test process; who uses it needs("nats")."""
    from nats_server import broker

    with broker() as one:
        yield one


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.needs("postgresql"))])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """Where a store may be, in turn; there is nothing yet."""
    if request.param == "sqlite":
        return tmp_path / "deeper/store.sqlite"
    cluster: Cluster = request.getfixturevalue("postgresql")
    return cluster.new_place()
