"""Security of DLMS: suites, policies, keys, counters, authenticated encryption, signatures, key agreement, proofs."""

from ami_dlms.security.aead import Unprotected, gmac, overhead, protect, unprotect
from ami_dlms.security.agreement import (
    AlgorithmId,
    agree_ephemeral_unified,
    agree_one_pass,
    agree_static_unified,
    algorithm_of,
    derive_key,
    open_ephemeral_key,
    shared_secret,
    signed_ephemeral_key,
)
from ami_dlms.security.certificates import public_key_in, signature_key_of
from ami_dlms.security.counters import COUNTER_END, ReceiveCounter, ReplayError, SendCounter
from ami_dlms.security.hls import (
    Challenges,
    ManufacturerProof,
    digest_holds,
    digest_response,
    ecdsa_holds,
    ecdsa_response,
    gmac_holds,
    gmac_response,
    same_secret,
)
from ami_dlms.security.keys import AsymmetricKeys, GlobalKeys, PrivateKey, PublicKey, peer_public_key
from ami_dlms.security.keywrap import unwrap_key, wrap_key
from ami_dlms.security.policy import ProtectionFlags, SecurityPolicy
from ami_dlms.security.signing import sign, signature_holds, signature_length
from ami_dlms.security.suites import AUTHENTICATED, BROADCAST, COMPRESSED, ENCRYPTED, SecurityControl, SecuritySuite

__all__ = [
    "AUTHENTICATED",
    "BROADCAST",
    "COMPRESSED",
    "COUNTER_END",
    "ENCRYPTED",
    "AlgorithmId",
    "AsymmetricKeys",
    "Challenges",
    "GlobalKeys",
    "ManufacturerProof",
    "PrivateKey",
    "ProtectionFlags",
    "PublicKey",
    "ReceiveCounter",
    "ReplayError",
    "SecurityControl",
    "SecurityPolicy",
    "SecuritySuite",
    "SendCounter",
    "Unprotected",
    "agree_ephemeral_unified",
    "agree_one_pass",
    "agree_static_unified",
    "algorithm_of",
    "derive_key",
    "digest_holds",
    "digest_response",
    "ecdsa_holds",
    "ecdsa_response",
    "gmac",
    "gmac_holds",
    "gmac_response",
    "open_ephemeral_key",
    "overhead",
    "peer_public_key",
    "protect",
    "public_key_in",
    "same_secret",
    "shared_secret",
    "sign",
    "signature_holds",
    "signature_key_of",
    "signature_length",
    "signed_ephemeral_key",
    "unprotect",
    "unwrap_key",
    "wrap_key",
]
