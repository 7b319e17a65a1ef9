"""What flows through a meter depends on its name and the time alone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from bench import RESIDENTIAL, START

from ami_meter_sim.load import Curve, Energy, curves, household

FLAT = Curve((1000,) * 24)
NAMES = [f"M{number}" for number in range(1001, 1101)]


def test_energy_is_the_integral_of_power() -> None:
    curve = Curve(tuple(range(100, 2500, 100)))
    second = 1_700_000_000
    by_seconds = sum(curve.power_w(second + s) for s in range(7200))
    assert curve.energy_ws(second + 7200) - curve.energy_ws(second) == by_seconds


def test_a_curve_has_24_powers() -> None:
    for watts in ((1,) * 23, (1,) * 25, (-1,) + (1,) * 23):
        with pytest.raises(ValueError):
            Curve(watts)


def test_same_name_same_load_other_name_other_load() -> None:
    assert household("M1001", FLAT, FLAT) == household("M1001", FLAT, FLAT)
    loads = {household(name, FLAT, FLAT).consumption.permille for name in NAMES}
    assert len(loads) > 90


def test_some_households_generate_and_most_do_not() -> None:
    generating = [name for name in NAMES if household(name, FLAT, FLAT).generation.permille]
    assert 10 < len(generating) < 45
    house = household(generating[0], *curves(RESIDENTIAL.load))
    noon, midnight = datetime(2026, 3, 2, 12, tzinfo=UTC), datetime(2026, 3, 2, tzinfo=UTC)
    assert house.generation.power_w(noon) > 0 == house.generation.power_w(midnight)


def test_energy_does_not_depend_on_how_often_it_is_settled() -> None:
    house = household("M1001", *curves(RESIDENTIAL.load))
    once, often = (Energy(house, 0, 0, START) for _ in range(2))
    once.settle(START + timedelta(days=3), True)
    for minute in range(0, 3 * 1440 + 1, 7):
        often.settle(START + timedelta(minutes=minute), True)
    often.settle(START + timedelta(days=3), True)
    assert (once.import_ws, once.export_ws) == (often.import_ws, often.export_ws)
    assert 1_000 < once.import_wh < 200_000
