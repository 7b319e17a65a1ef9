"""What happens, for all who observe it, as it is reported: streams with bounds, and counts for metrics."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from ami_meter_sim import events
from ami_process.events import Emit, Event

MOST_WAITING = 1000
"""Events that wait for a reader that is slow; more are dropped, and counted."""
MOST_READERS = 20


class TapFull(Exception):
    """As many read along as can."""


@dataclass(slots=True, eq=False)
class TapReader:
    """One who reads along."""

    waiting: asyncio.Queue[Event] = field(default_factory=lambda: asyncio.Queue(MOST_WAITING))
    more: asyncio.Event = field(default_factory=asyncio.Event)
    """Something waits that did not before; the reader clears it."""
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    """The process goes, and nothing more comes."""
    dropped: int = 0

    def take_dropped(self) -> int:
        """How many were dropped since the last time."""
        dropped, self.dropped = self.dropped, 0
        return dropped


class Tap:
    """A sink of events that hands each on to the sink of the process."""

    def __init__(self, emit: Emit) -> None:
        self._emit = emit
        self._readers: set[TapReader] = set()
        self._own: set[TapReader] = set()
        self.associations: Counter[str] = Counter()
        self.pushes: Counter[tuple[str, str]] = Counter()

    def __call__(self, event: Event) -> None:
        self._emit(event)
        if isinstance(event, events.Association):
            self.associations[event.what] += 1
        elif isinstance(event, events.Pushed):
            self.pushes[event.transport, "sent"] += 1
        elif isinstance(event, events.PushFailed):
            self.pushes[event.transport, "failed"] += 1
        if not self._readers and not self._own:
            return
        for reader in (*self._readers, *self._own):
            try:
                reader.waiting.put_nowait(event)
            except asyncio.QueueFull:
                reader.dropped += 1
            reader.more.set()

    def end(self) -> None:
        """Nothing more comes: the process goes."""
        for reader in self._readers:
            reader.ended.set()

    @property
    def full(self) -> bool:
        """Whether no one more can read along."""
        return len(self._readers) >= MOST_READERS

    @contextmanager
    def follow(self) -> Iterator[TapReader]:
        """Read along without a bound, for the process itself, which keeps up."""
        reader = TapReader(asyncio.Queue())
        self._own.add(reader)
        try:
            yield reader
        finally:
            self._own.discard(reader)

    @contextmanager
    def watch(self) -> Iterator[TapReader]:
        """Read along for the process itself, which looks now and then and is told what it has missed."""
        reader = TapReader()
        self._own.add(reader)
        try:
            yield reader
        finally:
            self._own.discard(reader)

    @contextmanager
    def read(self) -> Iterator[TapReader]:
        """Read along as long as this is entered. TapFull."""
        if self.full:
            raise TapFull(f"{MOST_READERS} read along already")
        reader = TapReader()
        self._readers.add(reader)
        try:
            yield reader
        finally:
            self._readers.discard(reader)
