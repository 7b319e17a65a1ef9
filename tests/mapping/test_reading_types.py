"""The 18 numbers of a ReadingType: what is one, what is none, and what each field is in words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ami_cim.codes import reply_codes
from ami_cim.reading_type_words import field_words
from ami_mapping.reading_types import ReadingType, RefusedReadingType, refused

IMPORT_KWH = "0.0.0.1.1.1.12.0.0.0.0.0.0.0.0.3.72.0"


def test_a_code_is_18_numbers_in_the_order_of_the_standard() -> None:
    code = ReadingType.parse("13.8.2.6.1.1.8.3.4.5.6.7.8.9.128.-3.38.978")
    assert (code.macro_period, code.aggregate, code.measuring_period, code.accumulation) == (13, 8, 2, 6)
    assert (code.flow_direction, code.commodity, code.measurement_kind) == (1, 1, 8)
    assert (code.interharmonic_numerator, code.interharmonic_denominator) == (3, 4)
    assert (code.argument_numerator, code.argument_denominator) == (5, 6)
    assert (code.tou, code.cpp, code.consumption_tier, code.phases) == (7, 8, 9, 128)
    assert (code.multiplier, code.unit, code.currency) == (-3, 38, 978)


def test_codes_are_compared_as_numbers() -> None:
    assert ReadingType.parse("00.0.0.1.1.1.012.0.0.0.0.0.0.0.0.3.72.0") == ReadingType.parse(IMPORT_KWH)


@given(st.lists(st.integers(0, 999_999), min_size=18, max_size=18), st.integers(-12, 12))
def test_text_and_back(fields: list[int], multiplier: int) -> None:
    fields[15] = multiplier
    code = ReadingType(*fields)
    assert ReadingType.parse(str(code)) == code


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0",
        IMPORT_KWH + ".0",
        IMPORT_KWH.removesuffix(".0"),
        " " + IMPORT_KWH,
        IMPORT_KWH + "\n",
        IMPORT_KWH.replace("72", "kWh"),
        IMPORT_KWH.replace("72", "-72"),
        IMPORT_KWH.replace("72", "७२"),
        IMPORT_KWH.replace("72", "1234567"),
        "0" * 10_000,
        "." * 10_000,
    ],
)
def test_what_is_no_code_is_2_6(text: str) -> None:
    with pytest.raises(RefusedReadingType) as fault:
        ReadingType.parse(text)
    assert fault.value.code == "2.6"
    assert repr(text[:64]) in fault.value.reason and len(fault.value.reason) < 500


def test_every_field_has_its_words() -> None:
    words = ReadingType.parse("11.8.0.6.19.1.8.0.0.0.0.4.0.0.224.3.38.978").words()
    assert list(words) == list(ReadingType._fields)
    assert (words["macro_period"], words["aggregate"], words["accumulation"]) == ("daily", "maximum", "indicating")
    assert (words["flow_direction"], words["commodity"]) == ("reverse", "electricitySecondaryMetered")
    assert (words["measurement_kind"], words["phases"], words["multiplier"]) == ("demand", "A, B and C", "kilo")
    assert (words["tou"], words["unit"], words["currency"]) == ("4", "W", "ISO 4217 number 978")
    assert words["cpp"] == "none"


@pytest.mark.parametrize(
    ("code", "reply"),
    [
        ("0.0.0.1.1.1.12.0.0.0.0.0.0.0.0.3.73.0", "2.10"),
        ("0.0.0.1.1.1.901.0.0.0.0.0.0.0.0.3.72.0", "2.6"),
        ("0.0.0.1.1.1.12.0.0.0.0.0.0.0.0.5.72.0", "2.6"),
    ],
)
def test_a_number_outside_of_the_lists_is_told_from_a_code_that_is_not_served(code: str, reply: str) -> None:
    fault = refused(ReadingType.parse(code), "")
    assert fault.code == reply in reply_codes()
    assert code in fault.reason


def test_only_enumerated_fields_have_lists() -> None:
    listed = set(ReadingType._fields[:7]) | {"phases", "multiplier", "unit"}
    assert set(field_words()) == listed
    assert all(0 in words for words in field_words().values())
