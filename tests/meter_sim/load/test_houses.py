"""Houses: closed form, the same in integers and in numpy, never backwards, and on the mean what the standard profile says."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sizes import examples

from ami_meter_sim.load import HouseKind, house, kind_of, tables, weather_of
from ami_meter_sim.load.houses import HOUSEHOLD_USES, KWH_WS, MIXED
from ami_meter_sim.load.noise import Keys
from ami_meter_sim.load.table import FIRST, SPAN_S

SEEDS = st.integers(0, 2**64 - 1)
SECONDS = st.integers(
    int(datetime(2000, 1, 1, tzinfo=UTC).timestamp()), int(datetime(2099, 12, 31, tzinfo=UTC).timestamp())
)
KINDS = st.sampled_from(HouseKind)
YEAR_S = 365 * 86_400
NOW = int(datetime(2026, 3, 2, 10, 5, tzinfo=UTC).timestamp())
PROGRAM = """
import hashlib, numpy
from ami_meter_sim.load import HouseKind, house
digest = hashlib.sha256()
for kind in HouseKind:
    one = house(987654321, kind)
    seconds = numpy.arange(1772445900, 1772445900 + 40 * 86400, 900)
    digest.update(one.imports_ws(seconds).tobytes() + one.exports_ws(seconds).tobytes())
print(digest.hexdigest())
"""


def seeds(count: int, first: int = 0) -> Keys:
    return np.array(
        [int.from_bytes(hashlib.sha256(b"%d" % n).digest()[:8], "big") for n in range(first, first + count)], np.uint64
    )


def annual_kwh(count: int) -> float:
    """What these households take in a year, by their own registers."""
    many = house(seeds(count), HouseKind.HOUSEHOLD)
    taken = many.imports_ws(FIRST + SPAN_S) - many.imports_ws(FIRST)
    return float(taken.sum()) / KWH_WS * YEAR_S / SPAN_S


@settings(max_examples=examples(200))
@given(SEEDS, KINDS, SECONDS, st.integers(0, 86_400))
def test_one_instant_and_arrays_of_instants_and_of_houses_are_the_same_integers(
    seed: int, kind: HouseKind, second: int, later: int
) -> None:
    region, roof = weather_of(seed)
    one, many = house(seed, kind, region, roof), house(np.array([seed, 5], np.uint64), kind, region, roof)
    seconds = np.array([second, second + later])
    for single, each, of_many in (
        (one.import_ws, one.imports_ws, many.imports_ws),
        (one.export_ws, one.exports_ws, many.exports_ws),
    ):
        values = each(seconds).tolist()
        assert values == [single(second), single(second + later)]
        assert of_many(second).tolist()[0] == values[0]
        assert values[0] <= values[1]


@pytest.mark.parametrize("seed", [1, *(pytest.param(seed, marks=pytest.mark.ci) for seed in (2, 3))])
@pytest.mark.parametrize("kind", HouseKind)
def test_registers_never_go_back_and_grow_as_much_as_such_a_house_takes(kind: HouseKind, seed: int) -> None:
    seconds = np.arange(NOW, NOW + YEAR_S, 60)
    one = house(seed, kind)
    steps = np.diff(one.imports_ws(seconds))
    assert steps.min() >= 0
    assert 700 < steps.sum() / KWH_WS < 30_000
    assert steps.max() / 60 < 40_000, "watts"
    exported = np.diff(one.exports_ws(seconds))
    assert exported.min() >= 0 and bool(exported.sum() > 0) is (kind is HouseKind.SOLAR)


def test_no_second_of_a_day_goes_back() -> None:
    seconds = np.arange(NOW, NOW + 86_400)
    for kind in HouseKind:
        assert np.diff(house(77, kind).imports_ws(seconds)).min() >= 0


def test_numbers_of_the_largest_house_stay_inside_64_bits_for_a_century() -> None:
    """The scalar form can't overflow, so equality at the ends is the proof."""
    last = int(datetime(2099, 12, 31, 23, 59, 59, tzinfo=UTC).timestamp())
    biggest = max(range(400), key=lambda seed: house(seed, HouseKind.SHOP).imports[0].share)
    one = house(biggest, HouseKind.SHOP)
    for second in (0, last):
        assert one.imports_ws(np.array([second])).tolist() == [one.import_ws(second)]


@pytest.mark.parametrize(
    ("count", "days", "tolerance"), [(1_000, 5, 0.09), pytest.param(5_000, 5, 0.03, marks=pytest.mark.ci)]
)
@pytest.mark.parametrize("monday", ["2026-01-18T23:00+00:00", "2026-07-05T22:00+00:00"])
def test_the_mean_comes_back_to_the_standard_profile_by_the_hour(
    monday: str, count: int, days: int, tolerance: float
) -> None:
    """25,000 meter-days in the greater size: sampling noise of an hour is then about 0.6 %, with 5,000 about 1.4 %."""
    start = int(datetime.fromisoformat(monday).timestamp())
    many = house(seeds(count), HouseKind.HOUSEHOLD)
    hours = [start + 3600 * hour for hour in range(24 * days + 1)]
    taken = np.diff([int(many.imports_ws(hour).sum()) for hour in hours]).reshape(days, 24).sum(axis=0)
    standard = np.diff([tables.household().at(hour) for hour in hours]).reshape(days, 24).sum(axis=0)
    expected = standard * (annual_kwh(count) / (tables.household().total / KWH_WS * YEAR_S / SPAN_S))
    assert abs(taken / expected - 1).max() < tolerance
    assert abs(taken.sum() / expected.sum() - 1) < tolerance / 3


def test_a_household_is_no_standard_profile() -> None:
    """Its quarter hours vary as those of a house do."""
    quarters = np.diff(house(4, HouseKind.HOUSEHOLD).imports_ws(np.arange(NOW, NOW + 28 * 86_400 + 1, 900)))
    days = quarters.reshape(28, 96).sum(axis=1)
    assert quarters.std() / quarters.mean() > 0.7 and days.std() / days.mean() > 0.08


def test_the_sun_shines_by_day_and_more_in_summer() -> None:
    one = house(9, HouseKind.SOLAR)
    january, july = (int(datetime(2026, month, 10, tzinfo=UTC).timestamp()) for month in (1, 7))
    by_hours = np.diff(one.exports_ws(np.arange(july, july + 86_401, 3_600)))
    assert by_hours[22:].sum() + by_hours[:3].sum() == 0 < by_hours[10:14].min()
    weeks = [one.export_ws(start + 28 * 86_400) - one.export_ws(start) for start in (january, july)]
    assert weeks[0] * 3 < weeks[1]


def test_a_heat_pump_works_in_winter_and_a_car_at_night() -> None:
    january, july = (int(datetime(2026, month, 10, tzinfo=UTC).timestamp()) for month in (1, 7))
    pump = house(3, HouseKind.HEAT_PUMP).imports[1]
    winter, summer = (pump.energy(start + 28 * 86_400) - pump.energy(start) for start in (january, july))
    assert winter > 4 * summer > 0
    car = house(3, HouseKind.CAR).imports[1]
    by_hours = np.diff(car.energies(np.arange(january, january + 60 * 86_400 + 1, 3_600))).reshape(60, 24)
    assert by_hours[:, 5:11].sum() == 0 < by_hours[:, 17:23].sum()
    assert 30 <= (by_hours.sum(axis=1) > 0).sum() < 60, "on most days"


def test_import_less_export_of_a_roof_is_load_less_sun() -> None:
    with_roof = tables.grid_import(0, 1).values.astype(object) - tables.grid_export(0, 1).values
    sun = tables.household().values - with_roof
    assert np.diff(sun.astype(np.int64)).min() >= 0, "the sun never takes"
    yearly = int(sun[-1]) / KWH_WS * YEAR_S / SPAN_S
    assert abs(yearly - tables.ROOFS[1] * tables.KWH_PER_KWP) < 20


def test_kinds_come_in_their_shares() -> None:
    kinds = [kind_of(int(seed)) for seed in seeds(4_000)]
    for kind, share in MIXED.items():
        assert abs(kinds.count(kind) / 4_000 * 100 - share) < 3
    assert {kind_of(seed, {HouseKind.CAR: 1}) for seed in range(20)} == {HouseKind.CAR}
    with pytest.raises(ValueError):
        kind_of(1, {})


def test_an_appliance_is_over_when_the_next_one_can_begin() -> None:
    for seed in range(200):
        for one, use in zip(house(seed, HouseKind.HOUSEHOLD).imports[0].appliances, HOUSEHOLD_USES, strict=True):
            longest = tables.household().peak * use.duration_s // 900
            assert 0 < one.room <= one.slot - longest


def test_two_processes_see_the_same_house() -> None:
    outputs = {
        subprocess.run([sys.executable, "-c", PROGRAM], check=True, capture_output=True, text=True, timeout=120).stdout
        for _ in range(2)
    }
    assert len(outputs) == 1 and len(outputs.pop().strip()) == 64
