"""The XML signature (XML-DSig) of a message: which algorithms, which references, whose key, and that what was signed is what is read.

The digests and the signature itself are signxml's affair. Its results are taken for nothing but a yes: each signed element is found here, by its
identity in the tree, and its canonical octets are compared with those that signxml has verified."""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from lxml import etree

from ami_cim import ns
from ami_cim.wsse.claims import ALGORITHM, CHECK, INVALID, TOKEN, UNAVAILABLE, UNSUPPORTED_TOKEN, refused
from ami_cim.wsse.headers import BASE64, DS, MOST_CERTIFICATE, WSSE, X509_V3, SecurityHeader, decode
from ami_cim.xml import Element

EXCLUSIVE = "http://www.w3.org/2001/10/xml-exc-c14n#"
RSA_SHA256 = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"
ECDSA_SHA256 = "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256"
SHA256 = "http://www.w3.org/2001/04/xmlenc#sha256"
_PREFIXES = f"{{{EXCLUSIVE}}}InclusiveNamespaces"
MOST_REFERENCES = 10
MOST_PREFIXES = 50
LEAST_RSA = 2_048


@dataclass(frozen=True, slots=True)
class _Reference:
    target: Element
    prefixes: tuple[str, ...]
    """InclusiveNamespaces of its canonicalization."""


@dataclass(frozen=True, slots=True)
class Signature:
    """One that is right: with this certificate (DER), for the Body and the Timestamp of the message that it came in."""

    certificate: bytes
    identity: bytes


def verified(found: SecurityHeader, signature: Element) -> Signature:
    """The signature of a message; raises InvalidMessage for every one that does not hold for its Body and its Timestamp."""
    info = _one(signature, f"{DS}SignedInfo")
    prefixes = _canonical(_one(info, f"{DS}CanonicalizationMethod"))
    _demand(_one(info, f"{DS}SignatureMethod"), (RSA_SHA256, ECDSA_SHA256))
    references = [_reference(one, found) for one in info.findall(f"{DS}Reference")]
    if not 0 < len(references) <= MOST_REFERENCES:
        raise refused(INVALID, f"A signature has 1 to {MOST_REFERENCES} references")
    _demand_what_is_read(found, [one.target for one in references])
    certificate = _certificate(found, signature)
    _check(found, references, certificate)
    return Signature(certificate, sha256(_octets(info, prefixes) + certificate).digest())


def _demand_what_is_read(found: SecurityHeader, targets: Sequence[Element]) -> None:
    """The very Body and Timestamp, and a MessageID of WS-Addressing where there is one; and nothing that stands elsewhere."""
    if found.timestamp is None:
        raise refused(INVALID, "A message that is signed has a Timestamp, and it is signed as well")
    ids = [one for one in found.header if etree.QName(one).localname == "MessageID"]
    for needed, what in ((found.body, "Body"), (found.timestamp, "Timestamp"), *((one, "MessageID") for one in ids)):
        if not any(one is needed for one in targets):
            raise refused(CHECK, f"The {what} of the message is not what was signed")
    security = found.timestamp.getparent()
    for target in targets:
        if target is not found.body and target.getparent() is not security and target.getparent() is not found.header:
            raise refused(CHECK, "What was signed does not stand where it would be read", str(target.tag)[:120])


def _reference(reference: Element, found: SecurityHeader) -> _Reference:
    uri = reference.get("URI") or ""
    if not uri.startswith("#") or len(uri) < 2:
        raise refused(INVALID, "A signature refers to parts of its message by their Id alone", uri[:120])
    target = found.by_id.get(uri[1:])
    if target is None:
        raise refused(CHECK, "Nothing in the message has an Id that was signed", uri[:120])
    transforms = reference.findall(f"{DS}Transforms/*")
    if len(transforms) != 1:
        raise refused(ALGORITHM, "A reference has one transform, exclusive canonicalization")
    _demand(_one(reference, f"{DS}DigestMethod"), (SHA256,))
    return _Reference(target, _canonical(transforms[0]))


def _canonical(element: Element) -> tuple[str, ...]:
    _demand(element, (EXCLUSIVE,))
    if len(element) > 1 or any(one.tag != _PREFIXES for one in element):
        raise refused(ALGORITHM, "Exclusive canonicalization has no parameter but InclusiveNamespaces")
    listed = element[0].get("PrefixList", "").split() if len(element) else []
    if len(listed) > MOST_PREFIXES:
        raise refused(INVALID, "InclusiveNamespaces lists too many prefixes")
    return tuple(listed)


def _demand(element: Element, algorithms: Sequence[str]) -> None:
    given = element.get("Algorithm", "")
    if given not in algorithms:
        name = etree.QName(element).localname
        raise refused(ALGORITHM, f"{name} has to be {' or '.join(algorithms)}", given[:120])


def _certificate(found: SecurityHeader, signature: Element) -> bytes:
    """DER. It has to be in the message: nothing is fetched, and nothing looked up."""
    info = _one(signature, f"{DS}KeyInfo")
    if len(info) != 1 or info[0].tag != f"{WSSE}SecurityTokenReference" or len(info[0]) != 1:
        raise refused(UNSUPPORTED_TOKEN, "KeyInfo holds one SecurityTokenReference, and that one reference")
    means = info[0][0]
    if means.tag == f"{WSSE}Reference":
        return _binary_token(found, means)
    certificates = means.findall(f"{DS}X509Certificate") if means.tag == f"{DS}X509Data" else []
    if len(certificates) == 1:
        return decode(certificates[0].text or "", MOST_CERTIFICATE, "X509Certificate")
    reason = "The certificate has to be in the message, as BinarySecurityToken or X509Certificate"
    raise refused(UNAVAILABLE, reason, str(means.tag)[:120], code="7.3")


def _binary_token(found: SecurityHeader, reference: Element) -> bytes:
    uri, token = reference.get("URI") or "", found.token
    if token is None or not uri.startswith("#") or found.by_id.get(uri[1:]) is not token:
        reason = "The certificate has to be in the message: the reference to it is none to its BinarySecurityToken"
        raise refused(UNAVAILABLE, reason, uri[:120], code="7.3")
    if token.get("ValueType") != X509_V3 or token.get("EncodingType", BASE64) != BASE64:
        raise refused(UNSUPPORTED_TOKEN, "A BinarySecurityToken is read as X509v3 in Base64Binary")
    return decode(token.text or "", MOST_CERTIFICATE, "BinarySecurityToken")


def _check(found: SecurityHeader, references: Sequence[_Reference], certificate: bytes) -> None:
    # they take 60 ms, which a process without WS-Security need not spend
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric import ec, rsa
    from signxml.algorithms import DigestAlgorithm, SignatureMethod
    from signxml.exceptions import InvalidDigest, InvalidSignature, SignXMLException
    from signxml.verifier import SignatureConfiguration, XMLVerifier

    try:
        signer = x509.load_der_x509_certificate(certificate)
        key, begins_at = signer.public_key(), signer.not_valid_before_utc
    except (ValueError, TypeError, UnsupportedAlgorithm) as problem:
        raise refused(TOKEN, "The certificate can't be read", str(problem)[:200]) from None
    strong = isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name in ("secp256r1", "secp384r1", "secp521r1")
    if not strong and not (isinstance(key, rsa.RSAPublicKey) and key.key_size >= LEAST_RSA):
        raise refused(
            UNSUPPORTED_TOKEN, f"The key has to be RSA of {LEAST_RSA} bits or more, or EC (P-256, P-384, P-521)"
        )
    expected = SignatureConfiguration(
        expect_references=len(references),
        signature_methods=frozenset({SignatureMethod.RSA_SHA256, SignatureMethod.ECDSA_SHA256}),
        digest_algorithms=frozenset({DigestAlgorithm.SHA256}),
        location=f"./{{{ns.SOAP}}}Header/{WSSE}Security/",
        verification_time=begins_at,  # when it is valid is asked where there is a clock
    )
    try:
        results: Any = XMLVerifier().verify(found.root, x509_cert=signer, id_attribute="Id", expect_config=expected)
    except (InvalidSignature, InvalidDigest):
        raise refused(CHECK, "The signature does not hold for this message") from None
    except (SignXMLException, UnsupportedAlgorithm, etree.LxmlError, ValueError, TypeError, KeyError) as problem:
        raise refused(CHECK, "The signature can't be verified", f"{type(problem).__name__}: {problem}"[:200]) from None
    listed = results if isinstance(results, list) else [results]
    if [one.signed_data for one in listed] != [_octets(one.target, one.prefixes) for one in references]:
        raise refused(CHECK, "What was signed is not what would be read")


def _octets(element: Element, prefixes: Sequence[str]) -> bytes:
    return etree.tostring(
        element, method="c14n", exclusive=True, with_comments=False, inclusive_ns_prefixes=list(prefixes) or None
    )


def _one(parent: Element, tag: str) -> Element:
    found = parent.findall(tag)
    if len(found) != 1:
        raise refused(INVALID, f"{etree.QName(parent).localname} has to hold one {etree.QName(tag).localname}")
    return found[0]
