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
class TelemetryLost(Event):
    """Spans for the collector of OpenTelemetry are lost; nothing else is."""

    severity: ClassVar[Severity | None] = "warning"

    spans: int
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
class EngineOutage(Event):
    """NATS can't be reached: nothing new is dispatched, and what needs room in a lane is refused."""

    severity: ClassVar[Severity | None] = "error"

    servers: str
    """Where they are."""
    reason: str
    """What has happened."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineOutageEnded(Event):
    """NATS is there again, and what was accepted meanwhile is dispatched."""

    severity: ClassVar[Severity | None] = "info"

    servers: str
    """Where they are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChargeTaken(Event):
    """This front end is the one from now on that runs schedules and campaigns, posts replies and events, and carries out what waits for its time."""

    severity: ClassVar[Severity | None] = "info"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChargeLost(Event):
    """It is not any more, since its connection to the store was lost; another front end takes that over."""

    severity: ClassVar[Severity | None] = "warning"


@dataclass(frozen=True, slots=True, kw_only=True)
class HintFailed(Event):
    """What another process has changed was not taken over, by a fault of ours: it is with the next start of this one."""

    severity: ClassVar[Severity | None] = "error"

    subject: str
    """What it was about."""
    exception: str
    """A fault of ours: its traceback."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionsTaken(Event):
    """The process works further partitions of the meters from now on."""

    severity: ClassVar[Severity | None] = "info"

    partitions: int
    """How many it has taken."""
    owned: int
    """How many it has now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionsGiven(Event):
    """The process has given partitions of the meters to others, since there are more workers."""

    severity: ClassVar[Severity | None] = "info"

    partitions: int
    """How many it has given."""
    owned: int
    """How many it has now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionsLost(Event):
    """The process has lost its connection to the store, and with it its partitions: others take them."""

    severity: ClassVar[Severity | None] = "warning"

    partitions: int
    """How many it had."""


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
