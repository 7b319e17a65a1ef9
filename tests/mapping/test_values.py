"""The value of a reading: every digit of the meter's, in the multiplier that was asked for."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ami_cim.reading_type_words import field_words
from ami_dlms import data
from ami_dlms.cosem.profile import Origin, decode_rows, encode_rows
from ami_dlms.cosem.quantity import ScalerUnit
from ami_dlms.cosem.selection import CaptureObject
from ami_dlms.datetimes import CosemDateTime
from ami_dlms.errors import DecodeError
from ami_dlms.obis import Obis
from ami_mapping.lookup import readings
from ami_mapping.reading_types import ReadingType
from ami_mapping.values import (
    MULTIPLIERS,
    UnitMismatch,
    check_unit,
    difference,
    multiplier_for,
    reading_of,
    reading_texts,
    reading_value,
)


@pytest.mark.parametrize(
    ("value", "multiplier", "text"),
    [
        ("1234567", 3, "1234.567"),
        ("1234567", 0, "1234567"),
        ("1234567", -3, "1234567000"),
        ("1.50", 0, "1.50"),
        ("-0.001", -3, "-1"),
        ("0", 3, "0.000"),
        ("1E+6", 6, "1"),
        ("12345678901234567890123456789012345678901", 3, "12345678901234567890123456789012345678.901"),
    ],
)
def test_a_value_is_shifted_and_never_rounded(value: str, multiplier: int, text: str) -> None:
    assert reading_value(Decimal(value), multiplier) == text


@given(
    st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**30), max_value=10**30),
    st.sampled_from(MULTIPLIERS),
)
def test_the_text_says_the_value_exactly(value: Decimal, multiplier: int) -> None:
    text = reading_value(value, multiplier)
    assert "E" not in text.upper()
    sign, digits, exponent = Decimal(text).as_tuple()
    assert isinstance(exponent, int)
    assert Decimal((sign, digits, exponent + multiplier)) == value


def test_a_percentage_is_a_ratio() -> None:
    assert reading_value(Decimal("4.2"), 0, dlms_unit=56) == "0.042"
    assert reading_value(Decimal("4.2"), multiplier_for(-1, 56), dlms_unit=56) == "42"


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity", "sNaN"])
def test_what_is_no_number_is_no_reading(value: str) -> None:
    with pytest.raises(ValueError, match="no number"):
        reading_value(Decimal(value), 0)


@pytest.mark.parametrize(
    ("scaler", "multiplier"), [(0, 0), (3, 3), (-1, -1), (-4, -6), (4, 3), (7, 6), (12, 12), (30, 12), (-12, -12)]
)
def test_the_multiplier_is_the_scaler_or_the_next_one_below(scaler: int, multiplier: int) -> None:
    assert multiplier_for(scaler) == multiplier


def test_below_the_lowest_multiplier_there_is_none() -> None:
    with pytest.raises(ValueError, match=r"10\^-13"):
        multiplier_for(-13)


def test_the_multipliers_are_those_of_the_list() -> None:
    assert set(MULTIPLIERS) == set(field_words()["multiplier"])


def test_a_unit_is_never_relabelled() -> None:
    (match, *_) = readings().answers("0.0.0.1.1.1.12.0.0.0.0.0.0.0.0.0.72.0")
    check_unit(match.row, 30)
    for other in (27, 32, 255, 0):
        with pytest.raises(UnitMismatch, match=f"unit 30 and the meter's scaler_unit says {other}"):
            check_unit(match.row, other)
    (state, *_) = readings().answers("0.0.0.12.0.1.43.0.0.0.0.0.0.0.0.0.109.0")
    check_unit(state.row, 255)


def test_a_reading_of_what_a_meter_gives() -> None:
    (energy, *_) = readings().answers("0.0.0.1.1.1.12.0.0.0.0.0.0.0.0.3.72.0")
    raw, scaler_unit = data.double_long_unsigned(1234567), ScalerUnit(1, 30)
    assert reading_of(energy, raw, scaler_unit, multiplier=3) == (
        ReadingType.parse("0.0.0.1.1.1.12.0.0.0.0.0.0.0.0.3.72.0"),
        "12345.67",
    )
    code, text = reading_of(energy, raw, scaler_unit)
    assert (code.multiplier, text) == (1, "1234567")
    with pytest.raises(UnitMismatch):
        reading_of(energy, raw, ScalerUnit(1, 27))
    with pytest.raises(ValueError, match="5 is no multiplier"):
        reading_of(energy, raw, scaler_unit, multiplier=5)
    with pytest.raises(DecodeError):
        reading_of(energy, data.octet_string(b"1234"), scaler_unit)


def test_a_multiplier_of_the_row_itself_is_kept() -> None:
    (counter, *_) = readings().answers("0.0.0.1.0.1.122.0.0.0.0.0.0.0.0.0.111.0")
    code, text = reading_of(counter, data.long_unsigned(12), ScalerUnit(0, 255), multiplier=3)
    assert (code.multiplier, text) == (0, "12")


def test_a_difference_is_exact_or_there_is_none() -> None:
    assert difference(Decimal("10.1"), Decimal("10.35"), next_row=True) == Decimal("0.25")
    assert difference(Decimal(10**40), Decimal(10**40 + 1), next_row=True) == 1
    assert difference(Decimal(5), Decimal(5), next_row=True) == 0


def test_a_rollover_and_a_missing_row_give_no_value() -> None:
    assert difference(Decimal(999_999), Decimal(1), next_row=True) is None
    assert difference(Decimal(1), Decimal(3), next_row=False) is None


def test_times_of_occurrence_are_the_fifth_attribute() -> None:
    """M-119: class 4 says when its value was captured, class 3 does not."""
    timed = [row for row in readings().rows if row.code.field("unit") == 108 and row.class_id == 4]
    assert timed and {row.attribute for row in timed} == {5}
    assert CaptureObject(8, Obis.parse("0-0:1.0.0"), 2).is_clock


def test_what_a_buffer_leaves_out_is_that_of_the_row_above() -> None:
    """M-129: a null value is repeated, a null time moves on by the period, and each value keeps where it comes from."""
    first = CosemDateTime.from_datetime(datetime(2026, 3, 29, 0, 45, tzinfo=UTC))
    columns = (CaptureObject(8, Obis.parse("0-0:1.0.0"), 2), CaptureObject(3, Obis.parse("1-0:1.8.0"), 2))
    sent = [(data.octet_string(first.encode()), data.long_unsigned(7)), (data.null(), data.null())]
    above, below = decode_rows(encode_rows(sent), columns, 900)
    assert above.origins == (Origin.SENT, Origin.SENT) and Origin.SENT not in below.origins
    assert below.values[1] == above.values[1]
    assert CosemDateTime.decode(below.values[0].value).to_datetime() == datetime(2026, 3, 29, 1, 0, tzinfo=UTC)


@given(
    st.lists(st.integers(-(2**63), 2**63), min_size=1, max_size=5),
    st.integers(-12, 12),
    st.sampled_from([None, *MULTIPLIERS]),
    st.sampled_from([("1-0:1.8.0", 30), ("1-0:32.7.0", 35)]),
)
def test_a_column_has_the_texts_of_its_values(
    raws: list[int], scaler: int, multiplier: int | None, row: tuple[str, int]
) -> None:
    (match,) = [one for one in readings().rows_of(Obis.parse(row[0])) if one.row.context.name in FIRST_CONTEXTS]
    unit = ScalerUnit(scaler, row[1])
    code, texts = reading_texts(match, raws, unit, multiplier=multiplier)
    for raw, text in zip(raws, texts, strict=True):
        assert (code, text) == reading_of(match, data.long64(raw), unit, multiplier=multiplier)


def test_what_is_no_whole_number_has_no_text() -> None:
    (match,) = [one for one in readings().rows_of(Obis.parse("1-0:1.8.0")) if one.row.context.name == "register"]
    _, texts = reading_texts(match, [1, None, True, b"1", 2.5, "3"], ScalerUnit(0, 30))
    assert texts == ["1", None, None, None, None, None]


FIRST_CONTEXTS = ("register", "instantaneous")
