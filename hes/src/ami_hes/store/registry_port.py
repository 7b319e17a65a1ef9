"""The port to the registry of meters as it is kept, and the plain values that pass through it. What an entry says is not for the store."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from ami_hes.store.master_data_port import NotedChange


class Sealed(NamedTuple):
    """Octets that only the master key of this id opens again; `purpose` is what they are."""

    purpose: str
    key_id: str
    octets: bytes


class StoredMeter(NamedTuple):
    """A meter: the spelling of its mRID by which mRIDs are compared, its entry as text without secrets, its sealed secrets."""

    mrid: str
    name: str
    source: str
    """Where it comes from; a file of the configuration has the say over its meters."""
    entry: str
    keys: tuple[Sealed, ...]


class StoredSource(NamedTuple):
    """A file whose meters are all kept as it says, and its digest."""

    name: str
    digest: Sealed


@dataclass(frozen=True, slots=True)
class StoredRegistry:
    """All of it."""

    meters: Sequence[StoredMeter] = ()
    sources: Sequence[StoredSource] = ()
    changed_keys: Mapping[str, tuple[Sealed, ...]] = field(default_factory=dict)
    """By mRID the keys that were changed at the meter, whatever its entry says."""

    def key_ids(self) -> set[str]:
        """The master keys without which it can't be used."""
        keys = [key for meter in self.meters for key in meter.keys]
        keys += [key for changed in self.changed_keys.values() for key in changed]
        return {key.key_id for key in keys} | {source.digest.key_id for source in self.sources}


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistryChange:
    """What is different from now on, all at once: meters that are new or changed, mRIDs of those that go, and the sources."""

    meters: Sequence[StoredMeter] = ()
    removed: Sequence[str] = ()
    sources: Sequence[StoredSource] | None = None
    """All of them; None: they stay."""
    changed_keys: Mapping[str, Sequence[Sealed]] = field(default_factory=dict)
    """By mRID all keys that were changed at the meter, in the place of those that are kept of it."""
    noted: Sequence[NotedChange] = ()
    """What is to be told of it."""


class RegistryStore(Protocol):
    """The registry as it is kept. All raise StoreUnavailable."""

    async def load(self) -> StoredRegistry: ...

    async def find(self, mrid: str) -> tuple[StoredMeter | None, tuple[Sealed, ...]]:
        """One meter, by the spelling by which mRIDs are compared, and the keys that were changed at it."""

    async def some(self, mrids: Collection[str]) -> StoredRegistry:
        """Those of these mRIDs, as mRIDs are compared, that are kept; no sources."""

    async def named(self, names: Collection[str]) -> StoredRegistry:
        """The same by what they are called."""

    async def key_ids(self) -> set[str]:
        """The master keys without which what is kept can't be used."""

    async def change(self, change: RegistryChange) -> None:
        """Committed when it returns, as a whole."""
