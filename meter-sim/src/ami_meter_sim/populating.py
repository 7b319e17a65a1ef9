"""From the settings of populations to what fleet, listeners and shipment files need of them. Raises SettingsError with the table's name."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import time
from pathlib import Path

from ami_dlms.association.vocabulary import parse_ciphering, parse_mechanism
from ami_dlms.enums import Mechanism
from ami_dlms.errors import LocalError
from ami_dlms.security import PublicKey, SecuritySuite
from ami_dlms.security.suites import suite_of
from ami_meter_sim.load import HouseKind
from ami_meter_sim.meter.filled_pushes import Pushes, parse_destination, with_pushes
from ami_meter_sim.meter.member import Population
from ami_meter_sim.meter.pushes import INTERVAL
from ami_meter_sim.meter.setup import LockOutSetup
from ami_meter_sim.objects.device import measures_three_phases
from ami_meter_sim.objects.model_files import load_model
from ami_meter_sim.population.addressing import Addressing, AddressPlan
from ami_meter_sim.population.identity import Identities, IdentityError
from ami_meter_sim.population.shipment import Shipment, Terms
from ami_meter_sim.population.store import WantedMeters
from ami_meter_sim.population.topology import Topology
from ami_meter_sim.population_settings import PopulationSettings
from ami_packs.model import Model
from ami_process.settings import SettingsError
from ami_registry import Transport

HDLC_DEVICES = range(1, 0x7F)
"""Upper addresses of one octet, without all-station."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A population, where its meters are reached, and where they are in the network."""

    settings: PopulationSettings
    population: Population
    plan: AddressPlan
    topology: Topology

    @property
    def transport(self) -> Transport:
        """How its meters are spoken to."""
        return Transport(self.settings.transport)

    @property
    def wanted(self) -> WantedMeters:
        """Its name in the store, which no meter of its own can have: it follows from its keys, so that counters stay with them."""
        identities = self.population.identities
        return WantedMeters(f"population/{identities.origin}/{identities.first}", identities.count, population=True)

    @property
    def where(self) -> str:
        """The table, for a person."""
        return f"populations[{self.settings.name}]"

    def shipment(self, transport_key: bytes | None = None) -> Shipment:
        """What a manufacturer sends along with these meters."""
        settings, population = self.settings, self.population
        terms = Terms(
            model=settings.model,
            place=self.plan.place,
            dials_in=settings.dial_to is not None,
            transport=settings.transport,
            client_wport=settings.client_wport,
            public_client=settings.public_client,
            mechanism=population.mechanism,
            suite=population.suite,
            ciphering=population.ciphering,
            three_phase=measures_three_phases(population.model),
            time_zone_minutes=settings.time_zone_minutes,
            further=population.further,
            client_signing_key=population.client_signing_key,
        )
        return Shipment(population.identities, self.topology, terms, transport_key)


def prepare(
    tables: Sequence[PopulationSettings], *, fast_path: bool = True, packs: Path | None = None
) -> list[Prepared]:
    """All of them; checked each and together. `fast_path`: as of the protocol core's AssociationProfile; `packs`: a folder with packs of models."""
    prepared = [_prepared(one, packs, fast_path=fast_path) for one in tables]
    _check_distinct(prepared)
    return prepared


def _prepared(settings: PopulationSettings, packs: Path | None, *, fast_path: bool) -> Prepared:
    try:
        identities = Identities(settings.seed, settings.first_serial, settings.count, settings.manufacturer)
        plan = AddressPlan(Addressing(settings.addressing), settings.address, settings.port, settings.count)
    except IdentityError as problem:
        raise SettingsError(f"populations[{settings.name}]: {problem}") from None
    last = plan.place(settings.count - 1)[2]
    if Transport(settings.transport) is Transport.HDLC and last not in HDLC_DEVICES:
        raise SettingsError(
            f"populations[{settings.name}]: logical device {last} is no upper address of HDLC in one octet: fewer meters, or address-each"
        )
    mechanism, ciphering = parse_mechanism(settings.authentication), parse_ciphering(settings.ciphering)
    if ciphering is not None and mechanism is Mechanism.LOWEST:
        raise SettingsError(
            f'populations[{settings.name}]: authentication = "none" needs ciphering = "none": there are no keys'
        )
    if mechanism is Mechanism.ECDSA and not suite_of(SecuritySuite(settings.suite)).coordinate_length:
        raise SettingsError(f'populations[{settings.name}]: authentication = "hls-ecdsa" needs suite 1 or 2')
    topology = Topology(**settings.topology.model_dump())
    population = Population(
        identities=identities,
        topology=topology,
        model=_model(settings, packs),
        push_seed=0 if settings.push is None else settings.push.seed,
        server_wport=plan.server_wport,
        client_wport=settings.client_wport,
        public_client=settings.public_client,
        mechanism=mechanism,
        suite=SecuritySuite(settings.suite),
        ciphering=ciphering,
        control_mode=settings.control_mode,
        time_zone_minutes=settings.time_zone_minutes,
        shares={kind: getattr(settings.shares, kind.name.lower()) for kind in HouseKind},
        client_system_title=settings.client_system_title,
        client_signing_key=_client_signing_key(settings),
        lock_out=LockOutSetup(settings.lock_out_after, settings.lock_out_s),
        fast_path=fast_path,
    )
    return Prepared(settings, population, plan, topology)


def _model(settings: PopulationSettings, packs: Path | None) -> Model:
    """With what the settings say of pushes."""
    model, given = load_model(settings.model, packs), settings.push
    if given is None:
        return model
    transport, host, port = parse_destination(given.to)
    established = next((one.client_wport for one in model.associations if one.pre_established), None)
    windows = None if given.windows is None else tuple([_window(one) for one in given.windows])
    pushes = Pushes(
        transport=transport,
        host=host,
        port=port,
        reasons=frozenset(given.on) | ({INTERVAL} if given.interval_s else set()),
        every_s=given.interval_s,
        randomised_s=given.randomised_s,
        retries=given.retries,
        retry_delay_s=given.retry_delay_s,
        windows=windows,
        client_wport=given.client_wport or established,
        protected=given.protected,
    )
    return with_pushes(model, pushes)


def _window(text: str) -> tuple[time, time]:
    begins, _, ends = text.partition("-")
    return time.fromisoformat(begins), time.fromisoformat(ends)


def _client_signing_key(settings: PopulationSettings) -> PublicKey | None:
    if settings.client_signing_key is None:
        return None
    try:
        key = PublicKey(settings.client_signing_key)
    except LocalError as error:
        raise SettingsError(f"populations[{settings.name}].client_signing_key: {error}") from None
    if key.suite != settings.suite:
        raise SettingsError(f"populations[{settings.name}].client_signing_key: is a key of suite {key.suite:d}")
    return key


def _check_distinct(prepared: Sequence[Prepared]) -> None:
    """No two populations have one name, one meter or one key."""
    for number, one in enumerate(prepared):
        for other in prepared[:number]:
            if one.settings.name == other.settings.name:
                raise SettingsError(f"the name {one.settings.name} is in more than one of [[populations]]")
            if _overlap(one.population.identities, other.population.identities):
                raise SettingsError(
                    f"{other.where} and {one.where} have serial numbers in common: another first_serial"
                )


def _overlap(one: Identities, other: Identities) -> bool:
    within = one.first < other.first + other.count and other.first < one.first + one.count
    return within and one.manufacturer == other.manufacturer


def names_of(tables: Sequence[PopulationSettings]) -> Iterator[str]:
    """What a process says it is, beside the names of single meters."""
    return (f"{one.name}[{one.count}]" for one in tables)
