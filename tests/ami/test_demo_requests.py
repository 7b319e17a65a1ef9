"""When a demo with a number of cycles is over: how many requests one cycle has."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from ami_cli.demo import Demo


@pytest.mark.parametrize(
    ("meters", "reads", "requests"), [(2, True, 5), (2, False, 2), (1_000, True, 5), (5_000, True, 17)]
)
def test_registers_of_many_meters_are_read_by_several_requests(meters: int, reads: bool, requests: int) -> None:
    setting: Any = SimpleNamespace(meters=tuple(f"M{number}" for number in range(meters)), diallers=(), explainer=None)
    nothing: Any = None
    demo = Demo(setting, nothing, nothing, (), 1, reads)
    assert demo._requests_a_cycle == requests
