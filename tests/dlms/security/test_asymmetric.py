"""Signatures, agreed and wrapped keys of suites 1 and 2: published examples both ways, and what must not pass."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ami_dlms.errors import LocalError, SecurityError
from ami_dlms.security import (
    AlgorithmId,
    AsymmetricKeys,
    GlobalKeys,
    PrivateKey,
    PublicKey,
    SecuritySuite,
    agree_ephemeral_unified,
    agree_one_pass,
    agree_static_unified,
    algorithm_of,
    derive_key,
    open_ephemeral_key,
    peer_public_key,
    shared_secret,
    sign,
    signature_holds,
    signature_length,
    signed_ephemeral_key,
    unwrap_key,
    wrap_key,
)
from ami_dlms.security.keywrap import SHIPPED_LENGTHS

VECTORS = {v["id"]: v for v in json.loads((Path(__file__).parent / "vectors.json").read_text())}
SUITE_0, SUITE_1, SUITE_2 = SecuritySuite
CLIENT, SERVER = b"CLI\0\0\0\0\1", b"MTR\0\0\0\0\2"
FIRST = {SUITE_1: PrivateKey(bytes(31) + b"\x05"), SUITE_2: PrivateKey(bytes(47) + b"\x05")}
SECOND = {SUITE_1: PrivateKey(b"\x42" * 32), SUITE_2: PrivateKey(b"\x42" * 48)}
SUITES = pytest.mark.parametrize("suite", [SUITE_1, SUITE_2])


def known(name: str) -> tuple[bytes, dict[str, bytes]]:
    vector: dict[str, Any] = VECTORS[name]
    return bytes.fromhex(vector["hex"]), {key: bytes.fromhex(value) for key, value in vector["keys"].items()}


def altered(octets: bytes, index: int) -> bytes:
    copy = bytearray(octets)
    copy[index] ^= 1
    return bytes(copy)


# --- signatures


@pytest.mark.parametrize(
    "name", ["gb_c1_ecdsa_client", "gb_c2_ecdsa_client", "gb_c2_ecdsa_server", "suite2_ecdsa_p384"]
)
def test_published_signatures_hold(name: str) -> None:
    signature, keys = known(name)
    public, message = PublicKey(keys["public"]), keys["message"]
    assert signature_holds(public, message, signature)
    for index in (0, len(signature) // 2, len(signature) - 1):
        assert not signature_holds(public, message, altered(signature, index))
    assert not signature_holds(public, altered(message, 0), signature)
    assert not signature_holds(public, message, signature[:-1])
    assert not signature_holds(public, message, b"")
    assert not signature_holds(public, message, bytes(len(signature)))
    if "private" in keys:
        private = PrivateKey(keys["private"])
        assert private.public_key == public
        ours = sign(private, message)
        assert len(ours) == signature_length(private.suite)
        assert signature_holds(public, message, ours)


@SUITES
def test_a_signature_needs_no_random_octets_and_is_of_its_key(suite: SecuritySuite) -> None:
    signature = sign(FIRST[suite], b"text")
    assert sign(FIRST[suite], b"text") == signature
    assert signature_holds(FIRST[suite].public_key, b"text", signature)
    assert not signature_holds(SECOND[suite].public_key, b"text", signature)


def test_a_signature_of_the_other_suite_does_not_hold() -> None:
    assert not signature_holds(FIRST[SUITE_2].public_key, b"text", sign(FIRST[SUITE_1], b"text"))
    assert not signature_holds(FIRST[SUITE_1].public_key, b"text", sign(FIRST[SUITE_2], b"text"))


# --- keys


def test_no_private_key_in_a_repr() -> None:
    assert "05" not in repr(FIRST[SUITE_1])
    assert "05" not in repr(AsymmetricKeys(signing=FIRST[SUITE_1], agreement=FIRST[SUITE_1]))


@pytest.mark.parametrize("octets", [bytes(32), b"\xff" * 32, b"", bytes(31), bytes(40), b"\xff" * 48])
def test_no_private_key(octets: bytes) -> None:
    with pytest.raises(LocalError):
        PrivateKey(octets)


@pytest.mark.parametrize("octets", [bytes(64), b"\1" * 64, bytes(96), b"", b"\1" * 63, b"\1" * 80])
def test_no_public_key(octets: bytes) -> None:
    with pytest.raises(LocalError):
        PublicKey(octets)
    for suite in SecuritySuite:
        with pytest.raises(SecurityError):
            peer_public_key(octets, suite)


def test_a_public_key_of_another_suite_is_refused() -> None:
    for suite in (SUITE_0, SUITE_2):
        with pytest.raises(SecurityError):
            peer_public_key(FIRST[SUITE_1].public_key.octets, suite)
    assert peer_public_key(FIRST[SUITE_1].public_key.octets, SUITE_1) == FIRST[SUITE_1].public_key


@pytest.mark.parametrize("name", ["signing", "peer_signing", "agreement", "peer_agreement"])
def test_keys_belong_to_the_suite(name: str) -> None:
    for suite in (SUITE_1, SUITE_2):
        key = FIRST[suite].public_key if name.startswith("peer") else FIRST[suite]
        keys = AsymmetricKeys(**{name: key})  # type: ignore[arg-type]
        keys.check(suite)
        for other in set(SecuritySuite) - {suite}:
            with pytest.raises(LocalError):
                keys.check(other)
    AsymmetricKeys().check(SUITE_0)


@pytest.mark.parametrize("name", ["broadcast_encryption_key", "master_key"])
def test_further_global_keys(name: str) -> None:
    keys = GlobalKeys(bytes(16), bytes(16), **{name: b"k" * 16})
    assert "kkk" not in repr(keys)
    for length in (0, 15, 32):
        with pytest.raises(LocalError) as error:
            GlobalKeys(bytes(16), bytes(16), **{name: b"k" * length})
        assert "kkk" not in str(error.value)


# --- agreement


def test_published_ephemeral_unified() -> None:
    key, keys = known("gb_c1_ecdh_2e0s")
    server, client = PrivateKey(keys["server_eph_private"]), PublicKey(keys["client_eph_public"])
    assert server.public_key.octets == keys["server_eph_public"]
    assert shared_secret(server, client) == keys["Z"]
    assert algorithm_of(SUITE_1).value == keys["algorithm_id"]
    assert agree_ephemeral_unified(server, client, keys["sys_t_c"], keys["sys_t_s"]) == key


@pytest.mark.parametrize(
    ("name", "private", "public"),
    [
        ("gb_c2_ecdh_1e1s_client", "client_eph_private", "server_static_public"),
        ("gb_c2_ecdh_1e1s_client", "server_static_private", "client_eph_public"),
        ("gb_c2_ecdh_1e1s_server", "client_static_private", "server_eph_public"),
    ],
)
def test_published_one_pass_at_both_ends(name: str, private: str, public: str) -> None:
    key, keys = known(name)
    own, peer = PrivateKey(keys[private]), PublicKey(keys[public])
    assert shared_secret(own, peer) == keys["Z"]
    assert agree_one_pass(own, peer, keys["partyU"], keys["partyV"]) == key


def test_published_static_unified() -> None:
    _, keys = known("gb_c3_static_unified")
    own, peer = PrivateKey(keys["client_static_private"]), PublicKey(keys["server_static_public"])
    client, server = keys["iv"][:8], bytes.fromhex("4D4D4D0000000001")
    assert agree_static_unified(own, peer, client, server, keys["transaction_id"]) == keys["ek"]
    assert agree_static_unified(own, peer, client, server, altered(keys["transaction_id"], 0)) != keys["ek"]
    with pytest.raises(SecurityError):
        agree_static_unified(own, peer, client, server, b"")


@SUITES
@pytest.mark.parametrize("algorithm", [None, *AlgorithmId])
def test_both_ends_agree(suite: SecuritySuite, algorithm: AlgorithmId | None) -> None:
    client, server = FIRST[suite], SECOND[suite]
    if algorithm is not None and algorithm.key_length != suite.key_length:
        with pytest.raises(LocalError):
            agree_ephemeral_unified(client, server.public_key, CLIENT, SERVER, algorithm)
        return
    ours = agree_ephemeral_unified(client, server.public_key, CLIENT, SERVER, algorithm)
    assert agree_ephemeral_unified(server, client.public_key, CLIENT, SERVER, algorithm) == ours
    assert len(ours) == suite.key_length
    assert agree_ephemeral_unified(client, server.public_key, SERVER, CLIENT, algorithm) != ours
    assert agree_one_pass(client, server.public_key, CLIENT, SERVER) == agree_one_pass(
        server, client.public_key, CLIENT, SERVER
    )
    assert agree_static_unified(client, server.public_key, CLIENT, SERVER, b"\1") == agree_static_unified(
        server, client.public_key, CLIENT, SERVER, b"\1"
    )


def test_algorithms_separate_keys() -> None:
    found = {
        agree_ephemeral_unified(FIRST[SUITE_1], SECOND[SUITE_1].public_key, CLIENT, SERVER, algorithm)
        for algorithm in (AlgorithmId.AES_GCM_128, AlgorithmId.AES_WRAP_128)
    }
    assert len(found) == 2
    assert [algorithm_of(suite, wraps=wraps).name for suite in SecuritySuite for wraps in (False, True)] == [
        "AES_GCM_128",
        "AES_WRAP_128",
        "AES_GCM_128",
        "AES_WRAP_128",
        "AES_GCM_256",
        "AES_WRAP_256",
    ]


def test_what_does_not_agree() -> None:
    with pytest.raises(LocalError):
        shared_secret(FIRST[SUITE_1], FIRST[SUITE_2].public_key)
    with pytest.raises(LocalError):
        derive_key(SUITE_0, b"Z", AlgorithmId.AES_GCM_128, CLIENT, SERVER)


def test_published_ephemeral_keys_with_their_signatures() -> None:
    signature, keys = known("gb_c1_ecdsa_client")
    message, signer = keys["message"], PublicKey(keys["public"])
    sent = message[1:] + signature
    assert open_ephemeral_key(sent, signer, key_id=message[0]).octets == message[1:]
    for wrong in (altered(sent, 0), altered(sent, -1), sent[:-1], b""):
        with pytest.raises(SecurityError):
            open_ephemeral_key(wrong, signer, key_id=message[0])
    for key_id in (1, None):
        with pytest.raises(SecurityError):
            open_ephemeral_key(sent, signer, key_id=key_id)
    signature, keys = known("gb_c2_ecdsa_client")
    sent = keys["message"] + signature
    assert open_ephemeral_key(sent, PublicKey(keys["public"])).octets == keys["message"]


@SUITES
@pytest.mark.parametrize("key_id", [None, 0, 2])
def test_an_ephemeral_key_on_its_way(suite: SecuritySuite, key_id: int | None) -> None:
    sent = signed_ephemeral_key(FIRST[suite], SECOND[suite], key_id)
    assert open_ephemeral_key(sent, SECOND[suite].public_key, key_id) == FIRST[suite].public_key
    with pytest.raises(SecurityError):
        open_ephemeral_key(sent, FIRST[suite].public_key, key_id)


def test_a_signed_point_that_is_none() -> None:
    nowhere = b"\1" * 64
    with pytest.raises(SecurityError):
        open_ephemeral_key(nowhere + sign(FIRST[SUITE_1], nowhere), FIRST[SUITE_1].public_key)


# --- key transfer


def test_published_key_wrap_both_ways() -> None:
    wrapped, keys = known("gb_keywrap128")
    plain = bytes.fromhex(VECTORS["gb_keywrap128"]["expected_plaintext"])
    assert wrap_key(keys["kek"], plain) == wrapped
    assert unwrap_key(keys["kek"], wrapped) == plain
    for index in range(len(wrapped)):
        with pytest.raises(SecurityError):
            unwrap_key(keys["kek"], altered(wrapped, index))
    with pytest.raises(SecurityError):
        unwrap_key(altered(keys["kek"], 0), wrapped)


@pytest.mark.parametrize("length", [16, 32])
def test_wrapped_keys_of_both_lengths(length: int) -> None:
    master, key = b"m" * length, b"k" * length
    assert len(wrap_key(master, key)) == length + 8
    assert unwrap_key(master, wrap_key(master, key)) == key


@pytest.mark.parametrize(("master", "key"), [(15, 16), (16, 24), (24, 16), (0, 16), (16, 0)])
def test_lengths_that_can_not_be_wrapped(master: int, key: int) -> None:
    with pytest.raises(LocalError) as error:
        wrap_key(b"m" * master, b"k" * key)
    assert "kkk" not in str(error.value)


@pytest.mark.parametrize("length", [0, 8, 16, 23, 25, 32, 48])
def test_lengths_that_can_not_be_unwrapped(length: int) -> None:
    with pytest.raises(SecurityError):
        unwrap_key(bytes(16), bytes(length))
    with pytest.raises(LocalError):
        unwrap_key(bytes(15), bytes(24))


def test_a_private_key_is_wrapped_where_it_is_wanted_alone() -> None:
    master, key = b"m" * 16, b"k" * 48
    wrapped = wrap_key(master, key, SHIPPED_LENGTHS)
    assert unwrap_key(master, wrapped, SHIPPED_LENGTHS) == key
    with pytest.raises(LocalError):
        wrap_key(master, key)
    with pytest.raises(SecurityError):
        unwrap_key(master, wrapped)
