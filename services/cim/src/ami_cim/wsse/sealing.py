"""A message of ours with a Security header: a Timestamp always, a UsernameToken, and a signature of Body and Timestamp (RSA or ECDSA, SHA-256)."""

import base64
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha1
from typing import Any, Protocol

from lxml import etree

from ami_cim import ns, xml
from ami_cim.errors import LocalError
from ami_cim.limits import Limits
from ami_cim.wsse.headers import BASE64, DS, PASSWORD_DIGEST, PASSWORD_TEXT, SECURITY, WSSE, WSU, X509_V3
from ami_cim.xml import Element

_SOAP = f"{{{ns.SOAP}}}"
_ID = f"{WSU}Id"
NONCE = 16


@dataclass(frozen=True, slots=True)
class Signer:
    """A private key and the DER of its certificate."""

    certificate: bytes
    key: Any = field(repr=False)


def load_signer(certificate: bytes, key: bytes) -> Signer:
    """Of PEM files, the key without a password. Raises ValueError for what does not fit together."""
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec, rsa
    from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

    first, private = x509.load_pem_x509_certificates(certificate)[0], load_pem_private_key(key, None)
    if not isinstance(private, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
        raise ValueError("the key is neither RSA nor EC")
    if private.public_key() != first.public_key():
        raise ValueError("the key is not that of the certificate")
    return Signer(first.public_bytes(Encoding.DER), private)


class Sealed(Protocol):
    """What goes into the header of one message; `chance`: 32 random octets, for it alone."""

    @property
    def created_at(self) -> datetime: ...
    @property
    def expires_at(self) -> datetime: ...
    @property
    def chance(self) -> bytes: ...
    @property
    def signer(self) -> Signer | None: ...
    @property
    def username(self) -> str | None: ...
    @property
    def password(self) -> str | None: ...
    @property
    def password_as_text(self) -> bool: ...
    @property
    def must_understand(self) -> bool: ...


def seal(octets: bytes, sealed: Sealed) -> bytes:
    """The message with the header; LocalError for what is no SOAP message."""
    root = xml.parse(octets, Limits(octets=len(octets), nodes=len(octets)))
    body = root.find(f"{_SOAP}Body")
    if body is None:
        raise LocalError("Only a SOAP message gets a Security header")
    header = root.find(f"{_SOAP}Header")
    if header is None:
        header = etree.Element(f"{_SOAP}Header")
        root.insert(0, header)
    security = etree.SubElement(header, SECURITY, nsmap={"wsse": ns.WSSE, "wsu": ns.WSU})
    if sealed.must_understand:
        security.set(f"{_SOAP}mustUnderstand", "1")
    mark = sealed.chance[NONCE:].hex()
    timestamp = etree.SubElement(security, f"{WSU}Timestamp", {_ID: f"TS-{mark}"})
    etree.SubElement(timestamp, f"{WSU}Created").text = xml.format_datetime(sealed.created_at)
    etree.SubElement(timestamp, f"{WSU}Expires").text = xml.format_datetime(sealed.expires_at)
    signed = [f"TS-{mark}", f"B-{mark}"]
    if sealed.username is not None:
        _add_username(security, sealed).set(_ID, f"U-{mark}")
        signed.append(f"U-{mark}")
    if sealed.signer is not None:
        body.set(_ID, f"B-{mark}")
        _add_signature(root, security, sealed.signer, signed, f"X-{mark}")
    return etree.tostring(root, encoding="UTF-8", xml_declaration=True)


def _add_username(security: Element, sealed: Sealed) -> Element:
    token = etree.SubElement(security, f"{WSSE}UsernameToken")
    created, nonce = xml.format_datetime(sealed.created_at), sealed.chance[:NONCE]
    text = sealed.password or ""
    if not sealed.password_as_text:
        # the token profile's own; what it keeps from being guessed is the password's length
        text = base64.b64encode(sha1(nonce + created.encode() + text.encode()).digest()).decode()  # noqa: S324
    etree.SubElement(token, f"{WSSE}Username").text = sealed.username
    kind = PASSWORD_TEXT if sealed.password_as_text else PASSWORD_DIGEST
    etree.SubElement(token, f"{WSSE}Password", Type=kind).text = text
    etree.SubElement(token, f"{WSSE}Nonce", EncodingType=BASE64).text = base64.b64encode(nonce).decode()
    etree.SubElement(token, f"{WSU}Created").text = created
    return token


def _add_signature(root: Element, security: Element, signer: Signer, signed: list[str], token_id: str) -> None:
    from cryptography.hazmat.primitives.asymmetric import rsa
    from signxml.algorithms import (
        CanonicalizationMethod,
        DigestAlgorithm,
        SignatureConstructionMethod,
        SignatureMethod,
    )
    from signxml.signer import XMLSigner

    token = etree.SubElement(
        security, f"{WSSE}BinarySecurityToken", {_ID: token_id}, EncodingType=BASE64, ValueType=X509_V3
    )
    token.text = base64.b64encode(signer.certificate).decode()
    info = etree.Element(f"{DS}KeyInfo", nsmap={"ds": ns.DSIG})
    means = etree.SubElement(info, f"{WSSE}SecurityTokenReference", nsmap={"wsse": ns.WSSE})
    etree.SubElement(means, f"{WSSE}Reference", URI=f"#{token_id}", ValueType=X509_V3)
    method = SignatureMethod
    signing = XMLSigner(
        method=SignatureConstructionMethod.detached,
        signature_algorithm=method.RSA_SHA256 if isinstance(signer.key, rsa.RSAPrivateKey) else method.ECDSA_SHA256,
        digest_algorithm=DigestAlgorithm.SHA256,
        c14n_algorithm=CanonicalizationMethod.EXCLUSIVE_XML_CANONICALIZATION_1_0,
    )
    references = [f"#{one}" for one in signed]
    security.append(signing.sign(root, key=signer.key, reference_uri=references, key_info=info, id_attribute="Id"))
