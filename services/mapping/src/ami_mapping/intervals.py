"""The rows of a profile in the order of their time, with the intervals that have none: what is there once, and what is doubtful (M-131, M-132).

Times are seconds since 1970. Rows are named by their place in the buffer, so that no row is copied and no value looked at.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import lru_cache

LONGEST_REGULAR_S = 3_600
"""Longer intervals are days and months, whose length is the calendar's: of them none is known to be missing."""


@dataclass(frozen=True, slots=True)
class Span:
    """Intervals that end after `start` and at `end` at the latest."""

    start: int
    end: int

    def has(self, moment: int) -> bool:
        """Whether an interval that ends then lies in it."""
        return self.start < moment <= self.end


@dataclass(frozen=True, slots=True)
class Timeline:
    """Intervals by their ends, ascending, each once; `rows` is the place of its row, None where the profile has none."""

    times: tuple[int, ...]
    rows: tuple[int | None, ...]
    doubtful: frozenset[int]
    """Places in `times` of rows that end between the ends of intervals, or whose time several different rows have."""

    def follows(self, place: int, capture_period_s: int) -> bool:
        """Whether the interval at a place follows the one before it, both with rows that are beyond doubt."""
        return (
            place > 0
            and not {place, place - 1} & self.doubtful
            and None not in (self.rows[place], self.rows[place - 1])
            and (not _is_regular(capture_period_s) or self.times[place] - self.times[place - 1] == capture_period_s)
        )


def timeline(
    times: Sequence[int], rows: Sequence[Hashable], span: Span, capture_period_s: int, *, offset_s: int = 0
) -> Timeline:
    """Rows with these times, and the intervals of the span that have none; rows beyond it are left out.

    `rows` are compared: the same row twice counts once, of different ones with one time the last. `offset_s` is what the meter's
    local time is ahead of UTC: intervals end at full periods of it.
    """
    found: dict[int, int] = {}
    doubtful_times: set[int] = set()
    for place, moment in enumerate(times):
        if not span.has(moment):
            continue
        before = found.get(moment)
        if before is not None and rows[before] != rows[place]:
            doubtful_times.add(moment)
        found[moment] = place
    regular = _is_regular(capture_period_s)
    if regular:
        doubtful_times.update(one for one in found if (one + offset_s) % capture_period_s)
        ends = sorted({*found, *_ends(span, capture_period_s, offset_s)})
    else:
        ends = sorted(found)
    doubtful = frozenset(place for place, one in enumerate(ends) if one in doubtful_times)
    return Timeline(tuple(ends), tuple(map(found.get, ends)), doubtful)


@lru_cache(maxsize=8)
def timeline_of(times: tuple[int, ...], span: Span, capture_period_s: int, *, offset_s: int = 0) -> Timeline:
    """The same of times of which none is there twice, so that no row is compared; many meters have the same ones.

    Few are remembered: those of a year of quarter hours take some megabytes.
    """
    return timeline(times, (), span, capture_period_s, offset_s=offset_s)


def _is_regular(capture_period_s: int) -> bool:
    return 0 < capture_period_s <= LONGEST_REGULAR_S


def _ends(span: Span, capture_period_s: int, offset_s: int) -> range:
    first = span.start + 1
    return range(first + -(first + offset_s) % capture_period_s, span.end + 1, capture_period_s)
