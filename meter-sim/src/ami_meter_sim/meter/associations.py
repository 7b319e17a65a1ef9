"""What a meter offers its clients: the associations of its model, with the keys, secrets and counters in force."""

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import NamedTuple

from ami_dlms.association import LN_CONFORMANCE, SN_CONFORMANCE, AssociationProfile, PreEstablished, Security
from ami_dlms.cosem.short_names import ShortNames
from ami_dlms.enums import Conformance
from ami_dlms.obis import Obis
from ami_meter_sim.meter.counters import Counters
from ami_meter_sim.meter.setup import FurtherAssociation, MeterSetup
from ami_meter_sim.objects.communication import SECURITY_SETUP, SECURITY_SETUPS
from ami_meter_sim.objects.device import Device
from ami_meter_sim.objects.keys import secret_in_force, security_in_force
from ami_packs.base_names import names_of
from ami_packs.model import PUBLIC_CLIENT_WPORT, Model, Offered

BY_LOGICAL_NAMES = LN_CONFORMANCE & ~Conformance.EVENT_NOTIFICATION
BY_SHORT_NAMES = SN_CONFORMANCE & ~Conformance.INFORMATION_REPORT
"""Every service but the ones that this meter never sends inside an association."""


class OfferedAssociation(NamedTuple):
    """An association that this meter offers: its name in the model, and its profile."""

    name: str
    profile: AssociationProfile


class Securities(Mapping[Obis, Security]):
    """What the setup of a meter gives each security setup (class 64); the keys of a population are derived when somebody asks for them."""

    __slots__ = ("_setup",)

    def __init__(self, setup: MeterSetup) -> None:
        self._setup = setup

    def __getitem__(self, security_setup: Obis) -> Security:
        given = self._setup
        security = given.management.security if security_setup == SECURITY_SETUP else self._further(security_setup)
        if security is None:
            raise KeyError(security_setup)
        return security

    def _further(self, security_setup: Obis) -> Security | None:
        further = self._setup.further
        names = [
            one.name
            for one in self._setup.model.associations
            if SECURITY_SETUPS[one.security_setup] == security_setup and one.name in further
        ]
        return further[names[-1]].security if names else None

    def __iter__(self) -> Iterator[Obis]:
        return (one for one in SECURITY_SETUPS.values() if self.get(one) is not None)

    def __len__(self) -> int:
        return sum(1 for _ in self)


class Associations:
    """Those of one meter. `counters`: by the number of the security setup; what replaces one there calls `renew`.

    The device is handed in with each question: it knows its associations, and a reference back would keep a meter that goes in memory
    until the next garbage collection.
    """

    __slots__ = ("_counters", "_made", "_setup", "counters_in_use")

    def __init__(self, setup: MeterSetup, counters: Mapping[int, Counters]) -> None:
        self._setup = setup
        self._counters = counters
        self._made: dict[int, OfferedAssociation] = {}
        self.counters_in_use = self._in_use()

    def known(self, client_wport: int) -> OfferedAssociation | None:
        """What was made for a client before."""
        return self._made.get(client_wport)

    def make(self, device: Device, client_wport: int) -> OfferedAssociation | None:
        """What is offered to a client; nothing is kept of strangers."""
        offered = next((one for one in self._offered() if self.client_wport(one) == client_wport), None)
        if offered is None:
            return None
        made = self._made[client_wport] = OfferedAssociation(offered.name, self._profile(device, offered))
        self.counters_in_use = self._in_use()
        return made

    def named(self, device: Device, name: str) -> AssociationProfile | None:
        """An association by its name in the model, as it is offered now."""
        return next((self._profile(device, one) for one in self._offered() if one.name == name), None)

    def renew(self) -> None:
        """Keys, policies or secrets have changed: the next association counts them in."""
        self._made.clear()
        self.counters_in_use = self._in_use()

    def client_wport(self, offered: Offered) -> int:
        """Of the client that an association of the model is for."""
        return self._setup.management.client_wport if offered.client_wport is None else offered.client_wport

    def _in_use(self) -> list[Counters]:
        """Those of the keys that a client has addressed, and of the management association, which pushes use as well."""
        sending = [one.profile.send_counter for one in self._made.values()]
        first, second = self._counters[1], self._counters[2]
        found = [first] if self._setup.management.security or first.send in sending else []
        return [*found, second] if second.send in sending else found

    def _offered(self) -> Iterator[Offered]:
        """The associations of the model that the setup does not leave out."""
        for offered in self._setup.model.associations:
            public = self._setup.public_client or offered.client_wport != PUBLIC_CLIENT_WPORT
            if public and (not offered.keyed or offered.name in self._setup.further):
                yield offered

    def _profile(self, device: Device, offered: Offered) -> AssociationProfile:
        setup = self._setup
        if offered.keyed:
            return self._keyed(device, offered, setup.further[offered.name])
        if offered.client_wport is None:
            return self._management(device, offered)
        return _without_keys(setup.model, offered.name, offered.client_wport, setup.server_wport, setup.fast_path)

    def _management(self, device: Device, offered: Offered) -> AssociationProfile:
        setup, management, counters = self._setup, self._setup.management, self._counters[1]
        return AssociationProfile(
            client_wport=management.client_wport,
            server_wport=setup.server_wport,
            access=setup.model.rights[offered.name],
            conformance=_conformance(setup.model),
            short_names=_names(setup.model, offered.name),
            fast_path=setup.fast_path,
            mechanism=management.mechanism,
            secret=secret_in_force(device, management.client_wport, management.secret),
            security=security_in_force(device, SECURITY_SETUP),
            send_counter=counters.send if management.security else None,
            receive_counter=counters.receive if management.security else None,
        )

    def _keyed(self, device: Device, offered: Offered, given: FurtherAssociation) -> AssociationProfile:
        """Of an association beside the management one: the model's mechanism, and keys and counters of its security setup."""
        setup, of_setup = self._setup, SECURITY_SETUPS[offered.security_setup]
        counters = self._counters[offered.security_setup]
        security = given.security and security_in_force(device, of_setup, given.security)
        return AssociationProfile(
            client_wport=offered.client_wport or 0,
            server_wport=setup.server_wport,
            access=setup.model.rights[offered.name],
            conformance=_conformance(setup.model),
            short_names=_names(setup.model, offered.name),
            fast_path=setup.fast_path,
            mechanism=offered.mechanism,
            secret=secret_in_force(device, offered.client_wport or 0, given.secret),
            security=security,
            send_counter=counters.send if security else None,
            receive_counter=counters.receive if security else None,
            pre_established=PreEstablished() if offered.pre_established else None,
        )


@lru_cache(maxsize=256)
def _without_keys(model: Model, name: str, client_wport: int, server_wport: int, fast_path: bool) -> AssociationProfile:
    """The profile of an association without keys: nothing in it is of one meter, so all of a model share it."""
    return AssociationProfile(
        client_wport=client_wport,
        server_wport=server_wport,
        access=model.rights[name],
        conformance=_conformance(model),
        short_names=_names(model, name),
        fast_path=fast_path,
    )


def _conformance(model: Model) -> Conformance:
    return BY_SHORT_NAMES if model.short_names else BY_LOGICAL_NAMES


def _names(model: Model, association: str) -> ShortNames | None:
    return _names_of(model)[association] if model.short_names else None


@lru_cache(maxsize=256)
def _names_of(model: Model) -> dict[str, ShortNames]:
    """All meters of a model share them."""
    return names_of(model)
