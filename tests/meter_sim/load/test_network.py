"""Voltage falls with the load and along the feeder, sags are everyone's, and a lost phase or neutral is seen."""

from __future__ import annotations

import numpy as np

from ami_meter_sim.load.network import (
    NORMAL,
    GridConnection,
    disturbances,
    frequency_mhz,
    voltage_mv,
    with_lost,
)

START = 1_772_445_900
YEAR = range(START, START + 365 * 86_400)
NEAR, FAR = GridConnection(11, 0), GridConnection(11, 1000)


def quiet(feeder: int) -> int:
    """A second without a disturbance in its hour."""
    disturbed = {one.start // 3600 for one in disturbances(feeder, START, START + 40 * 86_400)}
    return next(second for second in range(START, YEAR.stop, 3600) if second // 3600 not in disturbed)


def test_voltage_falls_with_the_load_and_along_the_feeder_and_rises_with_what_is_fed_in() -> None:
    second = quiet(11)
    assert voltage_mv(NEAR, 0, second, 0) > voltage_mv(FAR, 0, second, 0)
    assert voltage_mv(FAR, 0, second, 4_000) < voltage_mv(FAR, 0, second, 0) < voltage_mv(FAR, 0, second, -4_000)
    drop = voltage_mv(FAR, 0, second, 0) - voltage_mv(FAR, 0, second, 2_300)
    assert abs(drop - 2_300 * 320 * 1000 // 230_000) <= 1, "I x R"


def test_arrays_are_the_same_integers_and_stay_near_nominal() -> None:
    seconds = np.arange(START, START + 7 * 86_400, 371)
    powers = np.full(len(seconds), 700)
    values = voltage_mv(FAR, 2, seconds, powers)
    assert values.tolist() == [voltage_mv(FAR, 2, int(second), 700) for second in seconds]
    undisturbed = values[values > 200_000]
    assert len(undisturbed) > len(values) - 5 and undisturbed.min() > 210_000 and undisturbed.max() < 245_000


def test_sags_and_swells_of_a_feeder_are_listed_and_seen() -> None:
    found = list(disturbances(11, START, YEAR.stop))
    assert 3 < len(found) < 25 and found == sorted(found)
    for one in found:
        inside, outside = (voltage_mv(NEAR, 1, second, 0) for second in (one.start, one.start + one.duration_s))
        assert (inside < outside) is (one.permille < NORMAL)
    halves = [*disturbances(11, START, START + 100 * 86_400), *disturbances(11, START + 100 * 86_400, YEAR.stop)]
    assert halves == found
    assert list(disturbances(11, START, START)) == []
    assert list(disturbances(12, START, YEAR.stop)) != found, "another feeder has others"


def test_a_lost_phase_has_no_voltage_and_without_a_neutral_they_drift_apart() -> None:
    normal, powers = (230_000, 231_000, 229_000), (3_000, 100, 500)
    assert with_lost(normal, powers, frozenset(), False) == normal
    assert with_lost(normal, powers, frozenset({1}), False) == (230_000, 0, 229_000)
    heavy, light, _ = with_lost(normal, powers, frozenset(), True)
    assert heavy < 215_000 and light > 245_000


def test_frequency_is_the_same_everywhere_and_near_50_hertz() -> None:
    seconds = np.arange(START, START + 86_400, 7)
    values = frequency_mhz(seconds)
    assert values[:50].tolist() == [frequency_mhz(int(second)) for second in seconds[:50]]
    assert values.min() > 49_930 and values.max() < 50_070 and 5 < values.std() < 25
