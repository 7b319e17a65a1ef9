"""Noise is the same in plain integers and in numpy, at any counter, and evenly spread."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ami_meter_sim.load.noise import MASK, bell, below, draw, each_below, key, mix

KEYS = st.integers(0, MASK)
COUNTERS = st.integers(-(2**62), 2**62)


def test_the_finaliser_is_that_of_splitmix64() -> None:
    """First outputs of the generator with seed 1234567, from its reference implementation."""
    golden = 0x9E3779B97F4A7C15
    outputs = [mix((1234567 + golden * n) & MASK) for n in (1, 2, 3)]
    assert outputs == [6457827717110365317, 3203168211198807973, 9817491932198370423]


@given(KEYS, COUNTERS, st.integers(1, 2**32))
def test_plain_integers_and_numpy_draw_alike(one: int, counter: int, bound: int) -> None:
    drawn = below(one, counter, bound)
    assert 0 <= drawn < bound
    assert each_below(one, np.array([counter]), bound).tolist() == [drawn]
    assert each_below(np.array([one], np.uint64), counter, np.array([bound])).tolist() == [drawn]
    assert draw(one, counter, bound) == drawn


@given(KEYS, st.integers(0, 2**31))
def test_keys_are_alike(seed: int, stream: int) -> None:
    assert key(np.array([seed], np.uint64), stream).tolist() == [key(seed, stream)]
    assert key(seed, stream) != key(seed, stream + 1)


def test_draws_are_spread_evenly_and_bells_around_their_middle() -> None:
    counters = np.arange(100_000)
    counts = np.bincount(each_below(key(1, 2), counters, 10), minlength=10)
    assert abs(counts - 10_000).max() < 500
    bells = bell(key(1, 3), counters, 3_600, 2_200)
    assert (bells.min() >= 1_400, bells.max() <= 5_802) == (True, True)
    assert abs(bells.mean() - 3_600) < 20 and abs(bells.std() - 0.29 * 2_200) < 30
