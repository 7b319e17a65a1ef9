"""Security setup: keys that are transferred or agreed, a policy that only grows, key pairs and certificates; all of it or nothing."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from devices import Inside, described

from ami_dlms import data
from ami_dlms.association import Security
from ami_dlms.data import Data
from ami_dlms.enums import ActionResult, DataAccessResult
from ami_dlms.security import (
    AsymmetricKeys,
    GlobalKeys,
    PrivateKey,
    SecurityPolicy,
    agree_ephemeral_unified,
    algorithm_of,
    open_ephemeral_key,
    signed_ephemeral_key,
    wrap_key,
)
from ami_dlms.security.suites import suite_of
from ami_meter_sim.objects.communication import SECURITY_SETUP, Communication
from ami_meter_sim.objects.cosem_object import AccessRefused
from ami_meter_sim.objects.keys import security_in_force
from ami_meter_sim.objects.memory import RecordKind

SETUP = (64, "0-0:43.0.0")
METER, CLIENT = bytes.fromhex("414D4900000003E9"), bytes.fromhex("414D490000000001")
MASTER = {16: bytes(range(100, 116)), 32: bytes(range(100, 132))}
SIGNATURE, AGREEMENT = 0, 1


def private(start: int, suite: int) -> PrivateKey:
    length = suite_of(suite).coordinate_length
    return PrivateKey(bytes((start + n) % 256 for n in range(length)))


def security(suite: int = 0, **more: Any) -> Security:
    length = suite_of(suite).key_length
    keys = GlobalKeys(bytes(range(length)), bytes(range(50, 50 + length)), master_key=MASTER[length])
    asymmetric = AsymmetricKeys()
    if suite:
        asymmetric = AsymmetricKeys(signing=private(1, suite), peer_signing=private(77, suite).public_key)
    given = {"keys": keys, "system_title": METER, "peer_system_title": CLIENT, "suite": suite, "asymmetric": asymmetric}
    return Security(**(given | more))


def meter(version: int = 1, suite: int = 0, given: Security | None = None, **options: Any) -> Inside:
    one = Inside(described(SETUP, version=version, options=options))
    numbers = itertools.count(1)
    one.device.communication = Communication(
        securities={SECURITY_SETUP: given or security(suite)},
        random_bytes=lambda length: bytes((next(numbers),)) * length,
    )
    return one


def now(one: Inside) -> Security:
    found = security_in_force(one.device, SECURITY_SETUP)
    assert found is not None
    return found


def transfer(one: Inside, *keys: tuple[int, bytes], master: bytes | None = None, method: int = 2) -> ActionResult:
    wrapping = now(one).keys.master_key if master is None else master
    assert wrapping is not None
    pairs = (data.structure(data.enum(n), data.octet_string(wrap_key(wrapping, key))) for n, key in keys)
    return one.act(SETUP, method, data.array(*pairs))


# --- what it shows


@pytest.mark.parametrize(("version", "shown"), [(0, 3), (1, 0x6C)])
def test_it_shows_suite_policy_and_titles(version: int, shown: int) -> None:
    one = meter(version)
    assert one.found(SETUP).read(2) == data.enum(shown)
    assert one.found(SETUP).read(3) == data.enum(0)
    assert one.read(SETUP, 5) == b""
    for number in range(1, 7):
        assert one.write(SETUP, number, data.enum(0)) is DataAccessResult.READ_WRITE_DENIED


# --- key_transfer


@pytest.mark.parametrize("version", [0, 1])
@pytest.mark.parametrize("suite", [0, 1, 2])
def test_transferred_keys_count_for_the_next_association(version: int, suite: int) -> None:
    one = meter(version, suite)
    before, length = now(one), suite_of(suite).key_length
    new = {n: bytes([n + 1]) * length for n in range(3)}
    assert transfer(one, *new.items()) is ActionResult.SUCCESS
    after = now(one)
    assert after.keys == GlobalKeys(new[0], new[2], new[1], before.keys.master_key)
    assert one.device.communication.security_changes == 1
    assert (one.device.communication.changes_at_once, one.device.communication.new_counters) == (0, set())
    one.restart()
    assert now(one) == after


def test_a_master_key_is_transferred_under_the_old_one() -> None:
    one = meter()
    assert transfer(one, (3, b"m" * 16)) is ActionResult.SUCCESS
    assert transfer(one, (0, b"e" * 16), master=MASTER[16]) is ActionResult.OTHER_REASON
    assert transfer(one, (0, b"e" * 16)) is ActionResult.SUCCESS
    assert now(one).keys.encryption_key == b"e" * 16


def test_version_0_has_no_transfer_of_the_master_key() -> None:
    assert transfer(meter(0), (3, b"m" * 16)) is ActionResult.TYPE_UNMATCHED


def wrapped(number: int, octets: bytes) -> Data:
    return data.structure(data.enum(number), data.octet_string(octets))


GOOD = wrap_key(MASTER[16], b"k" * 16)
BAD_TRANSFERS: list[tuple[Data | None, ActionResult]] = [
    (None, ActionResult.TYPE_UNMATCHED),
    (data.array(data.null()), ActionResult.TYPE_UNMATCHED),
    (data.array(*[wrapped(0, GOOD)] * 5), ActionResult.TYPE_UNMATCHED),
    (data.array(wrapped(4, GOOD)), ActionResult.TYPE_UNMATCHED),
    (data.array(wrapped(0, bytes(65))), ActionResult.TYPE_UNMATCHED),
    (data.array(), ActionResult.OTHER_REASON),
    (data.array(wrapped(0, GOOD), wrapped(0, GOOD)), ActionResult.OTHER_REASON),
    (data.array(wrapped(2, GOOD), wrapped(0, GOOD[:-1] + b"\0")), ActionResult.OTHER_REASON),
    (data.array(wrapped(2, GOOD), wrapped(0, b"")), ActionResult.OTHER_REASON),
    (data.array(wrapped(2, GOOD), wrapped(0, wrap_key(MASTER[16], b"k" * 32))), ActionResult.OTHER_REASON),
]


@pytest.mark.parametrize(("given", "result"), BAD_TRANSFERS)
def test_one_key_that_does_not_open_or_fit_changes_none(given: Data | None, result: ActionResult) -> None:
    one = meter()
    before = now(one)
    assert one.act(SETUP, 2, given) is result
    assert now(one) == before
    assert one.device.communication.security_changes == 0


def test_without_a_master_key_nothing_is_transferred() -> None:
    given = security()
    one = meter(given=replace(given, keys=replace(given.keys, master_key=None)))
    assert transfer(one, (0, b"e" * 16), master=MASTER[16]) is ActionResult.OTHER_REASON


def test_a_meter_without_keys_has_a_setup_that_changes_nothing() -> None:
    one = meter()
    one.device.communication.securities = {}
    assert one.read(SETUP, 2) == 0
    for method, given in (
        (1, data.enum(0)),
        (2, data.array(wrapped(0, GOOD))),
        (4, data.enum(0)),
        (6, data.octet_string(b"")),
    ):
        assert one.act(SETUP, method, given) is ActionResult.OTHER_REASON


def test_variants_say_when_keys_count_and_what_becomes_of_counters() -> None:
    one = meter(at_once=True, new_counters=True)
    transfer(one, (2, b"a" * 16))
    assert (one.device.communication.changes_at_once, one.device.communication.new_counters) == (1, set())
    transfer(one, (0, b"e" * 16))
    assert (one.device.communication.changes_at_once, one.device.communication.new_counters) == (2, {SECURITY_SETUP})


@pytest.mark.parametrize("version", [0, 1])
def test_no_attribute_shows_a_key(version: int) -> None:
    one = meter(version)
    secrets = [b"e" * 16, b"a" * 16, b"m" * 16][: 2 + version]
    assert transfer(one, *zip((0, 2, 3), secrets, strict=False)) is ActionResult.SUCCESS
    for number in range(-128, 128):
        try:
            shown = data.encode(one.found(SETUP).read(number))
        except AccessRefused:
            continue
        assert not any(secret in shown for secret in secrets)
    assert not any(secret.hex() in repr(one.device) or repr(secret) in repr(now(one)) for secret in secrets)


# --- security_activate


@pytest.mark.parametrize(
    ("version", "start", "wanted", "result"),
    [
        (0, 0, 1, ActionResult.SUCCESS),
        (0, 1, 3, ActionResult.SUCCESS),
        (0, 3, 3, ActionResult.SUCCESS),
        (0, 3, 2, ActionResult.OTHER_REASON),
        (0, 1, 2, ActionResult.OTHER_REASON),
        (0, 2, 0, ActionResult.OTHER_REASON),
        (0, 0, 4, ActionResult.TYPE_UNMATCHED),
        (1, 0, 0x24, ActionResult.SUCCESS),
        (1, 1, 0x6C, ActionResult.SUCCESS),
        (1, 3, 0x4C, ActionResult.OTHER_REASON),
        (1, 0, 0x01, ActionResult.OTHER_REASON),
        (1, 3, 0xFC, ActionResult.OTHER_REASON),  # suite 0 signs nothing
    ],
)
def test_a_policy_only_grows(version: int, start: int, wanted: int, result: ActionResult) -> None:
    policy = SecurityPolicy.from_version_0(start)
    one = meter(version, given=security(policy=policy))
    assert one.act(SETUP, 1, data.enum(wanted)) is result
    read = SecurityPolicy.from_version_1 if version else SecurityPolicy.from_version_0
    assert now(one).required == (read(wanted) if result is ActionResult.SUCCESS else policy)


def test_suite_1_may_require_signatures() -> None:
    one = meter(1, 1)
    assert one.act(SETUP, 1, data.enum(0xFC)) is ActionResult.SUCCESS
    assert one.found(SETUP).read(2) == data.enum(0xFC)
    assert one.act(SETUP, 1, data.unsigned(0xFC)) is ActionResult.TYPE_UNMATCHED


# --- key_agreement


@pytest.mark.parametrize("suite", [1, 2])
@pytest.mark.parametrize("number", [0, 1, 2, 3])
def test_both_ends_agree_on_the_same_key(suite: int, number: int) -> None:
    one = meter(1, suite)
    ephemeral, signing = private(9, suite), private(77, suite)
    half = signed_ephemeral_key(ephemeral, signing, number)
    answer = one.found(SETUP).invoke(3, data.array(wrapped(number, half)))
    ((key_id, theirs),) = [element.value for element in answer.value]
    assert key_id == data.enum(number)
    public = open_ephemeral_key(theirs.value, private(1, suite).public_key, number)
    algorithm = algorithm_of(suite_of(suite), wraps=number == 3)
    agreed = agree_ephemeral_unified(ephemeral, public, CLIENT, METER, algorithm)
    keys = now(one).keys
    assert (
        agreed == (keys.encryption_key, keys.broadcast_encryption_key, keys.authentication_key, keys.master_key)[number]
    )


@pytest.mark.parametrize("suite", [0, 1])
def test_a_half_of_a_stranger_agrees_on_nothing(suite: int) -> None:
    one = meter(1, suite)
    before = now(one)
    half = signed_ephemeral_key(private(9, 1), private(200, 1), 0)
    assert one.act(SETUP, 3, data.array(wrapped(0, half))) is ActionResult.OTHER_REASON
    good = signed_ephemeral_key(private(9, 1), private(77, 1), 2)
    assert one.act(SETUP, 3, data.array(wrapped(2, good), wrapped(0, half))) is ActionResult.OTHER_REASON
    assert one.act(SETUP, 3, data.array(wrapped(0, good))) is ActionResult.OTHER_REASON, "it was signed for another key"
    assert one.act(SETUP, 3, data.array()) is ActionResult.OTHER_REASON
    assert one.act(SETUP, 3, None) is ActionResult.TYPE_UNMATCHED
    assert now(one) == before


# --- key pairs and certificates


def certificate(
    title: str,
    point: PrivateKey,
    issuer: tuple[str, PrivateKey],
    use: int = SIGNATURE,
    ca: bool = False,
    serial: int = 7,
) -> bytes:
    """Of the public half of `point`."""
    public = point.number.public_key()
    return _certificate(title, public, issuer, use, ca, serial)


def _certificate(title: str, public: Any, issuer: tuple[str, PrivateKey], use: int, ca: bool, serial: int) -> bytes:
    def name(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])

    start = datetime(2026, 1, 1, tzinfo=UTC)
    usage = x509.KeyUsage(
        digital_signature=use == SIGNATURE,
        key_agreement=use == AGREEMENT,
        key_cert_sign=ca,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
    builder = (
        x509.CertificateBuilder()
        .subject_name(name(title))
        .issuer_name(name(issuer[0]))
        .public_key(public)
        .serial_number(serial)
        .not_valid_before(start)
        .not_valid_after(start + timedelta(days=9000))
        .add_extension(usage, critical=True)
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    )
    return builder.sign(issuer[1].number, hashes.SHA256()).public_bytes(Encoding.DER)


ROOT = ("root", private(123, 1))
OTHER_ROOT = ("root", private(124, 1))


def importing(one: Inside, der: bytes) -> ActionResult:
    return one.act(SETUP, 6, data.octet_string(der))


def by_entity(entity: int, use: int, title: bytes) -> Data:
    chosen = data.structure(data.enum(entity), data.enum(use), data.octet_string(title))
    return data.structure(data.enum(0), chosen)


@pytest.mark.parametrize(("use", "name"), [(SIGNATURE, "signing"), (AGREEMENT, "agreement")])
def test_a_pair_is_used_once_its_certificate_is_there(use: int, name: str) -> None:
    one = meter(1, 1)
    before = getattr(now(one).asymmetric, name)
    assert one.act(SETUP, 5, data.enum(use)) is ActionResult.OTHER_REASON, "there is no pair yet"
    assert one.act(SETUP, 4, data.enum(use)) is ActionResult.SUCCESS
    request = x509.load_der_x509_csr(one.found(SETUP).invoke(5, data.enum(use)).value)
    assert request.is_signature_valid
    assert request.subject.rfc4514_string() == f"CN={METER.hex().upper()}"
    assert getattr(now(one).asymmetric, name) == before, "it waits for its certificate"
    der = _certificate(METER.hex().upper(), request.public_key(), ROOT, use, False, 8)
    assert importing(one, der) is ActionResult.SUCCESS
    used = getattr(now(one).asymmetric, name)
    assert used is not None and used != before
    assert one.found(SETUP).invoke(7, by_entity(0, use, METER)) == data.octet_string(der)
    assert used.octets not in b"".join(data.encode(one.found(SETUP).read(number)) for number in range(1, 7))


def test_a_certificate_of_the_meter_is_of_a_pair_that_it_made() -> None:
    one = meter(1, 1)
    one.act(SETUP, 4, data.enum(SIGNATURE))
    assert importing(one, certificate(METER.hex().upper(), private(33, 1), ROOT)) is ActionResult.OTHER_REASON
    assert one.read(SETUP, 6) == ()


def test_the_client_s_key_is_that_of_its_certificate() -> None:
    one = meter(1, 1)
    new = private(44, 1)
    assert importing(one, certificate(CLIENT.hex().upper(), new, ROOT)) is ActionResult.SUCCESS
    assert now(one).asymmetric.peer_signing == new.public_key
    assert importing(one, certificate("414D490000000002", private(45, 1), ROOT)) is ActionResult.SUCCESS
    assert now(one).asymmetric.peer_signing == new.public_key, "that was another client"
    assert one.act(SETUP, 8, by_entity(1, SIGNATURE, CLIENT)) is ActionResult.SUCCESS
    assert now(one).asymmetric.peer_signing == private(77, 1).public_key


def test_an_issuer_that_is_known_has_to_have_issued_what_comes_after() -> None:
    one = meter(1, 1)
    assert importing(one, certificate("root", ROOT[1], ROOT, ca=True)) is ActionResult.SUCCESS
    assert importing(one, certificate(CLIENT.hex(), private(44, 1), OTHER_ROOT)) is ActionResult.OTHER_REASON
    assert importing(one, certificate(CLIENT.hex(), private(44, 1), ROOT)) is ActionResult.SUCCESS
    entities = [[part.value for part in element.value[:2]] for element in one.read(SETUP, 6)]
    assert entities == [[2, 0], [1, 0]]


def test_certificates_are_chosen_by_serial_number_too() -> None:
    one = meter(1, 1)
    der = certificate(CLIENT.hex(), private(44, 1), ROOT, serial=0x1234)
    importing(one, der)
    issuer = one.read(SETUP, 6)[0].value[3]
    chosen = data.structure(data.enum(1), data.structure(data.octet_string(b"\x12\x34"), issuer))
    assert one.found(SETUP).invoke(7, chosen) == data.octet_string(der)
    other = data.structure(data.enum(1), data.structure(data.octet_string(b"\x12\x35"), issuer))
    assert one.act(SETUP, 7, other) is one.act(SETUP, 8, other) is ActionResult.OBJECT_UNDEFINED
    assert one.act(SETUP, 7, data.structure(data.enum(2), data.null())) is ActionResult.TYPE_UNMATCHED


def test_a_certificate_takes_the_place_of_the_one_before_and_the_list_has_an_end() -> None:
    one = meter(1, 1)
    for number in range(2):
        assert importing(one, certificate(CLIENT.hex(), private(44 + number, 1), ROOT)) is ActionResult.SUCCESS
    assert len(one.read(SETUP, 6)) == 1
    for number in range(15):
        der = certificate(f"414D4900000001{number:02X}", private(44, 1), ROOT)
        assert importing(one, der) is ActionResult.SUCCESS
    assert importing(one, certificate("414D490000000200", private(44, 1), ROOT)) is ActionResult.OTHER_REASON
    assert len(one.read(SETUP, 6)) == 16


@pytest.mark.parametrize("der", [b"", b"\x30\x00", b"0" * 200])
def test_what_is_no_certificate_is_refused(der: bytes) -> None:
    assert importing(meter(1, 1), der) is ActionResult.OTHER_REASON


def test_a_certificate_of_another_curve_or_too_long_is_refused() -> None:
    one = meter(1, 1)
    assert importing(one, certificate(CLIENT.hex(), private(44, 2), ROOT)) is ActionResult.OTHER_REASON
    assert importing(one, b"0" * 4097) is ActionResult.TYPE_UNMATCHED


def test_suite_0_makes_no_pairs() -> None:
    one = meter(1, 0)
    assert one.act(SETUP, 4, data.enum(0)) is ActionResult.OTHER_REASON
    assert one.act(SETUP, 4, data.enum(3)) is ActionResult.TYPE_UNMATCHED


def test_a_change_is_an_event() -> None:
    one = meter()
    transfer(one, (0, b"e" * 16))
    assert [notice.occurrence for notice in one.heard] == ["keys_changed"]
    assert one.device.history.records(RecordKind.KEY) == []
