"""Buffers of profiles as columns: the same by the columns of an encoded array and by its rows, whatever is in them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sizes import examples

from ami_dlms import data
from ami_dlms.cosem.quantity import ScalerUnit
from ami_dlms.cosem.selection import CaptureObject
from ami_dlms.cursor import Reader
from ami_dlms.data import Data, EncodedItems
from ami_dlms.datetimes import CosemDateTime
from ami_dlms.enums import DataTag
from ami_dlms.obis import Obis
from ami_hes.meters import MeterFault
from ami_hes.operations.profile_rows import Buffer, columns_of, series_of
from ami_hes.operations.read_results import ReadSeries
from ami_mapping.attributes import UnreadableValue
from ami_mapping.intervals import Span
from ami_mapping.lookup import readings
from ami_mapping.profiles import Profile
from ami_mapping.qualities import MISSING, VALID

START = datetime(2026, 5, 4, tzinfo=UTC)
COLUMNS = (
    CaptureObject(8, Obis.parse("0-0:1.0.0"), 2),
    CaptureObject(1, Obis.parse("0-0:96.10.1"), 2),
    CaptureObject(3, Obis.parse("1-0:1.8.0"), 2),
)
PROFILE = Profile(Obis.parse("1-0:99.1.0"), 900, COLUMNS)
ROWS = 1_000
"""That an answer may have."""
SPAN = Span(int(START.timestamp()), int(START.timestamp()) + 10 * 900)


def time(number: int) -> Data:
    return data.octet_string(CosemDateTime.from_datetime(START + timedelta(minutes=15 * number)).encode())


def encoded(rows: Data) -> Data:
    """As a long answer brings it."""
    reader = Reader(octets := data.encode(rows), 1)
    length = reader.length()
    return Data(DataTag.ARRAY, EncodedItems(length, octets[reader.offset :]))


def read(*answers: Data) -> tuple[ReadSeries, int]:
    buffer = Buffer(PROFILE, columns_of(PROFILE, [2]), SPAN)
    for one in answers:
        buffer.take(one, ROWS)
    match = readings().column(PROFILE, COLUMNS[2])
    unit = ScalerUnit(0, 30).encode()
    return series_of(buffer, match, 2, unit, multiplier=0, received_at=0).series, buffer.odd


cells = st.one_of(
    st.integers(0, 2**32 - 1).map(data.double_long_unsigned),
    st.sampled_from([data.null(), data.float32(1.5), Data(DataTag.DELTA_INTEGER, 3)]),
)
times = st.one_of(st.integers(0, 12).map(time), st.sampled_from([data.null(), data.octet_string(b"no time")]))
rows = st.one_of(
    st.tuples(times, st.integers(0, 255).map(data.unsigned), cells).map(lambda row: data.structure(*row)),
    st.just(data.structure(data.unsigned(1))),
)


@settings(max_examples=examples(150), deadline=None)
@given(st.lists(st.lists(rows, max_size=12), min_size=1, max_size=2))
def test_columns_and_rows_are_read_alike(answers: list[list[Data]]) -> None:
    arrays = [data.array(*one) for one in answers]
    assert read(*map(encoded, arrays)) == read(*arrays)


@settings(max_examples=examples(50), deadline=None)
@given(st.lists(st.tuples(st.integers(1, 10), st.integers(0, 2**32 - 1)), min_size=1, unique_by=lambda one: one[0]))
def test_uniform_rows_are_their_values(given_rows: list[tuple[int, int]]) -> None:
    array = data.array(
        *(data.structure(time(at), data.unsigned(0), data.double_long_unsigned(value)) for at, value in given_rows)
    )
    found, odd = read(encoded(array))
    values = {1000 * (SPAN.start + 900 * at): str(value) for at, value in given_rows}
    assert odd == 0 and dict(zip(found.times, found.values, strict=True)) == {
        1000 * at: values.get(1000 * at) for at in range(SPAN.start + 900, SPAN.end + 1, 900)
    }


@pytest.mark.parametrize("value", [data.unsigned(1), Data(DataTag.ARRAY, EncodedItems(3, b"\x02\x03\x09"))])
def test_what_is_no_buffer_is_a_fault_of_the_meter(value: Data) -> None:
    with pytest.raises(MeterFault, match="reading the buffer"):
        read(value)


@pytest.mark.parametrize("odd", [data.float32(float("nan")), data.float64(float("inf")), data.visible_string("7")])
def test_a_cell_that_is_no_number_takes_no_other_value_away(odd: Data) -> None:
    cells = {1: data.double_long_unsigned(5), 2: odd, 3: data.float32(7.5)}
    buffer = Buffer(PROFILE, columns_of(PROFILE, [2]), SPAN)
    buffer.take(data.array(*(data.structure(time(at), data.unsigned(0), cell) for at, cell in cells.items())), ROWS)
    unit, match = ScalerUnit(0, 30).encode(), readings().column(PROFILE, COLUMNS[2])
    found = series_of(buffer, match, 2, unit, multiplier=0, received_at=0)
    said = [found.series.quality_sets[place] for place in found.series.quality_of]
    assert found.series.values[:3] == ("5", None, "7.5") and found.odd == 1 and found.why
    assert [MISSING in one for one in said[:3]] == [VALID not in one for one in said[:3]] == [False, True, False]


def test_a_column_without_any_number_and_one_of_another_unit_are_refused() -> None:
    match = readings().column(PROFILE, COLUMNS[2])
    for cell, unit in ((data.float32(float("nan")), 30), (data.float32(1.5), 27)):
        buffer = Buffer(PROFILE, columns_of(PROFILE, [2]), SPAN)
        buffer.take(
            data.array(
                data.structure(time(1), data.unsigned(0), cell), data.structure(time(2), data.unsigned(0), data.null())
            ),
            ROWS,
        )
        with pytest.raises(UnreadableValue):
            series_of(buffer, match, 2, ScalerUnit(0, unit).encode(), multiplier=0, received_at=0)


@pytest.mark.parametrize("form", [data.array, lambda *rows: encoded(data.array(*rows))])
def test_more_rows_than_an_answer_may_have_are_refused_unread(form: Callable[..., Data]) -> None:
    rows = [data.structure(time(number), data.unsigned(0), data.unsigned(number)) for number in range(4)]
    buffer = Buffer(PROFILE, columns_of(PROFILE, [2]), SPAN)
    buffer.take(form(*rows), 4)
    with pytest.raises(MeterFault, match="4 rows came, and 3 are the most"):
        buffer.take(form(*rows), 3)
    assert len(buffer.times) == 4
