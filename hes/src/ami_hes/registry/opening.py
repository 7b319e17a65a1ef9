"""The registry at the start of the process: the files of the configuration are imported, and what they say wins.

A meter of such a file is as the file says, whatever was kept of it; one that was in a file and is in none any more goes. A meter that
was imported otherwise stays, unless a configured one has its mRID or any of its names. A shipment file that is the same as
when it was imported is not read again.
"""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path

from ami_cim.identity import mrid_key
from ami_hes import events
from ami_hes.meters.meter_index import Table
from ami_hes.meters.registry import Registry, read_entry
from ami_hes.meters.shipments import read_shipment
from ami_hes.registry.kept import IMPORTED, KeptRegistry
from ami_hes.registry.packed_meters import PackedMeters, table_of
from ami_hes.registry.sealing import CannotOpen, Sealer
from ami_hes.store import (
    RegistryChange,
    RegistryStore,
    Sealed,
    StoredMeter,
    StoredRegistry,
    StoredSource,
    StoreUnusable,
)
from ami_process.events import Emit
from ami_process.secret_sources import SecretSources
from ami_process.settings import SettingsError
from ami_registry import Entry, EntryError, FormattedMeter, Resolve, format_meter

CONFIGURATION = "[[meters]]"
DIGEST = "digest"
PROGRESS = 10_000
"""Meters between two reports of a long import."""
Entries = Iterable[tuple[Entry, object]]


@dataclass(frozen=True, slots=True)
class ConfiguredMeters:
    """A file of the configuration: its name in the store, its entries, and its digest where it need not be read again."""

    name: str
    entries: Callable[[], Entries]
    digest: bytes | None = None


def configured_meters(
    entries: Sequence[object], shipments: Sequence[Path], transport_key: bytes | None
) -> list[ConfiguredMeters]:
    """All of them, in order. Raises SettingsError for a file that can't be read."""
    own = ConfiguredMeters(CONFIGURATION, lambda: enumerate(entries, 1))
    return [own, *(_shipment(path, transport_key) for path in shipments)]


def _shipment(path: Path, transport_key: bytes | None) -> ConfiguredMeters:
    return ConfiguredMeters(
        str(path), lambda: read_shipment(path, transport_key), _digest_of(path, transport_key or b"")
    )


def _digest_of(path: Path, transport_key: bytes) -> bytes:
    """Of the file, of what opens its keys, and of the version that has read it."""
    digest = sha256(b"\0".join((version("ami-hes").encode(), sha256(transport_key).digest())))
    try:
        with path.open("rb") as file:
            while part := file.read(1 << 20):
                digest.update(part)
    except OSError as problem:
        raise SettingsError(f"hes.shipments: {path}: can't be read: {problem.strerror}") from None
    return digest.digest()


async def open_registry(
    store: RegistryStore,
    sealer: Sealer,
    configured: Sequence[ConfiguredMeters],
    emit: Emit,
    transport_key: bytes | None = None,
) -> KeptRegistry:
    """The registry with all that is configured. Raises SettingsError, EntryError, StoreUnusable and StoreUnavailable, and then nothing has changed."""
    stored = await store.load()
    sealer.demand(stored.key_ids())
    opening = _Opening(stored, sealer, emit)
    try:
        for source in configured:
            opening.take(source)
        opening.take_imported()
    except CannotOpen as problem:
        raise StoreUnusable(
            f"the registry in the store is damaged: {problem}; bring a copy back: hes store restore COPY"
        ) from None
    change = opening.change()
    if change is not None:
        await store.change(change)
    if change is not None and (stored.meters or len(opening.changed) >= PROGRESS):
        changed, removed = len(opening.changed), len(change.removed)
        emit(events.RegistryOpened(meters=len(opening.meters), changed=changed, removed=removed))
    return KeptRegistry(opening.registry, opening.meters, store, transport_key)


async def needed_registry(store: RegistryStore, sealer: Sealer) -> KeptRegistry:
    """One in which no meter is before it is needed (`ami_hes.registry.needed`). Raises SettingsError, StoreUnusable and StoreUnavailable."""
    sealer.demand(await store.key_ids())
    meters = PackedMeters(sealer)
    return KeptRegistry(Registry(meters=meters), meters, store)


async def load_registry(store: RegistryStore, sealer: Sealer, emit: Emit) -> KeptRegistry:
    """The registry as another process has opened it; nothing is imported. Raises SettingsError, StoreUnusable and StoreUnavailable."""
    stored = await store.load()
    sealer.demand(stored.key_ids())
    opening = _Opening(stored, sealer, emit)
    opening.take_all()
    return KeptRegistry(opening.registry, opening.meters, store)


@dataclass(slots=True)
class _Noticing:
    """Says whether a file names something elsewhere, which may be another time what the file itself does not show."""

    resolve: Resolve
    noticed: bool = False

    def __call__(self, scheme: str, rest: str) -> str:
        self.noticed = True
        return self.resolve(scheme, rest)


@dataclass(slots=True)
class _Opening:
    """The registry while it is put together."""

    stored: StoredRegistry
    sealer: Sealer
    emit: Emit
    meters: PackedMeters = field(init=False)
    registry: Registry = field(init=False)
    changed: list[StoredMeter] = field(default_factory=list)
    sources: list[StoredSource] = field(default_factory=list)
    _kept: dict[str, StoredMeter] = field(init=False)
    _of_source: dict[str, list[StoredMeter]] = field(default_factory=dict)
    _digests: Mapping[str, Sealed] = field(init=False)

    def __post_init__(self) -> None:
        self.meters = PackedMeters(self.sealer, changed_keys=self.stored.changed_keys)
        self.registry = Registry(meters=self.meters)
        self._kept = {meter.mrid: meter for meter in self.stored.meters}
        for meter in self.stored.meters:
            self._of_source.setdefault(meter.source, []).append(meter)
        self._digests = {source.name: source.digest for source in self.stored.sources}

    def take(self, source: ConfiguredMeters) -> None:
        """All meters of a file; EntryError for the first that can't be right."""
        if self._is_as_imported(source):
            self.sources.append(StoredSource(source.name, self._digests[source.name]))
            for meter in self._of_source.get(source.name, ()):
                table = table_of(meter)
                self.registry.check(source.name, table)
                self._add_kept(meter, table)
            return
        resolve = _Noticing(SecretSources(os.environ))
        for number, (place, entry) in enumerate(source.entries(), 1):
            self._import(source.name, place, format_meter(read_entry(place, entry, resolve)))
            if number % PROGRESS == 0:
                self.emit(events.RegistryImporting(source=source.name, meters=number))
        if source.digest is not None and not resolve.noticed:
            self.sources.append(StoredSource(source.name, self.sealer.seal(source.digest, source.name, DIGEST)))

    def take_imported(self) -> None:
        """Meters of earlier imports that no file of the configuration has, unless an entry of a file conflicts with one."""
        for meter in self._of_source.get(IMPORTED, ()):
            if meter.mrid in self.meters:
                continue
            table = table_of(meter)
            try:
                self.registry.check(IMPORTED, table)
            except EntryError as problem:
                self.emit(events.MeterDisplaced(meter=meter.name, mrid=meter.mrid, reason=problem.problem))
            else:
                self._add_kept(meter, table)

    def take_all(self) -> None:
        """All that are kept, as they are; CannotOpen comes when a meter is needed."""
        for meter in self.stored.meters:
            self._add(meter, table_of(meter))

    @property
    def removed(self) -> list[str]:
        """Meters that are not in the registry any more."""
        return [mrid for mrid in self._kept if mrid not in self.meters]

    def change(self) -> RegistryChange | None:
        """What the store has to be told; None: nothing."""
        if not self.changed and not self.removed and self.sources == list(self.stored.sources):
            return None
        return RegistryChange(meters=self.changed, removed=self.removed, sources=self.sources)

    def _is_as_imported(self, source: ConfiguredMeters) -> bool:
        sealed = self._digests.get(source.name)
        if sealed is None or source.digest is None:
            return False
        try:
            return self.sealer.open(sealed, source.name) == source.digest
        except CannotOpen:
            return False

    def _import(self, source: str, place: Entry, meter: FormattedMeter) -> None:
        mrid = mrid_key(str(meter.table["mrid"]))
        kept = self._kept.get(mrid)
        self.registry.check(place, meter.table)
        packed = self.meters.pack(mrid, meter, source, kept)
        self._add(packed, meter.table)
        if packed is not kept:
            self.changed.append(packed)

    def _add_kept(self, meter: StoredMeter, table: Table) -> None:
        """As it is kept; CannotOpen now, and not when the meter is needed."""
        for key in meter.keys:
            self.sealer.open(key, meter.mrid)
        self._add(meter, table)

    def _add(self, meter: StoredMeter, table: Table) -> None:
        self.meters.add(meter)
        self.registry.add(table)
