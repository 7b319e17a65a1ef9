"""The pytest plug-in: `ami_system` is a system that each test finds as if it had just begun.

One system serves all tests of a process (of a worker of pytest-xdist); it is reset before each. `ami_options` says how it is,
to be overridden in a conftest.py. Whatever is not needed in a run is not loaded.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from ami_testkit.system import System

_SYSTEM = pytest.StashKey["System"]()
LOG_LINES = 15


@pytest.fixture(scope="session")
def ami_options() -> dict[str, Any]:
    """Keywords of `ami()` for the system of this run."""
    return {}


@pytest.fixture(scope="session")
def ami_running(ami_options: dict[str, Any]) -> Iterator[System]:
    """The one system of this process, as the last test has left it."""
    from ami_testkit.beginning import ami

    with ami(**ami_options) as system:
        yield system


@pytest.fixture
def ami_system(ami_running: System, request: pytest.FixtureRequest) -> System:
    """The same, reset."""
    ami_running.reset()
    request.node.stash[_SYSTEM] = ami_running
    return ami_running


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """A test that fails shows what passed the border, and the ends of the logs."""
    outcome: Any = yield
    report = outcome.get_result()
    system = item.stash.get(_SYSTEM, None)
    if system is not None and call.when == "call" and report.failed:
        report.sections.append(("messages at the border", system.journal.summary()))
        report.sections.append(("logs of head-end and simulator", system.logs(LOG_LINES)))
