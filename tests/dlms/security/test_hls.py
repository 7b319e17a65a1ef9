"""f(challenge) of HLS against published examples, and comparing secrets."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from ami_dlms.enums import Mechanism
from ami_dlms.errors import LocalError
from ami_dlms.security import (
    Challenges,
    GlobalKeys,
    PrivateKey,
    aead,
    digest_holds,
    digest_response,
    ecdsa_holds,
    ecdsa_response,
    gmac_holds,
    gmac_response,
    hls,
    protect,
    same_secret,
    signature_holds,
    unprotect,
)
from ami_dlms.security.hls import check_challenge

VECTORS = {v["id"]: v for v in json.loads((Path(__file__).parent / "vectors.json").read_text())}


@pytest.mark.parametrize("name", ["gb_hls5_fStoC", "gb_hls5_fCtoS"])
def test_published_gmac_both_ways(name: str) -> None:
    vector = VECTORS[name]
    known = vector["keys"]
    keys = GlobalKeys(bytes.fromhex(known["ek"]), bytes.fromhex(known["ak"]))
    title, challenge = bytes.fromhex(known["system_title"]), bytes.fromhex(known["challenge"])
    response = bytes.fromhex(vector["hex"])
    assert gmac_response(0, keys, title, int(known["invocation_counter"], 16), challenge) == response
    assert gmac_holds(0, keys, title, challenge, response)
    for index in range(len(response)):
        altered = bytearray(response)
        altered[index] ^= 0x80
        assert not gmac_holds(0, keys, title, challenge, bytes(altered))
    assert not gmac_holds(0, keys, title, challenge[:-1], response)
    assert not gmac_holds(0, keys, b"12345678", challenge, response)
    assert not gmac_holds(0, keys, b"", challenge, response)
    assert not gmac_holds(0, keys, title, challenge, response[:-1])
    assert not gmac_holds(0, keys, title, challenge, b"")


def test_same_secret() -> None:
    assert same_secret(b"12345678", b"12345678")
    assert not same_secret(b"12345678", b"12345679")
    assert not same_secret(b"12345678", b"")


@pytest.mark.parametrize("length", [0, 7, 65])
def test_challenge_lengths(length: int) -> None:
    with pytest.raises(LocalError):
        check_challenge(bytes(length))
    check_challenge(bytes(8))
    check_challenge(bytes(64))


CHALLENGES = Challenges(b"CLI\0\0\0\0\1", b"MTR\0\0\0\0\2", b"challenge of S..", b"challenge of C..")
MIRRORED = Challenges(*(CHALLENGES[index] for index in (1, 0, 3, 2)))
SECRET = b"the secret of both"


@pytest.mark.parametrize(
    ("mechanism", "hashed"),
    [
        (Mechanism.MD5, hashlib.md5(b"challenge of S.." + SECRET)),
        (Mechanism.SHA1, hashlib.sha1(b"challenge of S.." + SECRET)),
        (
            Mechanism.SHA256,
            hashlib.sha256(SECRET + b"CLI\0\0\0\0\1MTR\0\0\0\0\2challenge of S..challenge of C.."),
        ),
    ],
)
def test_digests(mechanism: Mechanism, hashed: Any) -> None:
    response = digest_response(mechanism, SECRET, CHALLENGES)
    assert response == hashed.digest()
    assert digest_holds(mechanism, SECRET, CHALLENGES, response)
    assert not digest_holds(mechanism, SECRET, MIRRORED, response)
    assert not digest_holds(mechanism, SECRET + b"!", CHALLENGES, response)
    assert not digest_holds(mechanism, SECRET, CHALLENGES, response[:-1])
    assert not digest_holds(mechanism, SECRET, CHALLENGES, b"")
    for index in range(len(response)):
        altered = bytearray(response)
        altered[index] ^= 1
        assert not digest_holds(mechanism, SECRET, CHALLENGES, bytes(altered))


@pytest.mark.parametrize("field", range(4))
def test_sha_256_and_ecdsa_speak_of_both_titles_and_both_challenges(field: int) -> None:
    parts = list(CHALLENGES)
    parts[field] = parts[field][:-1] + b"X"
    other = Challenges(*parts)
    key = PrivateKey(b"\x42" * 32)
    assert not digest_holds(Mechanism.SHA256, SECRET, other, digest_response(Mechanism.SHA256, SECRET, CHALLENGES))
    assert not ecdsa_holds(key.public_key, other, ecdsa_response(key, CHALLENGES))
    assert ecdsa_holds(key.public_key, CHALLENGES, ecdsa_response(key, CHALLENGES))


@pytest.mark.parametrize("length", [32, 48])
def test_ecdsa_signs_titles_and_challenges(length: int) -> None:
    key, other = PrivateKey(b"\x42" * length), PrivateKey(b"\x43" * length)
    response = ecdsa_response(key, CHALLENGES)
    text = CHALLENGES.prover_title + CHALLENGES.verifier_title + CHALLENGES.challenge + CHALLENGES.own_challenge
    assert signature_holds(key.public_key, text, response)
    assert not ecdsa_holds(other.public_key, CHALLENGES, response)
    assert not ecdsa_holds(key.public_key, MIRRORED, response)
    assert not ecdsa_holds(key.public_key, CHALLENGES, b"")


@pytest.mark.parametrize("mechanism", [Mechanism.LOWEST, Mechanism.LOW, Mechanism.GMAC, Mechanism.ECDSA])
def test_what_is_no_digest(mechanism: Mechanism) -> None:
    with pytest.raises(LocalError):
        digest_response(mechanism, SECRET, CHALLENGES)


def test_ecdsa_wants_longer_challenges() -> None:
    check_challenge(bytes(32), Mechanism.ECDSA)
    check_challenge(bytes(64), Mechanism.ECDSA)
    for length in (31, 65):
        with pytest.raises(LocalError, match="32 to 64"):
            check_challenge(bytes(length), Mechanism.ECDSA)


def test_secrets_are_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[tuple[bytes, bytes]] = []

    def compare(ours: bytes, theirs: bytes) -> bool:
        compared.append((ours, theirs))
        return ours == theirs

    monkeypatch.setattr(hls, "compare_digest", compare)
    monkeypatch.setattr(aead, "compare_digest", compare)
    keys, title = GlobalKeys(bytes(16), bytes(16)), bytes(8)
    assert same_secret(SECRET, SECRET)
    assert gmac_holds(0, keys, title, bytes(8), gmac_response(0, keys, title, 1, bytes(8)))
    for mechanism in (Mechanism.MD5, Mechanism.SHA1, Mechanism.SHA256):
        assert digest_holds(mechanism, SECRET, CHALLENGES, digest_response(mechanism, SECRET, CHALLENGES))
    for control in (0x10, 0x30):
        assert unprotect(keys, title, protect(control, keys, title, 1, b"text")).plaintext == b"text"
    assert len(compared) == 7
