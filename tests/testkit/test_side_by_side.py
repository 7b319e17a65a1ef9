"""Systems side by side in one process: each knows nothing of the others. Three of them, and twenty at full size."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from patience import PATIENCE_S

from ami_testkit import ami


def run_beside(place: int, all_there: threading.Barrier) -> tuple[int, list[str], int]:
    """Its meters switched by another number than those of the others; what it has seen."""
    with ami(meters=4, seed="all the same") as system:
        all_there.wait(3 * PATIENCE_S)
        names = list(system.meters)[: place % 4 + 1]
        order = system.hes.control("disconnect", names, later=True)
        system.expect.reply(order, result="OK", codes={}, within=PATIENCE_S)
        disconnected = [name for name, meter in system.meters.items() if not meter.connected]
        all_there.wait(3 * PATIENCE_S)
        system.reset()
        assert all(meter.connected for meter in system.meters.values())
        return len(names), disconnected, len(system.inbox.replies)


@pytest.mark.parametrize("count", [3, pytest.param(20, marks=pytest.mark.acceptance)])
def test_systems_side_by_side_do_not_meet(count: int) -> None:
    all_there = threading.Barrier(count)
    with ThreadPoolExecutor(count) as threads:
        seen = list(threads.map(run_beside, range(count), [all_there] * count))
    names = ["M1001", "M1002", "M1003", "M1004"]
    assert seen == [(place % 4 + 1, names[: place % 4 + 1], 0) for place in range(count)]
