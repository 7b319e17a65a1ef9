"""Setup classes of communication: what may be written, what is refused, and what no client ever reads back."""

from __future__ import annotations

from typing import Any

import pytest
from devices import CLOCK, Inside, date_time, described, event_log

from ami_dlms import data
from ami_dlms.cosem.classes import class_versions
from ami_dlms.data import Data
from ami_dlms.enums import ActionResult, DataAccessResult
from ami_meter_sim.objects.cosem_object import AccessRefused
from ami_meter_sim.objects.families import FAMILIES
from ami_meter_sim.objects.secrets import Secret, is_secret, secret_of

PORT, HDLC, TCP = (19, "0-0:20.0.0"), (23, "0-0:22.0.0"), (41, "0-0:25.0.0")
IPV4, MAC, GPRS = (42, "0-0:25.1.0"), (43, "0-0:25.2.0"), (45, "0-0:25.4.0")
GSM, IPV6 = (47, "0-0:25.6.0"), (48, "0-0:25.7.0")
VERSIONS = {19: 1, 23: 1, 47: 1}
ALL = [PORT, HDLC, TCP, IPV4, MAC, GPRS, GSM, IPV6]
SECRET_ATTRIBUTES = {(19, 7), (19, 8), (19, 9), (45, 3)}
QUALITY = data.structure(*[data.unsigned(1)] * 5)


def inside(name: tuple[int, str], **more: Any) -> Inside:
    return Inside(described(name, version=VERSIONS.get(name[0], 0), **more))


@pytest.mark.parametrize("name", ALL, ids=lambda name: str(name[0]))
def test_every_attribute_has_a_value_of_the_standard_s_type(name: tuple[int, str]) -> None:
    one = inside(name)
    for attribute in class_versions()[name[0], VERSIONS.get(name[0], 0)].attributes:
        if (name[0], attribute.number) in SECRET_ATTRIBUTES:
            with pytest.raises(AccessRefused) as refused:
                one.read(name, attribute.number)
            assert refused.value.result is DataAccessResult.READ_WRITE_DENIED
            continue
        value = one.found(name).read(attribute.number)
        assert value.tag.name.lower().replace("_", "-") == attribute.type, attribute.name
        assert data.decode(data.encode(value)) == value


WRITTEN = [
    (PORT, 2, data.enum(2), data.enum(3)),
    (PORT, 3, data.enum(9), data.enum(10)),
    (PORT, 5, data.enum(0), data.enum(2)),
    (PORT, 6, data.octet_string(b"1"), data.octet_string(b"1" * 33)),
    (HDLC, 2, data.enum(8), data.unsigned(8)),
    (HDLC, 3, data.unsigned(7), data.unsigned(8)),
    (HDLC, 4, data.unsigned(1), data.unsigned(0)),
    (HDLC, 5, data.long_unsigned(2030), data.long_unsigned(31)),
    (HDLC, 7, data.long_unsigned(20), data.long_unsigned(19)),
    (HDLC, 8, data.long_unsigned(0), data.unsigned(0)),
    (HDLC, 9, data.long_unsigned(0x10), data.long_unsigned(0x3FFF)),
    (TCP, 2, data.long_unsigned(4060), data.long_unsigned(0)),
    (TCP, 3, data.octet_string(bytes(6)), data.octet_string(bytes(5))),
    (TCP, 4, data.long_unsigned(1400), data.long_unsigned(39)),
    (TCP, 5, data.unsigned(3), data.unsigned(0)),
    (TCP, 6, data.long_unsigned(60), data.double_long_unsigned(60)),
    (IPV4, 3, data.double_long_unsigned(0x7F000001), data.octet_string(b"\x7f\0\0\1")),
    (IPV4, 4, data.array(data.double_long_unsigned(1)), data.array(*[data.double_long_unsigned(1)] * 17)),
    (
        IPV4,
        5,
        data.array(data.structure(data.unsigned(1), data.unsigned(2), data.octet_string(b""))),
        data.array(data.structure(data.unsigned(1), data.unsigned(2))),
    ),
    (IPV4, 8, data.boolean(False), data.enum(0)),
    (MAC, 2, data.octet_string(bytes(8)), data.octet_string(bytes(7))),
    (GPRS, 2, data.octet_string(b"internet"), data.octet_string(b"i" * 101)),
    (GPRS, 4, data.structure(QUALITY, QUALITY), data.structure(QUALITY)),
    (IPV6, 3, data.enum(3), data.enum(4)),
    (IPV6, 4, data.array(data.octet_string(bytes(16))), data.array(data.octet_string(bytes(15)))),
    (IPV6, 7, data.octet_string(bytes(range(16))), data.octet_string(b"")),
    (IPV6, 9, data.unsigned(63), data.unsigned(64)),
    (
        IPV6,
        10,
        data.array(data.structure(data.unsigned(1), data.long_unsigned(2), data.double_long_unsigned(3))),
        data.array(data.unsigned(1)),
    ),
]


@pytest.mark.parametrize(("name", "number", "good", "bad"), WRITTEN)
def test_what_fits_is_kept_and_what_does_not_changes_nothing(
    name: tuple[int, str], number: int, good: Data, bad: Data
) -> None:
    one = inside(name)
    assert one.write(name, number, bad) is DataAccessResult.TYPE_UNMATCHED
    assert one.write(name, number, good) is DataAccessResult.SUCCESS
    assert one.write(name, number, bad) is DataAccessResult.TYPE_UNMATCHED
    one.restart()
    assert one.found(name).read(number) == good


@pytest.mark.parametrize("name", ALL, ids=lambda name: str(name[0]))
def test_the_logical_name_can_t_be_written(name: tuple[int, str]) -> None:
    assert inside(name).write(name, 1, data.octet_string(bytes(6))) is DataAccessResult.READ_WRITE_DENIED


@pytest.mark.parametrize("number", range(2, 9))
def test_a_diagnostic_can_t_be_written(number: int) -> None:
    one = inside(GSM)
    assert one.write(GSM, number, one.found(GSM).read(number)) is DataAccessResult.READ_WRITE_DENIED


def test_a_model_says_what_a_new_meter_has() -> None:
    one = inside(TCP, attributes={2: data.long_unsigned(5000)})
    assert one.read(TCP, 2) == 5000
    assert one.write(TCP, 2, data.long_unsigned(5001)) is DataAccessResult.SUCCESS
    assert one.read(TCP, 2) == 5001


# --- methods


def test_multicast_addresses_of_ipv4_are_a_set_with_a_limit() -> None:
    one = inside(IPV4)
    for number in (1, 2, 1):
        assert one.act(IPV4, 1, data.double_long_unsigned(number)) is ActionResult.SUCCESS
    assert one.found(IPV4).invoke(3, data.integer(0)) == data.long_unsigned(2)
    assert one.act(IPV4, 2, data.double_long_unsigned(3)) is ActionResult.OBJECT_UNDEFINED
    assert one.act(IPV4, 2, data.double_long_unsigned(1)) is ActionResult.SUCCESS
    assert [item.value for item in one.read(IPV4, 4)] == [2]
    assert one.act(IPV4, 1, data.long_unsigned(1)) is ActionResult.TYPE_UNMATCHED
    assert one.act(IPV4, 1, None) is ActionResult.TYPE_UNMATCHED
    for number in range(3, 18):
        assert one.act(IPV4, 1, data.double_long_unsigned(number)) is ActionResult.SUCCESS
    assert one.act(IPV4, 1, data.double_long_unsigned(99)) is ActionResult.OTHER_REASON
    assert len(one.read(IPV4, 4)) == 16


@pytest.mark.parametrize(("kind", "number"), [(0, 4), (1, 5), (2, 6)])
def test_an_address_of_ipv6_goes_into_the_list_of_its_kind(kind: int, number: int) -> None:
    one = inside(IPV6)
    address = data.structure(data.enum(kind), data.octet_string(bytes(range(16))))
    assert one.act(IPV6, 1, address) is ActionResult.SUCCESS
    assert [len(one.read(IPV6, n)) for n in (4, 5, 6)] == [int(n == number) for n in (4, 5, 6)]
    assert one.act(IPV6, 2, address) is ActionResult.SUCCESS
    assert one.act(IPV6, 2, address) is ActionResult.OBJECT_UNDEFINED
    assert one.act(IPV6, 1, data.structure(data.enum(3), address.value[1])) is ActionResult.TYPE_UNMATCHED


# --- secrets


@pytest.mark.parametrize(
    ("name", "number", "value", "which", "kept", "bad"),
    [
        (PORT, 7, data.octet_string(b"12345678"), Secret.PASSWORD_1, b"12345678", data.octet_string(b"1" * 33)),
        (PORT, 8, data.octet_string(b"2"), Secret.PASSWORD_2, b"2", data.visible_string("2")),
        (PORT, 9, data.octet_string(b"3"), Secret.PASSWORD_5, b"3", data.null()),
        (GPRS, 3, data.long_unsigned(1234), Secret.PIN, b"\x04\xd2", data.long_unsigned(10000)),
    ],
)
def test_a_password_can_be_written_and_is_never_shown(
    name: tuple[int, str], number: int, value: Data, which: Secret, kept: bytes, bad: Data
) -> None:
    one = inside(name)
    assert one.write(name, number, bad) is DataAccessResult.TYPE_UNMATCHED
    assert one.write(name, number, value) is DataAccessResult.SUCCESS
    found = one.found(name)
    assert secret_of(one.device.kept, name[0], found.described.obis, which) == kept
    for attribute in range(-128, 128):
        try:
            shown = data.encode(found.read(attribute))
        except AccessRefused:
            continue
        assert kept not in shown


def test_secrets_lie_where_no_class_has_an_attribute_and_their_numbers_never_change() -> None:
    assert {one.name: int(one) for one in Secret} == {
        "UNICAST_ENCRYPTION_KEY": -64,
        "BROADCAST_ENCRYPTION_KEY": -65,
        "AUTHENTICATION_KEY": -66,
        "MASTER_KEY": -67,
        "SIGNING_KEY": -72,
        "AGREEMENT_KEY": -73,
        "TLS_KEY": -74,
        "NEW_SIGNING_KEY": -76,
        "NEW_AGREEMENT_KEY": -77,
        "NEW_TLS_KEY": -78,
        "ASSOCIATION_SECRET": -80,
        "PASSWORD_1": -88,
        "PASSWORD_2": -89,
        "PASSWORD_5": -90,
        "PIN": -91,
        "MBUS_KEY": -96,
        "MBUS_TRANSFERRED_KEY": -97,
    }
    assert all(is_secret(one) and one >= -128 for one in Secret)
    for one in class_versions().values():
        assert not any(is_secret(attribute.number) for attribute in one.attributes)
    assert not is_secret(-1)
    assert {key[0] for key in FAMILIES} >= {name[0] for name in ALL}


NTP = (100, "0-0:25.10.0")


def test_a_time_server_sets_the_clock_when_it_is_on_and_asked() -> None:
    one = Inside(described(NTP), *event_log("standard"))
    one.write(CLOCK, 2, date_time("2026-03-02 09:00:00", 0))
    assert one.act(NTP, 1, data.integer(0)) is ActionResult.OTHER_REASON
    assert one.write(NTP, 2, data.boolean(True)) is DataAccessResult.SUCCESS
    assert one.act(NTP, 1, data.integer(0)) is ActionResult.OTHER_REASON, "no address"
    assert one.write(NTP, 3, data.octet_string(b"time.example.org")) is DataAccessResult.SUCCESS
    assert one.act(NTP, 1, data.integer(0)) is ActionResult.SUCCESS
    assert one.device.clock.utc == one.device.clock.at
    assert one.logged("standard") == [4, 5, 4, 5]


def test_keys_of_a_time_server_are_listed_by_number_and_shown_to_nobody() -> None:
    one = Inside(described(NTP))
    for number in (7, 9, 7):
        key = data.structure(data.double_long_unsigned(number), data.octet_string(b"secret"))
        assert one.act(NTP, 2, key) is ActionResult.SUCCESS
    assert [row.value[0].value for row in one.read(NTP, 6)] == [9, 7]
    assert b"secret" not in data.encode(one.found(NTP).read(6))
    assert one.act(NTP, 3, data.double_long_unsigned(9)) is ActionResult.SUCCESS
    assert one.act(NTP, 3, data.double_long_unsigned(9)) is ActionResult.OBJECT_UNDEFINED
    assert one.act(NTP, 2, data.unsigned(1)) is ActionResult.TYPE_UNMATCHED
