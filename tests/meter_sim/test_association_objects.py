"""Associations as objects: by logical names in versions 0 to 3, by short names in versions 0 to 4; users, rights, and who asks."""

from __future__ import annotations

from typing import Any

import pytest
from devices import CLOCK, Inside, described

from ami_dlms import data
from ami_dlms.association import AssociationProfile, AttributeAccess
from ami_dlms.cosem.descriptors import AttributeDescriptor, MethodDescriptor
from ami_dlms.cosem.short_names import NamedObject, ShortNames
from ami_dlms.data import Data
from ami_dlms.enums import ActionResult, DataAccessResult, Mechanism
from ami_dlms.obis import Obis
from ami_meter_sim.objects.cosem_object import AccessRefused, ReadContext
from ami_meter_sim.objects.keys import secret_in_force

LN, SN, OTHER = (15, "0-0:40.0.0"), (12, "0-0:40.0.0"), (15, "0-0:40.0.1")
NAMES = ShortNames([NamedObject(0x2BC0, 8, 0, Obis.parse(CLOCK[1])), NamedObject(0xFA00, 12, 3, Obis.parse(SN[1]))])


class Rights:
    """The clock may be read, and its time zone written."""

    def attribute(self, descriptor: AttributeDescriptor) -> AttributeAccess | None:
        if descriptor.class_id != CLOCK[0]:
            return None
        return {2: AttributeAccess.READ, 3: AttributeAccess.READ | AttributeAccess.WRITE}.get(
            descriptor.attribute_id, AttributeAccess.NONE
        )

    def method(self, descriptor: MethodDescriptor) -> bool | None:
        return descriptor.class_id == CLOCK[0] and descriptor.method_id == 3


def profile(**more: Any) -> AssociationProfile:
    return AssociationProfile(**({"client_wport": 1, "server_wport": 1, "access": Rights()} | more))


def asked(one: Inside, **more: Any) -> ReadContext:
    """A client whose request is being worked on."""
    context = ReadContext("management", profile(**more))
    one.device.communication.asked_by = context
    return context


def user(number: int, name: str = "A") -> Data:
    return data.structure(data.unsigned(number), data.visible_string(name))


# --- logical names


@pytest.mark.parametrize(
    ("version", "has"), [(0, range(2, 9)), (1, range(2, 10)), (2, range(2, 12)), (3, range(2, 12))]
)
def test_each_version_has_its_attributes(version: int, has: range) -> None:
    one = Inside(described(LN, version=version))
    context = asked(one)
    for number in range(2, 12):
        try:
            value = one.found(LN).read(number, context)
        except AccessRefused as refused:
            assert number not in has or number == 7, number
            assert refused.result is (
                DataAccessResult.READ_WRITE_DENIED if number == 7 else DataAccessResult.OBJECT_UNAVAILABLE
            )
        else:
            assert number in has
            assert data.decode(data.encode(value)) == value


def test_the_meter_itself_has_no_association_to_show() -> None:
    one = Inside(described(LN, version=1))
    for number in (2, 3, 4, 5, 6, 8, 9):
        with pytest.raises(AccessRefused):
            one.read(LN, number)
    assert one.act(LN, 2, data.octet_string(b"x")) is ActionResult.OBJECT_UNAVAILABLE


def test_another_association_is_shown_by_its_name_and_as_not_associated() -> None:
    one = Inside(described(LN, version=1), described(OTHER, version=1, options={"association": "public"}))
    one.device.communication.offered = lambda _, name: {"public": profile(client_wport=16)}.get(name)
    context = asked(one)
    found = one.found(OTHER)
    assert found.read(3, context).value[0] == data.integer(16)
    assert found.read(8, context) == data.enum(0)
    assert one.found(LN).read(3, context).value[0] == data.integer(1)
    assert one.found(LN).read(8, context) == data.enum(2)
    one.device.communication.offered = lambda _device, _name: None
    with pytest.raises(AccessRefused):
        found.read(3, context)


@pytest.mark.parametrize("version", [2, 3])
def test_users_are_added_replaced_and_removed(version: int) -> None:
    one = Inside(described(LN, version=version))
    for number, name in ((1, "A"), (2, "B"), (1, "C")):
        assert one.act(LN, 5, user(number, name)) is ActionResult.SUCCESS
    assert list(one.read(LN, 10)) == [user(2, "B"), user(1, "C")]
    assert one.act(LN, 6, user(2)) is ActionResult.SUCCESS
    assert one.act(LN, 6, user(2)) is ActionResult.OBJECT_UNDEFINED
    assert list(one.read(LN, 10)) == [user(1, "C")]
    for wrong in (None, data.unsigned(1), user(1, "x" * 33)):
        assert one.act(LN, 5, wrong) is ActionResult.TYPE_UNMATCHED
    for number in range(2, 33):
        assert one.act(LN, 5, user(number)) is ActionResult.SUCCESS
    assert one.act(LN, 5, user(200)) is ActionResult.OTHER_REASON
    assert one.write(LN, 10, data.array(*[user(1)] * 33)) is DataAccessResult.TYPE_UNMATCHED
    assert one.write(LN, 10, data.array()) is DataAccessResult.SUCCESS
    assert one.write(LN, 11, user(1)) is DataAccessResult.READ_WRITE_DENIED


@pytest.mark.parametrize("number", [1, 2, 3, 4, 5, 6, 8, 9])
def test_what_an_association_is_can_t_be_written(number: int) -> None:
    one = Inside(described(LN, version=1))
    asked(one)
    assert one.write(LN, number, data.octet_string(b"")) is DataAccessResult.READ_WRITE_DENIED


def test_a_client_s_own_list_of_objects_can_t_be_changed() -> None:
    one = Inside(described(LN, version=1))
    asked(one)
    assert one.act(LN, 3, data.null()) is one.act(LN, 4, data.null()) is ActionResult.OBJECT_UNAVAILABLE


@pytest.mark.parametrize(
    ("mechanism", "secret", "result"),
    [
        (Mechanism.LOWEST, None, ActionResult.OTHER_REASON),
        (Mechanism.LOW, b"1", ActionResult.OTHER_REASON),
        (Mechanism.MD5, b"1", ActionResult.SUCCESS),
    ],
)
def test_only_an_hls_secret_is_changed_by_the_method(
    mechanism: Mechanism, secret: bytes | None, result: ActionResult
) -> None:
    one = Inside(described(LN, version=1))
    asked(one, mechanism=mechanism, secret=secret)
    assert one.act(LN, 2, data.octet_string(b"new")) is result
    now = secret_in_force(one.device, 1, secret)
    assert now == (b"new" if result is ActionResult.SUCCESS else secret)
    assert secret_in_force(one.device, 2, b"other") == b"other"


# --- short names


def short(version: int = 3, **more: Any) -> tuple[Inside, ReadContext]:
    one = Inside(described(SN, version=version))
    return one, asked(one, **({"short_names": NAMES} | more))


@pytest.mark.parametrize("version", range(5))
def test_the_list_has_the_base_names(version: int) -> None:
    one, context = short(version)
    assert ShortNames.decode(one.found(SN).read(2, context)).resolve(0x2BC8) == AttributeDescriptor(
        8, Obis.parse(CLOCK[1]), 2
    )
    sizes = {0: 2, 1: 2, 2: 4, 3: 6, 4: 6}
    for number in range(3, 7):
        if number > sizes[version]:
            with pytest.raises(AccessRefused):
                one.found(SN).read(number, context)
        else:
            one.found(SN).read(number, context)


def test_without_short_names_there_is_no_list() -> None:
    one, context = short(short_names=None)
    with pytest.raises(AccessRefused):
        one.found(SN).read(2, context)


def test_the_rights_are_those_of_who_asks() -> None:
    one, context = short()
    clock, association = one.found(SN).read(3, context).value
    modes = {item.value[0].value: item.value[1].value for item in clock.value[1].value}
    assert clock.value[0] == data.long(0x2BC0)
    assert (modes[1], modes[2], modes[3], modes[4]) == (0, 1, 3, 0)
    assert [item.value[1].value for item in clock.value[2].value] == [0, 0, 1, 0, 0, 0]
    assert {item.value[1].value for item in association.value[1].value} == {0}


def by_name(*wanted: tuple[tuple[int, str], int]) -> Data:
    return data.array(
        *(
            data.structure(data.long_unsigned(which[0]), data.octet_string(Obis.parse(which[1])), data.integer(number))
            for which, number in wanted
        )
    )


def test_attributes_are_read_by_logical_name_with_the_rights_of_who_asks() -> None:
    one, context = short()
    read = one.found(SN).invoke(3, by_name((CLOCK, 3), (CLOCK, 2)))
    assert read == data.structure(data.long(0), one.found(CLOCK).read(2, context))
    assert one.act(SN, 3, by_name((CLOCK, 4))) is ActionResult.READ_WRITE_DENIED
    assert one.act(SN, 3, by_name(((1, "0-0:42.0.0"), 2))) is ActionResult.OBJECT_UNDEFINED
    assert one.act(SN, 3, by_name(*[(CLOCK, 2)] * 65)) is ActionResult.TYPE_UNMATCHED
    assert one.act(SN, 3, None) is ActionResult.TYPE_UNMATCHED


def test_a_secret_of_either_kind_is_changed_by_one_method() -> None:
    for mechanism in (Mechanism.LOW, Mechanism.SHA1):
        one, _ = short(mechanism=mechanism, secret=b"1")
        assert one.act(SN, 5, data.octet_string(b"2")) is ActionResult.SUCCESS
        assert secret_in_force(one.device, 1, b"1") == b"2"
    one, _ = short()
    assert one.act(SN, 5, data.octet_string(b"2")) is ActionResult.OTHER_REASON


def test_users_of_an_association_by_short_names() -> None:
    one, _ = short(4)
    assert one.act(SN, 9, user(1)) is ActionResult.SUCCESS
    assert list(one.read(SN, 5)) == [user(1)]
    assert one.act(SN, 10, user(1)) is ActionResult.SUCCESS
