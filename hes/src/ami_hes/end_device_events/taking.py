"""The one place that every event of a meter passes, whichever way it comes: into the store, where it is kept once."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from ami_dlms.association import Unsolicited
from ami_hes.commands import ControlEnd
from ami_hes.end_device_events.control_ends import end_event
from ami_hes.end_device_events.native_names import NamesByMeter
from ami_hes.end_device_events.pushes import happened_in
from ami_hes.end_device_events.suspicions import suspicion_event
from ami_hes.meters import Meter
from ami_hes.store import DeviceEvents, Happened, StoredDeviceEvent
from ami_process.environment import Environment


@dataclass(frozen=True, slots=True)
class EventTaker:
    """Keeps events. Those that come at once share a transaction; who brings them waits for it, and so bounds how many there are."""

    store: DeviceEvents
    environment: Environment
    names: NamesByMeter = field(default_factory=NamesByMeter)
    """What numbers and bits mean."""
    kept: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when something was kept."""
    followers: set[asyncio.Event] = field(default_factory=set)
    """Each is set likewise, and when the process stops."""
    told: list[Callable[[], None]] = field(default_factory=list)
    """Called when this process has kept something, for the others."""
    _closed: asyncio.Event = field(default_factory=asyncio.Event)

    async def take(self, happened: Happened) -> None:
        """Committed when it returns; raises StoreUnavailable."""
        await self.store.keep(happened)
        self.tell()
        for tell in self.told:
            tell()

    def tell(self) -> None:
        """Something is in the store that was not there before."""
        for one in (self.kept, *self.followers):
            one.set()

    async def take_end(self, end: ControlEnd) -> None:
        """Of a control; raises StoreUnavailable."""
        event, request_id = end_event(end), end.command.request_id
        await self.take(Happened(mrid=event.mrid, at=end.at, events=(event,), of_request=request_id))

    @property
    def is_closed(self) -> bool:
        """Whether nobody is to follow any more."""
        return self._closed.is_set()

    def close(self) -> None:
        """Let those who follow go."""
        self._closed.set()
        for one in self.followers:
            one.set()

    async def take_push(self, notification: Unsolicited, meter: Meter) -> Sequence[StoredDeviceEvent]:
        """What a protected push says, which is handed back; raises StoreUnavailable."""
        happened = happened_in(notification, meter, self.environment.now(), self.names.of(meter))
        if happened is None:
            return ()
        await self.take(happened)
        return happened.events

    async def take_suspicion(self, meter: Meter, kind: str, number: int, host: str) -> None:
        """So many things from this address, among others, came in the name of the meter and were not believed; raises StoreUnavailable."""
        event = suspicion_event(meter, kind, number, host, self.environment.now())
        if event is not None:
            await self.take(Happened(mrid=meter.mrid, at=event.created_at, events=(event,)))
