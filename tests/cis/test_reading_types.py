"""The few ReadingTypes that the CIS has names for are those of the mapping, and their units are its units."""

from __future__ import annotations

from datetime import timedelta

import pytest

from ami_cim.reading_type_names import KnownType, UnknownType, known_types, name_of, reading_type_of
from ami_cis.reading_types import interval_of, unit_of
from ami_dlms.obis import Obis
from ami_mapping.lookup import readings
from ami_mapping.reading_types import ReadingType

DAY = timedelta(days=1)
"""Its length in minutes is not in its code."""


@pytest.mark.parametrize("row", known_types(), ids=lambda row: row.alias)
def test_a_name_means_what_the_mapping_says(row: KnownType) -> None:
    code = ReadingType.parse(row.reading_type)
    matches = readings().answers(code)
    assert not readings().is_alias(code)
    if row.obis:
        assert matches[0].row.obis is not None
        assert matches[0].descriptor() is not None and matches[0].means(Obis.parse(row.obis))
    unit = code.words()["unit"]
    assert unit_of(row.reading_type).endswith("" if unit in ("time stamp", "status") else unit)
    assert timedelta(seconds=matches[0].row.context.capture_period_s or 0) in (interval_of(row.reading_type), DAY)
    *_, multiplier, unit, currency = row.reading_type.split(".")
    watt_hours = row.reading_type.removesuffix(f"{multiplier}.{unit}.{currency}") + f"0.{unit}.{currency}"
    assert (
        name_of(row.reading_type) == name_of(watt_hours) == row.alias
        and reading_type_of(row.alias.upper()) == row.reading_type
    )


def test_names_are_unambiguous() -> None:
    rows = known_types()
    assert len({row.alias for row in rows}) == len({row.reading_type for row in rows}) == len(rows)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (" 0.0.0.1.1.1.12.0.0.0.0.0.0.0.0.-3.72.0", "0.0.0.1.1.1.12.0.0.0.0.0.0.0.0.-3.72.0"),
        ("00.0.0.1.1.1.12.0.0.0.0.0.0.0.0.3.72.0", "0.0.0.1.1.1.12.0.0.0.0.0.0.0.0.3.72.0"),
        ("1-0:1.8.0*255", "0.0.0.1.1.1.12.0.0.0.0.0.0.0.0.3.72.0"),
        ("1.8.0", "0.0.0.1.1.1.12.0.0.0.0.0.0.0.0.3.72.0"),
    ],
)
def test_codes_and_obis_codes_are_taken(text: str, code: str) -> None:
    assert reading_type_of(text) == code


@pytest.mark.parametrize("text", ["", "0.0.0", "1-0:1.8.0*0", "*255", "imports"])
def test_what_is_neither_is_said(text: str) -> None:
    with pytest.raises(UnknownType, match="there are import"):
        reading_type_of(text)


@pytest.mark.parametrize(
    ("code", "unit"),
    [
        ("0.0.0.1.1.1.12.0.0.0.0.0.0.0.0.-3.72.0", "mWh"),
        ("0.0.0.1.1.1.12.0.0.0.0.0.0.0.0.1.72.0", "10^1 Wh"),
        ("0.0.0.1.1.1.12.0.0.0.0.0.0.0.0.0.0.0", ""),
        ("no code", ""),
    ],
)
def test_units(code: str, unit: str) -> None:
    assert unit_of(code) == unit
