"""What is asked of one meter, and what truthfully came of it: the values that jobs, the store, nouns and operations share.

They name no noun and no kind of meter object: an operation is a word, its body and its payload are text that only the
operation of that name (`ami_hes.served.OPERATIONS`) and the noun that asked for it can read.
"""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class MeterId:
    """Which meter is meant: the mRID decides, whatever the meter is called by now; `name` is what it was called."""

    name: str
    mrid: str


@dataclass(frozen=True, slots=True)
class Command:
    """One operation on one meter. A request has at most one for each meter."""

    request_id: str
    meter: MeterId
    operation: str
    """A row of `OPERATIONS`."""
    body: str
    """What the operation needs to know beside the meter, in its own form; short."""


class Lane(StrEnum):
    """Which commands are worked before which: a control before a read, a read before a campaign. The store keeps the word."""

    CONTROL = "control"
    READ = "read"
    CAMPAIGN = "campaign"


@dataclass(frozen=True, slots=True)
class CommandJob:
    """A command to be carried out: in which lane, and by when it has to end."""

    command: Command
    lane: Lane
    deadline_at: datetime

    @property
    def request_id(self) -> str:
        return self.command.request_id

    @property
    def subject(self) -> str:
        """Of two jobs of one meter never both are in hand, unless one needs no meter."""
        return self.command.meter.name


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a command.

    `ok` only when the meter said so and was seen so. An OK with a `code` (0.0) has something to add that the requester
    must read. `attempted`: what changes the meter may have reached it, in this life of the process or an earlier one.
    """

    ok: bool
    code: str | None = None
    """Reply/Error/code."""
    level: str | None = None
    reason: str = ""
    payload: str = ""
    """What was read or seen, in the operation's own form."""
    attempted: bool = False
    again: bool = False
    """Whether another attempt may end better and cannot do harm; not kept."""
    goes_on_s: float | None = None
    """No end, but work that came a step further and goes on so many seconds later; it is no attempt in vain. Not kept."""
    values: int | None = field(default=None, compare=False)
    """How many values the payload has, where that was counted when it was written; not kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlEnd:
    """How a control has ended at its meter, for who wants events of it."""

    command: Command
    control_type: str
    """EndDeviceControlType."""
    event_type: str | None
    """EndDeviceEventType; None where there is none for this end."""
    ok: bool
    reply_code: str | None
    attempted: bool
    reason: str
    at: datetime
    late: bool = False
    """Whether it is an answer of the meter that came after the command had its end."""
