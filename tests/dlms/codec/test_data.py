"""A-XDR Data: every type round and back, published octets, bounds, and any octets at all."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sizes import examples

from ami_dlms import data
from ami_dlms.apdu import contents
from ami_dlms.cursor import MAX_ELEMENTS, encode_length
from ami_dlms.data import MAX_DEPTH, CompactArray, Data, TypeDescription
from ami_dlms.datetimes import CosemDate, CosemDateTime, CosemTime
from ami_dlms.enums import DataTag
from ami_dlms.errors import DecodeError, LocalError


def numbers(bits: int, signed: bool) -> st.SearchStrategy[int]:
    return st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else st.integers(0, 2**bits - 1)


SIMPLE: dict[DataTag, st.SearchStrategy[Any]] = {
    DataTag.NULL_DATA: st.none(),
    DataTag.BOOLEAN: st.booleans(),
    DataTag.BIT_STRING: st.lists(st.booleans(), max_size=300).map(tuple),
    DataTag.DOUBLE_LONG: numbers(32, True),
    DataTag.DOUBLE_LONG_UNSIGNED: numbers(32, False),
    DataTag.OCTET_STRING: st.binary(max_size=300),
    DataTag.VISIBLE_STRING: st.text(st.characters(max_codepoint=255), max_size=200),
    DataTag.UTF8_STRING: st.text(st.characters(exclude_categories=["Cs"]), max_size=100),
    DataTag.BCD: numbers(8, True),
    DataTag.INTEGER: numbers(8, True),
    DataTag.LONG: numbers(16, True),
    DataTag.UNSIGNED: numbers(8, False),
    DataTag.LONG_UNSIGNED: numbers(16, False),
    DataTag.LONG64: numbers(64, True),
    DataTag.LONG64_UNSIGNED: numbers(64, False),
    DataTag.ENUM: numbers(8, False),
    DataTag.FLOAT32: st.floats(width=32, allow_nan=False),
    DataTag.FLOAT64: st.floats(allow_nan=False),
    DataTag.DATE_TIME: st.binary(min_size=12, max_size=12).map(CosemDateTime.decode),
    DataTag.DATE: st.binary(min_size=5, max_size=5).map(CosemDate.decode),
    DataTag.TIME: st.binary(min_size=4, max_size=4).map(CosemTime.decode),
    DataTag.DELTA_INTEGER: numbers(8, True),
    DataTag.DELTA_LONG: numbers(16, True),
    DataTag.DELTA_DOUBLE_LONG: numbers(32, True),
    DataTag.DELTA_UNSIGNED: numbers(8, False),
    DataTag.DELTA_LONG_UNSIGNED: numbers(16, False),
    DataTag.DELTA_DOUBLE_LONG_UNSIGNED: numbers(32, False),
    DataTag.DONT_CARE: st.none(),
}
CONSTRUCTED = {DataTag.ARRAY, DataTag.STRUCTURE, DataTag.COMPACT_ARRAY}
simple = st.one_of([st.builds(Data, st.just(tag), strategy) for tag, strategy in SIMPLE.items()])
plain_kinds = st.sampled_from([TypeDescription(tag) for tag in sorted(SIMPLE)])
kinds = st.recursive(
    plain_kinds,
    lambda inner: (
        st.lists(inner, max_size=4).map(lambda items: TypeDescription(DataTag.STRUCTURE, tuple(items)))
        | st.builds(TypeDescription, st.just(DataTag.ARRAY), st.tuples(inner), st.integers(0, 5))
    ),
    max_leaves=6,
)
compact = st.builds(CompactArray, kinds, st.binary(max_size=100)).map(lambda value: Data(DataTag.COMPACT_ARRAY, value))
anything = st.recursive(
    simple | compact,
    lambda inner: st.lists(inner, max_size=6).flatmap(
        lambda items: st.sampled_from([data.array(*items), data.structure(*items)])
    ),
    max_leaves=20,
)


def test_every_type_is_tried() -> None:
    assert SIMPLE.keys() | CONSTRUCTED == set(DataTag)


@settings(max_examples=examples(150), deadline=None)
@given(anything)
def test_round_and_back(item: Data) -> None:
    assert data.decode(data.encode(item)) == item


@settings(max_examples=examples(100), deadline=None)
@given(simple)
def test_each_simple_type_round_and_back(item: Data) -> None:
    assert data.decode(data.encode(item)) == item


@pytest.mark.parametrize(
    ("octets", "item"),
    [
        ("00", data.null()),
        ("03 01", data.boolean(True)),
        ("03 FF", data.boolean(True)),
        ("04 0B A5A0", data.bit_string(tuple(bit == "1" for bit in "10100101101"))),
        ("04 00", data.bit_string(())),
        ("05 FFFFFFFE", data.double_long(-2)),
        ("06 FFFFFFFE", data.double_long_unsigned(0xFFFFFFFE)),
        ("09 03 010203", data.octet_string(b"\x01\x02\x03")),
        ("09 81 80" + "00" * 128, data.octet_string(bytes(128))),
        ("0A 04 4B464D31", data.visible_string("KFM1")),
        ("0A 01 B0", data.visible_string("°")),
        ("0C 02 C2B0", data.utf8_string("°")),
        ("0F FF", data.integer(-1)),
        ("10 8000", data.long(-0x8000)),
        ("11 FF", data.unsigned(255)),
        ("12 0102", data.long_unsigned(0x102)),
        ("14 FFFFFFFFFFFFFFFF", data.long64(-1)),
        ("15 FFFFFFFFFFFFFFFF", data.long64_unsigned(2**64 - 1)),
        ("16 1E", data.enum(30)),
        ("17 3FC00000", data.float32(1.5)),
        ("18 3FF8000000000000", data.float64(1.5)),
        (
            "19 07EA0B1405 17 3B 3B 63 FFC4 80",
            data.date_time(CosemDateTime(2026, 11, 20, 5, 23, 59, 59, 99, -60, 0x80)),
        ),
        ("1A 07EA0B14FF", data.date(CosemDate(2026, 11, 20))),
        ("1B 173B3BFF", data.time(CosemTime(23, 59, 59))),
        ("02 02 0F FD 16 1E", data.structure(data.integer(-3), data.enum(30))),
        ("01 02 11 01 11 02", data.array(data.unsigned(1), data.unsigned(2))),
        ("01 00", data.array()),
        ("FF", Data(DataTag.DONT_CARE, None)),
    ],
)
def test_octets_of_each_type(octets: str, item: Data) -> None:
    raw = bytes.fromhex(octets)
    assert data.decode(raw) == item
    assert data.decode(data.encode(item)) == item
    if octets != "03 FF":
        assert data.encode(item) == raw
    for length in range(len(raw)):
        with pytest.raises(DecodeError):
            data.decode(raw[:length])
    with pytest.raises(DecodeError, match="the end"):
        data.decode(raw + b"\x00")


def test_not_a_number_survives() -> None:
    assert math.isnan(data.decode(data.encode(data.float32(math.nan))).value)


@settings(max_examples=examples(500), deadline=None)
@given(st.binary(max_size=80))
def test_any_octets_decode_or_are_refused(octets: bytes) -> None:
    try:
        item = data.decode(octets)
    except DecodeError:
        return
    encoded = data.encode(item)
    assert data.encode(data.decode(encoded)) == encoded


@settings(max_examples=examples(150), deadline=None)
@given(anything, st.data())
def test_altered_octets_decode_or_are_refused(item: Data, draw: st.DataObject) -> None:
    octets = bytearray(data.encode(item))
    octets[draw.draw(st.integers(0, len(octets) - 1))] = draw.draw(st.integers(0, 255))
    try:
        decoded = data.decode(bytes(octets))
        if decoded.tag is DataTag.COMPACT_ARRAY:
            data.expand(decoded.value)
    except DecodeError as error:
        assert str(error)


@pytest.mark.parametrize("tag", sorted(set(range(256)) - set(DataTag)))
def test_unknown_tags_are_refused(tag: int) -> None:
    with pytest.raises(DecodeError, match=f"0x{tag:02X}"):
        data.decode(bytes((tag,)) + bytes(16))


@pytest.mark.parametrize("opening", [b"\x01\x01", b"\x02\x01"])
def test_depth_is_bounded(opening: bytes) -> None:
    assert data.decode(opening * MAX_DEPTH + b"\x00")
    with pytest.raises(DecodeError, match="levels"):
        data.decode(opening * (MAX_DEPTH + 1) + b"\x00")
    with pytest.raises(DecodeError, match="levels"):
        data.decode(opening * 100_000 + b"\x00")


def test_depth_of_a_description_is_bounded() -> None:
    with pytest.raises(DecodeError, match="levels"):
        data.decode(b"\x13" + b"\x02\x01" * 100_000 + b"\x11\x00")
    with pytest.raises(DecodeError, match="levels"):
        data.decode(b"\x13" + b"\x01\x00\x01" * 100_000 + b"\x11\x00")


SO_MANY = MAX_ELEMENTS.to_bytes(4, "big")
ONE_MORE = (MAX_ELEMENTS + 1).to_bytes(4, "big")
HALF_AND_ONE = (MAX_ELEMENTS // 2 + 1).to_bytes(4, "big")
TOO_MANY = {
    "nulls": b"\x01\x84" + ONE_MORE + bytes(MAX_ELEMENTS + 1),
    "in two arrays": b"\x02\x02" + 2 * (b"\x01\x84" + HALF_AND_ONE + bytes(MAX_ELEMENTS // 2 + 1)),
    "rows that look alike": b"\x01\x84" + HALF_AND_ONE + b"\x02\x01\x11\x05" * (MAX_ELEMENTS // 2 + 1),
    "bits": b"\x04\x84" + ONE_MORE + bytes(MAX_ELEMENTS // 8 + 1),
    "a description": b"\x13\x02\x84" + ONE_MORE + b"\x11" * (MAX_ELEMENTS + 1) + b"\x00",
}


@pytest.mark.parametrize(
    "octets",
    [pytest.param(one, id=name, marks=[pytest.mark.ci] if "alike" in name else []) for name, one in TOO_MANY.items()],
)
def test_number_of_elements_is_bounded(octets: bytes) -> None:
    with pytest.raises(DecodeError, match="elements"):
        data.decode(octets)


@pytest.mark.ci
def test_number_of_elements_of_a_table_is_bounded() -> None:
    with pytest.raises(DecodeError, match="elements"):
        data.decode_columns(TOO_MANY["rows that look alike"])


def test_as_many_elements_as_allowed_are_decoded() -> None:
    assert len(data.decode(b"\x01\x84" + SO_MANY + bytes(MAX_ELEMENTS)).value) == MAX_ELEMENTS


def test_number_of_elements_is_bounded_over_all_values_of_a_list() -> None:
    half = b"\x01\x84" + HALF_AND_ONE + bytes(MAX_ELEMENTS // 2 + 1)
    with pytest.raises(DecodeError, match="elements"):
        contents.decode(contents.VALUES, b"\x02" + half + half)


@pytest.mark.ci
def test_number_of_elements_of_a_compact_array_is_bounded() -> None:
    table = CompactArray(TypeDescription(DataTag.UNSIGNED), bytes(MAX_ELEMENTS + 1))
    with pytest.raises(DecodeError, match=f"{MAX_ELEMENTS} in all"):
        data.expand(table)


@pytest.mark.parametrize("tag", [0x01, 0x02, 0x04, 0x09, 0x0A, 0x0C])
@pytest.mark.parametrize("length", ["84FFFFFFFF", "847FFFFFFF", "830FFFFF", "82FFFF", "8180", "7F"])
def test_huge_lengths_are_refused(tag: int, length: str) -> None:
    with pytest.raises(DecodeError):
        data.decode(bytes((tag,)) + bytes.fromhex(length) + bytes(10))


@pytest.mark.parametrize(
    "octets", ["09 80", "09 85 0000000001 00", "09 FF", "06 00", "06", "09", "09 82 00", "0C 02 C3 28"]
)
def test_malformed_ones_are_refused(octets: str) -> None:
    with pytest.raises(DecodeError):
        data.decode(bytes.fromhex(octets))


@pytest.mark.parametrize(
    "item",
    [
        data.unsigned(256),
        data.unsigned(-1),
        data.integer(128),
        data.long(40_000),
        data.long64_unsigned(2**64),
        data.visible_string("€"),
        data.utf8_string("\ud800"),
        Data(DataTag.LONG, "text"),
        data.structure(data.array(data.enum(300))),
        data.date_time(CosemDateTime(year=70_000)),
    ],
)
def test_what_does_not_fit_cannot_be_encoded(item: Data) -> None:
    with pytest.raises(LocalError):
        data.encode(item)


@pytest.mark.parametrize("length", [0, 1, 127, 128, 255, 256, 65_535, 65_536])
def test_lengths_on_both_sides_of_their_forms(length: int) -> None:
    for item in (data.octet_string(bytes(length)), data.array(*[data.null()] * length)):
        encoded = data.encode(item)
        assert encoded[1:].startswith(encode_length(length))
        assert data.decode(encoded) == item


def test_one_bad_value_does_not_poison_the_next() -> None:
    with pytest.raises(DecodeError):
        data.decode(bytes.fromhex("02 03 11 01"))
    assert data.decode(bytes.fromhex("11 01")) == data.unsigned(1)


class TestCompactArray:
    # array of 3 structures {long-unsigned, octet-string}
    KIND = TypeDescription(
        DataTag.STRUCTURE, (TypeDescription(DataTag.LONG_UNSIGNED), TypeDescription(DataTag.OCTET_STRING))
    )
    OCTETS = bytes.fromhex("13 02 02 12 09 0C 0001 02 AABB 0002 00 0003 01 CC")

    def test_both_ways(self) -> None:
        item = data.decode(self.OCTETS)
        assert item.value.description == self.KIND
        assert data.encode(item) == self.OCTETS
        assert data.expand(item.value) == (
            data.structure(data.long_unsigned(1), data.octet_string(b"\xaa\xbb")),
            data.structure(data.long_unsigned(2), data.octet_string(b"")),
            data.structure(data.long_unsigned(3), data.octet_string(b"\xcc")),
        )
        assert data.to_python(item) == [[1, b"\xaa\xbb"], [2, b""], [3, b"\xcc"]]

    def test_arrays_inside(self) -> None:
        kind = TypeDescription(DataTag.ARRAY, (TypeDescription(DataTag.UNSIGNED),), 2)
        item = Data(DataTag.COMPACT_ARRAY, CompactArray(kind, bytes((1, 2, 3, 4))))
        assert data.encode(item) == bytes.fromhex("13 01 0002 11 04 01020304")
        assert data.decode(data.encode(item)) == item
        assert data.to_python(item) == [[1, 2], [3, 4]]

    def test_contents_cut_short_are_refused(self) -> None:
        with pytest.raises(DecodeError):
            data.expand(CompactArray(self.KIND, bytes.fromhex("0001 02 AA")))

    def test_elements_of_no_octets_are_refused(self) -> None:
        for kind in (TypeDescription(DataTag.NULL_DATA), TypeDescription(DataTag.STRUCTURE, ())):
            with pytest.raises(DecodeError, match="at least one octet"):
                data.expand(CompactArray(kind, b"\x00"))

    def test_what_a_few_octets_may_swell_to_is_bounded(self) -> None:
        nulls = TypeDescription(DataTag.ARRAY, (TypeDescription(DataTag.NULL_DATA),), 0xFFFF)
        kind = TypeDescription(DataTag.STRUCTURE, (TypeDescription(DataTag.UNSIGNED), nulls))
        with pytest.raises(DecodeError, match="at most"):
            data.expand(CompactArray(kind, bytes(100)))

    def test_a_compact_array_in_a_compact_array_is_refused(self) -> None:
        with pytest.raises(DecodeError):
            data.decode(bytes.fromhex("13 13 11 00 00"))


def test_plain_values() -> None:
    item = data.structure(data.array(data.unsigned(1), data.null()), data.visible_string("x"), data.float64(0.5))
    assert data.to_python(item) == [[1, None], "x", 0.5]
