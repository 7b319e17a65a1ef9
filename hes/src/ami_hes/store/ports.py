"""The narrow ports to everything that must survive, and the plain values that pass through them.

The embedded HES has one engine behind them (SQLite for the truth, a queue in memory for dispatch); a HES of many workers
will have PostgreSQL and a broker. One test suite holds both to the same contract. Deliveries come at least once:
who works on a job has to bear it twice, and the first result of a command is the one that stays.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple, Protocol


class Lane(StrEnum):
    """Kinds of work that must not stand in each other's way; each has its own room."""

    CONTROLS = "controls"
    REPLIES = "replies"


@dataclass(frozen=True, slots=True)
class Job:
    """Something to do. Two jobs of one lane with the same subject (a meter, a reply) are never in hand at once."""

    lane: Lane
    request_id: str
    subject: str
    body: str
    """What to do, in a word: the control code, or the address that a reply goes to."""
    deadline_at: datetime | None = None
    mrid: str = ""
    """Which meter is meant, whatever it is called by now."""
    recovered: bool = False
    """Whether an earlier life of the process accepted it."""
    attempted: bool = False
    """Whether its control may have left for the meter in an earlier life of the process."""


class Delivery(Protocol):
    """A job in hand; it comes again until it is done."""

    @property
    def job(self) -> Job: ...

    def done(self) -> None:
        """It is finished and never comes again."""

    def again(self, after_s: float) -> None:
        """Bring it again after so many seconds."""


class Jobs(Protocol):
    """Dispatch: what is put is delivered, in order for one subject; the same (request, subject) twice counts once."""

    async def put(self, jobs: Sequence[Job]) -> None: ...

    async def take(self, lane: Lane, limit: int) -> list[Delivery]:
        """At least one and at most `limit` deliveries; waits for the first."""

    def pending(self, lane: Lane) -> int:
        """How many jobs are not done yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRequest:
    """An accepted request. `digest` tells whether a second message with the same id asks for the same."""

    request_id: str
    digest: str
    noun: str
    correlation_id: str
    reply_address: str | None
    """Where the answer goes; None if it goes back in the HTTP response."""
    accepted_at: datetime
    deadline_at: datetime
    errors: str
    """What planning already found wrong, as the noun wrote it."""
    acknowledgement: bytes | None = None
    answer: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredResult:
    """What came of one command. `detail` is for people and logs (states before and after), as JSON."""

    request_id: str
    meter_name: str
    ok: bool
    reply_code: str | None
    level: str | None
    reason: str
    attempted: bool
    took_ms: float
    detail: str
    finished_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredCommand:
    """One control for one meter, and its result once there is one."""

    request_id: str
    meter_name: str
    mrid: str
    control_code: str
    attempted: bool = False
    """Whether the control may have left for the meter; kept from `attempt`."""
    result: StoredResult | None = None


@dataclass(frozen=True, slots=True)
class Completed:
    """A request whose commands all have their results, and which waits for nothing but an answer."""

    request: StoredRequest
    commands: tuple[StoredCommand, ...]


class NonceUsed(Exception):
    """Another request was accepted with the same nonce."""


class Results(Protocol):
    """The truth about requests and what came of them. Every method has committed when it returns.

    `save`, `answer` and `replied` tell what has happened already: they wait for a store that does not take it now. All
    others raise StoreUnavailable.
    """

    async def find(self, request_id: str) -> StoredRequest | None: ...

    async def accept(
        self, request: StoredRequest, commands: Sequence[StoredCommand], nonce: str | None = None
    ) -> StoredRequest | None:
        """Keep a new request with its commands; None if that was done, else what is already kept under its id.

        Raises SpentId for an id whose request is forgotten, and NonceUsed if a request with another id was accepted with this
        nonce.
        """

    async def attempt(self, request_id: str, meter_name: str, begun_at: datetime) -> None:
        """The command's control is about to leave for its meter. What is in the store only then is known to every life."""

    async def save(self, results: Sequence[StoredResult]) -> list[Completed]:
        """Keep results (a command's first one stays), and hand back the requests of theirs that are complete with them."""

    async def open_commands(self) -> list[StoredCommand]:
        """All commands that have no result yet."""

    async def unanswered(self) -> list[StoredRequest]:
        """Requests that have no answer yet, oldest first."""

    async def completed(self, request_ids: Sequence[str]) -> list[Completed]:
        """Those of these requests that are complete and have no answer yet."""

    async def answer(self, request_id: str, octets: bytes, answered_at: datetime) -> None:
        """Keep the answer of a request (its first one stays); if it goes to a reply address, it is owed from now on."""

    async def owed(self) -> list[StoredRequest]:
        """Requests whose answer was not taken at its reply address yet, oldest first."""

    async def replied(self, request_id: str, taken_at: datetime) -> None:
        """The reply address has taken the answer."""

    async def forget(self, answered_before: datetime, *, ids_kept: int) -> int:
        """Drop old requests that owe nothing, but not their ids, of which the latest `ids_kept` stay; how many."""


@dataclass(frozen=True, slots=True)
class FailedDelivery:
    """A reply that its receiver did not take, over all lives of the process; a dead letter once it is given up."""

    request_id: str
    attempts: int
    first_failed_at: datetime
    last_reason: str
    given_up_at: datetime | None = None


class Deliveries(Protocol):
    """What became of posting replies, as long as they were not taken."""

    async def failed(self, request_id: str, reason: str, failed_at: datetime) -> FailedDelivery:
        """Count one more attempt that failed."""

    async def give_up(self, request_id: str, reason: str, given_up_at: datetime) -> None:
        """Make it a dead letter: it is not owed any more, and kept like any other answer."""

    async def find(self, request_id: str) -> FailedDelivery | None: ...

    async def dead_letters(self) -> int:
        """How many are kept."""


class SpentId(Exception):
    """A request with this id was accepted before, and what came of it is not kept any more."""

    def __init__(self, accepted_at: datetime) -> None:
        super().__init__(f"accepted at {accepted_at.isoformat()}")
        self.accepted_at = accepted_at


class CounterRange(NamedTuple):
    """Invocation counters that belong to the caller alone: `first` up to, not including, `limit`."""

    first: int
    limit: int


class Counters(Protocol):
    """Our invocation counters, one a key. What is handed out is committed before and never handed out twice."""

    async def reserve_counters(self, key_id: str, at_least: int, count: int) -> CounterRange:
        """The next `count` values that are not below `at_least`; raises CountersExhausted past 2**32 - 1."""

    async def try_counters(self, key_id: str, at_least: int, count: int, *, max_jump: int) -> CounterRange | None:
        """Values for a claim that nobody has proved: they are spent, and `reserve_counters` goes on where it is.

        None when it goes on above the claim anyway; raises ClaimTooHigh when the claim is more than `max_jump` above it.
        A key that was never used may begin anywhere in its lower half.
        """


class CountersExhausted(Exception):
    """The key has used up its invocation counters; the meter needs a new key."""


class ClaimTooHigh(Exception):
    """A claim that is not believed; the text is for a person."""

    def __init__(self, claimed: int, ours: int, highest: int) -> None:
        super().__init__(
            f"the meter says that it takes no counter below {claimed}; ours is {ours}, and nothing above {highest} is believed"
        )


class ReceivedKey(NamedTuple):
    """Which of the meters' invocation counters: the device, its key, and the kind of frames."""

    device: str
    key_id: str
    channel: str


class ReceivedCounters(Protocol):
    """The meters' invocation counters, as the lowest value of each that was not accepted yet."""

    async def load(self) -> dict[ReceivedKey, int]: ...

    async def keep(self, key: ReceivedKey, lowest_acceptable: int) -> None:
        """Committed when it returns; a value that is lower than the kept one changes nothing. Raises StoreUnavailable."""
