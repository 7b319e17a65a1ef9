"""Compact data: a template, and values that nobody can read without it."""

from __future__ import annotations

import pytest
from devices import CLOCK, Inside, described

from ami_dlms import data
from ami_dlms.cosem.selection import CaptureObject
from ami_dlms.data import CompactArray, Data, TypeDescription
from ami_dlms.enums import ActionResult, DataAccessResult, DataTag
from ami_dlms.obis import Obis
from ami_meter_sim.objects.cosem_object import AccessRefused

COMPACT, OTHER = (62, "0-0:66.0.1"), (62, "0-0:66.0.2")
NUMBER, TEXT, PAIR = (1, "0-0:96.1.0"), (1, "0-0:96.1.1"), (1, "0-0:96.1.2")
NOTHING = data.integer(0)


def source(name: tuple[int, str], number: int = 2, index: int = 0) -> Data:
    return CaptureObject(name[0], Obis.parse(name[1]), number, index).encode()


def meter(version: int = 0) -> Inside:
    pair = data.structure(data.unsigned(7), data.array(data.long(-1), data.long(2)))
    return Inside(
        described(COMPACT, version=version),
        described(OTHER),
        described(NUMBER, {2: data.double_long_unsigned(0x01020304)}, static=True),
        described(TEXT, {2: data.octet_string(b"ab")}, static=True),
        described(PAIR, {2: pair}, static=True),
    )


def chosen(one: Inside, *sources: Data) -> DataAccessResult:
    return one.write(COMPACT, 3, data.array(*sources))


def test_values_come_without_tags_and_the_template_has_them() -> None:
    one = meter()
    assert chosen(one, source(NUMBER), source(TEXT), source(PAIR)) is DataAccessResult.SUCCESS
    assert one.read(COMPACT, 2) == b""
    assert one.act(COMPACT, 2, NOTHING) is ActionResult.SUCCESS
    buffer = one.read(COMPACT, 2)
    assert buffer == bytes.fromhex("01 01020304 02 6162 07 FFFF 0002")
    description = one.read(COMPACT, 5)
    assert description == bytes.fromhex("02 03 06 09 02 02 11 01 0002 10")
    whole = b"\x13" + description + bytes((len(buffer) - 1,)) + buffer[1:]
    (values,) = data.expand(data.decode(whole).value)
    assert data.to_python(values) == [0x01020304, b"ab", [7, [-1, 2]]]


def test_the_template_changes_its_id_with_the_list() -> None:
    one = meter()
    assert one.read(COMPACT, 4) == 0
    chosen(one, source(NUMBER))
    one.act(COMPACT, 2, NOTHING)
    chosen(one, source(TEXT))
    assert (one.read(COMPACT, 4), one.read(COMPACT, 2)) == (2, b"")
    for _ in range(254):
        chosen(one, source(TEXT))
    assert one.read(COMPACT, 4) == 0


def test_what_is_taken_when_it_is_read() -> None:
    one = meter()
    chosen(one, source(CLOCK))
    assert one.write(COMPACT, 6, data.enum(2)) is DataAccessResult.TYPE_UNMATCHED
    assert one.write(COMPACT, 6, data.enum(1)) is DataAccessResult.SUCCESS
    before = one.read(COMPACT, 2)
    one.later(seconds=1)
    assert one.read(COMPACT, 2) != before
    assert one.read(COMPACT, 2)[1] == 12


def test_reset_empties_the_buffer() -> None:
    one = meter()
    chosen(one, source(NUMBER))
    one.act(COMPACT, 2, NOTHING)
    assert one.act(COMPACT, 1, NOTHING) is ActionResult.SUCCESS
    assert one.read(COMPACT, 2) == b""


@pytest.mark.parametrize("number", [1, 2, 4, 5])
def test_only_the_list_and_the_method_can_be_written(number: int) -> None:
    one = meter()
    assert one.write(COMPACT, number, one.found(COMPACT).read(number)) is DataAccessResult.READ_WRITE_DENIED


@pytest.mark.parametrize("wrong", [data.null(), data.array(data.null()), data.array(*[source(NUMBER)] * 65)])
def test_a_list_of_another_shape_or_too_long_is_refused(wrong: Data) -> None:
    one = meter()
    assert one.write(COMPACT, 3, wrong) is DataAccessResult.TYPE_UNMATCHED
    assert one.read(COMPACT, 4) == 0


def test_objects_that_capture_each_other_end() -> None:
    one = meter()
    for name, other in ((COMPACT, OTHER), (OTHER, COMPACT)):
        assert one.write(name, 3, data.array(source(other))) is DataAccessResult.SUCCESS
        assert one.write(name, 6, data.enum(1)) is DataAccessResult.SUCCESS
    assert one.read(COMPACT, 2) == b"\x01" + data.encode(data.octet_string(b"\x01"))[1:]


def test_a_buffer_has_an_end() -> None:
    one = Inside(described(COMPACT), described(TEXT, {2: data.octet_string(bytes(2000))}, static=True))
    chosen(one, *[source(TEXT)] * 64)
    assert one.act(COMPACT, 2, NOTHING) is ActionResult.OTHER_REASON
    assert one.write(COMPACT, 6, data.enum(1)) is DataAccessResult.SUCCESS
    with pytest.raises(AccessRefused):
        one.read(COMPACT, 2)


def test_what_is_missing_is_null_in_the_template_too() -> None:
    one = meter()
    chosen(one, source((3, "1-0:9.9.9")), source(NUMBER))
    one.act(COMPACT, 2, NOTHING)
    assert one.read(COMPACT, 2) == bytes.fromhex("01 01020304")
    assert one.read(COMPACT, 5) == bytes.fromhex("02 02 00 06")
    array = CompactArray(TypeDescription(DataTag.NULL_DATA), b"")
    assert data.expand(array) == ()


def test_version_1_takes_a_restriction_as_well() -> None:
    one = meter(1)
    restricted = data.structure(*source(NUMBER).value, data.structure(data.enum(0), data.null()))
    assert one.write(COMPACT, 3, data.array(restricted, source(TEXT))) is DataAccessResult.SUCCESS
    one.act(COMPACT, 2, NOTHING)
    assert one.read(COMPACT, 2) == bytes.fromhex("01 01020304 02 6162")
