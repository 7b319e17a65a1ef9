"""Of the values that answer a request those that have one of the ReadingQualities that it names (docs/mapping.md, M-139).

Pure. What is chosen is what goes into the answer: all that was read is kept, whatever its qualities are.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from ami_hes.operations.asked_types import Asked, SortedOut
from ami_hes.operations.read_results import NotRead, ReadSeries, ReadValues
from ami_mapping.faults import explain


def with_qualities(found: ReadValues, wanted: Sequence[str], asked: SortedOut) -> ReadValues:
    """The same where no code is wanted; else values with one of these, and an error for each ReadingType of which none is left."""
    if not wanted:
        return found
    codes = frozenset(wanted)
    values = tuple(one for one in found.values if not codes.isdisjoint(one.qualities))
    series = tuple(kept for one in found.series if (kept := _chosen(one, codes)).times)
    chosen = ReadValues(values, series)
    none_left = _types(found) - _types(chosen)
    without = (one for one in (*asked.attributes, *asked.columns) if _code(one) in none_left)
    not_read = (*found.not_read, *(_not_read(one.reading_type, wanted) for one in without))
    return replace(chosen, not_read=not_read)


def _types(found: ReadValues) -> set[str]:
    return {one.reading_type for one in found.values} | {one.reading_type for one in found.series}


def _chosen(series: ReadSeries, codes: frozenset[str]) -> ReadSeries:
    has_one = [not codes.isdisjoint(one) for one in series.quality_sets]
    places = [place for place, said in enumerate(series.quality_of) if has_one[said]]
    if len(places) == len(series.times):
        return series
    stored = set(series.stored)
    return replace(
        series,
        times=tuple(series.times[place] for place in places),
        values=tuple(series.values[place] for place in places),
        quality_of=tuple(series.quality_of[place] for place in places),
        stored=tuple(_numbers(places, stored)),
    )


def _numbers(places: Sequence[int], stored: set[int]) -> Iterator[int]:
    """Where those from the store are among the places that are left."""
    return (number for number, place in enumerate(places) if place in stored)


def _code(asked: Asked) -> str:
    """With which its values are answered."""
    return str(asked.matches[0].reading_type(asked.multiplier or 0))


def _not_read(reading_type: str, wanted: Sequence[str]) -> NotRead:
    fault = explain("reading", "no-quality", attempted=None, detail=f"{reading_type} with {' or '.join(wanted)}")
    return NotRead(reading_type, fault.code, fault.level, fault.reason)
