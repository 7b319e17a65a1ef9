"""General-signing as pure functions (Green Book 9.2.7.2.5): any APDU with its originator's signature over all fields.

The signature covers every field with its length. It says who wrote a message, and nothing about when: freshness comes
from the ciphering around it, or from the caller.
"""

from __future__ import annotations

from ami_dlms.apdu.ciphered import GeneralSigning
from ami_dlms.association.protection.general_ciphering import CipheringHeader, check_parties, header_of
from ami_dlms.association.settings import Security
from ami_dlms.cursor import encode_length
from ami_dlms.enums import ApduTag
from ami_dlms.errors import LocalError, SecurityError
from ami_dlms.security import PublicKey, SecuritySuite, sign, signature_holds, signature_length


def sign_general(header: CipheringHeader, security: Security, content: bytes) -> GeneralSigning:
    """An encoded APDU with our signature."""
    key = security.asymmetric.signing
    if key is None:
        raise LocalError("general-signing needs a signing key")
    return GeneralSigning(*header, content, sign(key, _signed(header, content)))


def verify_general(message: GeneralSigning, security: Security, peer_signing: PublicKey | None = None) -> bytes:
    """The content, when it is for us and its signature is the originator's; SecurityError otherwise.

    `peer_signing`: the originator's key, when it is not in `security`.
    """
    check_parties(header_of(message), security)
    key = peer_signing or security.asymmetric.peer_signing
    return signed_content(message, key)


def signed_content(message: GeneralSigning, key: PublicKey | None) -> bytes:
    """The content, when its signature is that of the key's owner; whose key it is and for whom is not looked at."""
    if key is None:
        raise SecurityError("the signature key of the originator is not known")
    header = header_of(message)
    if not signature_holds(key, _signed(header, message.content), message.signature):
        raise SecurityError("the signature of an APDU does not hold: wrong key or altered content")
    return message.content


def signing_overhead(suite: SecuritySuite, transaction_id_length: int, title_length: int, content_length: int) -> int:
    """Octets that general-signing adds to a content."""
    header = CipheringHeader(bytes(transaction_id_length), bytes(title_length), bytes(title_length))
    signature = signature_length(suite)
    lengths = len(encode_length(content_length)) + len(encode_length(signature))
    return len(bytes((ApduTag.GENERAL_SIGNING,))) + len(header.octets) + lengths + signature


def _signed(header: CipheringHeader, content: bytes) -> bytes:
    return header.octets + encode_length(len(content)) + content
