"""Messages that bring their own key, and signed ones: opened and checked with what a person gives, and only then."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ami_dlms import apdu
from ami_dlms.apdu.get import GetRequestNormal
from ami_dlms.association import (
    CipheringHeader,
    KeyChoice,
    NewKey,
    OnePass,
    Security,
    StaticUnified,
    protect_general,
    sign_general,
)
from ami_dlms.cosem.descriptors import AttributeDescriptor
from ami_dlms.errors import LocalError
from ami_dlms.explain import DecodingSession, Keyring, Node, deciphered, explain, is_sound, nodes
from ami_dlms.obis import Obis
from ami_dlms.security import AsymmetricKeys, GlobalKeys, PrivateKey, ProtectionFlags, PublicKey

LENGTHS = {1: (16, 32), 2: (32, 48)}
HEADER = CipheringHeader(b"transact", b"CLI\0\0\0\0\1", b"MTR\0\0\0\0\2", b"", b"more")
CLEAR = apdu.encode(GetRequestNormal(0xC1, AttributeDescriptor(8, Obis.parse("0-0:1.0.0"), 2), None))
BOTH = ProtectionFlags.AUTHENTICATED | ProtectionFlags.ENCRYPTED
SIGNS, AGREES, PEER_AGREES, EPHEMERAL, STRANGER = 5, 6, 8, 99, 1000


def private(suite: int, number: int) -> PrivateKey:
    return PrivateKey(number.to_bytes(LENGTHS[suite][1], "big"))


def public(suite: int, number: int) -> PublicKey:
    return private(suite, number).public_key


def sender(suite: int) -> Security:
    length = LENGTHS[suite][0]
    return Security(
        keys=GlobalKeys(b"e" * length, b"a" * length, master_key=b"m" * length),
        system_title=HEADER.originator_system_title,
        suite=suite,
        asymmetric=AsymmetricKeys(
            signing=private(suite, SIGNS), agreement=private(suite, AGREES), peer_agreement=public(suite, PEER_AGREES)
        ),
    )


def keyring(suite: int, **given: Any) -> Keyring:
    return Keyring(authentication_key=b"a" * LENGTHS[suite][0], **given)


def read(message: Any, held: Keyring) -> Node:
    [tree] = explain(apdu.encode(message), DecodingSession(held))
    return tree


def texts(tree: Node) -> str:
    return " | ".join([one.text for one in nodes(tree)] + [made.how for one in nodes(tree) for made in one.derived])


def ciphered(suite: int, kind: str) -> Any:
    choices: dict[str, KeyChoice] = {
        "wrapped": NewKey(b"n" * LENGTHS[suite][0]),
        "one pass": OnePass(private(suite, EPHEMERAL)),
        "static": StaticUnified(),
    }
    return protect_general(HEADER, choices[kind], sender(suite), BOTH, 0, CLEAR)


def wanted(suite: int, kind: str) -> dict[str, Any]:
    """What opens it, from the recipient's side."""
    return {
        "wrapped": {"key_encryption_key": b"m" * LENGTHS[suite][0]},
        "one pass": {"agreement_key": private(suite, PEER_AGREES)},
        "static": {"agreement_key": private(suite, PEER_AGREES), "peer_agreement_key": public(suite, AGREES)},
    }[kind]


KINDS = ["wrapped", "one pass", "static"]


@pytest.mark.parametrize("suite", LENGTHS)
@pytest.mark.parametrize("kind", KINDS)
def test_what_brings_its_key_is_deciphered(suite: int, kind: str) -> None:
    tree = read(ciphered(suite, kind), keyring(suite, **wanted(suite, kind)))
    assert is_sound(tree) and deciphered(tree).octets == CLEAR and "the tag holds" in texts(tree)


@pytest.mark.parametrize("kind", KINDS)
def test_altered_messages_are_told_and_nothing_is_raised(kind: str) -> None:
    whole = apdu.encode(ciphered(1, kind))
    held = keyring(1, **wanted(1, kind), signature_keys=(public(1, SIGNS),))
    for place in range(len(whole)):
        altered = bytearray(whole)
        altered[place] ^= 0x41
        [tree, *_] = explain(bytes(altered), DecodingSession(held))
        assert deciphered(tree).octets != CLEAR or not is_sound(tree)


def test_either_end_of_two_static_pairs_will_do() -> None:
    keys = {"agreement_key": private(1, AGREES), "peer_agreement_key": public(1, PEER_AGREES)}
    assert deciphered(read(ciphered(1, "static"), keyring(1, **keys))).octets == CLEAR


@pytest.mark.parametrize(("kind", "said"), [*zip(KINDS, ("--kek", "--agreement-key", "--agreement-key"), strict=True)])
def test_what_is_missing_is_named(kind: str, said: str) -> None:
    without = read(ciphered(1, kind), keyring(1))
    assert is_sound(without) and said in texts(without)
    other = read(ciphered(1, kind), keyring(1, encryption_key=bytes(16)))
    assert not is_sound(other) and said in texts(other)


def test_the_public_half_of_static_pairs_is_missed() -> None:
    assert "--peer-agreement-key" in texts(read(ciphered(1, "static"), keyring(1, agreement_key=private(1, 8))))


@pytest.mark.parametrize(
    ("kind", "given", "said"),
    [
        ("wrapped", {"key_encryption_key": bytes(16)}, "does not open"),
        ("one pass", {"agreement_key": private(2, PEER_AGREES)}, "can't be had"),
        ("one pass", {"agreement_key": private(1, STRANGER)}, "does not hold"),
        ("static", {"agreement_key": private(1, 8), "peer_agreement_key": public(2, 6)}, "two curves"),
    ],
)
def test_keys_that_do_not_fit(kind: str, given: dict[str, Any], said: str) -> None:
    tree = read(ciphered(1, kind), keyring(1, **given))
    assert deciphered(tree) is tree and said in texts(tree)


def test_an_authentication_key_of_another_suite() -> None:
    with pytest.raises(LocalError, match="authentication key of 32 octets"):
        Keyring(authentication_key=bytes(32), key_encryption_key=b"m" * 16)
    tree = read(ciphered(1, "static"), Keyring(authentication_key=bytes(32), **wanted(1, "static")))
    assert deciphered(tree) is tree and "can't be had" in texts(tree)


@pytest.mark.parametrize(("number", "holds"), [(SIGNS, True), (STRANGER, False)])
def test_the_signature_of_an_ephemeral_key(number: int, holds: bool) -> None:
    given = wanted(1, "one pass") | {"signature_keys": (public(1, number),)}
    tree = read(ciphered(1, "one pass"), keyring(1, **given))
    assert is_sound(tree) == holds and deciphered(tree).octets == CLEAR


@pytest.mark.parametrize("suite", LENGTHS)
def test_signatures(suite: int) -> None:
    message = sign_general(HEADER, sender(suite), CLEAR)
    good = (public(suite, STRANGER), public(suite, SIGNS))
    assert "give --signature-key" in texts(read(message, Keyring())) and is_sound(read(message, Keyring()))
    held = read(message, Keyring(signature_keys=good))
    assert is_sound(held) and "the signature holds" in texts(held) and deciphered(held).octets == CLEAR
    for wrong in (
        replace(message, other_information=b"less"),
        replace(message, content=CLEAR[:-1] + b"\1"),
        replace(message, signature=message.signature[:-1]),
    ):
        tree = read(wrong, Keyring(signature_keys=good))
        assert not is_sound(tree) and "does not hold" in texts(tree)


def test_nothing_of_the_keys_is_shown() -> None:
    held = keyring(1, **wanted(1, "static"), key_encryption_key=b"m" * 16)
    assert "mmm" not in repr(held) and held.agreement_key is not None
    assert held.agreement_key.octets.hex() not in repr(held)
