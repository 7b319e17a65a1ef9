"""Secrets that pass are found in every APDU that can carry one, and nothing else is hidden."""

from __future__ import annotations

import pytest

from ami_dlms import apdu, data
from ami_dlms.apdu import Apdu
from ami_dlms.apdu.access import AccessRequest, AccessRequestSet
from ami_dlms.apdu.acse import Aarq
from ami_dlms.apdu.action import ActionRequestNormal
from ami_dlms.apdu.ciphered import ServiceCiphering
from ami_dlms.apdu.fields import AttributeItem, Block
from ami_dlms.apdu.get import GetRequestNormal, GetResponseNormal, GetResponseWithDataBlock
from ami_dlms.apdu.initiate import InitiateRequest
from ami_dlms.apdu.set import (
    SetRequestNormal,
    SetRequestWithDataBlock,
    SetRequestWithFirstDataBlock,
    SetRequestWithList,
)
from ami_dlms.apdu.short_names import VariableName, WriteRequest
from ami_dlms.cosem.confidential import is_secret
from ami_dlms.cosem.descriptors import AttributeDescriptor, MethodDescriptor
from ami_dlms.enums import ApplicationContext, Conformance, DataAccessResult, Mechanism
from ami_dlms.explain import DecodingSession, Keyring, deciphered, explain, headline, secret_nodes, without_secrets
from ami_dlms.framing import wrapper
from ami_dlms.obis import Obis
from ami_dlms.security import AUTHENTICATED, GlobalKeys, protect

PASSWORD = b"swordfish"
VALUE = data.octet_string(PASSWORD)
HERE, THERE = Obis.parse("0-0:40.0.0"), Obis.parse("0-0:43.0.0")
SECRET = AttributeDescriptor(15, HERE, 7)
CLOCK = AttributeDescriptor(8, Obis.parse("0-0:1.0.0"), 2)
KEYS, TITLE = GlobalKeys(bytes(16), bytes(range(16))), b"AMI\0\0\0\0\1"
INITIATE = apdu.encode(
    InitiateRequest(dedicated_key=PASSWORD, conformance=Conformance.GET, client_max_receive_pdu_size=0)
)


def aarq(mechanism: Mechanism | None, information: bytes = b"") -> Aarq:
    return Aarq(
        ApplicationContext.LN,
        mechanism=mechanism,
        calling_authentication_value=PASSWORD,
        user_information=information or None,
    )


def shown(one: Apdu, *, carries: bool = False, framed: bool = False) -> tuple[str, str]:
    """What a log would show: a line, and the octets."""
    octets = apdu.encode(one)
    [tree] = explain(wrapper.encode(wrapper.WrapperPdu(1, 1, octets)) if framed else octets, DecodingSession())
    hidden = secret_nodes(tree, carries=carries)
    return headline(tree, hidden), without_secrets(tree, hidden)


@pytest.mark.parametrize(
    "one",
    [
        aarq(Mechanism.LOW),
        aarq(None),
        aarq(Mechanism.LOW, INITIATE),
        INITIATE,
        SetRequestNormal(0xC1, SECRET, None, VALUE),
        SetRequestNormal(0xC1, AttributeDescriptor(15, HERE, 0), None, VALUE),
        SetRequestNormal(0xC1, AttributeDescriptor(46, THERE, 4), None, data.structure(VALUE)),
        SetRequestWithFirstDataBlock(0xC1, SECRET, None, Block(False, 1, data.encode(VALUE))),
        SetRequestWithList(0xC1, (AttributeItem(CLOCK), AttributeItem(SECRET)), (data.null(), VALUE)),
        ActionRequestNormal(0xC1, MethodDescriptor(15, HERE, 2), VALUE),
        ActionRequestNormal(0xC1, MethodDescriptor(64, THERE, 2), data.array(data.structure(data.enum(0), VALUE))),
        AccessRequest(0x40000001, None, (AccessRequestSet(SECRET),), (VALUE,)),
    ],
    ids=lambda one: type(one).__name__,
)
@pytest.mark.parametrize("framed", [False, True])
def test_secrets_are_asterisks(one: Apdu | bytes, framed: bool) -> None:
    one = apdu.decode(one) if isinstance(one, bytes) else one
    words, octets = shown(one, framed=framed)
    assert PASSWORD.decode() not in words and PASSWORD.hex().upper() not in octets and "*" * 2 * len(PASSWORD) in octets
    plain = apdu.encode(one).hex().upper()
    assert len(octets) == len(plain) + 16 * framed
    assert all(left in ("*", right) for left, right in zip(octets[16 * framed :], plain, strict=True))


@pytest.mark.parametrize(
    "one",
    [
        GetResponseNormal(0xC1, VALUE),
        GetResponseWithDataBlock(0xC1, True, 1, data.encode(VALUE)),
        SetRequestWithDataBlock(0xC1, Block(True, 2, PASSWORD)),
        WriteRequest((VariableName(0xFA10),), (VALUE,)),
    ],
    ids=lambda one: type(one).__name__,
)
def test_what_the_octets_alone_do_not_tell(one: Apdu) -> None:
    assert PASSWORD.hex().upper() in shown(one)[1]
    words, octets = shown(one, carries=True)
    assert PASSWORD.decode() not in words and PASSWORD.hex().upper() not in octets


@pytest.mark.parametrize(
    "one",
    [
        aarq(Mechanism.GMAC),
        aarq(Mechanism.MD5),
        SetRequestNormal(0xC1, CLOCK, None, VALUE),
        ActionRequestNormal(0xC1, MethodDescriptor(15, HERE, 1), VALUE),
        GetRequestNormal(0xC1, SECRET, None),
    ],
    ids=lambda one: type(one).__name__,
)
def test_what_is_no_secret_is_shown(one: Apdu) -> None:
    assert shown(one)[1] == apdu.encode(one).hex().upper()


def test_a_refusal_is_shown() -> None:
    words, octets = shown(GetResponseNormal(0xC1, DataAccessResult.READ_WRITE_DENIED), carries=True)
    assert "read-write-denied" in words and "*" not in octets


def test_authenticated_contents_are_in_clear_on_the_wire() -> None:
    clear = apdu.encode(SetRequestNormal(0xC1, SECRET, None, VALUE))
    one = ServiceCiphering(201, protect(AUTHENTICATED, KEYS, TITLE, 1, clear))
    [tree] = explain(
        apdu.encode(one), DecodingSession(Keyring(KEYS.encryption_key, KEYS.authentication_key, None, TITLE))
    )
    assert PASSWORD.hex().upper() not in without_secrets(tree, secret_nodes(tree))
    assert deciphered(tree).octets == clear


def test_which_they_are() -> None:
    assert all(map(is_secret, (SECRET, MethodDescriptor(72, THERE, 8), MethodDescriptor(12, HERE, 6))))
    assert not is_secret(AttributeDescriptor(15, HERE, 2)) and not is_secret(AttributeDescriptor(8, HERE, 0))
