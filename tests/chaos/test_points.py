"""Each point is a call that there is, and a plan comes to each of them and is the same for the same seed."""

from __future__ import annotations

import importlib

import pytest

from chaos.faults import DOES, KILL_AT_POINT, KILLS, ON_A_SERVER, ON_SEVERAL, OTHERS, plan
from chaos.points.table import AT, HES, NATS_POINTS, POINTS, SCALED_POINTS, Point


@pytest.mark.parametrize("point", [*POINTS, *NATS_POINTS], ids=lambda one: f"{one.process} {one.name}")
def test_a_point_is_a_method_of_its_process(point: Point) -> None:
    assert point.module.startswith(point.process)
    assert callable(getattr(getattr(importlib.import_module(point.module), point.owner), point.method))


def test_points_are_told_apart_by_name() -> None:
    every = (*POINTS, *NATS_POINTS)
    assert len({(one.process, one.name) for one in every}) == len(every)
    assert AT.keys() <= {one.name for one in every if one.process == HES}


def test_the_same_seed_does_the_same_and_another_one_something_else() -> None:
    assert plan(40, 7) == plan(40, 7) != plan(40, 8)
    assert [one.is_kill for one in plan(40, 7)].count(True) == 40


def test_a_long_run_has_each_kind_and_each_point_about_as_often() -> None:
    steps = plan(400, 1)
    assert {one.kind for one in steps} == set(KILLS) | set(OTHERS)
    on_a_server = {one.kind for one in plan(400, 1, server=True)}
    assert on_a_server == set(KILLS) | set(ON_A_SERVER)
    several = plan(400, 1, server=True, several=True)
    assert {one.kind for one in several} == set(KILLS) | set(ON_SEVERAL)
    assert on_a_server | {one.kind for one in several} == set(DOES)
    assert {one.point for one in several} == {*SCALED_POINTS, None}
    assert all(one.victims[0] in AT[one.point.name] for one in several if one.point and one.point.process == HES)
    often = [sum(one.point == point for one in steps) for point in POINTS]
    assert sum(often) == sum(one.kind == KILL_AT_POINT for one in steps)
    assert min(often) > 0 and max(often) - min(often) <= 1
