"""What a signature has to hold for: the very Body and Timestamp that are read. Each attack changes a message that is right, and is refused by name."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree
from wsse_attacks import ATTACKS, NOW

from ami_cim import ns, soap, wire
from ami_cim.errors import InvalidMessage, LocalError
from ami_cim.limits import UNKNOWN_PEER, Limits
from ami_cim.schema import Schemas
from ami_cim.wsse import SECURITY, SecurityReading, Signer, load_signer, seal
from ami_cim.wsse.reading import read, read_apart

SCHEMAS = Schemas()
VECTORS = Path(__file__).resolve().parents[1] / "vectors" / "wsse"
PLAIN = (
    f'<soap:Envelope xmlns:soap="{ns.SOAP}"><soap:Body><m:RequestMessage xmlns:m="{ns.MESSAGE}"><m:Header><m:Verb>get</m:Verb>'
    "<m:Noun>EndDeviceControls</m:Noun><m:MessageID>id-1</m:MessageID></m:Header></m:RequestMessage></soap:Body></soap:Envelope>"
).encode()


@dataclass(frozen=True)
class Header:
    """What is sealed into a message."""

    created_at: datetime = NOW
    expires_at: datetime = NOW + timedelta(seconds=60)
    chance: bytes = bytes(range(32))
    signer: Signer | None = None
    username: str | None = None
    password: str | None = None
    password_as_text: bool = False
    must_understand: bool = True


@cache
def signer(kind: str = "ec") -> Signer:
    keys: dict[str, Callable[[], Any]] = {
        "ec": lambda: ec.generate_private_key(ec.SECP256R1()),
        "rsa": lambda: rsa.generate_private_key(65537, 2048),
        "short": lambda: rsa.generate_private_key(65537, 1024),
    }
    key = keys[kind]()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, kind)])
    made = x509.CertificateBuilder(name, name, key.public_key(), 1, NOW, NOW + timedelta(days=1))
    certificate = made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return load_signer(certificate, key.private_bytes(*form))


@cache
def signed(kind: str = "ec", **more: Any) -> bytes:
    return seal(PLAIN, Header(signer=signer(kind), **more))


def refusal(octets: bytes) -> InvalidMessage:
    with pytest.raises(InvalidMessage) as caught:
        read(octets, UNKNOWN_PEER, None)
    return caught.value


@pytest.mark.parametrize("kind", ["ec", "rsa"])
def test_what_was_sealed_proves_its_signer_here_and_in_the_process_that_reads(kind: str) -> None:
    octets = signed(kind, username="the CIS", password="p" * 16)
    proof = read(octets, UNKNOWN_PEER, None)
    assert proof is not None and proof.username is not None
    assert (proof.certificate, proof.created_at, proof.expires_at) == (
        signer(kind).certificate,
        NOW,
        NOW + timedelta(seconds=60),
    )
    assert proof.username.username == "the CIS" and proof.username.password is None
    assert "p" * 16 not in repr(proof)
    reading = SecurityReading(UNKNOWN_PEER)
    assert reading.read_answer(read_apart(reading.order(octets, None)[0], octets)) == proof
    assert soap.unwrap(octets, understood=frozenset({SECURITY})).tag == f"{{{ns.MESSAGE}}}RequestMessage"
    with pytest.raises(InvalidMessage, match="Security is not understood"):
        wire.read_request(octets, SCHEMAS)


def test_the_process_that_reads_raises_the_same_refusal() -> None:
    octets = signed().replace(b"id-1", b"id-2")
    reading, found = SecurityReading(UNKNOWN_PEER), refusal(octets)
    with pytest.raises(InvalidMessage) as caught:
        reading.read_answer(read_apart(reading.order(octets, None)[0], octets))
    assert (caught.value.code, str(caught.value), caught.value.fault_code) == (found.code, str(found), found.fault_code)
    for nonsense in (b"", b"{}x", b'{"found": 1}', b'{"found": true, "certificate": "!"}'):
        with pytest.raises(Exception, match="cannot be used"):
            reading.read_answer(nonsense)


def test_a_message_without_a_header_or_with_one_for_somebody_else_proves_nothing() -> None:
    assert read(PLAIN, UNKNOWN_PEER, None) is None
    for_another = signed().replace(b"<wsse:Security ", b'<wsse:Security soap:actor="urn:another" ')
    assert read(for_another, UNKNOWN_PEER, None) is None


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_is_refused_by_name(name: str) -> None:
    change, says, fault = ATTACKS[name]
    root = etree.fromstring(signed())
    change(root)
    found = refusal(etree.tostring(root))
    assert says in str(found) and found.fault_code == fault
    answer = wire.write_fault(found)
    if ":" in fault:
        code = soap.parse_fault(soap.unwrap(answer))
        assert code.code == fault.partition(":")[2] and code.detail is None
        assert f'xmlns:{fault.partition(":")[0]}="'.encode() in answer


def test_a_key_that_is_too_short_is_refused() -> None:
    assert "2048 bits" in str(refusal(signed("short")))


def test_documents_that_are_refused_before_are_refused_with_a_header_too() -> None:
    doctype = b'<!DOCTYPE a [<!ENTITY b "c">]>' + signed().partition(b"?>")[2]
    assert "document type" in str(refusal(doctype))
    assert "too large" in str(_of_limits(signed(), Limits(octets=100)))
    assert _of_limits(signed(), Limits(nodes=20)).code == "3.1"


def _of_limits(octets: bytes, limits: Limits) -> InvalidMessage:
    with pytest.raises(InvalidMessage) as caught:
        read(octets, limits, None)
    return caught.value


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ((b"<wsse:Username>ada</wsse:Username>", b""), "holds Username and Password"),
        ((b"ada", b"a" * 300), "longer than 200"),
        ((b"#PasswordDigest", b"#PasswordOther"), "PasswordText or PasswordDigest"),
        ((b"#Base64Binary", b"#HexBinary"), "Base64Binary alone"),
        ((b"AAECAwQFBgcICQoLDA0ODw==", b"AAAA"), "at least 8"),
        ((b"AAECAwQFBgcICQoLDA0ODw==", b"A" * 400), "more than 64"),
        ((b"AAECAwQFBgcICQoLDA0ODw==", b"?"), "not base64"),
        ((b"</wsse:Username>", b"</wsse:Username><wsse:Username>eve</wsse:Username>"), "twice"),
    ],
)
def test_username_tokens_that_are_none(change: tuple[bytes, bytes], says: str) -> None:
    octets = seal(PLAIN, Header(username="ada", password="p" * 16))
    assert change[0] in octets
    assert says in str(refusal(octets.replace(*change)))


def test_a_digest_needs_nonce_and_created() -> None:
    octets = seal(PLAIN, Header(username="ada", password="p" * 16))
    without = re.sub(rb"<wsse:Nonce.*</wsse:Nonce>", b"", octets)
    assert "Nonce and Created" in str(refusal(without))


def test_a_password_as_text_is_kept_out_of_what_is_printed() -> None:
    proof = read(
        seal(PLAIN, Header(username="ada", password="secret words", password_as_text=True)), UNKNOWN_PEER, None
    )
    assert proof is not None and proof.username is not None
    assert proof.username.password == "secret words" and "secret" not in repr(proof)


def test_only_soap_is_sealed_and_keys_fit_their_certificates() -> None:
    with pytest.raises(LocalError):
        seal(b"<a/>", Header())
    with pytest.raises(ValueError, match="not that of the certificate"):
        pem = serialization.Encoding.PEM
        key = ec.generate_private_key(ec.SECP256R1()).private_bytes(
            pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        load_signer(x509.load_der_x509_certificate(signer().certificate).public_bytes(pem), key)


@given(st.integers(0, 10_000), st.binary(max_size=3))
def test_whatever_is_changed_is_refused_or_proves_the_same(place: int, octets: bytes) -> None:
    """One place of a message that is right is overwritten."""
    right = signed()
    at = place % len(right)
    changed = right[:at] + octets + right[at + len(octets) :]
    try:
        proof = read(changed, UNKNOWN_PEER, None)
    except InvalidMessage:
        return
    if proof is not None and proof.certificate is not None:
        body = etree.tostring(etree.fromstring(right)[-1], method="c14n", exclusive=True)
        assert etree.tostring(etree.fromstring(changed)[-1], method="c14n", exclusive=True) == body


@pytest.mark.parametrize("as_text", [True, False])
def test_what_is_kept_of_a_message_has_no_password(as_text: bool) -> None:
    octets = seal(PLAIN, Header(username="ada", password="secret words", password_as_text=as_text))
    reading = SecurityReading(UNKNOWN_PEER)
    kept, proof = reading.without_passwords(octets), read(octets, UNKNOWN_PEER, None)
    assert proof is not None and proof.username is not None
    digest = base64.b64encode(proof.username.digest or b"none")
    assert b"secret words" not in kept and digest not in kept and b"***</wsse:Password>" in kept and b"ada" in kept
    hidden = octets.replace(b"secret words", b"<![CDATA[secret words]]>")
    assert b"secret words" not in reading.without_passwords(hidden)
    assert reading.without_passwords(PLAIN) == PLAIN
    assert reading.without_passwords(b"<a>Security" + b"<Password>" * 100_000) == b""
    wide = PLAIN.decode().encode("utf-16")
    assert reading.without_passwords(wide) == wide
    declared = b"<?xml version='1.0'?>" + octets.partition(b"?>")[2] if octets.startswith(b"<?") else octets
    for encoding in ("utf-16", "utf-32", "utf-32-le", "utf-32-be"):
        assert reading.without_passwords(declared.decode().encode(encoding)) == b"", encoding
    assert reading.without_passwords(("<?xml version='1.0'?>" + PLAIN.decode()).encode("cp037")) == b""


@pytest.mark.parametrize(
    ("name", "signs", "username"), [("signed", True, None), ("digest", False, "ada"), ("both", True, "ada")]
)
def test_messages_of_an_earlier_version_prove_what_they_did(name: str, signs: bool, username: str | None) -> None:
    proof = read((VECTORS / f"{name}.xml").read_bytes(), UNKNOWN_PEER, None)
    assert proof is not None and (proof.certificate is not None) == signs and proof.created_at == NOW
    assert (None if proof.username is None else proof.username.username) == username
