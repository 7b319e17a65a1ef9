"""The tables that all meters of the process share, each made when it is first needed.

A table is normed to 1,000 kWh a year; of a solar roof, to the household behind it: what it takes from the grid and what it feeds in,
with `ROOFS` kWp per 1,000 kWh. Import minus export is load minus sun in every quarter hour; the part of the load that no sun
can cover, because appliances are switched on and off, is `UNCOVERED`.
"""

from datetime import UTC, date, datetime, timedelta
from functools import cache

import numpy as np

from ami_meter_sim.load import standard
from ami_meter_sim.load.civil import kind_of_day, season, summer_time
from ami_meter_sim.load.noise import Integers
from ami_meter_sim.load.table import DAY_QUARTERS, DAYS, FIRST, QUARTER_S, Table
from ami_meter_sim.load.weather import REGIONS, YEAR_DAYS, Reals, sun, temperatures

ROOFS = (1.2, 2.4)
UNCOVERED = 0.15
YEAR_WS = 3_600_000_000
"""1,000 kWh."""
KWH_PER_KWP = 950.0

_HEAT_DAY = standard.by_quarters("85 84 84 86 95 120 140 135 115 100 92 88 85 84 84 86 92 105 118 122 115 105 95 88")
"""Shape of a heat pump's day, ours: the morning and the evening above the mean."""


@cache
def household() -> Table:
    """H0 with its dynamic factor."""
    return Table(_h0())


@cache
def shop() -> Table:
    """A shop."""
    shapes = np.array([standard.SHOP[kind] for kind in sorted(standard.SHOP)], np.int64)
    days, quarters = _civil()
    kinds = np.array([kind_of_day(day) for day in days])
    return Table(_normed((shapes[kinds[quarters // DAY_QUARTERS], quarters % DAY_QUARTERS]).astype(np.float64)))


@cache
def heat_pump(region: int) -> Table:
    """Heat by the sigmoid of a single house over the mean of four days' temperatures, divided by the coefficient of performance.

    The sigmoid's exponent is 6.25 instead of 6.2222288, so that square roots are enough. The water is heated to 40 - theta degrees.
    """
    theta = temperatures(region)
    weights = (1.0, 0.5, 0.25, 0.125)
    felt = (
        sum(w * np.concatenate((theta[:1].repeat(n), theta[: len(theta) - n])) for n, w in enumerate(weights)) / 1.875
    )
    ratio = -37.42148 / (np.minimum(felt, 39.0) - 40.0)
    steep = ratio * ratio * ratio
    demand = 3.2279446 / (1.0 + steep * steep * np.sqrt(np.sqrt(ratio))) + 0.0828441
    lift = np.maximum(40.0 - theta - theta, 15.0)
    performance = (6.08 - 0.09 * lift + 0.0005 * lift * lift) * 0.85
    by_day = demand / performance
    return Table(_normed((by_day[:, None] * np.array(_HEAT_DAY, np.float64)).ravel()))


def grid_import(region: int, roof: int) -> Table:
    """What a household under a solar roof takes from the grid."""
    return _roofs(region)[roof][0]


def grid_export(region: int, roof: int) -> Table:
    """What it feeds in."""
    return _roofs(region)[roof][1]


@cache
def _roofs(region: int) -> tuple[tuple[Table, Table], ...]:
    """Import and export of each size of roof, under one sun, which takes longer than all of them."""
    load, shining = _h0(), _scaled(sun(region), KWH_PER_KWP / 1000.0)
    uncovered = np.rint(load * UNCOVERED).astype(np.int64)
    found = []
    for size in ROOFS:
        generated = np.rint(shining * size).astype(np.int64)
        taken = np.maximum(load - generated, uncovered)
        found.append((Table(taken), Table(taken - load + generated)))
    return tuple(found)


def make_all() -> None:
    """Have all tables made: the first dialogues of a process need not wait for them."""
    household()
    shop()
    for region in range(REGIONS):
        heat_pump(region)
        _roofs(region)


@cache
def _h0() -> Integers:
    """Energies by the quarter hour."""
    kinds = sorted(standard.H0)
    shapes = np.array([standard.H0[kind] for kind in kinds], np.int64)
    days, quarters = _civil()
    which = np.array([kinds.index((season(day), kind_of_day(day))) for day in days])
    factor = np.array([standard.dynamic_permille(day) for day in days], np.int64)
    number = quarters // DAY_QUARTERS
    energies: Integers = shapes[which[number], quarters % DAY_QUARTERS] * factor[number] * QUARTER_S // 1_000_000
    return energies


@cache
def _civil() -> tuple[tuple[date, ...], Integers]:
    """The days of civil time in a table, one more than in UTC, and the quarter of local time at each quarter of UTC."""
    start = datetime.fromtimestamp(FIRST, UTC).date()
    days = tuple(start + timedelta(days=number) for number in range(DAYS + 1))
    quarters = np.arange(DAYS * DAY_QUARTERS, dtype=np.int64)
    local = quarters + 4
    for year in sorted({day.year for day in days}):
        begin, end = (int(one.timestamp() - FIRST) // QUARTER_S for one in summer_time(year))
        local[max(begin, 0) : max(end, 0)] += 4
    return days, local


def _scaled(powers: Reals, thousands: float) -> Reals:
    """Energies with this many thousand kWh a year."""
    return powers * (thousands * YEAR_WS * (DAYS / YEAR_DAYS) / float(powers.sum()))


def _normed(powers: Reals) -> Integers:
    return np.rint(_scaled(powers, 1.0)).astype(np.int64)
