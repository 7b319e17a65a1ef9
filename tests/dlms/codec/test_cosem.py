"""The object model's tables and values: interface classes, scaled quantities, selectors, profile rows."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ami_dlms import data
from ami_dlms.cosem.classes import attribute_name, class_name, class_versions, interface_classes, method_name
from ami_dlms.cosem.descriptors import AttributeDescriptor, MethodDescriptor
from ami_dlms.cosem.profile import Origin, decode_rows, encode_rows
from ami_dlms.cosem.quantity import ScalerUnit, unit_of, units
from ami_dlms.cosem.selection import CaptureObject, EntryDescriptor, RangeDescriptor, SelectiveAccess
from ami_dlms.data import CompactArray, Data, TypeDescription
from ami_dlms.datetimes import CosemDateTime
from ami_dlms.enums import DataTag
from ami_dlms.errors import DecodeError, LocalError
from ami_dlms.obis import Obis

CLOCK = CaptureObject(8, Obis.parse("0-0:1.0.0"), 2)
STATUS = CaptureObject(1, Obis.parse("0-0:96.10.1"), 2)
ENERGY = CaptureObject(3, Obis.parse("1-0:1.8.0"), 2)
COLUMNS = (CLOCK, STATUS, ENERGY)


class TestClasses:
    def test_names(self) -> None:
        relay = Obis.parse("0-0:96.3.10")
        assert class_name(70) == "disconnect_control"
        assert attribute_name(AttributeDescriptor(70, relay, 3)) == "control_state"
        assert method_name(MethodDescriptor(70, relay, 2)) == "remote_reconnect"
        assert attribute_name(AttributeDescriptor(7, relay, 2)) == "buffer"
        assert attribute_name(AttributeDescriptor(15, relay, 8)) == "association_status"
        assert method_name(MethodDescriptor(15, relay, 1)) == "reply_to_hls_authentication"

    def test_what_is_not_known_is_called_by_its_number(self) -> None:
        somewhere = Obis(bytes(6))
        assert class_name(9999) == "class 9999"
        assert attribute_name(AttributeDescriptor(9999, somewhere, 2)) == "attribute 2"
        assert attribute_name(AttributeDescriptor(70, somewhere, 9)) == "attribute 9"
        assert method_name(MethodDescriptor(70, somewhere, 3)) == "method 3"
        assert method_name(MethodDescriptor(9999, somewhere, 3)) == "method 3"

    def test_every_class_is_whole(self) -> None:
        classes = interface_classes()
        assert {1, 3, 4, 5, 6, 7, 8, 9, 11, 15, 17, 18, 20, 22, 40, 41, 64, 70, 71} <= classes.keys()
        for item in class_versions().values():
            names = [attribute.name for attribute in item.attributes]
            assert names[0] == "logical_name"
            assert len(set(names)) == len(names)
            assert [attribute.number for attribute in item.attributes] == list(range(1, len(names) + 1))
            assert item.source.endswith(f"(class_id {item.class_id})") or f"(class_id {item.class_id})" in item.source

    @pytest.mark.parametrize(
        ("class_id", "sizes"),
        [
            (12, {0: (2, 8), 1: (2, 8), 2: (4, 8), 3: (6, 10), 4: (6, 10)}),
            (15, {0: (8, 4), 1: (9, 4), 2: (11, 6), 3: (11, 6)}),
            (40, {0: (7, 1), 1: (10, 1), 2: (13, 2)}),
            (64, {0: (5, 2), 1: (6, 8)}),
            (72, {0: (12, 8), 1: (14, 8)}),
        ],
    )
    def test_a_class_in_the_versions_that_meters_have(self, class_id: int, sizes: dict[int, tuple[int, int]]) -> None:
        """Attributes and methods of each: a later version adds behind those of the earlier one, and renames none."""
        versions = {version: one for (number, version), one in class_versions().items() if number == class_id}
        assert {version: (len(one.attributes), len(one.methods)) for version, one in versions.items()} == sizes
        names = [[attribute.name for attribute in one.attributes] for one in versions.values()]
        assert all(later[: len(earlier)] == earlier for earlier, later in pairwise(names))


class TestQuantity:
    @pytest.mark.parametrize(
        ("scaler", "unit", "raw", "text"),
        [
            (-3, 30, data.double_long_unsigned(123456), "123.456 Wh"),
            (3, 30, data.double_long_unsigned(5), "5000 Wh"),
            (0, 255, data.long64_unsigned(2**64 - 1), "18446744073709551615"),
            (-1, 35, data.long_unsigned(2301), "230.1 V"),
            (0, 27, data.double_long(-7), "-7 W"),
            (-2, 35, data.float64(2.5), "0.025 V"),
            (0, 200, data.unsigned(1), "1 unit 200"),
        ],
    )
    def test_values(self, scaler: int, unit: int, raw: Data, text: str) -> None:
        assert str(ScalerUnit(scaler, unit).apply(raw)) == text

    @settings(deadline=None)
    @given(st.integers(-(2**63), 2**64 - 1), st.integers(-128, 127))
    def test_nothing_is_rounded(self, raw: int, scaler: int) -> None:
        value = ScalerUnit(scaler, 30).apply(Data(DataTag.LONG64, raw)).value
        sign, digits, exponent = value.as_tuple()
        assert exponent == scaler
        assert int("".join(map(str, digits))) * (-1 if sign else 1) == raw
        assert isinstance(value, Decimal)

    def test_scaler_unit_both_ways(self) -> None:
        assert ScalerUnit.decode(ScalerUnit(-3, 30).encode()) == ScalerUnit(-3, 30)
        assert data.encode(ScalerUnit(-3, 30).encode()) == bytes.fromhex("02020FFD161E")

    @pytest.mark.parametrize(
        "value", [data.null(), data.structure(data.integer(1)), data.structure(data.unsigned(1), data.enum(1))]
    )
    def test_other_shapes_are_refused(self, value: Data) -> None:
        with pytest.raises(DecodeError):
            ScalerUnit.decode(value)

    @pytest.mark.parametrize(
        "value", [data.null(), data.boolean(True), data.octet_string(b"1"), data.float32(float("inf"))]
    )
    def test_what_is_no_number_is_refused(self, value: Data) -> None:
        with pytest.raises(DecodeError):
            ScalerUnit(0, 30).apply(value)

    def test_units(self) -> None:
        assert (unit_of(30).symbol, unit_of(32).symbol, unit_of(27).quantity) == ("Wh", "varh", "active power")
        assert all(0 < code <= 255 for code in units())


class TestSelection:
    def test_range_both_ways(self) -> None:
        start = data.octet_string(CosemDateTime(2026, 11, 20, None, 0, 0, 0, 0, 0, 0).encode())
        end = data.octet_string(CosemDateTime(2026, 11, 21, None, 0, 0, 0, 0, 0, 0).encode())
        selector = RangeDescriptor(CLOCK, start, end, (CLOCK, ENERGY))
        access = selector.encode()
        assert access.selector == 1
        assert RangeDescriptor.decode(access) == selector
        assert data.encode(access.parameters).startswith(bytes.fromhex("0204 0204 120008 09060000010000FF 0F02 120000"))

    def test_entries_both_ways(self) -> None:
        selector = EntryDescriptor(1, 96)
        assert EntryDescriptor.decode(selector.encode()) == selector
        assert data.encode(selector.encode().parameters) == bytes.fromhex("0204 0600000001 0600000060 120001 120000")

    @pytest.mark.parametrize(
        "access",
        [
            SelectiveAccess(1, data.null()),
            SelectiveAccess(3, data.null()),
            SelectiveAccess(1, data.structure()),
            SelectiveAccess(2, data.structure(*[data.unsigned(1)] * 4)),
            SelectiveAccess(2, EntryDescriptor(1).encode().parameters._replace(tag=DataTag.ARRAY)),
            SelectiveAccess(1, data.structure(data.structure(), data.null(), data.null(), data.array())),
            SelectiveAccess(
                1,
                data.structure(
                    data.structure(
                        data.long_unsigned(8), data.octet_string(b"short"), data.integer(2), data.long_unsigned(0)
                    ),
                    data.null(),
                    data.null(),
                    data.array(),
                ),
            ),
        ],
    )
    def test_other_shapes_are_refused(self, access: SelectiveAccess) -> None:
        for kind in (RangeDescriptor, EntryDescriptor):
            with pytest.raises(DecodeError):
                kind.decode(access)


def at(hour: int, minute: int, **other: Any) -> Data:
    parts = {"second": 0, "hundredths": 0, "deviation_minutes": -60, "clock_status": 0} | other
    return data.octet_string(CosemDateTime(2026, 11, 20, 5, hour, minute, **parts).encode())


def row(clock: Data, status: int | None, energy: int | None) -> tuple[Data, ...]:
    return (
        clock,
        data.null() if status is None else data.unsigned(status),
        data.null() if energy is None else data.double_long_unsigned(energy),
    )


class TestProfile:
    def test_what_a_meter_leaves_out_is_put_back_and_marked(self) -> None:
        sent = encode_rows([row(at(23, 30), 0, 100), row(data.null(), None, 110), row(data.null(), 8, None)])
        rows = decode_rows(sent, COLUMNS, 900)
        midnight = data.octet_string(CosemDateTime(2026, 11, 21, 6, 0, 0, 0, 0, -60, 0).encode())
        assert [item.values for item in rows] == [
            row(at(23, 30), 0, 100),
            row(at(23, 45), 0, 110),
            row(midnight, 8, 110),
        ]
        assert rows[0].origins == (Origin.SENT,) * 3
        assert rows[1].origins == (Origin.INTERPOLATED, Origin.REPEATED, Origin.SENT)
        assert rows[2].origins == (Origin.INTERPOLATED, Origin.SENT, Origin.REPEATED)

    def test_a_null_with_nothing_above_it_stays_null(self) -> None:
        rows = decode_rows(encode_rows([row(data.null(), None, None)] * 2), COLUMNS, 900)
        assert {value for item in rows for value in item.values} == {data.null()}
        assert {origin for item in rows for origin in item.origins} == {Origin.SENT}

    @pytest.mark.parametrize(
        ("clock", "period"),
        [
            (at(23, 30), 0),
            (data.octet_string(CosemDateTime(hour=1, minute=0).encode()), 900),
            (data.octet_string(CosemDateTime(2026, 13, 1, 1, 0, 0).encode()), 900),
            (data.octet_string(b"other"), 900),
            (data.unsigned(1), 900),
        ],
    )
    def test_a_clock_that_cannot_be_continued_stays_null(self, clock: Data, period: int) -> None:
        rows = decode_rows(encode_rows([row(clock, 0, 1), row(data.null(), None, 2)]), COLUMNS, period)
        assert rows[1].values[0] == data.null()
        assert rows[1].origins[0] is Origin.SENT

    def test_a_clock_of_the_type_date_time(self) -> None:
        first = data.date_time(CosemDateTime(2026, 11, 20, None, 1, 0, None, None, 0, None))
        rows = decode_rows(encode_rows([(first,), (data.null(),)]), [CLOCK], 3600)
        assert rows[1].values == (data.date_time(CosemDateTime(2026, 11, 20, None, 2, 0, None, None, 0, None)),)

    def test_a_compact_array_gives_the_same_rows(self) -> None:
        kind = TypeDescription(
            DataTag.STRUCTURE,
            (
                TypeDescription(DataTag.OCTET_STRING),
                TypeDescription(DataTag.UNSIGNED),
                TypeDescription(DataTag.DOUBLE_LONG_UNSIGNED),
            ),
        )
        rows = [row(at(1, 0), 0, 1), row(at(1, 15), 0, 2)]
        contents = b"".join(
            bytes((12,)) + clock.value + bytes((status.value,)) + energy.value.to_bytes(4, "big")
            for clock, status, energy in rows
        )
        compact = Data(DataTag.COMPACT_ARRAY, CompactArray(kind, contents))
        assert [item.values for item in decode_rows(compact, COLUMNS)] == rows

    @pytest.mark.parametrize(
        "buffer",
        [
            data.null(),
            data.structure(),
            data.array(data.null()),
            data.array(data.structure(data.null())),
            data.array(data.structure(*[data.null()] * 4)),
        ],
    )
    def test_other_shapes_are_refused(self, buffer: Data) -> None:
        with pytest.raises(DecodeError):
            decode_rows(buffer, COLUMNS)

    def test_no_rows(self) -> None:
        assert decode_rows(data.array(), COLUMNS) == ()


def test_descriptors_speak() -> None:
    relay = Obis.parse("0-0:96.3.10")
    assert str(AttributeDescriptor(70, relay, 2)) == "class 70 0-0:96.3.10*255 attribute 2"
    assert str(MethodDescriptor(70, relay, 1)) == "class 70 0-0:96.3.10*255 method 1"
    with pytest.raises(LocalError):
        data.encode(EntryDescriptor(-1).encode().parameters)


def test_a_row_of_another_shape_says_how_many_elements_came() -> None:
    columns = (CaptureObject(8, Obis.parse("0-0:1.0.0"), 2), CaptureObject(3, Obis.parse("1-0:1.8.0"), 2))
    three = data.structure(data.null(), data.unsigned(1), data.unsigned(2))
    for wrong, said in ((three, "got a structure of 3"), (data.unsigned(1), "got unsigned")):
        with pytest.raises(DecodeError, match=f"a structure of 2 elements, {said}"):
            decode_rows(data.array(wrong), columns)
