"""Where the meters of a population are: ranges that cover it once, and places that can be drawn on a map."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ami_meter_sim.population.topology import Topology, TopologyError

SIZES = st.builds(Topology, st.integers(1, 50), st.integers(1, 9), st.integers(1, 9))


@given(SIZES, st.integers(0, 100_000))
def test_a_meter_is_among_those_that_its_own_places_feed(topology: Topology, index: int) -> None:
    place = topology.place(index)
    count = index + 1
    fed = [topology.fed_by(name, count) for name in (place.substation, place.feeder, place.transformer)]
    assert all(index in one for one in fed)
    assert all(inner.start >= outer.start and inner.stop <= outer.stop for outer, inner in pairwise(fed))
    assert fed[2].start + place.position == index


@given(SIZES, st.integers(1, 3_000))
def test_transformers_cover_a_population_once(topology: Topology, count: int) -> None:
    names = dict.fromkeys(topology.place(index).transformer for index in range(count))
    assert [index for name in names for index in topology.fed_by(name, count)] == list(range(count))


def test_single_phase_meters_are_spread_over_the_phases() -> None:
    phases = [Topology().place(index).phase for index in range(40)]
    assert {phases.count(one) for one in "ABC"} == {13, 14}
    assert Topology().place(1, three_phase=True).phase == "ABC"


def test_no_two_meters_are_at_one_spot_and_neighbours_are_near() -> None:
    topology = Topology(latitude=52.0, longitude=5.0)
    spots = [(one.latitude, one.longitude) for one in map(topology.place, range(topology.meters_per_substation))]
    assert len(set(spots)) == len(spots)
    assert all(abs(latitude - 52.0) < 0.06 and abs(longitude - 5.0) < 0.1 for latitude, longitude in spots)
    addresses = [topology.place(index).main_address for index in range(topology.meters_per_substation)]
    assert len(set(addresses)) == len(addresses)
    assert (addresses[0], addresses[41]) == ("1 Alder Street, S1-F1", "2 Birch Street, S1-F1")


def test_substations_lie_together_however_many_there_are_and_none_on_another() -> None:
    topology = Topology(1, 1, 1)
    for count in (9, 25, 400):
        spots = {(one.latitude, one.longitude) for one in map(topology.place, range(count))}
        assert len(spots) == count
        assert max(abs(degrees) for spot in spots for degrees in spot) < 0.08 * (count**0.5 / 2 + 1)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("Springfield", "is no place"),
        ("S0", "does not exist"),
        ("S1-F9", "there are 8"),
        ("S1-F1-T13", "there are 12"),
        ("S2", "feeds no meter"),
        ("S99999999999", "is no place"),
    ],
)
def test_a_place_that_is_not_there_is_refused_with_the_reason(name: str, why: str) -> None:
    with pytest.raises(TopologyError, match=why):
        Topology().fed_by(name, 100)


@pytest.mark.parametrize("sizes", [(0, 1, 1), (1, 0, 1), (1, 1, -1)])
def test_nothing_feeds_nothing(sizes: tuple[int, int, int]) -> None:
    with pytest.raises(TopologyError):
        Topology(*sizes)
