"""What all tests share: how examples are drawn, and how much of a large matrix is run.

Nothing fails because the machine is busy; the seed of examples is an option (pyproject.toml). A case that is marked `ci` is
one of many like it: `make test` leaves it out, `--size ci` (as in .ci/run) runs it.
"""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("unhurried", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--size", choices=("test", "ci"), default="test", help="ci: also the cases that are marked ci")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--size") == "ci":
        return
    large = [item for item in items if item.get_closest_marker("ci")]
    config.hook.pytest_deselected(items=large)
    items[:] = [item for item in items if not item.get_closest_marker("ci")]
