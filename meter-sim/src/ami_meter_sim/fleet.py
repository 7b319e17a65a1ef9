"""All meters of the process: the live ones, what they report, the write that all of them share, and the scan for what is due.

Strategy: a meter is made when somebody asks for it and kept as long as who asked keeps it, so there is one live meter for a row or
none. Nothing runs by itself: one look at the column `next_due_at` finds the meters that have something to do, at most once a second
of the process's clock, and their work is done in portions between which connections are served.
"""

import asyncio
import gc
import os
import sys
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from weakref import WeakValueDictionary

from ami_dlms.association import ApduCounts
from ami_meter_sim import events
from ami_meter_sim.commit import Commit
from ami_meter_sim.faults import Faults
from ami_meter_sim.meter.member import Population
from ami_meter_sim.meter.memory import memory_of
from ami_meter_sim.meter.pushing_from_rows import Resting
from ami_meter_sim.meter.session import switched
from ami_meter_sim.meter.simulated_meter import Meter
from ami_meter_sim.population.columns import NO_DUE_TIME, Array
from ami_meter_sim.population.journal import StateUnusable
from ami_meter_sim.population.store import Store
from ami_process.environment import Environment, real_sleep
from ami_process.events import Event

SCAN_EVERY_S = 1.0
LONGEST_PAUSE_S = 3600.0
PORTION_S = 0.002
MOST_OF_A_PORTION = 256
"""Meters that are taken out of the column for it: more than there is time for."""
BRING_IN_EVERY_S = 1.0
NEW_OBJECTS, YOUNG_ROUNDS, ROUNDS_BEFORE_A_WHOLE_ONE = 20_000, 3, 100
"""The collector looks at what is new when there is so much of it, at what has outlived that after so many rounds, and at all after so many of those.

Meters and sessions go without it, so there is nothing to find; with the interpreter's 700 each dialogue pays for looking at all that are open.
"""
SWITCHED_AFTER_S = 0.0005


def die_at_once() -> None:
    """As a process that is killed."""
    os._exit(1)


def serve_evenly() -> None:
    """Set up the interpreter for a process that is nothing but meters: neither its collector nor a thread of it holds up the loop.

    What has been imported is not looked at again, and rounds over what is alive are rare, since meters go without them. The
    thread that brings the journal into SQLite gives the interpreter back after half a millisecond, and not after five.
    """
    gc.freeze()
    gc.set_threshold(NEW_OBJECTS, YOUNG_ROUNDS, ROUNDS_BEFORE_A_WHOLE_ONE)
    sys.setswitchinterval(SWITCHED_AFTER_S)


@dataclass(slots=True)
class Traffic:
    """What connections have carried since the process began. A frame holds one APDU, over HDLC a part of one."""

    sessions: int = 0
    open: int = 0
    frames_sent: int = 0
    octets_sent: int = 0
    octets_received: int = 0
    apdus: ApduCounts = field(default_factory=ApduCounts)
    """Whole ones, whatever carries them; what faults make of those that leave shows in the frames."""


def _born(meter: Meter) -> None:
    """Nothing follows."""


def _unknown_group(group: str) -> None:
    """Only a look at each meter can tell."""


class Fleet:
    """The meters of `[[meters]]`, which are kept alive, and those of populations, by their index in the store."""

    def __init__(
        self,
        meters: Sequence[Meter],
        environment: Environment,
        die: Callable[[], None] = die_at_once,
        faults: Faults | None = None,
        store: Store | None = None,
    ) -> None:
        self.meters = {meter.name: meter for meter in meters}
        self.populations: list[Population] = []
        self.faults = faults or Faults()
        self.traffic = Traffic()
        self.environment = environment
        self.die = die
        self.commit = Commit(self.write)
        self.store = store
        self._firsts: list[int] = []
        self._live: WeakValueDictionary[int, Meter] = WeakValueDictionary({one.row.index: one for one in meters})
        self._began_at = environment.now()
        self.when_live: Callable[[Meter], None] = _born
        """What is called with each meter of a population that is made."""
        self.members_of: Callable[[str], Sequence[range] | None] = _unknown_group
        """The indexes in the store of the meters of a group; None where only a look at each meter can tell."""
        self._sooner = asyncio.Event()
        self._wakes_at = 0.0

    # --- meters

    def keep(self, meters: Iterable[Meter]) -> None:
        """Keep these alive, by their names."""
        for meter in meters:
            self._live[meter.row.index] = self.meters[meter.name] = meter

    def add(self, population: Population, first: int) -> None:
        """The meters of a population are at `first` and the following indexes, behind those that were added before."""
        self.populations.append(population)
        self._firsts.append(first)

    @property
    def placed(self) -> Sequence[tuple[Population, int]]:
        """The populations, each with the index of its first meter."""
        return list(zip(self.populations, self._firsts, strict=True))

    def live(self, index: int) -> Meter:
        """The meter at this index of the store, which lives as long as somebody keeps it. Raises StateUnusable."""
        found = self._live.get(index)
        if found is None:
            if self.store is None:
                raise LookupError(index)
            number = bisect_right(self._firsts, index) - 1
            setup = self.populations[number].setup(index - self._firsts[number])
            memory = memory_of(self.store, index, self.planned)
            found = self._live[index] = Meter(setup, memory, self.environment.now(), self._began_at)
            self.when_live(found)
        return found

    def at_rest(self, index: int) -> Resting | None:
        """A meter of a population that is nothing but its row now; None for one that is live, or kept alive."""
        if self.store is None or index in self._live:
            return None
        number = bisect_right(self._firsts, index) - 1
        if number < 0:
            return None
        changed = frozenset([class_id for class_id, _, _ in self.store.kept.get(index, ())])
        return Resting(self.populations[number], index - self._firsts[number], self.store.row(index), changed)

    def find(self, name: str) -> Meter | None:
        """The meter of this name, of `[[meters]]` or of a population; None for a stranger."""
        found = self.meters.get(name)
        for population, first in zip(self.populations, self._firsts, strict=True):
            if found is None and (index := population.identities.index_of_name(name)) is not None:
                found = self.live(first + index)
        return found

    @property
    def alive(self) -> int:
        """How many meters are live."""
        return len(self._live)

    # --- what happens to them

    def report(self, event: Event) -> None:
        """Something that has happened, for who reads the events."""
        self.environment.emit(event)

    def report_moves(self, meter: Meter) -> None:
        """What the switch of a meter has done by itself or by a hand."""
        for one in switched(meter):
            self.report(one)

    # --- what outlives the process

    def make_room(self) -> None:
        """Before something is begun that has to be kept. Raises StateUnusable while nothing can be."""
        if self.store is not None:
            self.store.journal.make_room()

    def write(self) -> None:
        """Everything that has changed is on disk after this. Raises StateUnusable."""
        if self.store is not None:
            self.store.journal.write()

    async def keep_state(self) -> None:
        """Bring what the journal says into the store, once a second of the machine's time."""
        while self.store is not None:
            await real_sleep(BRING_IN_EVERY_S)
            try:
                await self._bring_in(self.store)
            except StateUnusable as error:
                self.environment.emit(events.StateError(reason=str(error)))

    async def _bring_in(self, store: Store) -> None:
        store.alive_at = int(self.environment.now().timestamp())
        done, ends = False, store.begin_bringing_in()
        work = asyncio.get_running_loop().run_in_executor(None, store.bring_in, ends)
        try:
            await asyncio.shield(work)
            done = True
        finally:
            if not work.done():  # the process ends: the store may be closed only after the thread has left it
                await asyncio.wait([work])
                done = work.exception() is None
            store.end_bringing_in(done)

    # --- time

    async def keep_time(self) -> None:
        """Do what is due, at the process's clock, for ever."""
        while self.store is not None:
            await self._until_due(self.store.columns.first_due())
            with self.environment.clock.hold():
                due = self.store.columns.due(int(self.environment.now().timestamp()))
                while due.size:
                    await asyncio.sleep(0)  # the others' round: to look at a million rows takes a portion as well
                    due = due[self._advance_some(due) :]

    def _advance_some(self, due: Array) -> int:
        """Do what is due at as many of these as fit into a portion, and say at how many.

        One that can't be made is reported, and the others go on.
        """
        ends, done, taken = self.environment.perf_counter() + PORTION_S, list[Meter](), 0
        for index in due[:MOST_OF_A_PORTION].tolist():
            taken += 1
            try:
                meter = self.live(index)
            except StateUnusable as error:
                self.environment.emit(events.StateError(reason=str(error)))
            else:
                done += [meter] if self._advanced(meter) else []
            if self.environment.perf_counter() >= ends:
                break
        self._report_after_write(done)
        return taken

    def advance(self, meter: Meter) -> None:
        """Do what is due at one meter."""
        if self._advanced(meter):
            self._report_after_write([meter])

    def _advanced(self, meter: Meter) -> bool:
        try:
            meter.advance(self.environment.now())
        except StateUnusable as error:
            self.environment.emit(events.StateError(meter=meter.name, reason=str(error)))
            return False
        return True

    def _report_after_write(self, meters: Sequence[Meter]) -> None:
        """One write for all of them, and then what their switches have done."""
        try:
            self.write()
        except StateUnusable as error:
            self.environment.emit(events.StateError(reason=str(error)))
            return
        for meter in meters:
            self.report_moves(meter)

    def planned(self, second: int) -> None:
        """A meter has something to do at this second, 0 for never: perhaps before all others."""
        if second != NO_DUE_TIME and second < self._wakes_at:
            self._sooner.set()

    async def _until_due(self, first: int) -> None:
        """Until the first meter has something to do, but for a second at least."""
        now = self.environment.now().timestamp()
        pause_s = LONGEST_PAUSE_S if first == NO_DUE_TIME else min(max(first - now, SCAN_EVERY_S), LONGEST_PAUSE_S)
        self._wakes_at = now + pause_s
        self._sooner.clear()
        tasks = [asyncio.ensure_future(one) for one in (self.environment.sleep(pause_s), self._sooner.wait())]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()

    def finish(self) -> None:
        """A clean end for all meters."""
        for meter in tuple(self._live.values()):
            try:
                meter.finish(self.environment.now())
            except StateUnusable as error:
                self.environment.emit(events.StateError(meter=meter.name, reason=str(error)))
        try:
            if self.store is not None:
                self.store.alive_at = int(self.environment.now().timestamp())
                self.store.close()
        except StateUnusable as error:
            self.environment.emit(events.StateError(reason=str(error)))
