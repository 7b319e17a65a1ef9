"""Digital signatures of suites 1 and 2 (Green Book 9.2.3.4.5): ECDSA on P-256 with SHA-256, on P-384 with SHA-384.

A signature is r || s, each as long as a coordinate. The nonce comes from key and message (RFC 6979), so that no random
octets are needed and the same message always bears the same signature.
"""

from __future__ import annotations

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from ami_dlms.security.keys import SUITE_1, SUITE_2, PrivateKey, PublicKey
from ami_dlms.security.suites import SecuritySuite

HASHES: dict[SecuritySuite, hashes.HashAlgorithm] = {SUITE_1: hashes.SHA256(), SUITE_2: hashes.SHA384()}


def signature_length(suite: SecuritySuite) -> int:
    """Octets of r || s: 64 in suite 1, 96 in suite 2."""
    return 2 * suite.coordinate_length


def sign(key: PrivateKey, message: bytes) -> bytes:
    """The signature r || s of a message."""
    algorithm = ec.ECDSA(HASHES[key.suite], deterministic_signing=True)
    r, s = decode_dss_signature(key.number.sign(message, algorithm))
    length = key.suite.coordinate_length
    return r.to_bytes(length, "big") + s.to_bytes(length, "big")


def signature_holds(key: PublicKey, message: bytes, signature: bytes) -> bool:
    """Whether r || s is the signature of the message by the owner of the key."""
    if len(signature) != signature_length(key.suite):
        return False
    half = len(signature) // 2
    r, s = int.from_bytes(signature[:half], "big"), int.from_bytes(signature[half:], "big")
    try:
        key.point.verify(encode_dss_signature(r, s), message, ec.ECDSA(HASHES[key.suite]))
    except InvalidSignature:
        return False
    return True
