"""Key agreement of suites 1 and 2 (Green Book 9.2.3.4.6): ECDH, then one step of the KDF of NIST SP 800-56A.

Three schemes differ in whose keys meet and in what names party U: C(2e,0s) in the service key_agreement, C(1e,1s) and
C(0e,2s) in general-ciphering. Party U is who sends the message, in C(2e,0s) the client. Ephemeral private keys come in
as arguments; a public one travels with a signature of its sender.
"""

from __future__ import annotations

from enum import Enum

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from ami_dlms.cursor import encode_length
from ami_dlms.errors import LocalError, SecurityError
from ami_dlms.security.keys import PrivateKey, PublicKey, peer_public_key
from ami_dlms.security.signing import HASHES, sign, signature_holds
from ami_dlms.security.suites import SecuritySuite

FIRST_ROUND = b"\0\0\0\1"


class AlgorithmId(Enum):
    """What an agreed key is for: an object identifier of the standard, as the KDF takes it."""

    AES_GCM_128 = bytes.fromhex("60857405080300")
    AES_GCM_256 = bytes.fromhex("60857405080301")
    AES_WRAP_128 = bytes.fromhex("60857405080302")
    AES_WRAP_256 = bytes.fromhex("60857405080303")

    @property
    def key_length(self) -> int:
        return 16 if self in (AlgorithmId.AES_GCM_128, AlgorithmId.AES_WRAP_128) else 32


_BY_LENGTH = {
    (16, False): AlgorithmId.AES_GCM_128,
    (32, False): AlgorithmId.AES_GCM_256,
    (16, True): AlgorithmId.AES_WRAP_128,
    (32, True): AlgorithmId.AES_WRAP_256,
}


def algorithm_of(suite: SecuritySuite, *, wraps: bool = False) -> AlgorithmId:
    """The algorithm that a suite's encryption and authentication keys are for, or its master key (`wraps`)."""
    return _BY_LENGTH[suite.key_length, wraps]


def shared_secret(private: PrivateKey, public: PublicKey) -> bytes:
    """Z: the x coordinate that both ends come to."""
    if private.suite is not public.suite:
        raise LocalError("keys of two curves agree on nothing")
    return private.number.exchange(ec.ECDH(), public.point)


def derive_key(suite: SecuritySuite, secret: bytes, algorithm: AlgorithmId, party_u: bytes, party_v: bytes) -> bytes:
    """The first octets of Hash(00000001 || Z || AlgorithmID || PartyUInfo || PartyVInfo)."""
    if suite not in HASHES:
        raise LocalError(f"suite {suite:d} has no key agreement")
    if algorithm.key_length != suite.key_length:
        raise LocalError(f"{algorithm.name} is no algorithm of suite {suite:d}")
    digest = hashes.Hash(HASHES[suite])
    digest.update(FIRST_ROUND + secret + algorithm.value + party_u + party_v)
    return digest.finalize()[: suite.key_length]


def agree_ephemeral_unified(
    ephemeral: PrivateKey,
    peer_ephemeral: PublicKey,
    client_title: bytes,
    server_title: bytes,
    algorithm: AlgorithmId | None = None,
) -> bytes:
    """C(2e,0s): the key from two ephemeral pairs, the same at both ends. Without `algorithm` it is for AES-GCM."""
    suite = ephemeral.suite
    secret = shared_secret(ephemeral, peer_ephemeral)
    return derive_key(suite, secret, algorithm or algorithm_of(suite), client_title, server_title)


def agree_one_pass(own: PrivateKey, peer: PublicKey, sender_title: bytes, recipient_title: bytes) -> bytes:
    """C(1e,1s): the sender's ephemeral pair and the recipient's static one; each end gives its private half."""
    suite = own.suite
    return derive_key(suite, shared_secret(own, peer), algorithm_of(suite), sender_title, recipient_title)


def agree_static_unified(
    own: PrivateKey, peer: PublicKey, sender_title: bytes, recipient_title: bytes, transaction_id: bytes
) -> bytes:
    """C(0e,2s): two static pairs; the transaction id makes the key of each message another one."""
    if not transaction_id:
        raise SecurityError("a key of two static pairs needs a transaction id")
    suite = own.suite
    party_u = sender_title + encode_length(len(transaction_id)) + transaction_id
    return derive_key(suite, shared_secret(own, peer), algorithm_of(suite), party_u, recipient_title)


def signed_ephemeral_key(ephemeral: PrivateKey, signing: PrivateKey, key_id: int | None = None) -> bytes:
    """Public key || signature. The service key_agreement signs the key id (one octet) as well, general-ciphering does not."""
    public = ephemeral.public_key.octets
    return public + sign(signing, _key_id(key_id) + public)


def open_ephemeral_key(octets: bytes, peer_signing: PublicKey, key_id: int | None = None) -> PublicKey:
    """The peer's ephemeral public key, after its signature was found to hold; SecurityError otherwise."""
    suite = peer_signing.suite
    length = 2 * suite.coordinate_length
    public, signature = octets[:length], octets[length:]
    if not signature_holds(peer_signing, _key_id(key_id) + public, signature):
        raise SecurityError("the signature of an ephemeral key does not hold")
    return peer_public_key(public, suite)


def _key_id(key_id: int | None) -> bytes:
    return b"" if key_id is None else bytes((key_id,))
