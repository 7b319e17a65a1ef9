"""The fast path for rows of one shape gives what the general path gives, and steps aside at any difference."""

from __future__ import annotations

from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sizes import examples

from ami_dlms import data
from ami_dlms.data import CompactArray, Data, TypeDescription, decoding
from ami_dlms.enums import DataTag
from ami_dlms.errors import DecodeError

CELLS = [
    st.binary(min_size=12, max_size=12).map(data.octet_string),
    st.just(b"").map(data.octet_string),
    st.integers(0, 255).map(data.unsigned),
    st.integers(0, 2**32 - 1).map(data.double_long_unsigned),
    st.integers(-(2**63), 2**63 - 1).map(data.long64),
    st.booleans().map(data.boolean),
    st.floats(width=32, allow_nan=False).map(data.float32),
    st.just(data.null()),
    st.text("ab", max_size=2).map(data.visible_string),
    st.integers(0, 2).map(lambda size: data.octet_string(bytes(size))),
]
shapes = st.lists(st.sampled_from(CELLS), max_size=5)


def generally(octets: bytes) -> Data:
    """The general path alone."""
    with patch.object(decoding, "UNIFORM_ROWS", 1 << 40):
        return data.decode(octets)


@settings(max_examples=examples(150), deadline=None)
@given(shapes.flatmap(lambda cells: st.lists(st.tuples(*cells), min_size=8, max_size=20)))
def test_both_paths_agree(rows: list[tuple[Data, ...]]) -> None:
    item = data.array(*(data.structure(*row) for row in rows))
    octets = data.encode(item)
    assert data.decode(octets) == generally(octets) == item


@settings(max_examples=examples(200), deadline=None)
@given(st.integers(0, 400), st.integers(0, 255), st.integers(0, 400))
def test_both_paths_agree_on_altered_octets(at: int, octet: int, cut: int) -> None:
    row = data.structure(data.octet_string(bytes(12)), data.unsigned(1), data.double_long_unsigned(2))
    octets = bytearray(data.encode(data.array(*[row] * 16)))
    octets[at % len(octets)] = octet
    for candidate in (bytes(octets), bytes(octets[: cut % len(octets)])):
        try:
            expected = generally(candidate)
        except DecodeError:
            with pytest.raises(DecodeError):
                data.decode(candidate)
        else:
            assert data.encode(data.decode(candidate)) == data.encode(expected)


def test_a_row_of_another_type_in_the_middle() -> None:
    rows = [data.structure(data.unsigned(number)) for number in range(20)]
    rows[11] = data.structure(data.integer(11))
    assert data.decode(data.encode(data.array(*rows))) == data.array(*rows)


def test_a_length_in_a_longer_form_than_needed() -> None:
    octets = bytes.fromhex("01 08") + bytes.fromhex("0201 09 81 01 AA") * 8
    assert data.decode(octets) == data.array(*[data.structure(data.octet_string(b"\xaa"))] * 8)


def test_empty_rows_and_values_keep_their_kind() -> None:
    empty = data.array(*[data.structure()] * 10)
    assert data.decode(data.encode(empty)) == empty
    decoded = data.decode(data.encode(data.array(*[data.structure(data.boolean(True))] * 10)))
    assert all(row.tag is DataTag.STRUCTURE and row.value[0].value is True for row in decoded.value)
    assert all(type(row) is Data and type(row.value[0]) is Data for row in decoded.value)


def columns_of(octets: bytes) -> object:
    """What the columnar road gives, or that it refuses."""
    try:
        return data.decode_columns(octets)
    except DecodeError:
        return None


def transposed(octets: bytes) -> object:
    """The same, concluded from the general path alone."""
    try:
        item = generally(octets)
    except DecodeError:
        return None
    if item.tag is not DataTag.ARRAY or any(row.tag is not DataTag.STRUCTURE for row in item.value):
        return None
    rows = data.to_python(item)
    widths = {len(row) for row in rows}
    return tuple(zip(*rows, strict=True)) if len(widths) < 2 and widths != {0} else None


@settings(max_examples=examples(150), deadline=None)
@given(shapes.flatmap(lambda cells: st.lists(st.tuples(*cells), max_size=40)))
def test_columns_are_the_rows_turned(rows: list[tuple[Data, ...]]) -> None:
    octets = data.encode(data.array(*(data.structure(*row) for row in rows)))
    assert columns_of(octets) == transposed(octets)


@settings(max_examples=examples(200), deadline=None)
@given(st.integers(0, 700), st.integers(0, 255), st.integers(0, 700))
def test_columns_of_altered_octets(at: int, octet: int, cut: int) -> None:
    row = data.structure(data.octet_string(bytes(12)), data.unsigned(1), data.double_long_unsigned(2))
    whole = data.encode(data.array(*[row] * 33))
    octets = bytearray(whole)
    octets[at % len(octets)] = octet
    for candidate in (bytes(octets), whole[: cut % len(whole)], whole + b"\0"):
        assert columns_of(candidate) == transposed(candidate)


def test_columns_of_a_compact_array() -> None:
    row = TypeDescription(DataTag.STRUCTURE, (TypeDescription(DataTag.UNSIGNED), TypeDescription(DataTag.LONG)))
    octets = data.encode(Data(DataTag.COMPACT_ARRAY, CompactArray(row, bytes.fromhex("01 0002 03 FFFE"))))
    assert data.decode_columns(octets) == ((1, 3), (2, -2))


def test_rows_without_elements_are_not_taken_for_no_rows() -> None:
    """Columns cannot say how many rows there were, so an array of empty structures has none that could be given."""
    assert data.decode_columns(bytes.fromhex("0100")) == ()
    for octets in ("01010200", "0103 0200 0200 0200"):
        with pytest.raises(DecodeError, match="at least one element"):
            data.decode_columns(bytes.fromhex(octets))


@pytest.mark.parametrize("octets", ["0600000001", "0101 1101", "0102 02011101 020211011101", "01", "0101020111"])
def test_what_has_no_columns_is_refused(octets: str) -> None:
    with pytest.raises(DecodeError):
        data.decode_columns(bytes.fromhex(octets))
