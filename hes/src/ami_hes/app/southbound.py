"""What faces the meters: the registry of those that are known, and the sessions with them."""

import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from ami_hes import configured
from ami_hes.app.setup import Setup
from ami_hes.app.storage import Stores
from ami_hes.app.telling import TellingCommissioning, TellingRegistry, Untold, saying
from ami_hes.end_device_events import EventTaker, NamesByMeter
from ami_hes.engine.dialled_in_port import Claims
from ami_hes.engine.nats_link import NatsLink
from ami_hes.meters import Meters, Registry
from ami_hes.meters.quarantine import Quarantine
from ami_hes.meters.shipments import transport_key_of
from ami_hes.registry import (
    CommissioningBook,
    ConfiguredMeters,
    KeptRegistry,
    NeededMeters,
    Sealer,
    configured_meters,
    load_registry,
    master_keys_of,
    needed_registry,
    open_registry,
)
from ami_hes.store import (
    SqlCommissioning,
    SqlCounters,
    SqlDeviceEvents,
    SqlQuarantine,
    SqlReadings,
    SqlReceivedCounters,
    SqlRegistry,
    SqlScalerUnits,
)
from ami_process.sockets import naming


@dataclass(frozen=True, slots=True)
class Known:
    """The meters of the configuration and its files, and what unlocks the keys of all others."""

    configured: Sequence[ConfiguredMeters]
    sealer: Sealer
    transport_key: bytes | None


@dataclass(frozen=True, slots=True)
class South:
    """The registry and the meters in it, and what keeps their events."""

    kept: KeptRegistry
    commissioning: CommissioningBook
    meters: Meters
    taker: EventTaker
    changed: Untold
    """What is changed here of meters."""
    needed: NeededMeters | None = None
    """What brings meters in, where not all of them are."""

    @property
    def registry(self) -> Registry:
        return self.kept.registry


def known(setup: Setup) -> Known:
    """What the configuration says of meters, before anything is opened. Raises SettingsError and RegistryError."""
    hes = setup.settings.hes
    transport_key = transport_key_of(hes.transport_key)
    meters = configured_meters(setup.settings.meters, hes.shipments, transport_key)
    random_bytes = setup.environment.random_bytes
    sealer = Sealer(master_keys_of(hes.master_key, hes.store, os.environ, random_bytes), random_bytes)
    return Known(meters, sealer, transport_key)


@asynccontextmanager
async def opened(setup: Setup, stores: Stores, known: Known) -> AsyncIterator[South]:
    """Read the registry, and listen to meters that dial in unless others share them (`listening`). Raises ListenFailed, RegistryError, StoreUnusable."""
    hes, database, environment = setup.settings.hes, stores.database, setup.environment
    changed = Untold()
    kept = await open_registry(
        TellingRegistry(SqlRegistry(database), changed.tell),
        known.sealer,
        known.configured,
        environment.emit,
        known.transport_key,
    )
    commissioning = CommissioningBook(TellingCommissioning(SqlCommissioning(database), changed.tell), environment.now)
    await commissioning.load()
    taker = EventTaker(SqlDeviceEvents(database), environment, NamesByMeter(configured.packs(setup.settings)))
    quarantine = Quarantine(SqlQuarantine(database), environment, shared=hes.engine is not None)
    meters = _meters(setup, stores, kept, commissioning, taker, quarantine)
    with naming(hes.dlms_host, hes.dlms_port, "hes.dlms_"):
        await meters.start(listen=hes.engine is None and hes.listen)
    try:
        yield South(kept, commissioning, meters, taker, changed)
    finally:
        await meters.stop()


@asynccontextmanager
async def beside_a_front_end(
    setup: Setup, stores: Stores, sealer: Sealer, link: NatsLink, *, callers: bool = False
) -> AsyncIterator[South]:
    """The registry as the front end keeps it, which is told what is changed here, and sessions; nothing listens. Raises StoreUnusable.

    `callers`: meters call and push, and those that nobody knows are kept; it may be any of them, so all are in memory.
    """
    database, environment = stores.database, setup.environment
    telling = TellingRegistry(SqlRegistry(database), saying(link))
    kept = await (load_registry(telling, sealer, environment.emit) if callers else needed_registry(telling, sealer))
    commissioning = CommissioningBook(TellingCommissioning(SqlCommissioning(database), saying(link)), environment.now)
    taker = EventTaker(SqlDeviceEvents(database), environment, NamesByMeter(configured.packs(setup.settings)))
    quarantine = Quarantine(SqlQuarantine(database), environment, shared=True) if callers else None
    meters = _meters(setup, stores, kept, commissioning, taker, quarantine)
    await meters.start(listen=False)
    try:
        needed = None if callers else NeededMeters(kept)
        yield South(kept, commissioning, meters, taker, Untold(), needed)
    finally:
        await meters.stop()


async def listen(setup: Setup, south: South, claims: Claims) -> None:
    """Take connections and pushes of meters, which other processes take as well. Raises ListenFailed."""
    hes = setup.settings.hes
    south.meters.share(claims, south.kept.look)
    with naming(hes.dlms_host, hes.dlms_port, "hes.dlms_"):
        await south.meters.listen()


def has_lines(setup: Setup) -> bool:
    """Whether a serial line of the configuration is at this machine."""
    devices = {one.get("address") for one in setup.settings.meters if isinstance(one, dict)}
    return any(isinstance(one, str) and one.startswith("/") and Path(one).exists() for one in devices)


def _meters(
    setup: Setup,
    stores: Stores,
    kept: KeptRegistry,
    commissioning: CommissioningBook,
    taker: EventTaker,
    quarantine: Quarantine | None,
) -> Meters:
    database = stores.database
    return Meters(
        kept.registry,
        SqlCounters(database, stores.mark),
        SqlReceivedCounters(database),
        configured.meters(setup.settings, setup.partners.readings),
        setup.environment,
        SqlReadings(database) if setup.settings.hes.keep_readings_days else None,
        SqlScalerUnits(database),
        kept.keys,
        taker,
        commissioning,
        quarantine,
        kept,
        stores.firmware,
    )
