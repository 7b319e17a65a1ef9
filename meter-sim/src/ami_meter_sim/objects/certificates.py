"""Certificates in a security setup (class 64, version 1): X.509 in DER, read once when they are imported, and requests for new ones.

Whose a certificate is follows from its subject, which is a system title in capital hexadecimal digits, and what it is for from the
use of its key. As in the field a meter believes the issuers whose certificates it has, and who may import one says the access
rights; validity in time is not looked at, because a meter's clock is set by clients as well.
"""

from dataclasses import dataclass
from enum import IntEnum, unique

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ami_dlms import data
from ami_dlms.data import Data
from ami_dlms.errors import LocalError
from ami_dlms.security import PrivateKey, PublicKey, SecuritySuite
from ami_dlms.security.keys import SUITE_1, SUITE_2, public_key_of

SIGNATURE, AGREEMENT, TLS, OTHER = range(4)
"""certificate_type, and the use of a key pair."""
MOST_OCTETS = 4096
_HASHES: dict[SecuritySuite, hashes.SHA256 | hashes.SHA384] = {SUITE_1: hashes.SHA256(), SUITE_2: hashes.SHA384()}


class CertificateError(Exception):
    """A certificate can't be used; the text says why."""


@unique
class Entity(IntEnum):
    """certificate_entity."""

    SERVER = 0
    CLIENT = 1
    CERTIFICATION_AUTHORITY = 2
    OTHER = 3


@dataclass(frozen=True, slots=True)
class Certificate:
    """One certificate. `title` is the system title that its subject names, empty for a subject that is none."""

    der: bytes
    entity: Entity
    purpose: int
    title: bytes
    public_key: PublicKey
    serial: bytes
    issuer: bytes
    subject: bytes

    @classmethod
    def read(cls, der: bytes, own_title: bytes) -> "Certificate":
        """Raises CertificateError."""
        try:
            read = x509.load_der_x509_certificate(der)
            point = read.public_key()
            names = read.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
            title = _title([str(one.value) for one in names])
            if not isinstance(point, ec.EllipticCurvePublicKey):
                raise CertificateError("it holds no key of an elliptic curve")
            entity = Entity.CERTIFICATION_AUTHORITY if _issues(read) else _entity(title, own_title)
            return cls(
                der=der,
                entity=entity,
                purpose=_purpose(read),
                title=title,
                public_key=public_key_of(point),
                serial=read.serial_number.to_bytes((read.serial_number.bit_length() + 7) // 8 or 1, "big"),
                issuer=read.issuer.public_bytes(),
                subject=read.subject.public_bytes(),
            )
        except (ValueError, x509.DuplicateExtension, LocalError) as error:
            raise CertificateError(str(error)) from None

    def info(self) -> Data:
        """Its element of attribute 6."""
        texts = (self.serial, self.issuer, self.subject, b"")
        return data.structure(data.enum(self.entity), data.enum(self.purpose), *map(data.octet_string, texts))

    def issued_by(self, issuer: "Certificate") -> bool:
        """Whether the issuer's key signed it."""
        try:
            ours, theirs = x509.load_der_x509_certificate(self.der), x509.load_der_x509_certificate(issuer.der)
            ours.verify_directly_issued_by(theirs)
        except (ValueError, TypeError, InvalidSignature):
            return False
        return True


def _title(names: list[str]) -> bytes:
    try:
        title = bytes.fromhex(names[0]) if len(names) == 1 else b""
    except ValueError:
        return b""
    return title if len(title) == 8 else b""


def _issues(read: x509.Certificate) -> bool:
    try:
        return bool(read.extensions.get_extension_for_class(x509.BasicConstraints).value.ca)
    except x509.ExtensionNotFound:
        return False


def _entity(title: bytes, own_title: bytes) -> Entity:
    if not title:
        return Entity.OTHER
    return Entity.SERVER if title == own_title else Entity.CLIENT


def _purpose(read: x509.Certificate) -> int:
    try:
        extended = read.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        if {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH} & set(extended):
            return TLS
    except x509.ExtensionNotFound:
        pass
    try:
        usage = read.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        return OTHER
    if usage.digital_signature:
        return SIGNATURE
    return AGREEMENT if usage.key_agreement else OTHER


def certificate_request(key: PrivateKey, title: bytes) -> bytes:
    """PKCS#10 in DER, for a system title; the same key gives the same octets."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, title.hex().upper())])
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    request = builder.sign(key.number, _HASHES[key.suite], ecdsa_deterministic=True)
    return request.public_bytes(Encoding.DER)


def fits_suite(certificate: Certificate, suite: int) -> bool:
    """Whether its key is of the suite's curve; issuers may have any."""
    return certificate.entity is Entity.CERTIFICATION_AUTHORITY or certificate.public_key.suite is SecuritySuite(suite)
