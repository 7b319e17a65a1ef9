"""One mRID however it is spelled (RFC 9562 for the 128 bits)."""

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ami_cim.identity import mrid_key

ONE = "42932298-b7b6-415e-a2d2-c34197bed259"


@given(st.uuids())
def test_every_spelling_of_a_uuid_is_the_same_and_no_other(one: uuid.UUID) -> None:
    text = str(one)
    spellings = (text, one.hex, one.urn, f"{{{text}}}", f"_{text}", f"_{one.hex}", f"urn:uuid:{one.hex}", f" {text}\n")
    keys = {mrid_key(spelling) for spelling in (*spellings, *(spelling.upper() for spelling in spellings))}
    assert keys == {text}
    assert mrid_key(str(uuid.UUID(int=one.int ^ 1))) not in keys


@pytest.mark.parametrize(
    "text",
    [
        f"{{{ONE}",
        f"{ONE}}}",
        f"__{ONE}",
        ONE[:-1],
        f"{ONE}0",
        ONE.replace("-", ":"),
        f"\u00a0{ONE}",
        ONE.replace("4", "\u0664"),
        f"uuid:{ONE}",
        "",
    ],
)
def test_what_is_no_uuid_is_text(text: str) -> None:
    assert mrid_key(text) == text.lower() != ONE


def test_other_mrids_are_compared_as_text_ignoring_case() -> None:
    assert mrid_key(" Meter-1 ") == "meter-1"
    assert mrid_key("_1") == "_1" != mrid_key("1")
