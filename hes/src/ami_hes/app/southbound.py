"""What faces the meters: the registry of those that are known, and the sessions with them."""

import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from ami_hes import configured
from ami_hes.app.setup import Setup
from ami_hes.app.storage import Stores
from ami_hes.end_device_events import EventTaker
from ami_hes.meters import Meters, Registry
from ami_hes.meters.quarantine import Quarantine
from ami_hes.meters.shipments import transport_key_of
from ami_hes.registry import (
    CommissioningBook,
    ConfiguredMeters,
    KeptRegistry,
    Sealer,
    configured_meters,
    master_keys_of,
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
    """Read the registry, and listen to meters that dial in. Raises ListenFailed, RegistryError, StoreUnusable."""
    hes, database, environment = setup.settings.hes, stores.database, setup.environment
    kept = await open_registry(
        SqlRegistry(database), known.sealer, known.configured, environment.emit, known.transport_key
    )
    commissioning = CommissioningBook(SqlCommissioning(database), environment.now)
    await commissioning.load()
    taker = EventTaker(SqlDeviceEvents(database), environment)
    meters = Meters(
        kept.registry,
        SqlCounters(database, stores.mark),
        SqlReceivedCounters(database),
        configured.meters(setup.settings, setup.partners.readings),
        environment,
        SqlReadings(database) if hes.keep_readings_days else None,
        SqlScalerUnits(database),
        kept.keys,
        taker,
        commissioning,
        Quarantine(SqlQuarantine(database), environment),
        kept,
        stores.firmware,
    )
    with naming(hes.dlms_host, hes.dlms_port, "hes.dlms_"):
        await meters.start()
    try:
        yield South(kept, commissioning, meters, taker)
    finally:
        await meters.stop()
