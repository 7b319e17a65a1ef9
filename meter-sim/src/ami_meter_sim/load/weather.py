"""The weather of a region: temperature by the day, sun by the quarter hour; invented, the same for all meters of the region.

Strategy: floating point with sums, products, quotients and square roots only, which every machine rounds alike; a sine of our own for the
same reason. What comes out is rounded once, into the integers of a table.
"""

from fractions import Fraction
from math import factorial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ami_meter_sim.load.noise import Integers, each_below, key
from ami_meter_sim.load.table import DAY_QUARTERS, DAY_S, DAYS, FIRST, QUARTER_S

Reals = NDArray[np.floating[Any]]

REGIONS = 2
LATITUDE_DEGREES = 51.0
SOLAR_TIME_S = 2400
"""Solar time is ahead of UTC by this at 10 degrees east."""
YEAR_DAYS = 365.25
KILO = 1000.0
_REGION_SEED = 0x5EA5_0000
_TEMPERATURE, _SPELL, _CLEARNESS, _CLOUDS = range(4)
_SINE = [float(Fraction((-1) ** n, factorial(2 * n + 1))) for n in range(10)]
PI = 3.141592653589793


def sine(angles: Reals) -> Reals:
    """The sine by its series after reduction to +-pi; error below 1e-6."""
    reduced = angles - 2 * PI * np.floor(angles / (2 * PI) + 0.5)
    square = reduced * reduced
    total = np.zeros_like(reduced)
    for coefficient in reversed(_SINE):
        total = total * square + coefficient
    result: Reals = total * reduced
    return result


def cosine(angles: Reals) -> Reals:
    """As `sine`."""
    return sine(angles + PI / 2)


def _uniform(region: int, stream: int, counters: Integers) -> Reals:
    return each_below(key(_REGION_SEED + region, stream), counters, 1 << 20) / float(1 << 20)


def _between(region: int, stream: int, positions: Integers, spacing: int) -> Reals:
    """Uniform draws at every `spacing`-th position, linear between."""
    lattice, part = np.divmod(positions, spacing)
    before, after = _uniform(region, stream, lattice), _uniform(region, stream, lattice + 1)
    return before + (after - before) * (part / float(spacing))


def temperatures(region: int) -> Reals:
    """The mean temperature of each day of a table in degrees Celsius: the year, spells of days, and the day itself."""
    days = np.arange(DAYS) + FIRST // DAY_S
    year = -cosine(2 * PI * (days - 20.0) / YEAR_DAYS)
    spells = _between(region, _SPELL, days, 5) - 0.5
    theta: Reals = 10.0 + 9.5 * year + 12.0 * spells + 3.0 * (_uniform(region, _TEMPERATURE, days) - 0.5)
    return theta


def sun(region: int) -> Reals:
    """The power of a roof of 1 kWp in watts, by the quarter hour: the sun's height, and clouds that a day has more or less of."""
    quarters = np.arange(DAYS * DAY_QUARTERS) + FIRST // QUARTER_S
    seconds = quarters * QUARTER_S + QUARTER_S // 2 + SOLAR_TIME_S
    days = seconds // DAY_S
    declination = 23.45 * PI / 180 * sine(2 * PI * (284.0 + days) / YEAR_DAYS)
    hour = 2 * PI * ((seconds % DAY_S) / float(DAY_S) - 0.5)
    latitude = np.full(1, LATITUDE_DEGREES * PI / 180)
    height = sine(latitude) * sine(declination) + cosine(latitude) * cosine(declination) * cosine(hour)
    height = np.maximum(height, 0.0)
    clear = KILO * 0.85 * height * np.sqrt(np.sqrt(np.sqrt(height)))
    day = _uniform(region, _CLEARNESS, days)
    clouds = _between(region, _CLOUDS, quarters, 2) - 0.5
    powers: Reals = clear * np.clip(0.12 + 0.88 * day * (2.0 - day) + clouds * 1.2 * (1.0 - day), 0.05, 1.0)
    return powers
