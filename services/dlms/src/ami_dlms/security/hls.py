"""How the partners prove that they know the secret: passwords (LLS) and f(challenge) of HLS (Green Book 9.2.7.4).

Each end proves itself over the challenge that the other one sent. MD5 and SHA-1 take challenge and secret, SHA-256 also
both titles and both challenges, GMAC the keys and a counter of their own, ECDSA a private key. What is compared is
compared in constant time, and a failure never says what differed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from hmac import compare_digest
from typing import NamedTuple

from ami_dlms.enums import Mechanism
from ami_dlms.errors import LocalError
from ami_dlms.security.aead import HEADER_LENGTH, SYSTEM_TITLE_LENGTH, TAG_LENGTH, gmac
from ami_dlms.security.keys import GlobalKeys, PrivateKey, PublicKey
from ami_dlms.security.signing import sign, signature_holds
from ami_dlms.security.suites import AUTHENTICATED

CHALLENGE_LENGTHS = range(8, 65)
ECDSA_CHALLENGE_LENGTHS = range(32, 65)
USUAL_CHALLENGE = 16
GMAC_LENGTH = HEADER_LENGTH + TAG_LENGTH
HLS = frozenset({Mechanism.HIGH, Mechanism.MD5, Mechanism.SHA1, Mechanism.GMAC, Mechanism.SHA256, Mechanism.ECDSA})
DIGESTS = frozenset({Mechanism.MD5, Mechanism.SHA1, Mechanism.SHA256})


class Challenges(NamedTuple):
    """What a proof is about: both titles (empty where unknown), the challenge to be met and the prover's own one."""

    prover_title: bytes
    verifier_title: bytes
    challenge: bytes
    own_challenge: bytes

    @property
    def text(self) -> bytes:
        """Titles and challenges, the prover's title and the verifier's challenge first."""
        return self.prover_title + self.verifier_title + self.challenge + self.own_challenge


ManufacturerProof = Callable[[bytes, Challenges], bytes]


def same_secret(ours: bytes, theirs: bytes) -> bool:
    """Compare two secrets in constant time."""
    return compare_digest(ours, theirs)


def digest_response(mechanism: Mechanism, secret: bytes, challenges: Challenges) -> bytes:
    """f(challenge) of mechanisms 3, 4 and 6. The two old digests are what such meters have, so FIPS may not forbid them."""
    if mechanism is Mechanism.MD5:
        return hashlib.md5(challenges.challenge + secret, usedforsecurity=False).digest()
    if mechanism is Mechanism.SHA1:
        return hashlib.sha1(challenges.challenge + secret, usedforsecurity=False).digest()
    if mechanism is Mechanism.SHA256:
        return hashlib.sha256(secret + challenges.text).digest()
    raise LocalError(f"mechanism {mechanism.name} is no digest of a secret")


def digest_holds(mechanism: Mechanism, secret: bytes, challenges: Challenges, response: bytes) -> bool:
    """Whether `response` is the peer's f(challenge) of mechanism 3, 4 or 6."""
    return compare_digest(response, digest_response(mechanism, secret, challenges))


def gmac_response(
    suite: int, keys: GlobalKeys, system_title: bytes, invocation_counter: int, challenge: bytes
) -> bytes:
    """f(challenge) of mechanism 5, 17 octets, under the system title of the one who computes it."""
    control = suite | AUTHENTICATED
    counter = invocation_counter.to_bytes(4, "big")
    return bytes((control,)) + counter + gmac(control, keys, system_title + counter, challenge)


def gmac_holds(suite: int, keys: GlobalKeys, peer_system_title: bytes, challenge: bytes, response: bytes) -> bool:
    """Whether `response` is the peer's f(challenge) of mechanism 5."""
    if len(response) != GMAC_LENGTH or len(peer_system_title) != SYSTEM_TITLE_LENGTH:
        return False
    counter = int.from_bytes(response[1:HEADER_LENGTH], "big")
    return compare_digest(response, gmac_response(suite, keys, peer_system_title, counter, challenge))


def ecdsa_response(key: PrivateKey, challenges: Challenges) -> bytes:
    """f(challenge) of mechanism 7: a signature r || s."""
    return sign(key, challenges.text)


def ecdsa_holds(key: PublicKey, challenges: Challenges, response: bytes) -> bool:
    """Whether `response` is the peer's f(challenge) of mechanism 7."""
    return signature_holds(key, challenges.text, response)


def challenge_lengths(mechanism: Mechanism) -> range:
    """How long a challenge may be (Green Book 9.2.2.2.2.4)."""
    return ECDSA_CHALLENGE_LENGTHS if mechanism is Mechanism.ECDSA else CHALLENGE_LENGTHS


def usual_challenge(mechanism: Mechanism) -> int:
    """The octets of a challenge of ours unless another length is asked for; 0 without HLS."""
    return max(USUAL_CHALLENGE, challenge_lengths(mechanism)[0]) if mechanism in HLS else 0


def check_challenge(challenge: bytes, mechanism: Mechanism = Mechanism.GMAC) -> None:
    """LocalError for a challenge of ours that is too short or too long for its mechanism."""
    lengths = challenge_lengths(mechanism)
    if len(challenge) not in lengths:
        raise LocalError(f"a challenge has {lengths[0]} to {lengths[-1]} octets, got {len(challenge)}")
