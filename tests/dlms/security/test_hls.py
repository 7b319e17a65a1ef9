"""f(challenge) of HLS against published examples, and comparing secrets."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dlms.errors import LocalError
from dlms.security import GlobalKeys, gmac_holds, gmac_response, same_secret
from dlms.security.hls import check_challenge

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
