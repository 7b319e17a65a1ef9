"""The process itself: its start, its store, what an earlier life has left."""

from dataclasses import dataclass
from typing import ClassVar

from ami_process import events
from ami_process.events import Event, Severity


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready(events.Ready):
    """The process serves."""

    severity: ClassVar[Severity | None] = "info"

    datagram_buffer_octets: int
    """Receive buffer that the system grants the socket for pushes by UDP."""
    datagram_buffer_limited_by: str | None
    """The sysctl that keeps it smaller than `hes.datagram_buffer_octets`: set it to as much; null where nothing does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TracesLost(Event):
    """Rows of traces are lost; nothing else is."""

    severity: ClassVar[Severity | None] = "warning"

    rows: int
    """How many."""
    reason: str
    """Why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreOutage(Event):
    """The store takes nothing now; what can be refused is refused, the rest waits."""

    severity: ClassVar[Severity | None] = "error"

    store: str
    """Which."""
    reason: str
    """Of the database."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreOutageEnded(Event):
    """The store takes everything again."""

    severity: ClassVar[Severity | None] = "info"

    store: str
    """Which."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreBroughtBack(Event):
    """At the start: the store is an older copy, or a copy of another place, and the worst was assumed of it."""

    severity: ClassVar[Severity | None] = "warning"

    store: str
    """Which."""
    why: str
    """How it was recognised."""
    assumed: str
    """What was assumed of the time that is missing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovered(Event):
    """At the start: what a former life of the process left open goes on."""

    severity: ClassVar[Severity | None] = "info"

    requests: int
    """Requests without an answer."""
    commands: int
    """Their commands without a result."""
    replies: int
    """Replies that are owed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoveryFailed(Event):
    """A request of a former life of the process could not be taken up."""

    severity: ClassVar[Severity | None] = "error"

    message_id: str
    """Of the request."""
    exception: str | None = None
    """The traceback of the fault."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetters(Event):
    """At the start: replies that were given up."""

    severity: ClassVar[Severity | None] = "warning"

    replies: int
    """How many are kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Forgotten(Event):
    """Answers that were too old have been dropped from the store."""

    severity: ClassVar[Severity | None] = "info"

    requests: int
    """How many."""
