"""Columns of values on their way to the store and to the message: the same as value by value."""

from __future__ import annotations

import tracemalloc
from dataclasses import astuple
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from json import dumps

from hypothesis import given, settings
from hypothesis import strategies as st
from sizes import examples

from ami_cim.payloads.interval_writer import _before_values
from ami_dlms import data
from ami_dlms.cosem.quantity import ScalerUnit
from ami_dlms.datetimes import CosemDateTime
from ami_hes.operations.kept_readings import to_keep
from ami_hes.operations.profile_rows import _milliseconds, _moments_of, seconds_of
from ami_hes.operations.read_results import ReadSeries, ReadValues, moments_at
from ami_mapping.intervals import Span, timeline_of
from ami_mapping.lookup import readings
from ami_mapping.reading_types import ReadingType
from ami_mapping.values import reading_of, reading_texts, reading_value

WATT_HOURS, KILO = 30, 3
QUARTERS = "0.0.2.1.1.1.12.0.0.0.0.0.0.0.0.{}.72.0"
CASES = settings(max_examples=examples(100), deadline=None)
(MATCH,) = [one for one in readings().answers(ReadingType.parse(QUARTERS.format(KILO))) if one.row.dlms_unit][:1]
numbers = st.one_of(st.integers(-(2**63), 2**64 - 1), st.integers(-1_100, 1_100))
times = st.one_of(
    st.lists(st.integers(-(2**40), 2**40), max_size=4).map(tuple),
    st.builds(
        lambda first, step, count: tuple(first + step * place for place in range(count)),
        *(st.integers(-(2**40), 2**40), st.integers(-900_000, 900_000), st.integers(0, 5)),
    ),
)


@CASES
@given(st.lists(numbers | st.none()), st.integers(-6, 6), st.sampled_from([None, 0, KILO]))
def test_texts_of_a_column_are_those_of_its_values(raws: list[int | None], scaler: int, multiplier: int | None) -> None:
    unit = ScalerUnit(scaler, WATT_HOURS)
    _, texts = reading_texts(MATCH, raws, unit, multiplier=multiplier)
    assert texts == [
        None if raw is None else reading_of(MATCH, data.long64(raw), unit, multiplier=multiplier)[1] for raw in raws
    ]


texts = st.one_of(
    st.none(),
    st.integers(0, 10**7).map(lambda wh: f"{wh // 1000}.{wh % 1000:03d}"),
    st.decimals(allow_nan=False, allow_infinity=False, places=4).map(lambda value: f"{value:f}"),
)


@CASES
@given(st.lists(st.integers(1_000, 10**7).map(lambda wh: f"{wh // 1000}.{wh % 1000:03d}")) | st.lists(texts))
def test_what_is_kept_is_shifted_exactly(values: list[str | None]) -> None:
    series = ReadSeries(
        QUARTERS.format(KILO), True, tuple(range(len(values))), tuple(values), ((),), (0,) * len(values), 5
    )
    (kept,) = to_keep(ReadValues((), (series,)))
    assert list(kept.values) == [None if one is None else reading_value(Decimal(one), -KILO) for one in values]
    assert kept.reading_type == QUARTERS.format(0)
    assert list(kept.qualities) == [""] * len(values)


@CASES
@given(times, st.booleans())
def test_a_payload_is_read_as_it_was_written_also_by_an_earlier_version(times: tuple[int, ...], two: bool) -> None:
    sets = (("1.0.0",), ("2.5.259",))[: 1 + two]
    places = tuple(place % len(sets) for place in range(len(times)))
    series = ReadSeries(QUARTERS.format(KILO), True, times, ("1",) * len(times), sets, places, 5, (0,)[: len(times)])
    found = ReadValues((), (series,))
    assert ReadValues.parse(found.format()) == found
    assert ReadValues.parse(dumps([[], [astuple(series)], []])) == found


def read_and_answered(first: datetime, rows: int) -> None:
    """The times of a profile, on their way from the meter to the message."""
    moments = [first + timedelta(minutes=15 * number) for number in range(rows)]
    known = _moments_of(tuple([CosemDateTime.from_datetime(one).encode() for one in moments]))
    assert known is not None
    line = timeline_of(known[0], Span(known[0][0] - 1, known[0][-1]), 900)
    times = _milliseconds(line.times)
    series = ReadSeries(QUARTERS.format(KILO), True, times, ("1",) * len(times), ((),), (0,) * len(times), 5)
    (parsed,) = ReadValues.parse(ReadValues((), (series,)).format()).series
    assert len(_before_values(moments_at(parsed.times))) == len(times)


def test_times_that_no_other_meter_has_do_not_fill_the_memory() -> None:
    """A year of quarter hours is 35,000 rows, and 64 such columns were more than a container has."""
    rows, meters, most_of_a_row = 250, 48, 600
    tracemalloc.start()
    try:
        for number in range(meters):
            read_and_answered(datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=number), rows)
        seconds_of.cache_clear()  # of single moments, which are bounded by themselves
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 12 * rows * most_of_a_row
