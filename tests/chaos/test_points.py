"""Each point is a call that there is, and a plan comes to each of them and is the same for the same seed."""

from __future__ import annotations

import importlib

import pytest

from chaos.faults import DOES, KILL_AT_POINT, KILLS, ON_A_SERVER, OTHERS, plan
from chaos.points.table import POINTS, Point


@pytest.mark.parametrize("point", POINTS, ids=lambda one: f"{one.process} {one.name}")
def test_a_point_is_a_method_of_its_process(point: Point) -> None:
    assert point.module.startswith(point.process)
    assert callable(getattr(getattr(importlib.import_module(point.module), point.owner), point.method))


def test_points_are_told_apart_by_name() -> None:
    assert len({(one.process, one.name) for one in POINTS}) == len(POINTS)


def test_the_same_seed_does_the_same_and_another_one_something_else() -> None:
    assert plan(40, 7) == plan(40, 7) != plan(40, 8)
    assert [one.is_kill for one in plan(40, 7)].count(True) == 40


def test_a_long_run_has_each_kind_and_each_point_about_as_often() -> None:
    steps = plan(400, 1)
    assert {one.kind for one in steps} == set(KILLS) | set(OTHERS)
    assert {one.kind for one in plan(400, 1, server=True)} == set(KILLS) | set(ON_A_SERVER) == set(DOES)
    often = [sum(one.point == point for one in steps) for point in POINTS]
    assert sum(often) == sum(one.kind == KILL_AT_POINT for one in steps)
    assert min(often) > 0 and max(often) - min(often) <= 1
