"""General-ciphering and general-signing as pure functions: every kind of key, every field, and what must not pass."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ami_dlms import apdu
from ami_dlms.apdu.ciphered import AgreedKey, GeneralCiphering, GeneralSigning, IdentifiedKey, WrappedKey
from ami_dlms.association import (
    CipheringHeader,
    KeyChoice,
    NewKey,
    OnePass,
    Security,
    StaticUnified,
    protect_general,
    sign_general,
    unprotect_general,
    verify_general,
)
from ami_dlms.association.protection.general_ciphering import ONE_PASS, STATIC_UNIFIED, UNICAST
from ami_dlms.enums import KekId, KeyId
from ami_dlms.errors import LocalError, SecurityError
from ami_dlms.security import (
    AsymmetricKeys,
    GlobalKeys,
    PrivateKey,
    ProtectionFlags,
    PublicKey,
    SendCounter,
    agree_one_pass,
    open_ephemeral_key,
    wrap_key,
)

VECTORS = {v["id"]: v for v in json.loads((Path(__file__).parents[1] / "security" / "vectors.json").read_text())}
CLIENT_TITLE, SERVER_TITLE = b"CLI\0\0\0\0\1", b"MTR\0\0\0\0\2"
LENGTHS = {1: (16, 32), 2: (32, 48)}
BOTH = ProtectionFlags.AUTHENTICATED | ProtectionFlags.ENCRYPTED
HEADER = CipheringHeader(b"transact", CLIENT_TITLE, SERVER_TITLE, b"date and time", b"other information")
BROADCAST_KEY = IdentifiedKey(KeyId.GLOBAL_BROADCAST_ENCRYPTION_KEY)
TEXT = b"any APDU"


def private(suite: int, number: int) -> PrivateKey:
    return PrivateKey(number.to_bytes(LENGTHS[suite][1], "big"))


def party(suite: int, title: bytes, own: int, peer: int, **changes: Any) -> Security:
    """One end: the number `own` signs, the next one agrees."""
    length = LENGTHS[suite][0]
    keys = GlobalKeys(b"e" * length, b"a" * length, b"b" * length, b"m" * length)
    asymmetric = AsymmetricKeys(
        signing=private(suite, own),
        agreement=private(suite, own + 1),
        peer_signing=private(suite, peer).public_key,
        peer_agreement=private(suite, peer + 1).public_key,
    )
    given = {"keys": keys, "system_title": title, "suite": suite, "asymmetric": asymmetric}
    return Security(**(given | changes))


def client(suite: int = 1, **changes: Any) -> Security:
    return party(suite, CLIENT_TITLE, 5, 7, **changes)


def server(suite: int = 1, **changes: Any) -> Security:
    return party(suite, SERVER_TITLE, 7, 5, **changes)


def choices(suite: int) -> list[KeyChoice]:
    new = NewKey(b"n" * LENGTHS[suite][0])
    return [UNICAST, BROADCAST_KEY, new, OnePass(private(suite, 99)), StaticUnified()]


def across(message: GeneralCiphering | GeneralSigning) -> Any:
    """Through its octets."""
    return apdu.decode(apdu.encode(message))


ALL = [(suite, choice) for suite in LENGTHS for choice in choices(suite)]


@pytest.mark.parametrize("demand", [ProtectionFlags.AUTHENTICATED, ProtectionFlags.ENCRYPTED, BOTH])
@pytest.mark.parametrize(("suite", "choice"), ALL)
def test_every_kind_of_key_both_ways(suite: int, choice: KeyChoice, demand: ProtectionFlags) -> None:
    message = protect_general(HEADER, choice, client(suite), demand, 3, TEXT)
    opened = unprotect_general(across(message), server(suite), demand)
    assert opened == (suite | demand.control, 3, TEXT)
    assert (TEXT in message.content) == (demand is ProtectionFlags.AUTHENTICATED)


@pytest.mark.parametrize(("suite", "choice"), ALL)
def test_whoever_has_other_keys_opens_nothing(suite: int, choice: KeyChoice) -> None:
    message = across(protect_general(HEADER, choice, client(suite), BOTH, 0, TEXT))
    length = LENGTHS[suite][0]
    stranger = party(suite, SERVER_TITLE, 11, 13, keys=GlobalKeys(*(bytes((n,)) * length for n in range(4))))
    with pytest.raises(SecurityError):
        unprotect_general(message, stranger, BOTH)
    other_authentication_key = replace(server(suite).keys, authentication_key=b"A" * length)
    with pytest.raises(SecurityError, match="tag"):
        unprotect_general(message, replace(server(suite), keys=other_authentication_key), BOTH)


@pytest.mark.parametrize("choice", choices(1))
@pytest.mark.parametrize("field", CipheringHeader._fields)
def test_every_field_of_the_header_is_authenticated(choice: KeyChoice, field: str) -> None:
    message = across(protect_general(HEADER, choice, client(), BOTH, 0, TEXT))
    value = getattr(message, field)
    for wrong in (value[:-1] + b"!", value + b"\0"):
        with pytest.raises(SecurityError):
            unprotect_general(replace(message, **{field: wrong}), server(), BOTH)


def test_fields_can_not_lend_each_other_octets() -> None:
    """The lengths are authenticated too."""
    message = across(protect_general(HEADER, UNICAST, client(), BOTH, 0, TEXT))
    moved = replace(message, date_time=message.date_time + b"o", other_information=message.other_information[1:])
    with pytest.raises(SecurityError, match="tag"):
        unprotect_general(moved, server(), BOTH)


@pytest.mark.parametrize("index", range(-14, 0))
def test_altered_content(index: int) -> None:
    message = across(protect_general(HEADER, StaticUnified(), client(), BOTH, 0, TEXT))
    content = bytearray(message.content)
    content[index] ^= 1
    with pytest.raises(SecurityError):
        unprotect_general(replace(message, content=bytes(content)), server(), BOTH)


def test_a_message_for_somebody_else_or_of_somebody_else() -> None:
    message = across(protect_general(HEADER, UNICAST, client(), BOTH, 0, TEXT))
    with pytest.raises(SecurityError, match="not for us"):
        unprotect_general(message, server(system_title=b"METER123"), BOTH)
    with pytest.raises(SecurityError, match="foreign"):
        unprotect_general(message, server(peer_system_title=b"CLIENT12"), BOTH)


@pytest.mark.parametrize(
    ("sent", "wanted"),
    [
        (ProtectionFlags.AUTHENTICATED, BOTH),
        (ProtectionFlags.ENCRYPTED, BOTH),
        (ProtectionFlags.ENCRYPTED, ProtectionFlags.AUTHENTICATED),
    ],
)
def test_less_than_what_is_demanded(sent: ProtectionFlags, wanted: ProtectionFlags) -> None:
    message = across(protect_general(HEADER, UNICAST, client(), sent, 0, TEXT))
    with pytest.raises(SecurityError, match="less"):
        unprotect_general(message, server(), wanted)


def test_another_suite_broadcast_bit_compression_and_no_content() -> None:
    message = across(protect_general(HEADER, UNICAST, client(), BOTH, 0, TEXT))
    for control, reason in ((0x30, "suite"), (0x32, "suite"), (0x71, "key set"), (0xB1, r"V\.44"), (0x01, "less")):
        content = bytes((control,)) + message.content[1:]
        with pytest.raises(SecurityError, match=reason):
            unprotect_general(replace(message, content=content), server(), BOTH)
    with pytest.raises(SecurityError):
        unprotect_general(replace(message, content=b""), server(), BOTH)
    unprotected = replace(message, content=b"\x01\0\0\0\0" + TEXT)
    with pytest.raises(SecurityError, match="neither"):
        unprotect_general(unprotected, server(), ProtectionFlags.NOTHING)


def test_without_key_information_it_is_the_global_unicast_key() -> None:
    message = across(protect_general(HEADER, UNICAST, client(), BOTH, 0, TEXT))
    assert unprotect_general(across(replace(message, key_info=None)), server(), BOTH).plaintext == TEXT


def test_key_information_can_not_be_exchanged() -> None:
    message = across(protect_general(HEADER, UNICAST, client(), BOTH, 0, TEXT))
    for key_info in (
        BROADCAST_KEY,
        WrappedKey(KekId.MASTER_KEY, wrap_key(b"m" * 16, b"n" * 16)),
        WrappedKey(KekId.MASTER_KEY, wrap_key(b"m" * 16, b"n" * 32)),
        WrappedKey(KekId.MASTER_KEY, bytes(24)),
        WrappedKey(KekId.MASTER_KEY, b""),
        AgreedKey(STATIC_UNIFIED, b""),
        AgreedKey(STATIC_UNIFIED, b"something"),
        AgreedKey(ONE_PASS, b""),
        AgreedKey(ONE_PASS, bytes(128)),
        AgreedKey(b"\3", b""),
        AgreedKey(b"", b""),
    ):
        with pytest.raises(SecurityError):
            unprotect_general(replace(message, key_info=key_info), server(), BOTH)


def test_an_ephemeral_key_that_its_sender_did_not_sign() -> None:
    message = protect_general(HEADER, OnePass(private(1, 99)), client(), BOTH, 0, TEXT)
    swapped = protect_general(HEADER, OnePass(private(1, 98)), party(1, CLIENT_TITLE, 6, 7), BOTH, 0, TEXT)
    for forged in (replace(message, key_info=swapped.key_info), swapped):
        with pytest.raises(SecurityError, match="signature"):
            unprotect_general(across(forged), server(), BOTH)


@pytest.mark.parametrize("choice", choices(1)[1:])
def test_keys_that_are_not_there(choice: KeyChoice) -> None:
    poor = {"keys": GlobalKeys(b"e" * 16, b"a" * 16), "asymmetric": AsymmetricKeys()}
    with pytest.raises(LocalError, match="needs"):
        protect_general(HEADER, choice, client(**poor), BOTH, 0, TEXT)
    message = across(protect_general(HEADER, choice, client(), BOTH, 0, TEXT))
    with pytest.raises(SecurityError, match="needs"):
        unprotect_general(message, server(**poor), BOTH)


def test_each_transaction_has_its_own_key_of_static_pairs() -> None:
    contents = {
        protect_general(
            HEADER._replace(transaction_id=bytes((n,))), StaticUnified(), client(), ProtectionFlags.ENCRYPTED, 0, TEXT
        ).content
        for n in range(3)
    }
    assert len(contents) == 3


def test_no_key_in_a_repr() -> None:
    new = NewKey(b"n" * 16)
    assert "nnn" not in repr(new)
    assert "nnn" not in repr(protect_general(HEADER, new, client(), BOTH, 0, TEXT))


def test_published_general_ciphering_under_an_agreed_key() -> None:
    """Its tag could not be reproduced, so the text is opened without it; all fields and the key are proved."""
    vector, agreed = VECTORS["gb_t41_general_ciphering_1e1s"], VECTORS["gb_c2_ecdh_1e1s_client"]["keys"]
    signer = PublicKey(bytes.fromhex(VECTORS["gb_c2_ecdsa_client"]["keys"]["public"]))
    own = PrivateKey(bytes.fromhex(agreed["server_static_private"]))
    message = apdu.decode(bytes.fromhex(vector["hex"]))
    assert isinstance(message, GeneralCiphering)
    assert isinstance(message.key_info, AgreedKey)
    assert message.key_info.key_parameters == ONE_PASS
    title, recipient = message.originator_system_title, message.recipient_system_title
    key = agree_one_pass(own, open_ephemeral_key(message.key_info.key_ciphered_data, signer), title, recipient)
    assert key == bytes.fromhex(vector["keys"]["ek"])
    security = Security(
        suite=1,
        keys=GlobalKeys(bytes(16), bytes.fromhex(vector["keys"]["ak"])),
        system_title=recipient,
        asymmetric=AsymmetricKeys(agreement=own, peer_signing=signer),
    )
    without_tag = replace(message, content=b"\x21" + message.content[1:-12])
    opened = unprotect_general(without_tag, security, ProtectionFlags.ENCRYPTED)
    assert opened.plaintext == bytes.fromhex(vector["expected_plaintext"])
    with pytest.raises(SecurityError, match="tag"):
        unprotect_general(message, security, BOTH)


# --- signing


@pytest.mark.parametrize("suite", [1, 2])
def test_signing_both_ways(suite: int) -> None:
    message = across(sign_general(HEADER, client(suite), TEXT))
    assert isinstance(message, GeneralSigning)
    assert len(message.signature) == 2 * LENGTHS[suite][1]
    assert verify_general(message, server(suite)) == TEXT
    no_key = server(suite, asymmetric=AsymmetricKeys())
    assert verify_general(message, no_key, private(suite, 5).public_key) == TEXT
    with pytest.raises(SecurityError, match="not known"):
        verify_general(message, no_key)
    with pytest.raises(SecurityError, match="signature"):
        verify_general(message, no_key, private(suite, 6).public_key)


@pytest.mark.parametrize("field", [*CipheringHeader._fields, "content", "signature"])
def test_everything_is_signed(field: str) -> None:
    message = across(sign_general(HEADER, client(), TEXT))
    value = getattr(message, field)
    for wrong in (value[:-1] + b"!", value + b"\0", b""):
        with pytest.raises(SecurityError):
            verify_general(replace(message, **{field: wrong}), server())
    moved = replace(message, other_information=message.other_information + b"\x08" + TEXT[:1], content=TEXT[1:])
    with pytest.raises(SecurityError):
        verify_general(moved, server())


def test_signing_needs_a_key_and_names_its_parties() -> None:
    with pytest.raises(LocalError):
        sign_general(HEADER, client(asymmetric=AsymmetricKeys()), TEXT)
    message = across(sign_general(HEADER, client(), TEXT))
    with pytest.raises(SecurityError, match="not for us"):
        verify_general(message, server(system_title=b"METER123"))
    with pytest.raises(SecurityError, match="foreign"):
        verify_general(message, server(peer_system_title=b"CLIENT12"))


def test_signed_inside_ciphered() -> None:
    counter = SendCounter(9)
    signed = apdu.encode(sign_general(HEADER, client(), TEXT))
    message = across(protect_general(HEADER, OnePass(private(1, 99)), client(), BOTH, counter.take(), signed))
    inner = apdu.decode(unprotect_general(message, server(), BOTH).plaintext)
    assert isinstance(inner, GeneralSigning)
    assert verify_general(inner, server()) == TEXT
