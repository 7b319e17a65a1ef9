"""What is changed of meters is told to the other processes, which look it up in the store."""

from collections.abc import Awaitable, Callable, Collection, Iterable
from dataclasses import dataclass, field

from ami_hes.engine.nats_link import NatsLink
from ami_hes.enums import MeterState
from ami_hes.store import (
    CommissioningStore,
    RegistryChange,
    RegistryStore,
    Sealed,
    StoredCommissioning,
    StoredMeter,
    StoredRegistry,
)

METER, EVENTS_OF_METERS = "meter", "meter-events"
"""What workers say: a meter by its mRID, and that events of meters were kept."""
METERS, MASTER_DATA, SCHEDULES, CAMPAIGNS, APPROVALS, WAITING, SESSIONS = (
    "meters",
    "master-data",
    "schedules",
    "campaigns",
    "approvals",
    "waiting-messages",
    "sessions",
)
"""What front ends tell each other, beside EVENTS_OF_METERS (`ami_hes.engine.Hints`)."""
Tell = Callable[[Iterable[str]], Awaitable[None]]
"""That these meters were changed, by their mRIDs."""


def saying(link: NatsLink) -> Tell:
    """A worker's way: to whoever listens now."""

    async def say(mrids: Iterable[str]) -> None:
        for mrid in mrids:
            await link.say(METER, mrid.encode())

    return say


@dataclass(slots=True)
class Untold:
    """A front end's way, which reads its registry before it has anybody to tell: what was changed by then is told when it has."""

    _to: Callable[[str], None] | None = None
    _mrids: dict[str, None] = field(default_factory=dict)

    async def tell(self, mrids: Iterable[str]) -> None:
        """The Tell of it."""
        if self._to is None:
            self._mrids.update(dict.fromkeys(mrids))
            return
        for mrid in mrids:
            self._to(mrid)

    def begin(self, to: Callable[[str], None]) -> None:
        """From now on they are told so."""
        self._to = to
        for mrid in self._mrids:
            to(mrid)
        self._mrids.clear()


@dataclass(frozen=True, slots=True)
class TellingRegistry:
    """The RegistryStore port."""

    store: RegistryStore
    tell: Tell

    async def load(self) -> StoredRegistry:
        return await self.store.load()

    async def find(self, mrid: str) -> tuple[StoredMeter | None, tuple[Sealed, ...]]:
        return await self.store.find(mrid)

    async def some(self, mrids: Collection[str]) -> StoredRegistry:
        return await self.store.some(mrids)

    async def named(self, names: Collection[str]) -> StoredRegistry:
        return await self.store.named(names)

    async def key_ids(self) -> set[str]:
        return await self.store.key_ids()

    async def change(self, change: RegistryChange) -> None:
        await self.store.change(change)
        await self.tell((*change.changed_keys, *change.removed, *(meter.mrid for meter in change.meters)))


@dataclass(frozen=True, slots=True)
class TellingCommissioning:
    """The CommissioningStore port."""

    store: CommissioningStore
    tell: Tell

    async def states(self) -> dict[str, MeterState]:
        return dict(await self.store.states())

    async def find(self, mrid: str) -> StoredCommissioning | None:
        return await self.store.find(mrid)

    async def keep(self, one: StoredCommissioning) -> None:
        await self.store.keep(one)
        await self.tell([one.mrid])
