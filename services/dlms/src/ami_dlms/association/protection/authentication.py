"""The proofs of HLS inside an association: each mechanism's f(challenge) of both ends (Green Book 9.2.7.4).

Who proves what is the same for both roles: each end answers the challenge that the other one sent. What a proof needs
comes from the settings (secret, a manufacturer's function) or from the protection (keys, titles, counters).
"""

from __future__ import annotations

from ami_dlms.apdu.acse import Diagnostic
from ami_dlms.association.protection.association_protection import AssociationProtection
from ami_dlms.association.settings import AssociationProfile, ClientSettings
from ami_dlms.cosem.descriptors import MethodDescriptor
from ami_dlms.data import Data
from ami_dlms.enums import AcseServiceUserDiagnostic, DataTag, Mechanism
from ami_dlms.errors import LocalError
from ami_dlms.obis import Obis
from ami_dlms.security import (
    Challenges,
    digest_holds,
    digest_response,
    ecdsa_holds,
    ecdsa_response,
    same_secret,
)
from ami_dlms.security.hls import DIGESTS

REPLY_TO_HLS_AUTHENTICATION = MethodDescriptor(15, Obis(bytes((0, 0, 40, 0, 0, 255))), 1)
REPLY_TO_HLS_AUTHENTICATION_BY_NAME = 0xFA58  # method 8 of the current Association SN
PROOF_WANTED = Diagnostic.user(AcseServiceUserDiagnostic.AUTHENTICATION_REQUIRED)


class Authentication:
    """Proofs of one association by its mechanism."""

    def __init__(self, agreed: ClientSettings | AssociationProfile, protection: AssociationProtection | None) -> None:
        self._mechanism = agreed.mechanism
        self._secret = agreed.secret or b""
        self._manufacturer_proof = agreed.manufacturer_proof
        self._protection = protection

    def prove(self, challenge: bytes, own_challenge: bytes) -> bytes:
        """Our f(challenge) over what the peer sent."""
        own, peer = self._titles()
        challenges = Challenges(own, peer, challenge, own_challenge)
        if self._mechanism in DIGESTS:
            return digest_response(self._mechanism, self._secret, challenges)
        if self._mechanism is Mechanism.HIGH and self._manufacturer_proof is not None:
            return self._manufacturer_proof(self._secret, challenges)
        if self._protection is None:
            raise LocalError(f"mechanism {self._mechanism.name} has no proof")
        if self._mechanism is Mechanism.GMAC:
            return self._protection.prove(challenge)
        signing = self._protection.security.asymmetric.signing
        if signing is None:
            raise LocalError("a signature needs a signing key")
        return ecdsa_response(signing, challenges)

    def peer_proved(self, challenge: bytes, peer_challenge: bytes, response: bytes) -> bool:
        """Whether the peer's f(challenge) holds over what we sent."""
        own, peer = self._titles()
        challenges = Challenges(peer, own, challenge, peer_challenge)
        if self._mechanism in DIGESTS:
            return digest_holds(self._mechanism, self._secret, challenges, response)
        if self._mechanism is Mechanism.HIGH and self._manufacturer_proof is not None:
            return same_secret(self._manufacturer_proof(self._secret, challenges), response)
        if self._protection is None:
            return False
        if self._mechanism is Mechanism.GMAC:
            return self._protection.peer_proved(challenge, response)
        key = self._protection.peer_signing
        return key is not None and ecdsa_holds(key, challenges, response)

    def _titles(self) -> tuple[bytes, bytes]:
        """Our own system title and the peer's; empty where there are none."""
        if self._protection is None:
            return b"", b""
        return self._protection.security.system_title, self._protection.peer_title or b""


def octets_of(value: Data | None) -> bytes:
    """The octets of an octet-string, which a proof is; nothing for anything else, which proves nothing."""
    octets = value.value if value is not None and value.tag is DataTag.OCTET_STRING else b""
    return octets if isinstance(octets, bytes) else b""
