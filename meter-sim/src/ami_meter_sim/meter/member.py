"""A meter of a population: what all of them have in common, and the setup of each one, derived when somebody asks for it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ami_dlms.association import Ciphering, Security
from ami_dlms.association.settings import WITH_SECRET
from ami_dlms.enums import Mechanism
from ami_dlms.security import GlobalKeys, SecuritySuite
from ami_dlms.security.suites import suite_of
from ami_meter_sim.load import Site, site_of
from ami_meter_sim.load.houses import MIXED, Kind
from ami_meter_sim.load.network import Connection
from ami_meter_sim.meter.setup import ManagementAssociation, MeterSetup
from ami_meter_sim.objects.device import Identity
from ami_meter_sim.population.identity import Identities, Secret
from ami_meter_sim.population.topology import Topology
from ami_packs.model import Model


@dataclass(frozen=True, slots=True, kw_only=True)
class Population:
    """The meters of one population; `server_wport` gives the wrapper port of an index. Ciphering None: keys serve HLS alone."""

    identities: Identities
    model: Model
    server_wport: Callable[[int], int]
    client_wport: int = 1
    public_client: bool = True
    mechanism: Mechanism = Mechanism.GMAC
    suite: SecuritySuite = SecuritySuite.AES_GCM_128
    ciphering: Ciphering | None = Ciphering.GENERAL_GLO
    control_mode: int = 4
    time_zone_minutes: int = 0
    shares: Mapping[Kind, int] = field(default_factory=lambda: MIXED)
    """Of what is behind the meters."""
    topology: Topology = field(default_factory=Topology)

    def setup(self, index: int) -> MeterSetup:
        """What the meter at this index is. IndexError beyond the population."""
        identities, wport = self.identities, self.server_wport(index)
        name, title = identities.logical_device_name(index), identities.system_title(index)
        return MeterSetup(
            identity=Identity(identities.name(index), name, identities.device_id(index).encode("ascii"), title),
            model=self.model,
            management=ManagementAssociation(
                client_wport=self.client_wport,
                mechanism=self.mechanism,
                secret=self._secret(index),
                security=self._security(index, title),
            ),
            public_client=self.public_client,
            server_wport=wport,
            logical_devices=((wport, name),),
            control_mode=self.control_mode,
            time_zone_minutes=self.time_zone_minutes,
            site=self._site(index),
        )

    def _site(self, index: int) -> Site:
        """What is behind a meter, by the shares; neighbours share their feeder, and its voltage falls along the line."""
        place = self.topology.place(index)
        position = 1000 * place.position // max(self.topology.meters_per_transformer - 1, 1)
        feeder = self.identities.shared_noise(place.feeder)
        return site_of(self.identities.noise(index), self.shares, Connection(feeder, position))

    def _secret(self, index: int) -> bytes | None:
        if self.mechanism not in WITH_SECRET:
            return None
        purpose = Secret.LOW_LEVEL if self.mechanism is Mechanism.LOW else Secret.HIGH_LEVEL
        return self.identities.key(index, purpose)

    def _security(self, index: int, title: bytes) -> Security | None:
        if self.ciphering is None and self.mechanism is not Mechanism.GMAC:
            return None
        octets = suite_of(self.suite).key_length
        ciphered = self.ciphering is not None
        return Security(
            keys=GlobalKeys(
                self.identities.key(index, Secret.ENCRYPTION, octets),
                self.identities.key(index, Secret.AUTHENTICATION, octets),
                master_key=self.identities.key(index, Secret.MASTER, octets),
            ),
            system_title=title,
            suite=self.suite,
            authenticated=ciphered,
            encrypted=ciphered,
            ciphering=self.ciphering or Ciphering.GENERAL_GLO,
        )
