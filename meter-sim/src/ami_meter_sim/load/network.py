"""Voltage and frequency at a meter: what the network gives, less what the load along the feeder and the meter's own load take.

Strategy: integers (millivolts, millihertz), the same code for one instant and for arrays. A feeder's noise, sags and swells follow from its
key and the time, so all meters of a feeder see them at the same second. Phases and neutrals that are lost are put in by the caller.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from ami_meter_sim.load import tables
from ami_meter_sim.load.noise import Integers, bell, draw, key
from ami_meter_sim.load.table import QUARTER_S

NOMINAL_MV = 230_000
NOMINAL_MHZ = 50_000
NORMAL = 1_000
"""Permille of the voltage while there is neither sag nor swell."""
SHARED_DROP_MV = 7_000
"""At the far end of a feeder while all its houses take what H0 takes at most."""
FAR_MILLIOHM, NEAR_MILLIOHM = 320, 80
NOISE_EVERY_S = 600
FREQUENCY_EVERY_S = 60
HOUR_S = 3_600
HOURS_PER_DISTURBANCE = 800
_GRID = key(0x50_0000, 0)
_TAP, _NOISE, _DISTURBED = 0, 1, 8


class GridConnection(NamedTuple):
    """`feeder`: 64 bits that all its meters share; `position_permille`: 0 at the transformer, 1,000 at the end of the line."""

    feeder: int
    position_permille: int


class VoltageDisturbance(NamedTuple):
    """A sag (below 1,000) or swell (above) of the voltage, from `start` for `duration_s`."""

    start: int
    duration_s: int
    permille: int


def voltage_mv(connection: GridConnection, phase: int, second: Any, power_w: Any) -> Any:
    """Between phase 0, 1 or 2 and neutral while this phase takes `power_w` (negative: gives); one instant or an array of them."""
    feeder = connection.feeder
    tap = draw(key(feeder, _TAP), 0, 4_000) - 1_500
    noise = key(feeder, _NOISE + phase)
    lattice, part = second // NOISE_EVERY_S, second % NOISE_EVERY_S
    before, after = draw(noise, lattice, 2_400), draw(noise, lattice + 1, 2_400)
    wandering = before + (after - before) * part // NOISE_EVERY_S - 1_200
    shared = SHARED_DROP_MV * connection.position_permille // 1000 * _load_permille(second) // 1000
    milliohm = NEAR_MILLIOHM + (FAR_MILLIOHM - NEAR_MILLIOHM) * connection.position_permille // 1000
    own = power_w * milliohm * 1000 // NOMINAL_MV
    return (NOMINAL_MV + tap + wandering - shared - own) * _permille(feeder, second) // NORMAL


def with_lost(
    voltages: tuple[Any, ...], powers_w: tuple[Any, ...], lost: frozenset[int], neutral_lost: bool
) -> tuple[Any, ...]:
    """The same with phases (0, 1, 2) or the neutral lost: without it the star point moves towards the phase that takes most.

    One instant or an array of them.
    """
    if neutral_lost and len(voltages) > 1:
        mean = sum(powers_w) // len(powers_w)
        voltages = tuple(
            one + one * (mean - power) // (2 * (abs(mean) + abs(power) + 500))
            for one, power in zip(voltages, powers_w, strict=True)
        )
    return tuple(0 * one if phase in lost else one for phase, one in enumerate(voltages))


def frequency_mhz(second: Any) -> Any:
    """Of the whole grid: 50 Hz, mostly within 20 mHz."""
    lattice, part = second // FREQUENCY_EVERY_S, second % FREQUENCY_EVERY_S
    before, after = bell(_GRID, lattice, 0, 60), bell(_GRID, lattice + 1, 0, 60)
    return NOMINAL_MHZ + before + (after - before) * part // FREQUENCY_EVERY_S


def disturbances(feeder: int, since: int, until: int) -> Iterator[VoltageDisturbance]:
    """Sags and swells of a feeder that begin in since <= second < until, in order."""
    hours = np.arange(since // HOUR_S, (until - 1) // HOUR_S + 1, dtype=np.int64)
    stream = key(feeder, _DISTURBED)
    if len(hours):
        for hour in hours[_disturbed(stream, hours)]:
            found = _disturbance(stream, int(hour))
            if since <= found.start < until:
                yield found


def _disturbed(stream: int, hours: Integers) -> Any:
    return draw(stream, hours * 4, HOURS_PER_DISTURBANCE) == 0


def _disturbance(stream: int, hour: int) -> VoltageDisturbance:
    start = hour * HOUR_S + draw(stream, hour * 4 + 1, HOUR_S - 10)
    swell = draw(stream, hour * 4 + 2, 5) == 0
    depth = draw(stream, hour * 4 + 3, 1 << 16)
    return VoltageDisturbance(start, 1 + depth % 8, 1_110 + depth % 80 if swell else 400 + depth % 480)


def _permille(feeder: int, second: Any) -> Any:
    """Of the voltage: NORMAL but for sags and swells."""
    if isinstance(second, int):
        stream, hour = key(feeder, _DISTURBED), second // HOUR_S
        if draw(stream, hour * 4, HOURS_PER_DISTURBANCE):
            return NORMAL
        found = _disturbance(stream, hour)
        return found.permille if found.start <= second < found.start + found.duration_s else NORMAL
    permille = np.full(len(second), NORMAL, np.int64)
    if len(second):
        for found in disturbances(feeder, int(second.min()) - 10, int(second.max()) + 1):
            permille[(found.start <= second) & (second < found.start + found.duration_s)] = found.permille
    return permille


def _load_permille(second: Any) -> Any:
    """What H0 takes now, of the most that it takes."""
    table = tables.household()
    at = table.at if isinstance(second, int) else table.at_each
    return (at(second + QUARTER_S // 2) - at(second - QUARTER_S // 2)) * 1000 // table.peak
