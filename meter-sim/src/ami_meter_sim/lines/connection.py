"""One client seen from the meters that serve it, whatever carries the octets: effects of a session, carried out in order.

Strategy: the session is made when the first octets come, so an open connection that says nothing costs next to nothing.
Effects are taken from the session one at a time; a pause, or a client that does not read, suspends them where they are. What is
sent is held until the journal has it, see `ami_meter_sim.commit`.
"""

import asyncio
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ami_meter_sim import events
from ami_meter_sim.effects import Die, Effect, HangUp, Report, Send, Wait
from ami_meter_sim.fleet import Fleet
from ami_meter_sim.lines.addresses import Behind
from ami_meter_sim.meter.communication import WRAPPER, CommunicationProfile
from ami_meter_sim.meter.session import Session
from ami_meter_sim.population.journal import StateUnusable
from ami_process.environment import real_time, real_timer

HELD_OCTETS = 0x20000
"""The number that may wait to leave before the session has to."""
MOST_BACKLOG = 64
"""Portions that wait while the session does; more are dropped."""
INACTIVITY_S = 120.0
"""The default of attribute 8 of class 23: a link of HDLC is gone after it."""


@dataclass(frozen=True, slots=True)
class Service:
    """What every connection to one address is served with."""

    fleet: Fleet
    communication: CommunicationProfile = WRAPPER
    inactivity_s: float = INACTIVITY_S


class Connection(ABC):
    """One client of some meters. `since`: when it was last heard, by the machine's clock."""

    __slots__ = (
        "_backlog",
        "_effects",
        "_end",
        "_held",
        "_held_octets",
        "_resume",
        "_service",
        "_session",
        "open",
        "since",
        "spoken",
    )

    def __init__(self, service: Service) -> None:
        self.since = real_time()
        self.spoken = False
        self.open = True
        self._service = service
        self._session: Session | None = None
        self._effects: Iterator[Effect] | None = None
        self._resume: asyncio.TimerHandle | None = None
        self._backlog: deque[bytes] | None = None
        self._held: list[bytes] = []
        self._held_octets = 0
        self._end: Callable[[], None] | None = None

    # --- what others see of it

    @property
    def associated(self) -> bool:
        """Whether an association is open."""
        return self._session is not None and self._session.associated

    @property
    def busy(self) -> bool:
        """Whether something it asked for is not done yet."""
        return self._effects is not None

    @property
    def pausing(self) -> bool:
        """Whether the meter itself makes it wait."""
        return self._resume is not None

    def hang_up(self) -> None:
        """End it; what has not left yet is lost."""
        self.lost()
        self._close()

    def lost(self) -> None:
        """The other end is gone, or we are: nothing more comes of it."""
        if self.open and self._session is not None:
            self._service.fleet.traffic.open -= 1
        self.open = False
        self._effects = None
        self._backlog = None
        self._held.clear()
        if self._resume is not None:
            self._resume.cancel()
            self._resume = None

    def inactive(self, at: float) -> None:
        """It is looked at once a second: an HDLC link that was silent for too long is gone."""
        if self._session is not None and self._effects is None and self.since + self._service.inactivity_s <= at:
            self._effects = self._session.inactive()
            self._go_on()

    # --- octets of the client

    def take(self, octets: bytes) -> None:
        """React to octets; those that come while it is busy are looked at afterwards."""
        self.since = real_time()
        self.spoken = True
        self._service.fleet.traffic.octets_received += len(octets)
        if self._effects is None:
            self._go_on(octets)
            return
        if self._backlog is None:
            self._backlog = deque()
        if len(self._backlog) < MOST_BACKLOG:
            self._backlog.append(octets)

    def _made(self) -> Session:
        if self._session is None:
            environment, traffic = self._service.fleet.environment, self._service.fleet.traffic
            traffic.sessions += 1
            traffic.open += 1
            self._session = Session(
                self._behind(),
                now=environment.now,
                random_bytes=environment.random_bytes,
                communication=self._service.communication,
                faults=self._service.fleet.faults,
                counts=traffic.apdus,
            )
        return self._session

    # --- effects of the session

    def _go_on(self, octets: bytes | None = None) -> None:
        """Go on with the effects there are, or with those of `octets`, until one has to wait; then with the backlog."""
        try:
            while octets is not None or self._effects is not None:
                if octets is not None:
                    self._effects = self._made().receive_data(octets)
                if self._suspended():
                    break
                octets = self._backlog.popleft() if self._backlog else None
        except StateUnusable as error:
            self._service.fleet.report(events.StateError(reason=str(error)))
            self._end = self._close
        if self._held or self._end is not None:
            self._service.fleet.commit.hold(self)
        self._mind_reading()

    def _suspended(self) -> bool:
        """Carry out effects; False when all of them are done."""
        for effect in self._effects or ():
            if self._suspends(effect):
                return True
        self._effects = None
        return False

    def _suspends(self, effect: Effect) -> bool:
        """Make it happen; whether the next one has to wait."""
        if isinstance(effect, Send):
            return self._hold(effect.octets)
        if isinstance(effect, Report):
            self._service.fleet.report(effect.event)
            return False
        match effect:
            case Wait(seconds):
                self._resume = real_timer(real_time() + seconds, self._waited)
            case HangUp(abrupt):
                self._end = self._reset if abrupt else self._close
            case Die():
                self._end = self._die
        return True

    def _hold(self, octets: bytes) -> bool:
        """They leave after the write; whether so much is held that the rest has to wait."""
        self._held.append(octets)
        traffic = self._service.fleet.traffic
        traffic.frames_sent += 1
        traffic.octets_sent += len(octets)
        self._held_octets += len(octets)
        return self._held_octets > HELD_OCTETS

    def _die(self) -> None:
        self._service.fleet.die()
        self._close()

    def _waited(self) -> None:
        self._resume = None
        self.since = real_time()
        self._go_on()

    # --- after the write of the turn

    def leave(self) -> None:
        """What is held leaves; then the rest of what the session wants goes on."""
        if not self.open:
            return
        if self._held:
            held, self._held, self._held_octets = self._held, [], 0
            self._write(held)
        if self._end is not None:
            self.lost()
            self._end()
        else:
            self._go_on_if_possible()

    def _go_on_if_possible(self) -> None:
        """With what was suspended, unless the meter pauses or the client does not read."""
        if self._effects is not None and self._resume is None and not self._held and not self._choked:
            self._go_on()

    def abandon(self, reason: str) -> None:
        """What was answered is not on disk."""
        self._service.fleet.report(events.StateError(reason=reason))
        if self.open:
            self.hang_up()

    # --- what carries the octets

    @property
    def _choked(self) -> bool:
        """Whether the client does not take what was written."""
        return False

    @abstractmethod
    def _mind_reading(self) -> None:
        """While it is busy, what the client says can wait, if the carrier lets it wait."""

    @abstractmethod
    def _behind(self) -> Behind:
        """The meters that serve it; StateUnusable when they can't be made."""

    @abstractmethod
    def _write(self, frames: list[bytes]) -> None:
        """Send them."""

    @abstractmethod
    def _close(self) -> None:
        """End the connection; what was written still leaves."""

    def _reset(self) -> None:
        """End it without a farewell, if the carrier can."""
        self._close()
