"""The narrow port to what has happened to meters (EndDeviceEvents), and the plain values that pass through it.

An event is kept once: its id follows from what it is. An alarm is open from the moment that its bit is seen until it is seen cleared, and is
one event for as long. What is new and what has ended waits as a change until it was handed on to subscribers.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, NamedTuple, Protocol

ChangeVerb = Literal["created", "closed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredDeviceEvent:
    """Something that has happened to a meter."""

    event_id: str
    """Its mRID; the same for the same event, however often and by whichever way it comes."""
    mrid: str
    """The meter."""
    meter_name: str
    """As it was called then."""
    code: str
    """EndDeviceEventType."""
    source: str
    """`alarm`, `log`, `push` or `control`."""
    created_at: datetime
    by_meter: bool
    """Whether `created_at` is of the meter's clock; else it is when the head-end received it."""
    received_at: datetime
    secured: bool
    """Whether the keys of the meter vouch for it."""
    reason: str = ""
    """What it is, for people."""
    details: str = "[]"
    """Names and values of EndDeviceEventDetails, as JSON."""
    issuer_id: str | None = None
    issuer_tracking_id: str | None = None
    """Of an event that a request has brought about: its CorrelationID."""
    alarm: str | None = None
    """Register and bit of an alarm, which is open until it is seen cleared."""
    closed_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Happened:
    """What one message of a meter says: events, and alarms that are seen not to be set (any more)."""

    mrid: str
    at: datetime
    events: Sequence[StoredDeviceEvent] = ()
    cleared: Sequence[str] = ()
    of_request: str | None = None
    """The request that has brought it about: its source and its CorrelationID go along (issuerID, issuerTrackingID)."""


class EventChange(NamedTuple):
    """An event that is new, or has ended."""

    number: int
    """Ascending in the order in which they were kept; those that wait have numbers of their own."""
    verb: ChangeVerb
    event: StoredDeviceEvent


@dataclass(frozen=True, slots=True, kw_only=True)
class EventQuery:
    """Which events; what is None or empty is not asked for. `code_tails` are codes without their device type: of both lists one has to fit."""

    mrids: Sequence[str] = ()
    event_ids: Sequence[str] = ()
    codes: Sequence[str] = ()
    code_tails: Sequence[str] = ()
    since: datetime | None = None
    until: datetime | None = None
    """Excluded."""
    open_alarms: bool = False
    """Those alone that have not ended."""
    most: int = 1_000
    offset: int = 0
    newest_first: bool = False


class DeviceEvents(Protocol):
    """Every method has committed when it returns, or raises StoreUnavailable."""

    async def keep(self, happened: Happened) -> None:
        """Those that are not kept yet, and the ends of alarms; what comes at once shares a transaction."""

    async def changes(self, most: int, first: Sequence[Sequence[str]] = ()) -> list[EventChange]:
        """Those that were not handed on, the oldest first; before all others those of `first`, rank by rank.

        A rank names codes without their device type; a name that ends in a dot is a whole domain.
        """

    async def waiting(self, first: Sequence[Sequence[str]] = ()) -> list[int]:
        """How many were not handed on, of each rank and of all others."""

    async def all_handed_on(self) -> None:
        """Strike off all of them, unseen: nobody is told of any."""

    async def handed_on(self, numbers: Sequence[int]) -> None:
        """These changes wait no longer."""

    async def changes_after(self, number: int, most: int) -> list[EventChange]:
        """The oldest behind this one, handed on or not."""

    async def latest_change(self) -> int:
        """Its number; 0 where there is none."""

    async def log_marks(self, mrid: str) -> dict[str, datetime]:
        """By log, the latest entry that was read of this meter, by its clock."""

    async def mark_log(self, mrid: str, log: str, *, seen_at: datetime, read_at: datetime) -> None:
        """The entries of this log up to this moment are kept."""

    async def find(self, query: EventQuery) -> list[StoredDeviceEvent]:
        """By time; of one moment by id."""

    async def forget(self, before: datetime) -> int:
        """Drop what was received before, open alarms and the latest change excepted; how many."""
