"""Suites 1 and 2, and HLS with ECDSA, against a server of the protocol core on a real socket."""

from __future__ import annotations

import secrets
from pathlib import Path

import pytest
from meter_bench import Ami
from served_meter import Meter, profile, served

from ami_dlms import data
from ami_dlms.association import Ciphering, KeyForm, MessageKeys, Security
from ami_dlms.cosem.descriptors import AttributeDescriptor
from ami_dlms.enums import Mechanism
from ami_dlms.obis import Obis
from ami_dlms.security import AsymmetricKeys, GlobalKeys, PrivateKey, ReceiveCounter, SendCounter

VALUES = {AttributeDescriptor(1, Obis.parse("0-0:96.1.0"), 2): data.unsigned(42)}
KEYS = {0: bytes(range(16)), 1: bytes(range(16)), 2: bytes(range(32))}
COORDINATE = {1: 32, 2: 48}


def pair(suite: int) -> tuple[PrivateKey, PrivateKey]:
    """Ours and the meter's."""
    zeros = bytes(COORDINATE[suite] - 1)
    return PrivateKey(zeros + b"\x07"), PrivateKey(zeros + b"\x09")


def keyed(suite: int, asymmetric: AsymmetricKeys | None = None) -> dict[str, object]:
    keys = GlobalKeys(KEYS[suite], KEYS[suite])
    more = {} if asymmetric is None else {"asymmetric": asymmetric}
    security = Security(keys=keys, system_title=b"METER\0\0\1", suite=suite, **more)
    return {"security": security, "send_counter": SendCounter(1), "receive_counter": ReceiveCounter()}


def reading(port: int, suite: int, mechanism: str) -> tuple[object, ...]:
    key = KEYS[suite].hex()
    where = ("--host", "127.0.0.1", "--port", port, "--client", 1, "--authentication", mechanism)
    keys = ("--ek", key, "--ak", key, "--suite", suite, "--invocation-counter", 5)
    return ("read", "0-0:96.1.0", 2, "--class", 1, "--json", *where, *keys)


@pytest.mark.parametrize("trusted", [True, False])
@pytest.mark.parametrize("suite", [1, 2])
def test_each_end_signs_and_checks(ami: Ami, tmp_path: Path, suite: int, trusted: bool) -> None:
    ours, theirs = pair(suite)
    (tmp_path / "signing").write_text(ours.octets.hex())
    meter = Meter(dict(VALUES))
    secured = keyed(suite, AsymmetricKeys(theirs, ours.public_key))
    meter_key = (theirs if trusted else ours).public_key.octets.hex()
    signing = ("--signing-key", f"file:{tmp_path / 'signing'}", "--meter-signing-key", meter_key)
    with served(meter, profile(meter, mechanism=Mechanism.ECDSA, **secured)) as port:
        result = ami.run(*reading(port, suite, "hls-ecdsa"), *signing, "-v")
    assert ours.octets.hex().upper() not in result.err
    if trusted:
        assert result.ok().json[0]["value"] == 42
    else:
        assert result.code == 6 and "read" not in result.out


@pytest.mark.parametrize("suite", [0, 1, 2])
@pytest.mark.parametrize("ciphering", ["general-glo", "service-specific", "general-ciphering"])
def test_every_suite_and_ciphering(ami: Ami, suite: int, ciphering: str) -> None:
    meter = Meter(dict(VALUES))
    with served(meter, profile(meter, mechanism=Mechanism.GMAC, **keyed(suite))) as port:
        result = ami.run(*reading(port, suite, "hls-gmac"), "--ciphering", ciphering)
    assert result.ok().json[0]["value"] == 42


def test_without_a_key_to_sign_with(ami: Ami) -> None:
    key = KEYS[1].hex()
    keys = ("--ek", key, "--ak", key, "--suite", 1)
    result = ami.at("GMAC", "clock", "--client", 1, "--authentication", "hls-ecdsa", *keys)
    assert result.code == 2 and "--signing-key" in result.err
    public = pair(1)[0].public_key.octets.hex()
    for odd, said in (
        (("--signing-key", "01", "--meter-signing-key", public), "private key"),
        (("--signing-key", "01" * 32, "--meter-signing-key", "02"), "--meter-signing-key"),
    ):
        wrong = ami.at("GMAC", "clock", "--client", 1, "--authentication", "hls-ecdsa", *keys, *odd)
        assert wrong.code == 2 and said in wrong.err


@pytest.mark.parametrize(
    ("form", "suite", "options"),
    [
        (KeyForm.WRAPPED, 0, ("wrapped",)),
        (KeyForm.WRAPPED, 2, ("wrapped",)),
        (KeyForm.C_1E_1S, 1, ("one-pass",)),
        (KeyForm.C_0E_2S, 2, ("static-unified",)),
    ],
)
def test_a_key_for_each_message(ami: Ami, form: KeyForm, suite: int, options: tuple[str]) -> None:
    master = bytes(reversed(KEYS[suite]))
    more: dict[str, object] = {}
    given: tuple[object, ...] = ("--message-key", *options, "--kek", master.hex())
    if suite:
        ours, theirs = pair(suite)
        more["asymmetric"] = AsymmetricKeys(theirs, ours.public_key, theirs, ours.public_key)
        public = theirs.public_key.octets.hex()
        given += ("--signing-key", ours.octets.hex(), "--agreement-key", ours.octets.hex())
        given += ("--meter-signing-key", public, "--meter-agreement-key", public)
    security = Security(
        keys=GlobalKeys(KEYS[suite], KEYS[suite], master_key=master),
        system_title=b"METER\0\0\1",
        suite=suite,
        message_keys=MessageKeys(own=form, taken=frozenset({form}), random_bytes=secrets.token_bytes),
        ciphering=Ciphering.GENERAL_CIPHERING,
        **more,  # type: ignore[arg-type]
    )
    counters = {"send_counter": SendCounter(1), "receive_counter": ReceiveCounter()}
    meter = Meter(dict(VALUES))
    with served(meter, profile(meter, mechanism=Mechanism.GMAC, security=security, **counters)) as port:
        result = ami.run(*reading(port, suite, "hls-gmac"), *given, "-v")
        without = ami.run(
            *reading(port, suite, "hls-gmac"), "--ciphering", "general-ciphering", "--invocation-counter", 99
        )
    assert result.ok().json[0]["value"] == 42 and master.hex().upper() not in result.err
    assert without.code in (4, 5) and not without.out.strip().startswith("[\n {")
    if form is not KeyForm.C_1E_1S:  # what we send with an ephemeral pair nobody but the meter opens
        assert "get-response-normal: unsigned 42  [general-ciphering]" in result.err


def test_keys_for_each_message_that_are_missing(ami: Ami) -> None:
    key = KEYS[0].hex()
    where = (
        "clock",
        "--client",
        1,
        "--authentication",
        "hls-gmac",
        "--ek",
        key,
        "--ak",
        key,
        "--invocation-counter",
        1,
    )
    missing = ami.at("GMAC", *where, "--message-key", "wrapped")
    assert missing.code == 2 and "master key" in missing.err
    other = ami.at("GMAC", *where, "--message-key", "wrapped", "--kek", key, "--ciphering", "general-glo")
    assert other.code == 2 and "general-ciphering" in other.err
