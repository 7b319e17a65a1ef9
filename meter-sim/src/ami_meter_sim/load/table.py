"""A cumulative table: what a nominal consumer or generator has taken since the table's first second, at every quarter hour.

Strategy: six years of whole watt-seconds (1.7 MB, and as much for the steps between them), made once per process when they are first needed, linear between the quarter
hours. The span is a whole number of weeks and repeats before and after, so the functions have a value at every second.
"""

from bisect import bisect_left
from datetime import UTC, datetime
from functools import cached_property

import numpy as np

from ami_meter_sim.load.noise import Integers

QUARTER_S = 900
DAY_S = 86_400
DAY_QUARTERS = DAY_S // QUARTER_S
DAYS = 313 * 7
"""Six years but for a day: 313 weeks, so weekdays go on where the table repeats."""
FIRST = int(datetime(2024, 1, 1, tzinfo=UTC).timestamp())
"""A Monday."""
SPAN_S = DAYS * DAY_S


class Table:
    """Made of the energy of each quarter hour in watt-seconds, none of them negative."""

    def __init__(self, quarters: Integers) -> None:
        if len(quarters) != DAYS * DAY_QUARTERS or quarters.min() < 0:
            raise ValueError(f"a table has {DAYS * DAY_QUARTERS} energies, none of them negative")
        self.values = np.concatenate(([0], np.cumsum(quarters, dtype=np.int64)))
        self.values.setflags(write=False)
        self._steps = np.diff(self.values)
        self._view = memoryview(self.values.data)
        self.total = int(self.values[-1])
        self.peak = int(quarters.max())
        """The most of a quarter hour."""

    @cached_property
    def mean_day(self) -> int:
        """Energy of an average day."""
        return self.total // DAYS

    def at(self, second: int) -> int:
        """Watt-seconds since FIRST."""
        turns, rest = divmod(second - FIRST, SPAN_S)
        quarter, part = divmod(rest, QUARTER_S)
        view = self._view
        before = view[quarter]
        return turns * self.total + before + (view[quarter + 1] - before) * part // QUARTER_S

    def at_each(self, seconds: Integers) -> Integers:
        """As `at`, of each."""
        rest = seconds - FIRST
        turns = rest // SPAN_S
        rest -= turns * SPAN_S
        quarter = rest // QUARTER_S
        rest -= quarter * QUARTER_S
        found: Integers = self._steps.take(quarter)
        found *= rest
        found //= QUARTER_S
        found += self.values.take(quarter)
        found += turns * self.total
        return found

    def when(self, energy: int) -> int:
        """The first second at which this much has been taken."""
        turns, rest = divmod(energy, self.total)
        quarter = bisect_left(self._view, rest)
        if not quarter:
            return FIRST + turns * SPAN_S
        before = self._view[quarter - 1]
        step = self._view[quarter] - before
        return FIRST + turns * SPAN_S + (quarter - 1) * QUARTER_S - (rest - before) * QUARTER_S // -step

    def when_each(self, energies: Integers) -> Integers:
        """As `when`, of each."""
        turns = energies // self.total
        rest = energies - turns * self.total
        before = np.maximum(np.searchsorted(self.values, rest), 1) - 1
        rest -= self.values.take(before)
        found: Integers = turns * SPAN_S + before * QUARTER_S + FIRST
        found -= rest * QUARTER_S // -np.maximum(self._steps.take(before), 1)
        return found
