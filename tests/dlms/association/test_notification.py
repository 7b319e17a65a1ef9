"""Pushes outside associations: in clear, protected, replayed, altered, of strangers."""

from __future__ import annotations

from dataclasses import replace

import pytest
from in_memory import KEYS, OTHER_KEYS, SERVER_TITLE, security

from dlms import apdu, data
from dlms.apdu.ciphered import GeneralGloCiphering
from dlms.apdu.get import GetRequestNormal, GetResponseNormal
from dlms.apdu.notify import DataNotification
from dlms.association import PushedBlocks, protect_notification, unprotect_notification
from dlms.association.general_blocks import one_way
from dlms.cosem.descriptors import AttributeDescriptor
from dlms.datetimes import CosemDateTime
from dlms.errors import DecodeError, DlmsError, LocalError, ProtocolError, SecurityError
from dlms.obis import Obis
from dlms.security import AsymmetricKeys, GlobalKeys, PrivateKey, ReceiveCounter, SecurityPolicy, SendCounter, protect

PUSH = DataNotification(
    0x40000001,
    CosemDateTime(2026, 11, 24, 2, 12, 0, 0, 0, 0, 0),
    data.structure(data.octet_string(b"\0\0\x60\x0b\4\xff"), data.unsigned(3)),
)


def known(counter: ReceiveCounter, keys: GlobalKeys = KEYS):
    return lambda title: (keys, counter) if title == SERVER_TITLE else None


def protected(counter: int = 5, **changes: object) -> bytes:
    return protect_notification(PUSH, security(SERVER_TITLE, **changes), SendCounter(counter))


def test_in_clear() -> None:
    octets = protect_notification(PUSH, None, None)
    assert octets == apdu.encode(PUSH)
    assert unprotect_notification(octets, known(ReceiveCounter(0))) == (PUSH, None)
    unciphered = security(SERVER_TITLE, authenticated=False, encrypted=False)
    assert protect_notification(PUSH, unciphered, None) == octets


@pytest.mark.parametrize("encrypted", [True, False])
def test_protected(encrypted: bool) -> None:
    counter = ReceiveCounter(5)
    octets = protected(encrypted=encrypted)
    assert unprotect_notification(octets, known(counter)) == (PUSH, SERVER_TITLE)
    assert counter.lowest_acceptable == 6
    with pytest.raises(SecurityError, match="before"):
        unprotect_notification(octets, known(counter))


def test_altered_or_under_another_key_moves_no_counter() -> None:
    counter = ReceiveCounter(0)
    octets = protected()
    for index in range(len(octets)):
        changed = bytearray(octets)
        changed[index] ^= 0x10
        with pytest.raises(DlmsError):
            unprotect_notification(bytes(changed), known(counter))
    with pytest.raises(SecurityError):
        unprotect_notification(octets, known(counter, OTHER_KEYS))
    with pytest.raises(SecurityError, match="no keys"):
        unprotect_notification(octets, lambda title: None)
    assert counter.lowest_acceptable == 0


@pytest.mark.parametrize("control", [0x20, 0x70, 0xB0])
def test_unauthenticated_broadcast_and_compressed_are_refused(control: int) -> None:
    keys = replace(KEYS, broadcast_encryption_key=KEYS.encryption_key)
    content = protect(control & 0x7F, keys, SERVER_TITLE, 5, apdu.encode(PUSH))
    content = bytes((control,)) + content[1:]
    with pytest.raises(SecurityError):
        unprotect_notification(apdu.encode(GeneralGloCiphering(SERVER_TITLE, content)), known(ReceiveCounter(0)))


def test_something_else_is_no_notification() -> None:
    answer = apdu.encode(GetResponseNormal(1, data.null()))
    with pytest.raises(ProtocolError):
        unprotect_notification(answer, known(ReceiveCounter(0)))
    request = apdu.encode(GetRequestNormal(1, AttributeDescriptor(8, Obis.parse("0-0:1.0.0*255"), 2)))
    for inner in (answer, request):
        content = protect(0x30, KEYS, SERVER_TITLE, 5, inner)
        with pytest.raises(ProtocolError):
            unprotect_notification(apdu.encode(GeneralGloCiphering(SERVER_TITLE, content)), known(ReceiveCounter(0)))


def test_protection_needs_a_counter() -> None:
    with pytest.raises(LocalError):
        protect_notification(PUSH, security(SERVER_TITLE), None)


def test_pushes_follow_the_policy_of_responses() -> None:
    """Where it demands nothing they go in clear; a signature is not offered, so it is not left out either."""
    requests_only = security(SERVER_TITLE, policy=SecurityPolicy.from_version_1(0x0C))
    assert protect_notification(PUSH, requests_only, SendCounter(5)) == apdu.encode(PUSH)
    authenticated = security(SERVER_TITLE, policy=SecurityPolicy.from_version_1(0x20))
    message = apdu.decode(protect_notification(PUSH, authenticated, SendCounter(5)))
    assert isinstance(message, GeneralGloCiphering)
    assert message.content[0] == 0x10
    signed = security(
        SERVER_TITLE,
        suite=1,
        policy=SecurityPolicy.from_version_1(0xA0),
        asymmetric=AsymmetricKeys(signing=PrivateKey(bytes(31) + b"\1")),
    )
    with pytest.raises(LocalError, match="signed"):
        protect_notification(PUSH, signed, SendCounter(5))


@pytest.mark.parametrize("size", [20, 64, 500])
def test_a_long_push_comes_in_blocks(size: int) -> None:
    whole = protect_notification(PUSH, security(SERVER_TITLE), SendCounter(7))
    joining = PushedBlocks()
    for _ in range(2):
        joined = [joining.join(block) for block in one_way(whole, size)]
        assert joined[:-1] == [None] * (len(joined) - 1)
        assert joined[-1] == whole
    assert joining.join(whole) == whole
    with pytest.raises(DecodeError):
        joining.join(b"\xe0\x00")


def test_a_push_in_blocks_with_a_gap_is_dropped() -> None:
    first, _, *rest = one_way(protect_notification(PUSH, None, None), 20)
    joining = PushedBlocks()
    assert [joining.join(block) for block in (first, *rest)] == [None] * (1 + len(rest))
