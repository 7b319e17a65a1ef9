"""The keys and secrets of a meter's associations, derived: the same for the meter that has them and for the shipment file that says so.

Strategy: an association has the keys of its security setup, so clients that share a setup share its keys, as in the field. The second
setup of a meter and the passwords of further associations have purposes of their own.
"""

from dataclasses import dataclass, field

from ami_dlms.association.settings import WITH_SECRET
from ami_dlms.enums import Mechanism
from ami_dlms.security import AsymmetricKeys, GlobalKeys, PrivateKey, PublicKey, SecuritySuite
from ami_dlms.security.suites import suite_of
from ami_meter_sim.population.certification import Certification
from ami_meter_sim.population.identity import Identities, KeyPurpose
from ami_packs.model import Offered

OF_SETUP = {
    1: (KeyPurpose.ENCRYPTION, KeyPurpose.AUTHENTICATION, KeyPurpose.MASTER),
    2: (KeyPurpose.ENCRYPTION_2, KeyPurpose.AUTHENTICATION_2, KeyPurpose.MASTER_2),
}
"""Security setup -> the purposes of its encryption, authentication and master key."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """Those of one population. `client_signing_key`: of its head-end, in suites 1 and 2; None: of the pair that the seed gives it."""

    identities: Identities
    mechanism: Mechanism = Mechanism.GMAC
    suite: SecuritySuite = SecuritySuite.AES_GCM_128
    client_signing_key: PublicKey | None = None
    _of_client: PublicKey | None = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        own = self.own_client_key
        object.__setattr__(self, "_of_client", self.client_signing_key if own is None else own.public_key)

    def keys(self, index: int, security_setup: int = 1) -> GlobalKeys:
        """The keys of one of its security setups."""
        octets = suite_of(self.suite).key_length
        encryption, authentication, master = (
            self.identities.key(index, one, octets) for one in OF_SETUP[security_setup]
        )
        return GlobalKeys(encryption, authentication, master_key=master)

    def sending_keys(self, index: int) -> GlobalKeys:
        """Those of the first one as far as a notification needs them."""
        octets = suite_of(self.suite).key_length
        encryption, authentication, _ = OF_SETUP[1]
        return GlobalKeys(
            self.identities.key(index, encryption, octets), self.identities.key(index, authentication, octets)
        )

    def secret(self, index: int) -> bytes | None:
        """Password or HLS secret of the management association; None where its mechanism has none."""
        if self.mechanism not in WITH_SECRET:
            return None
        return self.identities.key(
            index, KeyPurpose.LOW_LEVEL if self.mechanism is Mechanism.LOW else KeyPurpose.HIGH_LEVEL
        )

    def further_secret(self, index: int, offered: Offered) -> bytes | None:
        """The same of another association of the model."""
        return self.identities.secret_of(index, offered.name) if offered.mechanism in WITH_SECRET else None

    def asymmetric(self, index: int) -> AsymmetricKeys:
        """The meter's key pairs and its head-end's public key for signatures; suite 0 has none."""
        if not self.paired:
            return AsymmetricKeys()
        signing, agreement = (
            self.identities.private_key(index, one, self.suite) for one in (KeyPurpose.SIGNING, KeyPurpose.AGREEMENT)
        )
        return AsymmetricKeys(signing, self._of_client, agreement)

    @property
    def paired(self) -> bool:
        """Whether meter and head-end have key pairs: in suites 1 and 2."""
        return bool(suite_of(self.suite).coordinate_length)

    @property
    def certification(self) -> Certification:
        """Who has issued the certificates of the meters. LocalError in suite 0."""
        return Certification(self.identities, self.suite)

    @property
    def own_client_key(self) -> PrivateKey | None:
        """The signing key that the seed gives the head-end; None where it has one of its own, or needs none."""
        if not self.paired or self.client_signing_key is not None:
            return None
        return self.identities.client_key(self.suite)
