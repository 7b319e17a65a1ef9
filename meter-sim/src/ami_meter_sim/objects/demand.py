"""Average power over periods of the meter's clock: the last average, the running one, and the maximum of a billing period.

Strategy: nothing is collected. The ends of periods are where the clock passes whole multiples of the period, or follow from a restart; an
average is a difference of the register; the maximum is searched when somebody asks.
"""

from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from ami_dlms.obis import Obis
from ami_meter_sim.load.noise import Integers
from ami_meter_sim.objects.base import base_of, records_after_base
from ami_meter_sim.objects.billing import billing_ends, billing_schedule
from ami_meter_sim.objects.memory import RecordKind
from ami_meter_sim.objects.periods import ends_between, every, monthly
from ami_meter_sim.objects.quantities import Fine
from ami_meter_sim.objects.timeline import resets, second_of

if TYPE_CHECKING:
    from ami_meter_sim.objects.device import Device

MOST_PERIODS = 40_000
"""Averages that a maximum is searched among, the newest: more than a year of quarter hours."""

NEXT_PERIOD = b"next_period"
"""The detail of a record that ends a period without setting the averages to 0."""
LONGEST_MONTH_S = 32 * 86_400

Side = Literal["left", "right"]


class Average(NamedTuple):
    """What flowed in a window, in watt-seconds, and the second at which it ended."""

    ws: int
    end: int


class Demand:
    """`energy` over windows of `periods` periods of `period_s` seconds; `source` is the register that may be reset."""

    def __init__(self, device: "Device", source: Obis, energy: Fine, period_s: int, periods: int) -> None:
        self._device = device
        self._metering = device.metering
        self._source = source
        self._energy = energy
        self._period_s = max(period_s, 1)
        self._periods = max(periods, 1)
        self._resets = resets(device, source)

    @property
    def window_s(self) -> int:
        return self._period_s * self._periods

    def last(self, now: int) -> Average:
        """The last average that was complete, 0 after a reset."""
        ends = self._ends(now - 2 * self._period_s, now)
        end = int(ends[-1]) if len(ends) else now - self._period_s
        begin = max(end - self.window_s, self._zero(end))
        return Average(self._between(min(begin, end), end), end)

    def current(self, now: int) -> int:
        """What has flowed in the window that is running."""
        since = self.running_since(now)
        begin = max(since - (self._periods - 1) * self._period_s, self._zero(now))
        return self._between(begin, now)

    def running_since(self, now: int) -> int:
        """When the newest period began."""
        ends = self._ends(now - 2 * self._period_s, now)
        return int(ends[-1]) if len(ends) else now

    def maximum(self, now: int) -> Average:
        """The highest average since the billing period began, the first of equals; the begin itself where there is none yet."""
        values, ends = self.maxima(np.array([now], np.int64), "right")
        return Average(int(values[0]), int(ends[0]))

    def complete(self, second: int) -> Average | None:
        """As `maximum`; None while the billing period has no complete average."""
        begins = self._billing_begins(second, second)
        found = self.maximum(second)
        return None if found.end == begins[np.searchsorted(begins, second, "right") - 1] else found

    def maxima(self, seconds: Integers, at_begin: Side = "left") -> tuple[Integers, Integers]:
        """As `maximum`, at each of these seconds in order of time: watt-seconds and ends.

        At the very second at which a billing period begins it is the old one's maximum ("left": what a billing row holds), or the new one's.
        """
        if not len(seconds):
            return seconds, seconds
        begins = self._billing_begins(int(seconds[0]), int(seconds[-1]))
        ends = self._ends(int(begins[0]), int(seconds[-1]))
        if not len(ends):
            running = begins[np.searchsorted(begins, seconds, at_begin) - 1]
            return self._with_base(running, np.zeros(len(seconds), np.int64), running)
        began = begins[np.searchsorted(begins, ends, "left") - 1]
        since = np.maximum(ends - self.window_s, began)
        values = self._energy(self._metering, ends) - self._energy(self._metering, since)
        best = _running_best(values, began)
        newest = np.searchsorted(ends, seconds, "right") - 1
        running = begins[np.searchsorted(begins, seconds, at_begin) - 1]
        there = (newest >= 0) & (ends[newest] > running)
        highest = np.where(there, values[best[newest]], 0), np.where(there, ends[best[newest]], running)
        return self._with_base(running, *highest)

    def _with_base(self, running: Integers, values: Integers, ends: Integers) -> tuple[Integers, Integers]:
        """The billing period that ran at the base has what was the highest then."""
        base = base_of(self._device)
        before = None if base is None else base.highest.get(self._source)
        if base is None or before is None:
            return values, ends
        kept = (running == base.second) & (before.ws >= values)
        return np.where(kept, before.ws, values), np.where(kept, before.end, ends)

    def _between(self, begin: int, end: int) -> int:
        energy: int = self._energy(self._metering, end) - self._energy(self._metering, begin)
        return energy

    def _ends(self, after: int, until: int) -> Integers:
        """Ends of periods in after < second <= until."""
        restarts = [second for second in (second_of(one.at) for one in self._resets) if second <= until]
        if not restarts:
            return ends_between(self._device, every(self._period_s), after, until)
        first = ends_between(self._device, every(self._period_s), after, restarts[0])
        pieces = [first[first < restarts[0]]]
        for number, begin in enumerate(restarts):
            following = restarts[number + 1] if number + 1 < len(restarts) else until + 1
            pieces.append(np.arange(begin, following, self._period_s))
        ends = np.concatenate(pieces)
        return ends[ends > after]

    def _zero(self, now: int) -> int:
        """The last reset that set the averages to 0."""
        return max(
            (second_of(one.at) for one in self._resets if one.detail != NEXT_PERIOD and second_of(one.at) <= now),
            default=0,
        )

    def _billing_begins(self, first: int, last: int) -> Integers:
        """When billing periods began, from the one of `first` to that of `last`: ends of others, and resets.

        Of a model without a schedule for that they are months until something has ended one.
        """
        base = base_of(self._device)
        zeros = [second_of(one.at) for one in self._resets if one.detail != NEXT_PERIOD]
        earliest = first - LONGEST_MONTH_S
        if billing_schedule(self._device) is not None:
            earliest = first - MOST_PERIODS * self._period_s
            ended = billing_ends(self._device, earliest, last).tolist()
        else:
            billed = [second_of(one.at) for one in records_after_base(self._device, RecordKind.BILLING)]
            months = ends_between(self._device, monthly, earliest, last).tolist()
            ended = [*(one for one in months if not billed or one < billed[0]), *billed]
        begins = np.array(sorted({earliest, *ended, *zeros}), np.int64)
        of_first = int(np.searchsorted(begins, first)) - 1
        begins = begins[max(of_first, 0) :]
        if base is not None and begins[0] < base.second:
            begins = np.unique(np.maximum(begins, base.second))
        return np.maximum(begins, first - MOST_PERIODS * self._period_s)


def _running_best(values: Integers, groups: Integers) -> Integers:
    """The index of the highest value so far in each group, the first of equals; groups are runs."""
    best = np.zeros(len(values), np.int64)
    starts = np.flatnonzero(np.diff(groups, prepend=groups[:1] - 1))
    for start, end in zip(starts, [*starts[1:], len(values)], strict=True):
        group = values[start:end]
        highest = np.maximum.accumulate(group)
        new = np.concatenate(([True], group[1:] > highest[:-1]))
        best[start:end] = start + np.maximum.accumulate(np.where(new, np.arange(len(group)), 0))
    return best
