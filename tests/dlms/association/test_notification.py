"""Pushes outside associations: unencrypted, protected, replayed, altered, of strangers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from in_memory import CLIENT_TITLE, KEYS, OTHER_KEYS, SERVER_TITLE, security

from ami_dlms import apdu, data
from ami_dlms.apdu.ciphered import GeneralGloCiphering, ServiceCiphering
from ami_dlms.apdu.get import GetRequestNormal, GetResponseNormal
from ami_dlms.apdu.notify import DataNotification, EventNotificationRequest
from ami_dlms.apdu.short_names import InformationReportRequest, VariableName
from ami_dlms.association import (
    CipheringHeader,
    PushedBlocks,
    Security,
    Sender,
    Unsolicited,
    protect_notification,
    sign_general,
    unprotect_notification,
    unprotect_unsolicited,
)
from ami_dlms.association.blocks.general_block_transfer import one_way
from ami_dlms.cosem.descriptors import AttributeDescriptor
from ami_dlms.datetimes import CosemDateTime
from ami_dlms.enums import ApduTag
from ami_dlms.errors import DecodeError, DlmsError, LocalError, ProtocolError, SecurityError
from ami_dlms.obis import Obis
from ami_dlms.security import (
    AsymmetricKeys,
    GlobalKeys,
    PrivateKey,
    ProtectionFlags,
    ReceiveCounter,
    SecurityPolicy,
    SendCounter,
    protect,
)

PUSH = DataNotification(
    0x40000001,
    CosemDateTime(2026, 11, 24, 2, 12, 0, 0, 0, 0, 0),
    data.structure(data.octet_string(b"\0\0\x60\x0b\4\xff"), data.unsigned(3)),
)

EVENT = EventNotificationRequest(None, AttributeDescriptor(3, Obis.parse("1-0:1.8.0*255"), 2), data.double_long(7))
REPORT = InformationReportRequest(None, (VariableName(0xFA00),), (data.unsigned(3),))
NOTIFICATIONS: list[Unsolicited] = [PUSH, EVENT, REPORT]


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
    """Where it demands nothing they go unencrypted."""
    requests_only = security(SERVER_TITLE, policy=SecurityPolicy.from_version_1(0x0C))
    assert protect_notification(PUSH, requests_only, SendCounter(5)) == apdu.encode(PUSH)
    authenticated = security(SERVER_TITLE, policy=SecurityPolicy.from_version_1(0x20))
    message = apdu.decode(protect_notification(PUSH, authenticated, SendCounter(5)))
    assert isinstance(message, GeneralGloCiphering)
    assert message.content[0] == 0x10


# --- signed


BOTH = ProtectionFlags.AUTHENTICATED | ProtectionFlags.ENCRYPTED
SIGNED_POLICY = SecurityPolicy(BOTH, BOTH | ProtectionFlags.SIGNED)
LENGTHS = {1: (16, 32), 2: (32, 48)}


def private(suite: int, number: int) -> PrivateKey:
    return PrivateKey(number.to_bytes(LENGTHS[suite][1], "big"))


def signing(suite: int = 1, **changes: object) -> Security:
    length = LENGTHS[suite][0]
    given: dict[str, Any] = {
        "suite": suite,
        "keys": GlobalKeys(b"e" * length, b"a" * length),
        "policy": SIGNED_POLICY,
        "asymmetric": AsymmetricKeys(signing=private(suite, 7)),
    }
    return security(SERVER_TITLE, **(given | changes))


def pusher(counter: ReceiveCounter, suite: int = 1, **changes: object) -> Callable[[bytes], Sender | None]:
    sender = Sender(
        signing(suite).keys, counter, private(suite, 7).public_key, CLIENT_TITLE, BOTH | ProtectionFlags.SIGNED
    )
    return lambda title: sender._replace(**changes) if title == SERVER_TITLE else None


@pytest.mark.parametrize("notification", NOTIFICATIONS, ids=lambda one: type(one).__name__)
@pytest.mark.parametrize("recipient", [None, CLIENT_TITLE])
@pytest.mark.parametrize("suite", [1, 2])
def test_signed_within_ciphered(suite: int, recipient: bytes | None, notification: Unsolicited) -> None:
    counter = ReceiveCounter(5)
    octets = protect_notification(notification, signing(suite, peer_system_title=recipient), SendCounter(5))
    assert unprotect_unsolicited(octets, pusher(counter, suite)) == (notification, SERVER_TITLE)
    with pytest.raises(SecurityError, match="before"):
        unprotect_unsolicited(octets, pusher(counter, suite))


def sealed(inner: bytes, control: int = 0x31) -> bytes:
    return apdu.encode(GeneralGloCiphering(SERVER_TITLE, protect(control, signing().keys, SERVER_TITLE, 5, inner)))


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ("no signature", "without the signature"),
        ("signer", "does not hold"),
        ("content", "does not hold"),
        ("originator", "somebody else"),
        ("recipient", "not for us"),
        ("unknown signer", "not known"),
        ("not encrypted", "less"),
    ],
)
def test_a_signature_that_does_not_hold_moves_no_counter(wrong: str, reason: str) -> None:
    counter, plaintext = ReceiveCounter(5), apdu.encode(PUSH)
    header = CipheringHeader(b"transact", SERVER_TITLE, CLIENT_TITLE)
    good = sign_general(header, signing(), plaintext)
    other = signing(asymmetric=AsymmetricKeys(signing=private(1, 8)))
    inner = {
        "no signature": plaintext,
        "signer": apdu.encode(sign_general(header, other, plaintext)),
        "content": apdu.encode(replace(good, content=plaintext[:-1] + b"!")),
        "originator": apdu.encode(sign_general(header._replace(originator_system_title=b"OTHER123"), signing(), b"")),
        "recipient": apdu.encode(sign_general(header._replace(recipient_system_title=b"OTHER123"), signing(), b"")),
    }.get(wrong, apdu.encode(good))
    changes = {"signing": None} if wrong == "unknown signer" else {}
    with pytest.raises(SecurityError, match=reason):
        unprotect_unsolicited(sealed(inner, 0x11 if wrong == "not encrypted" else 0x31), pusher(counter, **changes))
    assert counter.lowest_acceptable == 5
    assert unprotect_unsolicited(sealed(apdu.encode(good)), pusher(counter)) == (PUSH, SERVER_TITLE)


def test_signed_alone_and_service_specific_are_refused() -> None:
    """Neither a signature nor a glo- tag tells a replay, or whose key it is."""
    alone = sign_general(CipheringHeader(b"transact", SERVER_TITLE, CLIENT_TITLE), signing(), apdu.encode(PUSH))
    with pytest.raises(SecurityError, match="replay"):
        unprotect_unsolicited(apdu.encode(alone), pusher(ReceiveCounter()))
    content = protect(0x31, signing().keys, SERVER_TITLE, 5, apdu.encode(EVENT))
    glo = ServiceCiphering(int(ApduTag.GLO_EVENT_NOTIFICATION_REQUEST), content)
    with pytest.raises(SecurityError, match="whose key"):
        unprotect_unsolicited(apdu.encode(glo), pusher(ReceiveCounter()))
    with pytest.raises(LocalError, match="signing alone"):
        signing(policy=SecurityPolicy.from_version_1(0x80))


# --- other services


@pytest.mark.parametrize("notification", NOTIFICATIONS, ids=lambda one: type(one).__name__)
def test_every_service_in_clear_and_protected(notification: Unsolicited) -> None:
    assert unprotect_unsolicited(protect_notification(notification, None, None), known(ReceiveCounter())) == (
        notification,
        None,
    )
    octets = protect_notification(notification, security(SERVER_TITLE), SendCounter(5))
    assert unprotect_unsolicited(octets, known(ReceiveCounter(5))) == (notification, SERVER_TITLE)
    assert type(apdu.decode(octets)) is GeneralGloCiphering


def test_whoever_asks_for_a_data_notification_gets_nothing_else() -> None:
    for octets in (apdu.encode(EVENT), protect_notification(EVENT, security(SERVER_TITLE), SendCounter(5))):
        with pytest.raises(ProtocolError, match="no DataNotification"):
            unprotect_notification(octets, known(ReceiveCounter(5)))


# --- in blocks


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


@pytest.mark.parametrize("agreed", [None, 0, 1])
def test_a_push_of_another_suite_than_its_senders_is_refused(agreed: int | None) -> None:
    """Suites 0 and 1 have keys of the same length; a frame of suite 0 under them is less than suite 1 asks for."""
    sender = Sender(KEYS, ReceiveCounter(0), suite=agreed)
    if agreed == 1:
        with pytest.raises(SecurityError, match="another suite than 1"):
            unprotect_notification(protected(), lambda _: sender)
        assert sender.receive_counter.lowest_acceptable == 0
    else:
        assert unprotect_notification(protected(), lambda _: sender)[0] == PUSH
