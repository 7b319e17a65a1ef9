"""A part of a house: one shared table, a meter's share of it, noise, and appliances that run in uses of fixed energy.

Strategy: the noise is monotone by its bounds. The base's time is warped by 0 to 600 s between draws every 1,800 s (power +-33 %), and
the energy is moved at the boundaries of days and of weeks, which count in energy and not in time. An appliance has one use in each
slot of a fixed energy of the table, so uses are as frequent as the profile is high at any hour and in any season; energy before a slot is a
product. The same arithmetic is written for one instant (integers) and for arrays of instants or of meters; numbers stay below 2^63.
"""

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from ami_meter_sim.load.noise import Integers, Keys, below, each_below
from ami_meter_sim.load.table import Table

WARP_S = 600
WARP_EVERY_S = 1_800
DAY_NOISE = 38
WEEK_NOISE = 30
"""Percent of the energy of a mean day and a mean week that a boundary is moved by at most."""
SHARE_BITS = 10
"""A share of 1 << 10 is the table itself."""
COLUMNS_KEPT = 16
"""Columns of seconds of which is remembered what all meters have in common."""
TOGETHER = 2048
"""Instants up to which a call of numpy costs more than its work, so that one for all appliances is faster than one for each."""


class Appliance(NamedTuple):
    """Uses of `power_w` for `duration_s`, one in each slot of `slot` watt-seconds of the table; fields are integers or arrays."""

    key: Any
    slot: Any
    room: Any
    """A use's middle lies this far into its slot at most, so that it is over when the next one can begin."""
    phase: Any
    power_w: Any
    duration_s: int


class Part(NamedTuple):
    """Fields but the table are integers for one meter, or arrays for many."""

    table: Table
    warp: Any
    days: Any
    weeks: Any
    """Keys of the three noises."""
    phase: Any
    share: Any
    appliances: tuple[Appliance, ...]

    def energy(self, second: int) -> int:
        """Watt-seconds up to a second; only differences mean anything."""
        table = self.table
        lattice, part = divmod(second, WARP_EVERY_S)
        before = below(self.warp, lattice, WARP_S + 1)
        after = below(self.warp, lattice + 1, WARP_S + 1)
        taken = table.at(second - WARP_S // 2 + before + (after - before) * part // WARP_EVERY_S) + self.phase
        day = table.mean_day
        moved = _moved(self.days, taken, day, day * DAY_NOISE // 100)
        moved += _moved(self.weeks, taken, 7 * day, 7 * day * WEEK_NOISE // 100)
        energy: int = (taken + moved) * self.share >> SHARE_BITS
        for one in self.appliances:
            energy += _used(table, one, second)
        return energy

    def energies(self, seconds: "int | Integers") -> Integers:
        """As `energy`, at each second of one meter, or of each meter at one second."""
        table = self.table
        at = np.atleast_1d(np.asarray(seconds, np.int64))
        if isinstance(self.share, int) and len(at) <= TOGETHER:
            return self._energies_together(at)
        lattice, part = np.divmod(at, WARP_EVERY_S)
        before = each_below(self.warp, lattice, WARP_S + 1)
        after = each_below(self.warp, lattice + 1, WARP_S + 1)
        taken = table.at_each(at - WARP_S // 2 + before + (after - before) * part // WARP_EVERY_S) + self.phase
        day = table.mean_day
        moved = _moved_each(self.days, taken, day, day * DAY_NOISE // 100)
        moved += _moved_each(self.weeks, taken, 7 * day, 7 * day * WEEK_NOISE // 100)
        energy: Integers = (taken + moved) * self.share >> SHARE_BITS
        for one in self.appliances:
            energy = energy + _used_each(table, one, at)
        return energy

    def _energies_together(self, at: Integers) -> Integers:
        """As `energies` of one meter: what the noises, and the appliances, have in common is computed for all of them at once."""
        table, day, seconds = self.table, self.table.mean_day, at.tobytes()
        draws, part = _warps(seconds)
        before, after = each_below(self.warp, draws, WARP_S + 1)
        taken = table.at_each(at - WARP_S // 2 + before + (after - before) * part // WARP_EVERY_S) + self.phase
        lattices, most = _boundaries(day)
        number, part = np.divmod(taken, lattices)
        keys = np.array(((self.days,), (self.weeks,)), np.uint64)
        before, after = each_below(keys, np.array((number, number + 1)), most)
        moved = before + (after - before) * part // lattices
        energy: Integers = (taken + moved[0] + moved[1]) * self.share >> SHARE_BITS
        return energy + _used_together(table, self.appliances, seconds) if self.appliances else energy


def _moved(key: int, taken: int, lattice: int, most: int) -> int:
    """Noise at whole multiples of `lattice`, linear between."""
    number, part = divmod(taken, lattice)
    before = below(key, number, most)
    return before + (below(key, number + 1, most) - before) * part // lattice


def _moved_each(key: "int | Keys", taken: Integers, lattice: int, most: int) -> Integers:
    number, part = np.divmod(taken, lattice)
    before = each_below(key, number, most)
    moved: Integers = before + (each_below(key, number + 1, most) - before) * part // lattice
    return moved


def _used(table: Table, one: Appliance, second: int) -> int:
    half = one.duration_s // 2
    number: int
    number, rest = divmod(table.at(second + half) + one.phase, one.slot)
    use: int = one.power_w * one.duration_s
    middle = below(one.key, number, one.room)
    if rest < middle:
        return number * use
    energy = number * one.slot + middle - one.phase
    if table.at(second - half) >= energy:
        return number * use + use
    running = min(max(second - table.when(energy) + half, 0), one.duration_s)
    return number * use + running * use // one.duration_s


def _used_each(table: Table, one: Appliance, seconds: Integers) -> Integers:
    half = one.duration_s // 2
    number, rest = np.divmod(table.at_each(seconds + half) + one.phase, one.slot)
    use = one.power_w * one.duration_s
    middle = each_below(one.key, number, one.room)
    energies = number * one.slot + middle - one.phase
    begun, ended = rest >= middle, table.at_each(seconds - half) >= energies
    used: Integers = (number + (begun & ended)) * use
    (running,) = np.nonzero(begun & ~ended)
    if len(running):
        shape = used.shape
        at = np.broadcast_to(seconds, shape)[running]
        power = np.broadcast_to(np.asarray(one.power_w, np.int64), shape)[running]
        used[running] += power * np.clip(at - table.when_each(energies[running]) + half, 0, one.duration_s)
    return used


@lru_cache(COLUMNS_KEPT)
def _warps(seconds: bytes) -> tuple[Integers, Integers]:
    """Of each second the numbers of the draws before and after it, and how far it is behind the first: the same for every meter."""
    lattice, part = np.divmod(np.frombuffer(seconds, np.int64), WARP_EVERY_S)
    return _shared(np.array((lattice, lattice + 1))), _shared(part)


@lru_cache(COLUMNS_KEPT)
def _boundaries(day: int) -> tuple[Integers, Integers]:
    """Of days and of weeks their energies, and by how much a boundary is moved at most."""
    most = ((day * DAY_NOISE // 100,), (7 * day * WEEK_NOISE // 100,))
    return _shared(np.array(((day,), (7 * day,)), np.int64)), _shared(np.array(most, np.int64))


@lru_cache(COLUMNS_KEPT)
def _around(table: Table, seconds: bytes, durations: tuple[int, ...]) -> tuple[Integers, Integers]:
    """What the table has half a duration before each second and behind it, with a row for each duration.

    All meters whose rows of the same time are read have it in common.
    """
    at, half = np.frombuffer(seconds, np.int64), np.array(durations, np.int64)[:, None] // 2
    return _shared(table.at_each(at - half)), _shared(table.at_each(at + half))


def _shared(numbers: Integers) -> Integers:
    numbers.setflags(write=False)
    return numbers


def _used_together(table: Table, appliances: tuple[Appliance, ...], seconds: bytes) -> Integers:
    """The sum of `_used_each` over appliances of one meter, each with a row of its own in every array."""
    keys = np.array([(one.key,) for one in appliances], np.uint64)
    slot, room, phase, power, duration = np.array([one[1:] for one in appliances], np.int64).T[:, :, None]
    half, use = duration // 2, power * duration
    earlier, later = _around(table, seconds, tuple([one.duration_s for one in appliances]))
    number, rest = np.divmod(later + phase, slot)
    middle = each_below(keys, number, room)
    energies = number * slot + middle - phase
    begun, ended = rest >= middle, earlier >= energies
    used: Integers = (number + (begun & ended)) * use
    running = begun & ~ended
    if running.any():
        which, at = np.nonzero(running)
        run = np.frombuffer(seconds, np.int64)[at] - table.when_each(energies[running]) + half[which, 0]
        used[running] += power[which, 0] * np.minimum(np.maximum(run, 0), duration[which, 0])
    summed: Integers = used.sum(axis=0)
    return summed
