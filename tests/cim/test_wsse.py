"""What a signature has to hold for: the very Body and Timestamp that are read. Each attack changes a message that is right, and is refused by name."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
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

from ami_cim import ns, soap, wire
from ami_cim.errors import InvalidMessage, LocalError
from ami_cim.limits import UNKNOWN_PEER, Limits
from ami_cim.schema import Schemas
from ami_cim.wsse import SECURITY, SecurityReading, Signer, load_signer, seal
from ami_cim.wsse.reading import read, read_apart

SCHEMAS = Schemas()
VECTORS = Path(__file__).resolve().parents[1] / "vectors" / "wsse"
SOAP, WSSE, WSU, DS = (f"{{{one}}}" for one in (ns.SOAP, ns.WSSE, ns.WSU, ns.DSIG))
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
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


# --- attacks: the name, what is done to the tree of a message that is right, and what the refusal says

Tree = etree._Element
Attack = Callable[[Tree], None]
ATTACKS: dict[str, tuple[Attack, str, str]] = {}


def attack(says: str, fault: str) -> Callable[[Attack], Attack]:
    def kept(function: Attack) -> Attack:
        ATTACKS[function.__name__] = function, says, fault
        return function

    return kept


def parts(root: Tree) -> tuple[Tree, Tree, Tree]:
    """Header, Security, Body."""
    header, body = root.find(f"{SOAP}Header"), root.find(f"{SOAP}Body")
    assert header is not None and body is not None
    return header, header[0], body


def other_body() -> Tree:
    found = etree.fromstring(PLAIN.replace(b"id-1", b"evil")).find(f"{SOAP}Body")
    assert found is not None
    return found


@attack("does not hold", "wsse:FailedCheck")
def the_body_is_changed(root: Tree) -> None:
    next(root.iter(f"{{{ns.MESSAGE}}}Verb")).text = "create"


@attack("does not hold", "wsse:FailedCheck")
def the_timestamp_is_renewed(root: Tree) -> None:
    next(root.iter(f"{WSU}Expires")).text = "2036-01-01T00:00:00Z"


@attack("The Body of the message is not what was signed", "wsse:FailedCheck")
def the_signed_body_is_wrapped_into_the_header(root: Tree) -> None:
    header, _, body = parts(root)
    etree.SubElement(header, "Wrapper").append(body)
    root.append(other_body())


@attack("The Body of the message is not what was signed", "wsse:FailedCheck")
def the_signed_body_stands_beside_security(root: Tree) -> None:
    header, _, body = parts(root)
    header.append(body)
    root.append(other_body())


@attack("same Id", "wsse:InvalidSecurity")
def the_id_of_the_body_is_there_twice(root: Tree) -> None:
    header, _, body = parts(root)
    evil = other_body()
    evil.set(f"{WSU}Id", body.get(f"{WSU}Id") or "")
    etree.SubElement(header, "Wrapper").append(body)
    root.append(evil)


@attack("same Id", "wsse:InvalidSecurity")
def the_id_of_the_body_is_there_as_id_without_namespace(root: Tree) -> None:
    header, _, body = parts(root)
    etree.SubElement(header, "Wrapper", ID=body.get(f"{WSU}Id") or "")


@attack("one Header of a SOAP 1.1 envelope with one Body", "wsse:InvalidSecurity")
def there_is_a_second_body(root: Tree) -> None:
    root.append(other_body())


@attack("one Header of a SOAP 1.1 envelope with one Body", "wsse:InvalidSecurity")
def there_is_a_second_header(root: Tree) -> None:
    root.insert(1, etree.Element(f"{SOAP}Header"))


@attack("several Security headers", "wsse:InvalidSecurity")
def there_is_a_second_security_header(root: Tree) -> None:
    header, security, _ = parts(root)
    header.append(deepcopy(security))


@attack("several Security headers", "wsse:InvalidSecurity")
def a_security_header_stands_in_the_body(root: Tree) -> None:
    parts(root)[2][0].append(etree.Element(SECURITY))


@attack("has to stand in the one Header", "wsse:InvalidSecurity")
def security_stands_elsewhere(root: Tree) -> None:
    _, security, body = parts(root)
    body[0].append(security)


@attack("no comments", "wsse:InvalidSecurity")
def a_comment_splits_a_text(root: Tree) -> None:
    verb = next(root.iter(f"{{{ns.MESSAGE}}}Verb"))
    verb.text = "g"
    comment = etree.Comment("canonical XML leaves it out")
    comment.tail = "et"
    verb.append(comment)


@attack("no comments and no processing instructions", "wsse:InvalidSecurity")
def there_is_a_processing_instruction(root: Tree) -> None:
    parts(root)[2][0].append(etree.ProcessingInstruction("xml-stylesheet", "x"))


@attack("The Timestamp of the message is not what was signed", "wsse:FailedCheck")
def the_timestamp_is_moved_out_and_a_new_one_put_in(root: Tree) -> None:
    header, security, _ = parts(root)
    fresh = deepcopy(security[0])
    fresh.set(f"{WSU}Id", "another")
    header.append(security[0])
    security.insert(0, fresh)


@attack("has Timestamp twice", "wsse:InvalidSecurity")
def there_are_two_timestamps(root: Tree) -> None:
    security = parts(root)[1]
    fresh = deepcopy(security[0])
    fresh.set(f"{WSU}Id", "another")
    security.insert(0, fresh)


@attack("has a Timestamp, and it is signed", "wsse:InvalidSecurity")
def there_is_no_timestamp(root: Tree) -> None:
    header, security, _ = parts(root)
    header.append(security[0])


@attack("The MessageID of the message is not what was signed", "wsse:FailedCheck")
def a_message_id_is_added(root: Tree) -> None:
    addressing = etree.SubElement(parts(root)[0], "{http://www.w3.org/2005/08/addressing}MessageID")
    addressing.text = "urn:uuid:1"


def algorithm(root: Tree, tag: str, value: str) -> None:
    next(root.iter(f"{DS}{tag}")).set("Algorithm", value)


@attack("DigestMethod has to be", "wsse:UnsupportedAlgorithm")
def the_digest_is_sha_1(root: Tree) -> None:
    algorithm(root, "DigestMethod", "http://www.w3.org/2000/09/xmldsig#sha1")


@attack("SignatureMethod has to be", "wsse:UnsupportedAlgorithm")
def the_signature_is_with_sha_1(root: Tree) -> None:
    algorithm(root, "SignatureMethod", "http://www.w3.org/2000/09/xmldsig#rsa-sha1")


@attack("SignatureMethod has to be", "wsse:UnsupportedAlgorithm")
def the_signature_is_an_hmac(root: Tree) -> None:
    algorithm(root, "SignatureMethod", "http://www.w3.org/2001/04/xmldsig-more#hmac-sha256")


@attack("SignatureMethod has to be", "wsse:UnsupportedAlgorithm")
def the_signature_has_no_algorithm(root: Tree) -> None:
    del next(root.iter(f"{DS}SignatureMethod")).attrib["Algorithm"]


@attack("can't be verified", "wsse:FailedCheck")
def the_signature_says_that_the_key_is_rsa(root: Tree) -> None:
    algorithm(root, "SignatureMethod", "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256")


@attack("Transform has to be", "wsse:UnsupportedAlgorithm")
def a_transform_is_xpath(root: Tree) -> None:
    algorithm(root, "Transform", "http://www.w3.org/TR/1999/REC-xpath-19991116")


@attack("Transform has to be", "wsse:UnsupportedAlgorithm")
def a_transform_is_inclusive(root: Tree) -> None:
    algorithm(root, "Transform", "http://www.w3.org/TR/2001/REC-xml-c14n-20010315")


@attack("one transform", "wsse:UnsupportedAlgorithm")
def there_are_more_transforms(root: Tree) -> None:
    transforms = next(root.iter(f"{DS}Transforms"))
    transforms.append(deepcopy(transforms[0]))


@attack("CanonicalizationMethod has to be", "wsse:UnsupportedAlgorithm")
def the_canonicalization_keeps_comments(root: Tree) -> None:
    algorithm(root, "CanonicalizationMethod", "http://www.w3.org/2001/10/xml-exc-c14n#WithComments")


@attack("by their Id alone", "wsse:InvalidSecurity")
def a_reference_leads_outside(root: Tree) -> None:
    next(root.iter(f"{DS}Reference")).set("URI", "http://127.0.0.1:1/evil.xml")


@attack("by their Id alone", "wsse:InvalidSecurity")
def a_reference_is_to_the_whole_document(root: Tree) -> None:
    next(root.iter(f"{DS}Reference")).set("URI", "")


@attack("Nothing in the message has an Id", "wsse:FailedCheck")
def a_reference_is_an_xpointer(root: Tree) -> None:
    next(root.iter(f"{DS}Reference")).set("URI", "#xpointer(/)")


@attack("1 to 10 references", "wsse:InvalidSecurity")
def there_are_many_references(root: Tree) -> None:
    info = next(root.iter(f"{DS}SignedInfo"))
    for _ in range(10):
        info.append(deepcopy(info[-1]))


@attack("does not hold", "wsse:FailedCheck")
def the_certificate_is_somebody_elses(root: Tree) -> None:
    other = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "evil")])
    made = x509.CertificateBuilder(name, name, other.public_key(), 1, NOW, NOW + timedelta(days=1)).sign(
        other, hashes.SHA256()
    )
    token = next(root.iter(f"{WSSE}BinarySecurityToken"))
    token.text = base64.b64encode(made.public_bytes(serialization.Encoding.DER)).decode()


@attack("none to its BinarySecurityToken", "wsse:SecurityTokenUnavailable")
def the_certificate_is_elsewhere(root: Tree) -> None:
    next(root.iter(f"{WSSE}Reference")).set("URI", "https://127.0.0.1:1/key.pem")


def key_info(root: Tree, text: str) -> None:
    info = next(root.iter(f"{DS}KeyInfo"))
    info[:] = [etree.fromstring(text.format(ds=ns.DSIG, wsse=ns.WSSE))]


@attack("has to be in the message", "wsse:SecurityTokenUnavailable")
def the_certificate_is_named_by_its_serial_number(root: Tree) -> None:
    inner = "<d:X509IssuerSerial><d:X509IssuerName>CN=a</d:X509IssuerName><d:X509SerialNumber>1</d:X509SerialNumber></d:X509IssuerSerial>"
    key_info(
        root,
        f'<w:SecurityTokenReference xmlns:w="{{wsse}}" xmlns:d="{{ds}}"><d:X509Data>{inner}</d:X509Data></w:SecurityTokenReference>',
    )


@attack("has to be in the message", "wsse:SecurityTokenUnavailable")
def the_certificate_is_named_by_its_key_identifier(root: Tree) -> None:
    key_info(
        root,
        '<w:SecurityTokenReference xmlns:w="{wsse}"><w:KeyIdentifier>AAAA</w:KeyIdentifier></w:SecurityTokenReference>',
    )


@attack("one SecurityTokenReference", "wsse:UnsupportedSecurityToken")
def the_key_is_a_value(root: Tree) -> None:
    key_info(root, '<d:KeyValue xmlns:d="{ds}"/>')


@attack("one SecurityTokenReference", "wsse:UnsupportedSecurityToken")
def the_key_is_to_be_retrieved(root: Tree) -> None:
    key_info(root, '<d:RetrievalMethod xmlns:d="{ds}" URI="http://127.0.0.1:1/"/>')


@attack("is not base64", "wsse:InvalidSecurityToken")
def the_certificate_is_no_base64(root: Tree) -> None:
    next(root.iter(f"{WSSE}BinarySecurityToken")).text = "!!!"


@attack("certificate can't be read", "wsse:InvalidSecurityToken")
def the_certificate_is_nonsense(root: Tree) -> None:
    next(root.iter(f"{WSSE}BinarySecurityToken")).text = "AAAA"


@attack("has Signature twice", "wsse:InvalidSecurity")
def there_are_two_signatures(root: Tree) -> None:
    security = parts(root)[1]
    security.append(deepcopy(security[-1]))


@attack("Assertion is not read here", "wsse:UnsupportedSecurityToken")
def there_is_a_token_of_another_kind(root: Tree) -> None:
    etree.SubElement(parts(root)[1], "{urn:oasis:names:tc:SAML:2.0:assertion}Assertion")


@attack("one Created", "wsse:InvalidSecurity")
def the_timestamp_has_no_created(root: Tree) -> None:
    timestamp = parts(root)[1][0]
    timestamp.remove(timestamp[0])


@attack("Not a date and time", "Client")
def the_timestamp_is_no_time(root: Tree) -> None:
    parts(root)[1][0][0].text = "now"


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
    assert reading.without_passwords(octets.decode().encode("utf-16")) == b""


@pytest.mark.parametrize(
    ("name", "signs", "username"), [("signed", True, None), ("digest", False, "ada"), ("both", True, "ada")]
)
def test_messages_of_an_earlier_version_prove_what_they_did(name: str, signs: bool, username: str | None) -> None:
    proof = read((VECTORS / f"{name}.xml").read_bytes(), UNKNOWN_PEER, None)
    assert proof is not None and (proof.certificate is not None) == signs and proof.created_at == NOW
    assert (None if proof.username is None else proof.username.username) == username
