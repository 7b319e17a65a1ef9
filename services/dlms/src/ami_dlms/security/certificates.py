"""Certificates that AARQ and AARE may carry as AE qualifier (Green Book 9.2.6): what one says, not whether to believe it.

Whether a chain ends at a trusted root and a certificate is still valid is decided by the application, which knows both
the roots and the time. The X.509 code is loaded when the first certificate arrives.
"""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric import ec

from ami_dlms.errors import LocalError, SecurityError
from ami_dlms.security.keys import PublicKey, public_key_of


def public_key_in(certificate: bytes) -> PublicKey:
    """The public key that a DER certificate holds, of any owner and for any use; LocalError when there is none."""
    from cryptography import x509

    try:
        point = x509.load_der_x509_certificate(certificate).public_key()
    except ValueError:
        raise LocalError("this certificate can't be read") from None
    if not isinstance(point, ec.EllipticCurvePublicKey):
        raise LocalError("this certificate holds no key of an elliptic curve")
    return public_key_of(point)


def signature_key_of(certificate: bytes, system_title: bytes) -> PublicKey:
    """The public signature key that a DER certificate gives to a system title; nothing is said about its issuer.

    SecurityError when it can't be read, names another title, or is not for signatures.
    """
    from cryptography import x509

    try:
        read = x509.load_der_x509_certificate(certificate)
        point, usage = read.public_key(), read.extensions.get_extension_for_class(x509.KeyUsage).value
        names = read.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    except (ValueError, x509.ExtensionNotFound, x509.DuplicateExtension):
        raise SecurityError("a certificate can't be read, or says nothing about the use of its key") from None
    if [str(name.value).upper() for name in names] != [system_title.hex().upper()]:
        raise SecurityError("a certificate is of another system title")
    if not usage.digital_signature or not isinstance(point, ec.EllipticCurvePublicKey):
        raise SecurityError("a certificate is not for digital signatures")
    try:
        return public_key_of(point)
    except LocalError as error:
        raise SecurityError(str(error)) from None
