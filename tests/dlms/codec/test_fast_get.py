"""The fast paths, for GET, for ACTION and for what clients send alike, give what the general path gives, its errors included."""

from __future__ import annotations

from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sizes import examples

from ami_dlms import apdu, data
from ami_dlms.apdu.acse import Aarq, Rlrq
from ami_dlms.apdu.action import ActionRequestNormal, ActionResponseNormal
from ami_dlms.apdu.fields import AttributeItem
from ami_dlms.apdu.get import GetRequestNormal, GetRequestWithList, GetResponseNormal, GetResponseWithList
from ami_dlms.apdu.initiate import InitiateRequest, InitiateResponse
from ami_dlms.cosem.descriptors import AttributeDescriptor, MethodDescriptor
from ami_dlms.cosem.selection import EntryDescriptor
from ami_dlms.data import Data
from ami_dlms.enums import ActionResult, ApplicationContext, Conformance, DataAccessResult, Mechanism, ReleaseReason
from ami_dlms.errors import DecodeError, LocalError
from ami_dlms.obis import Obis

SWITCH = MethodDescriptor(70, Obis.parse("0-0:96.3.10"), 1)
CLOCK = AttributeDescriptor(8, Obis.parse("0-0:1.0.0"), -2)
SEEDS = [
    apdu.encode(GetRequestNormal(0xC1, CLOCK)),
    apdu.encode(GetRequestNormal(0xC1, CLOCK, EntryDescriptor(1).encode())),
    apdu.encode(GetResponseNormal(0xC1, data.structure(data.unsigned(1), data.octet_string(b"abc")))),
    apdu.encode(GetResponseNormal(0xC1, data.array(*[data.structure(data.unsigned(1))] * 10))),
    apdu.encode(GetResponseNormal(0xC1, DataAccessResult.OBJECT_UNDEFINED)),
    apdu.encode(GetRequestWithList(0xC1, (AttributeItem(CLOCK), AttributeItem(CLOCK)))),
    apdu.encode(GetRequestWithList(0xC1, (AttributeItem(CLOCK), AttributeItem(CLOCK, EntryDescriptor(1).encode())))),
    apdu.encode(
        GetResponseWithList(
            0xC1,
            (
                data.double_long_unsigned(7),
                DataAccessResult.OBJECT_UNDEFINED,
                data.structure(data.integer(-3), data.enum(30)),
                data.null(),
            ),
        )
    ),
    apdu.encode(GetResponseWithList(0xC1, ())),
    apdu.encode(ActionRequestNormal(0xC1, SWITCH)),
    apdu.encode(ActionRequestNormal(0xC1, SWITCH, data.octet_string(bytes(17)))),
    apdu.encode(ActionResponseNormal(0xC1, ActionResult.SUCCESS)),
    apdu.encode(ActionResponseNormal(0xC1, ActionResult.SUCCESS, data.octet_string(bytes(17)))),
    apdu.encode(ActionResponseNormal(0xC1, ActionResult.OTHER_REASON, DataAccessResult.OBJECT_UNDEFINED)),
]
INITIATE = apdu.encode(InitiateRequest(conformance=Conformance(0x7E1F), client_max_receive_pdu_size=1200))
ALIKE = [
    apdu.encode(Aarq(ApplicationContext.LN, user_information=INITIATE)),
    apdu.encode(Rlrq(ReleaseReason.NORMAL)),
    apdu.encode(Rlrq()),
    INITIATE,
    apdu.encode(InitiateResponse(conformance=Conformance(0x7E1F), server_max_receive_pdu_size=1200)),
]


def outcome(octets: bytes) -> str:
    try:
        return repr(apdu.decode(octets))
    except DecodeError as error:
        return f"refused: {error}"


@settings(max_examples=examples(300), deadline=None)
@given(
    st.sampled_from(SEEDS + ALIKE), st.integers(0, 60), st.integers(0, 255), st.integers(0, 60), st.binary(max_size=2)
)
def test_both_paths_agree(seed: bytes, at: int, octet: int, cut: int, extra: bytes) -> None:
    altered = bytearray(seed)
    altered[at % len(seed)] = octet
    for octets in (bytes(altered), bytes(altered[: cut % len(seed)]), seed + extra):
        fast = outcome(octets)
        with patch.object(apdu, "_FAST_DECODERS", {}):
            assert outcome(octets) == fast


@pytest.mark.parametrize("seed", ALIKE)
def test_what_clients_send_alike_is_read_once(seed: bytes) -> None:
    assert apdu.decode(seed) is apdu.decode(bytes(bytearray(seed)))


def test_no_secret_is_remembered() -> None:
    with_password = Aarq(
        ApplicationContext.LN,
        mechanism=Mechanism.LOW,
        calling_authentication_value=b"x",
        user_information=INITIATE,
    )
    with_key = InitiateRequest(dedicated_key=bytes(16), conformance=Conformance.GET, client_max_receive_pdu_size=0)
    for secret in (apdu.encode(with_password), apdu.encode(with_key)):
        assert apdu.decode(secret) is not apdu.decode(bytes(bytearray(secret)))


@pytest.mark.parametrize("seed", SEEDS)
def test_what_comes_out_encodes_again(seed: bytes) -> None:
    assert apdu.encode(apdu.decode(seed)) == seed


def test_the_instance_is_an_obis_code() -> None:
    decoded = apdu.decode(SEEDS[0])
    assert isinstance(decoded, GetRequestNormal)
    assert str(decoded.descriptor.instance_id) == "0-0:1.0.0*255"


Message = (
    GetRequestNormal
    | GetResponseNormal
    | GetRequestWithList
    | GetResponseWithList
    | ActionRequestNormal
    | ActionResponseNormal
)


def written(apdu_: Message) -> bytes | str:
    try:
        return apdu.encode(apdu_)
    except LocalError as error:
        return f"refused: {error}"


numbers = st.integers(-1, 256)
attributes = st.builds(
    AttributeDescriptor, st.integers(-1, 0x10000), st.binary(min_size=6, max_size=6).map(Obis), numbers
)
methods = st.builds(MethodDescriptor, st.integers(-1, 0x10000), st.binary(min_size=6, max_size=6).map(Obis), numbers)
selections = st.sampled_from([None, EntryDescriptor(1).encode()])
requests = st.builds(GetRequestNormal, numbers, attributes, selections)
lists = st.one_of(
    st.builds(AttributeItem, st.just(CLOCK), selections).map(lambda one: (one,) * 128),
    st.lists(st.builds(AttributeItem, attributes, selections), max_size=3).map(tuple),
)
values = st.sampled_from(
    [
        data.unsigned(1),
        data.unsigned(256),
        data.visible_string("\u20ac"),
        data.array(*[data.structure(data.long(-1), data.octet_string(bytes(130)))] * 9),
        DataAccessResult.SUCCESS,
        DataAccessResult.OBJECT_UNDEFINED,
    ]
)


def is_data(value: object) -> bool:
    return isinstance(value, Data)


@settings(max_examples=examples(200), deadline=None)
@given(
    st.one_of(
        requests,
        st.builds(GetResponseNormal, numbers, values),
        st.builds(GetRequestWithList, numbers, lists),
        st.builds(GetResponseWithList, numbers, st.lists(values, max_size=3).map(tuple)),
        st.builds(GetResponseWithList, numbers, values.map(lambda one: (one,) * 128)),
        st.builds(ActionRequestNormal, numbers, methods, st.one_of(st.none(), values.filter(is_data))),
        st.builds(ActionResponseNormal, numbers, st.sampled_from(ActionResult), st.one_of(st.none(), values)),
    )
)
def test_both_paths_write_the_same(message: Message) -> None:
    fast = written(message)
    with patch.object(apdu, "FAST_ENCODERS", {}):
        general = written(message)
    refused = isinstance(general, str)
    assert (isinstance(fast, str) and fast[:20] == general[:20]) if refused else fast == general
