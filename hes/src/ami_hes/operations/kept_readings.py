"""Readings in the store: what is kept of what was read, what answers a request, and which intervals have to be read from the meter still.

The store has one code for a quantity, with the multiplier 0: values are shifted on the way in and out, exactly (M-112).
"""

import re
from collections.abc import Sequence
from decimal import Decimal
from functools import lru_cache
from typing import cast

from ami_hes.operations.asked_types import MOST_REMEMBERED, Asked
from ami_hes.operations.read_results import ReadSeries, ReadValue, ReadValues
from ami_hes.store import StoredSeries
from ami_mapping.intervals import LONGEST_REGULAR_S, Span, timeline_of
from ami_mapping.reading_types import ReadingType
from ami_mapping.values import reading_value

SECOND_MS, HOUR_S, DAY_S = 1_000, 3_600, 86_400
SHORTEST_MONTH_S, LONGEST_MONTH_S = 28 * DAY_S, 31 * DAY_S
Row = tuple[str | None, tuple[str, ...], bool]


def to_keep(found: ReadValues) -> list[StoredSeries]:
    """What came from the meter."""
    return [*map(_of_value, found.values), *map(_of_series, found.series)]


def code_of(asked: Asked) -> str:
    """Under which code the values of a ReadingType are kept."""
    return str(asked.matches[0].reading_type(0))


def value_from(stored: StoredSeries, asked: Asked) -> ReadValue:
    """The last value of what was kept, as it was asked for."""
    code = asked.matches[0].reading_type(asked.multiplier or 0)
    at, received = stored.times[-1], stored.received[-1]
    text = _shifted(stored.values[-1], code.multiplier) or ""
    own_time = at if stored.by_meter[-1] else None
    qualities = tuple(stored.qualities[-1].split())
    return ReadValue(str(code), text, own_time, at if own_time is None else received, qualities, stored=True)


def merged(asked: Asked, stored: StoredSeries | None, read: ReadSeries | None, span: Span) -> ReadSeries | None:
    """The values of both in the order of their times; what the meter says now counts, unless it has no value any more."""
    if stored is None and read is not None and read.times and _is_around(span, read.times):
        return read
    code = asked.matches[0].reading_type(asked.multiplier or 0)
    rows: dict[int, Row] = {}
    for at, value, said in () if stored is None else zip(stored.times, stored.values, stored.qualities, strict=True):
        rows[at] = (_shifted(value, code.multiplier), tuple(said.split()), True)
    for at, value, place in () if read is None else zip(read.times, read.values, read.quality_of, strict=True):
        if value is not None or rows.get(at, (None,))[0] is None:
            rows[at] = (value, read.quality_sets[place] if read is not None else (), False)
    times = tuple(sorted(at for at in rows if span.has(at // SECOND_MS)))
    if not times:
        return None
    sets: dict[tuple[str, ...], int] = {}
    received = (read.received_at if read is not None else 0) or max((stored.received if stored else ()), default=0)
    return ReadSeries(
        str(code),
        _is_interval(asked),
        times,
        tuple(rows[at][0] for at in times),
        tuple(dict.fromkeys(rows[at][1] for at in times)),
        tuple(sets.setdefault(rows[at][1], len(sets)) for at in times),
        received,
        tuple(place for place, at in enumerate(times) if rows[at][2]),
    )


def _is_around(span: Span, times: Sequence[int]) -> bool:
    """Whether all of these times, which are ascending, lie in it."""
    return span.has(times[0] // SECOND_MS) and span.has(times[-1] // SECOND_MS)


def still_to_read(asked: Asked, stored: StoredSeries | None, span: Span) -> Span | None:
    """The time in which values are not kept; None when all of them are."""
    values = () if stored is None else zip(stored.times, stored.values, strict=True)
    kept = sorted(at // SECOND_MS for at, value in values if value is not None)
    period_s = asked.matches[0].row.context.capture_period_s
    if not _is_interval(asked) or period_s is None:
        return _still_irregular(kept, period_s, span)
    line = timeline_of(tuple(kept), span, period_s, offset_s=-kept[0] % period_s if kept else 0)
    missing = [at for at, row in zip(line.times, line.rows, strict=True) if row is None]
    return Span(missing[0] - period_s, missing[-1]) if missing else None


def _still_irregular(kept: Sequence[int], period_s: int | None, span: Span) -> Span | None:
    """Of days and months: from the first step on that is longer than one can be."""
    shortest, longest = (
        (period_s - HOUR_S, period_s + HOUR_S) if period_s else (SHORTEST_MONTH_S - HOUR_S, LONGEST_MONTH_S + HOUR_S)
    )
    before = span.start
    for at in kept:
        if at - before > longest:
            break
        before = at
    return Span(before, span.end) if span.end - before >= shortest or before == span.start else None


def _is_interval(asked: Asked) -> bool:
    period_s = asked.matches[0].row.context.capture_period_s
    return period_s is not None and 0 < period_s <= LONGEST_REGULAR_S


def _of_value(one: ReadValue) -> StoredSeries:
    code, multiplier = _plain(one.reading_type)
    return StoredSeries(
        reading_type=code,
        times=(one.received_at if one.at is None else one.at,),
        values=(_plain_text(one.value, multiplier),),
        qualities=(" ".join(one.qualities),),
        received=(one.received_at,),
        by_meter=(one.at is not None,),
    )


def _of_series(one: ReadSeries) -> StoredSeries:
    code, multiplier = _plain(one.reading_type)
    said = [" ".join(qualities) for qualities in one.quality_sets]
    return StoredSeries(
        reading_type=code,
        times=one.times,
        values=_plain_texts(one.values, multiplier),
        qualities=said * len(one.times) if len(said) == 1 else [said[place] for place in one.quality_of],
        received=(one.received_at,) * len(one.times),
        by_meter=(True,) * len(one.times),
    )


@lru_cache(maxsize=MOST_REMEMBERED)
def _plain(reading_type: str) -> tuple[str, int]:
    code = ReadingType.parse(reading_type)
    return str(code._replace(multiplier=0)), code.multiplier


def _plain_texts(values: Sequence[str | None], multiplier: int) -> Sequence[str | None]:
    """With the multiplier 0. Where as many digits are behind each point as the multiplier has, only the point goes."""
    if not multiplier:
        return values
    if multiplier > 0 and values and None not in values:
        texts = "\n".join(cast("Sequence[str]", values))
        if _digits_behind(multiplier).fullmatch(texts):
            texts = "\n" + texts.replace(".", "")
            _, *digits = texts.split("\n")
            if len(digits) == len(values):
                return list(map(str, map(int, digits))) if "\n0" in texts else digits
    return [None if value is None else _plain_text(value, multiplier) for value in values]


@lru_cache
def _digits_behind(count: int) -> re.Pattern[str]:
    """Numbers without a sign that have as many digits behind their points, one in each line."""
    number = rf"\d+\.\d{{{count}}}"
    return re.compile(rf"(?:{number}\n)*{number}", re.ASCII)


def _plain_text(value: str, multiplier: int) -> str:
    return reading_value(Decimal(value), -multiplier) if multiplier else value


def _shifted(value: str | None, multiplier: int) -> str | None:
    return reading_value(Decimal(value), multiplier) if value is not None and multiplier else value
