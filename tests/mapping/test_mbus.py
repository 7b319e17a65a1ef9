"""Who is on a channel of an M-Bus, as its class 72 object says it and as it stands on the device."""

from __future__ import annotations

import pytest

from ami_mapping.mbus import format_identification, format_manufacturer, medium_of


@pytest.mark.parametrize(
    ("number", "text"), [(0x12345678, "12345678"), (0x00000042, "00000042"), (0, "00000000"), (10, "0000000A")]
)
def test_an_identification_is_eight_digits_in_bcd(number: int, text: str) -> None:
    assert format_identification(number) == text


@pytest.mark.parametrize(
    ("number", "text"),
    [(0x05A9, "AMI"), (0x0421, "AAA"), (0x6B5A, "ZZZ"), (0, "0000"), (0x85A9, "85A9"), (0x05BB, "05BB")],
)
def test_a_manufacturer_is_three_letters_of_five_bits(number: int, text: str) -> None:
    assert format_manufacturer(number) == text


@pytest.mark.parametrize(("device_type", "medium"), [(3, "gas"), (7, "water"), (13, None), (0, None), (256, None)])
def test_a_medium_that_is_not_known_is_none(device_type: int, medium: str | None) -> None:
    assert medium_of(device_type) == medium
