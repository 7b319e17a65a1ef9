"""Short names and back: published offsets, the object_list of an association, and names that stand for nothing."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sizes import examples

from ami_dlms import data
from ami_dlms.cosem.classes import interface_classes
from ami_dlms.cosem.descriptors import AttributeDescriptor, MethodDescriptor
from ami_dlms.cosem.short_names import NamedObject, ShortNames, reserved_base_name
from ami_dlms.errors import DecodeError, LocalError
from ami_dlms.obis import Obis

ASSOCIATION = Obis.parse("0-0:40.0.0")
ENERGY, CLOCK, PROFILE, RELAY = (Obis.parse(text) for text in ("1-0:1.8.0", "0-0:1.0.0", "1-0:99.1.0", "0-0:96.3.10"))
NAMES = ShortNames(
    [
        NamedObject(0xFA00, 12, 3, ASSOCIATION),
        NamedObject(0x0100, 3, 0, ENERGY),
        NamedObject(0x0200, 8, 0, CLOCK),
        NamedObject(0x0300, 7, 1, PROFILE),
        NamedObject(0x0400, 70, 0, RELAY),
        NamedObject(0x0500, 999, 0, RELAY),
    ]
)
KNOWN: list[tuple[int, AttributeDescriptor | MethodDescriptor]] = [
    (0xFA00, AttributeDescriptor(12, ASSOCIATION, 1)),
    (0xFA08, AttributeDescriptor(12, ASSOCIATION, 2)),
    (0xFA30, MethodDescriptor(12, ASSOCIATION, 3)),
    (0xFA58, MethodDescriptor(12, ASSOCIATION, 8)),
    (0x0108, AttributeDescriptor(3, ENERGY, 2)),
    (0x0110, AttributeDescriptor(3, ENERGY, 3)),
    (0x0128, MethodDescriptor(3, ENERGY, 1)),
    (0x0208, AttributeDescriptor(8, CLOCK, 2)),
    (0x0260, MethodDescriptor(8, CLOCK, 1)),
    (0x0288, MethodDescriptor(8, CLOCK, 6)),
    (0x0358, MethodDescriptor(7, PROFILE, 1)),
    (0x0418, AttributeDescriptor(70, RELAY, 4)),
    (0x0420, MethodDescriptor(70, RELAY, 1)),
    (0x0428, MethodDescriptor(70, RELAY, 2)),
    (0x0510, AttributeDescriptor(999, RELAY, 3)),
]


@pytest.mark.parametrize(("name", "descriptor"), KNOWN)
def test_both_ways(name: int, descriptor: AttributeDescriptor | MethodDescriptor) -> None:
    assert NAMES.resolve(name) == descriptor
    assert NAMES.name_of(descriptor) == name


@pytest.mark.parametrize("name", [0, 0x00F8, 0x0101, 0x0118, 0x0120, 0x0130, 0x0250, 0x0290, 0x0430, 0xFFFF])
def test_names_that_stand_for_nothing(name: int) -> None:
    assert NAMES.resolve(name) is None


@pytest.mark.parametrize(
    "descriptor",
    [
        AttributeDescriptor(3, CLOCK, 2),
        AttributeDescriptor(3, ENERGY, 0),
        AttributeDescriptor(3, ENERGY, 6),
        AttributeDescriptor(999, RELAY, 40),
        MethodDescriptor(3, ENERGY, 0),
        MethodDescriptor(3, ENERGY, 2),
        MethodDescriptor(999, RELAY, 1),
    ],
)
def test_what_has_no_short_name(descriptor: AttributeDescriptor | MethodDescriptor) -> None:
    if descriptor.class_id == 999 and isinstance(descriptor, AttributeDescriptor):
        assert NAMES.name_of(descriptor) == 0x0500 + 8 * 39  # an unknown class reaches as far as there is room
        return
    with pytest.raises(LocalError):
        NAMES.name_of(descriptor)


def test_an_object_ends_where_the_next_begins() -> None:
    names = ShortNames([NamedObject(0x0100, 999, 0, RELAY), NamedObject(0x0110, 1, 0, ENERGY)])
    assert names.name_of(AttributeDescriptor(999, RELAY, 2)) == 0x0108
    with pytest.raises(LocalError):
        names.name_of(AttributeDescriptor(999, RELAY, 3))


def test_methods_never_lie_among_attributes() -> None:
    for kind in interface_classes().values():
        item = NamedObject(0, kind.class_id, kind.version, RELAY)
        if item.first_method is not None:
            assert item.first_method >= 8 * len(kind.attributes)
            descriptors: list[Any] = [MethodDescriptor(kind.class_id, RELAY, m.number) for m in kind.methods]
            descriptors += [AttributeDescriptor(kind.class_id, RELAY, a.number) for a in kind.attributes]
            assert [item.at(item.offset_of(d)) for d in descriptors] == descriptors


def test_the_object_list_round_and_back() -> None:
    decoded = ShortNames.decode(NAMES.encode())
    assert list(decoded) == list(NAMES)
    assert len(decoded) == 6
    assert NAMES.encode().value[-1].value[0] == data.long(-1536)


@pytest.mark.parametrize(
    "wrong",
    [
        data.null(),
        data.array(data.null()),
        data.array(data.structure(data.long(8), data.long_unsigned(1), data.unsigned(0))),
        data.array(data.structure(data.long(9), data.long_unsigned(1), data.unsigned(0), data.octet_string(bytes(6)))),
        data.array(data.structure(data.long(8), data.long_unsigned(1), data.unsigned(0), data.octet_string(bytes(5)))),
        data.array(*[NamedObject(8, 1, 0, RELAY).encode()] * 2),
    ],
)
def test_wrong_object_lists_are_refused(wrong: data.Data) -> None:
    with pytest.raises(DecodeError):
        ShortNames.decode(wrong)


def test_wrong_objects_are_refused() -> None:
    for name in (4, -8, 0x10000):
        with pytest.raises(LocalError):
            NamedObject(name, 1, 0, RELAY)
    with pytest.raises(LocalError, match="two base names"):
        ShortNames([NamedObject(8, 1, 0, RELAY), NamedObject(16, 1, 0, RELAY)])


def test_reserved_names() -> None:
    kinds = ("association_sn", "script_table", "sap_assignment", "logical_device_name")
    assert [reserved_base_name(kind) for kind in kinds] == [0xFA00, 0xFB00, 0xFC00, 0xFD00]


@given(st.integers(0, 0xFFFF))
@settings(max_examples=examples(200), deadline=None)
def test_what_resolves_has_this_name(name: int) -> None:
    found = NAMES.resolve(name)
    assert found is None or NAMES.name_of(found) == name
