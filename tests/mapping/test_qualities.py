"""Status words of profiles and the qualities of their values."""

from __future__ import annotations

import pytest

from ami_mapping.qualities import (
    DERIVED,
    MISSING,
    SUSPECT,
    VALID,
    UnknownQuality,
    parse_quality,
    qualities,
    status_bits,
    status_of,
    unexplained,
)


@pytest.mark.parametrize(
    ("status", "found"),
    [
        (0x00, ("1.0.0",)),
        (0x80, ("1.2.32",)),
        (0x20, ("1.4.9",)),
        (0xA0, ("1.4.9", "1.2.32")),
        (0x08, ("1.0.0", "1.4.16")),
        (0x0C, ("1.5.258", "1.4.16")),
        (0x02, ("1.1.9",)),
        (0x01, ("1.5.257",)),
        (None, ("2.5.259",)),
    ],
)
def test_one_status_has_several_qualities(status: int | None, found: tuple[str, ...]) -> None:
    assert qualities(status) == found


@pytest.mark.parametrize("status", range(256))
def test_only_what_is_wholly_understood_is_valid(status: int) -> None:
    found = qualities(status)
    assert (VALID in found) == (status & ~0x08 == 0)
    assert (SUSPECT in found) == bool(status & 0x50)
    assert unexplained(status) == status & 0x50
    assert status_of(found) == status & ~0x50


def test_a_quality_of_the_head_end_has_no_bit() -> None:
    assert status_of((MISSING, DERIVED, VALID)) == 0


def test_higher_bits_make_a_value_suspect() -> None:
    assert qualities(0x1_0000_0000) == (SUSPECT,)


def test_each_bit_has_one_quality() -> None:
    assert len({row.bit for row in status_bits()}) == len({row.quality for row in status_bits()}) == 6
    assert all(row.source and row.quality.startswith("1.") and row.quality.count(".") == 2 for row in status_bits())


def test_a_quality_is_three_numbers_of_the_lists() -> None:
    for code in (VALID, MISSING, DERIVED, SUSPECT, *(row.quality for row in status_bits())):
        assert ".".join(map(str, parse_quality(code))) == code
    assert parse_quality("5.12.99999") == (5, 12, 99999)
    for code, is_well_formed in (
        ("6.0.0", True),
        ("1.13.0", True),
        ("1.0", False),
        ("1.0.0 ", False),
        ("1.0.\u0660", False),
    ):
        with pytest.raises(UnknownQuality) as problem:
            parse_quality(code)
        assert problem.value.is_well_formed == is_well_formed
