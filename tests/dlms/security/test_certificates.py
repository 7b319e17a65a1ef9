"""What a certificate in an AARQ says; whom to believe is decided elsewhere."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding

from ami_dlms.errors import SecurityError
from ami_dlms.security import PrivateKey, signature_key_of

TITLE = bytes.fromhex("4D4D4D0000BC614E")
KEY = PrivateKey(b"\x42" * 32)


def usage(*, signature: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=signature,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=not signature,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )


def certificate(key: Any, name: str = TITLE.hex().upper(), *, signature: bool = True, with_usage: bool = True) -> bytes:
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key)
        .serial_number(1)
        .not_valid_before(datetime(2026, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2046, 1, 1, tzinfo=UTC))
    )
    if with_usage:
        builder = builder.add_extension(usage(signature=signature), critical=True)
    return builder.sign(KEY.number, hashes.SHA256()).public_bytes(Encoding.DER)


def test_the_key_of_a_system_title() -> None:
    assert signature_key_of(certificate(KEY.number.public_key()), TITLE) == KEY.public_key
    assert signature_key_of(certificate(KEY.number.public_key(), TITLE.hex()), TITLE) == KEY.public_key


def test_what_is_no_signature_key_of_that_title() -> None:
    point = KEY.number.public_key()
    good = certificate(point)
    for wrong in (
        certificate(point, "4D4D4D0000BC614F"),
        certificate(point, signature=False),
        certificate(point, with_usage=False),
        certificate(ec.generate_private_key(ec.SECP521R1()).public_key()),
        certificate(rsa.generate_private_key(65537, 1024).public_key()),
        good[:-1],
        b"",
        b"no certificate",
    ):
        with pytest.raises(SecurityError):
            signature_key_of(wrong, TITLE)
