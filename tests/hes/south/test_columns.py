"""Columns of values on their way to the store and to the message: the same as value by value."""

from __future__ import annotations

from dataclasses import astuple
from decimal import Decimal
from json import dumps

from hypothesis import given, settings
from hypothesis import strategies as st
from sizes import examples

from ami_dlms import data
from ami_dlms.cosem.quantity import ScalerUnit
from ami_hes.operations.kept_readings import to_keep
from ami_hes.operations.read_results import ReadSeries, ReadValues
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
