"""A meter of a population: what all of them have in common, and the setup of each one, derived when somebody asks for it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial

from ami_dlms.association import Ciphering, Security
from ami_dlms.association.settings import WITH_TITLES
from ami_dlms.enums import Mechanism
from ami_dlms.security import GlobalKeys, PublicKey, SecuritySuite
from ami_meter_sim.load import Site, site_of
from ami_meter_sim.load.houses import MIXED, HouseKind
from ami_meter_sim.load.network import GridConnection
from ami_meter_sim.meter.further import AssociationSecrets, further_association
from ami_meter_sim.meter.setup import FurtherAssociation, LockOutSetup, ManagementAssociation, MeterSetup
from ami_meter_sim.objects.device import Identity
from ami_meter_sim.population.certification import Certification
from ami_meter_sim.population.credentials import Credentials
from ami_meter_sim.population.identity import Identities
from ami_meter_sim.population.topology import Topology
from ami_packs.model import Model, Offered

NO_LOCK_OUT = LockOutSetup()


@dataclass(frozen=True, kw_only=True)
class Population:
    """The meters of one population; `server_wport` gives the wrapper port of an index. Ciphering None: keys serve HLS alone.

    `client_system_title` is that of the only client of an association that is pre-established, `client_signing_key` the public key of
    the head-end where the seed does not give it one.
    """

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
    shares: Mapping[HouseKind, int] = field(default_factory=lambda: MIXED)
    """Of what is behind the meters."""
    topology: Topology = field(default_factory=Topology)
    client_system_title: bytes | None = None
    client_signing_key: PublicKey | None = None
    lock_out: LockOutSetup = NO_LOCK_OUT
    push_seed: int = 0
    fast_path: bool = True

    @cached_property
    def credentials(self) -> Credentials:
        """The keys of its meters."""
        return Credentials(self.identities, self.mechanism, self.suite, self.client_signing_key)

    @cached_property
    def further(self) -> tuple[Offered, ...]:
        """The associations beside the management one that its meters have keys for: none where nothing has keys."""
        if self.mechanism is Mechanism.LOWEST:
            return ()
        return tuple([one for one in self.model.associations if one.keyed])

    def setup(self, index: int) -> MeterSetup:
        """What the meter at this index is. IndexError beyond the population."""
        identities, wport = self.identities, self.server_wport(index)
        name, title = identities.logical_device_name(index), identities.system_title(index)
        security = self._security(index, title, self.credentials.keys(index))
        return MeterSetup(
            identity=Identity(identities.name(index), name, identities.device_id(index).encode("ascii"), title),
            model=self.model,
            management=ManagementAssociation(
                client_wport=self.client_wport,
                mechanism=self.mechanism,
                secret=self.credentials.secret(index),
                security=security,
            ),
            further=FurtherOfMember(self, index, security),
            public_client=self.public_client,
            server_wport=wport,
            logical_devices=((wport, name),),
            control_mode=self.control_mode,
            time_zone_minutes=self.time_zone_minutes,
            lock_out=self.lock_out,
            push_seed=self.push_seed,
            fast_path=self.fast_path,
            site=partial(self.site, index),
            certificates=partial(self._certificates, index) if self.credentials.paired else tuple,
        )

    def site(self, index: int) -> Site:
        """What is behind a meter, by the shares; neighbours share their feeder, and its voltage falls along the line."""
        feeder, place = self.topology.on_feeder(index)
        position = 1000 * place // max(self.topology.meters_per_transformer - 1, 1)
        connection = GridConnection(self.identities.shared_noise(feeder), position)
        return site_of(self.identities.noise(index), self.shares, connection)

    def _certificates(self, index: int) -> Sequence[bytes]:
        return self._certification.of(index)

    @cached_property
    def _certification(self) -> Certification:
        return self.credentials.certification

    def sending_security(self, index: int) -> Security | None:
        """What the management association of a meter protects its notifications with; without its signing key and its master key."""
        return self._security(index, self.identities.system_title(index), self.credentials.sending_keys(index))

    def _security(self, index: int, title: bytes, keys: GlobalKeys) -> Security | None:
        if self.ciphering is None and self.mechanism not in WITH_TITLES:
            return None
        ciphered = self.ciphering is not None
        return Security(
            keys=keys,
            system_title=title,
            suite=self.suite,
            authenticated=ciphered,
            encrypted=ciphered,
            ciphering=self.ciphering or Ciphering.GENERAL_GLO,
            asymmetric=self.credentials.asymmetric(index),
        )


class FurtherOfMember(Mapping[str, FurtherAssociation]):
    """The associations of one meter beside the management one; keys are derived when somebody asks for them."""

    __slots__ = ("_index", "_management", "_population")

    def __init__(self, population: Population, index: int, management: Security | None) -> None:
        self._population = population
        self._index = index
        self._management = management

    def __getitem__(self, name: str) -> FurtherAssociation:
        population, index = self._population, self._index
        offered = next((one for one in population.further if one.name == name), None)
        if offered is None:
            raise KeyError(name)
        shared = self._management if offered.security_setup == 1 else None
        given = AssociationSecrets(
            population.credentials.keys(index, offered.security_setup) if shared is None else shared.keys,
            population.credentials.further_secret(index, offered),
            population.client_system_title,
        )
        return further_association(offered, population.identities.system_title(index), given, self._management)

    def __contains__(self, name: object) -> bool:
        return any(one.name == name for one in self._population.further)

    def __iter__(self) -> Iterator[str]:
        return (one.name for one in self._population.further)

    def __len__(self) -> int:
        return len(self._population.further)
