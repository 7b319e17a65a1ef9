"""All meters of the process, what they report, and the write that all of them share.

Captures go on while nobody asks, because `keep_time` moves every meter on once per capture period.
"""

import asyncio
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ami_meter_sim import events
from ami_meter_sim.commit import Commit
from ami_meter_sim.faults import Faults
from ami_meter_sim.meter.simulated_meter import Meter
from ami_meter_sim.population.journal import StateError
from ami_meter_sim.population.store import Store
from ami_process.environment import Environment, real_sleep
from ami_process.events import Event

CAPTURE_PERIOD_S = 900
AFTER_THE_BOUNDARY_S = 0.1
BRING_IN_EVERY_S = 1.0


def die_at_once() -> None:
    """As a process that is killed."""
    os._exit(1)


@dataclass(slots=True)
class Traffic:
    """What connections have carried since the process began. A frame holds one APDU, over HDLC a part of one."""

    sessions: int = 0
    open: int = 0
    frames_sent: int = 0
    octets_sent: int = 0
    octets_received: int = 0


class Fleet:
    """The meters of this process by name."""

    def __init__(
        self,
        meters: Sequence[Meter],
        environment: Environment,
        die: Callable[[], None] = die_at_once,
        faults: Faults | None = None,
        store: Store | None = None,
    ) -> None:
        self.meters = {meter.name: meter for meter in meters}
        self.faults = faults or Faults()
        self.traffic = Traffic()
        self.environment = environment
        self.die = die
        self.commit = Commit(self.write)
        self._store = store
        self._switched: dict[str, asyncio.Event] = {}

    def switched(self, name: str) -> asyncio.Event:
        """Set whenever the meter of this name has switched; the waiting task clears it."""
        return self._switched.setdefault(name, asyncio.Event())

    def report(self, event: Event) -> None:
        """Something that a session says has happened."""
        self.environment.emit(event)
        if isinstance(event, events.Switched):
            self.switched(event.meter).set()

    def write(self) -> None:
        """Everything that has changed is on disk after this. Raises StateError."""
        if self._store is not None:
            self._store.journal.write()

    async def keep_state(self) -> None:
        """Bring what the journal says into the store, once a second of the machine's time."""
        loop = asyncio.get_running_loop()
        while self._store is not None:
            await real_sleep(BRING_IN_EVERY_S)
            done = False
            try:
                ends = self._store.begin_bringing_in()
                try:
                    await loop.run_in_executor(None, self._store.bring_in, ends)
                    done = True
                finally:
                    self._store.end_bringing_in(done)
            except StateError as error:
                self.environment.emit(events.StateError(reason=str(error)))

    async def keep_time(self) -> None:
        """Move every meter on just after each capture period of the process's clock."""
        while True:
            second = self.environment.now().timestamp()
            await self.environment.sleep(CAPTURE_PERIOD_S - second % CAPTURE_PERIOD_S + AFTER_THE_BOUNDARY_S)
            for meter in self.meters.values():
                self.advance(meter)
                await asyncio.sleep(0)  # the others' round

    def advance(self, meter: Meter) -> None:
        """One meter's captures that are due."""
        try:
            meter.advance(self.environment.now())
            self.write()
        except StateError as error:
            self.environment.emit(events.StateError(meter=meter.name, reason=str(error)))

    def finish(self) -> None:
        """A clean end for all meters."""
        for meter in self.meters.values():
            try:
                meter.finish(self.environment.now())
            except StateError as error:
                self.environment.emit(events.StateError(meter=meter.name, reason=str(error)))
        try:
            if self._store is not None:
                self._store.close()
        except StateError as error:
            self.environment.emit(events.StateError(reason=str(error)))
