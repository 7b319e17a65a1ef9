"""The narrow ports to everything that must survive, and the plain values that pass through them.

This is the truth about requests, results and counters, whatever dispatches the work (`ami_hes.engine`): SQLite or
PostgreSQL behind one implementation. Dispatch is at least once, so the first result of a command and the first answer of a request are the ones that stay.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, Protocol

from ami_hes.commands import Command, CommandJob, Lane, Outcome
from ami_hes.store.device_events_port import StoredDeviceEvent
from ami_hes.store.guard_port import Gate

AT_ONCE = 500_000
"""Characters of payloads of a request that are handed out together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRequest:
    """An accepted request. `digest` says whether a second message with the same id asks for the same."""

    request_id: str
    digest: str
    verb: str
    noun: str
    source: str | None = None
    """Header.Source."""
    partner: str = "{}"
    """How its partner is read and answered, as it was then."""
    query: str = ""
    """What the noun needs to report it, in the noun's own form."""
    correlation_id: str
    reply_address: str | None
    """Where the answer goes; None if it goes back in the HTTP response."""
    accepted_at: datetime
    deadline_at: datetime
    """When the last of its commands has to have ended."""
    errors: str
    """What planning already found wrong, as the noun wrote it."""
    acknowledgement: bytes | None = None
    answer: bytes | None = None
    """The answer, or its first part."""
    result: str | None = None
    """Reply/result of the answer."""
    principal: str | None = None
    """Who asked for it; None for what the head-end makes by itself, which is not audited."""
    principal_by: str | None = None
    """How that is known (`ami_hes.askers`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredResult:
    """What came of one command, and when."""

    request_id: str
    meter_name: str
    """What the meter was called when the request was accepted."""
    outcome: Outcome
    took_ms: float
    finished_at: datetime
    event: StoredDeviceEvent | None = None
    """The end as an event of the meter, which is kept with it or not at all."""


@dataclass(frozen=True, slots=True)
class StoredCommand:
    """A command, and its result once there is one."""

    job: CommandJob
    attempted: bool = False
    """Whether what changes the meter may have left for it; kept from `attempt`."""
    result: StoredResult | None = None

    @property
    def command(self) -> Command:
        return self.job.command


class StoredAnswer(NamedTuple):
    """An answer as it is handed on."""

    result: str
    """Reply/result, of all parts."""
    octets: bytes
    """The answer, or its first part."""
    further: tuple[bytes, ...] = ()
    """The parts behind the first one, unless they are kept already."""
    kept: int = 0
    """How many parts behind the first one were kept while it was written (`Results.keep_part`)."""


class AnswerPart(NamedTuple):
    """A part of an answer, which is the whole of most."""

    number: int
    """From 1 on."""
    octets: bytes
    last: bool


@dataclass(frozen=True, slots=True)
class Completed:
    """A request whose commands all have their results, and which waits for nothing but an answer."""

    request: StoredRequest
    commands: tuple[StoredCommand, ...]
    """None where their payloads have more than `AT_ONCE` characters in sum; `Results.commands` gives them some at a time."""
    sizes: tuple[int, ...]
    """Characters of the payload of each command."""
    operations: frozenset[str]
    """Of all commands."""

    @property
    def is_whole(self) -> bool:
        """Whether the commands are there."""
        return sum(self.sizes) <= AT_ONCE


class NonceUsed(Exception):
    """Another request was accepted with the same nonce."""


class Results(Protocol):
    """The truth about requests and what came of them. Every method has committed when it returns.

    `save`, `answer` and `replied` record what has happened already: they wait for a store that does not take it now. All
    others raise StoreUnavailable.
    """

    @property
    def is_shared(self) -> bool:
        """Whether other processes work on the same store, and an attempt may be refused because a meter is one of theirs by now."""

    async def find(self, request_id: str) -> StoredRequest | None: ...

    async def accept(
        self,
        request: StoredRequest,
        commands: Sequence[CommandJob],
        nonce: str | None = None,
        gate: Gate | None = None,
    ) -> StoredRequest | None:
        """Keep a new request with its commands; None if that was done, else what is already kept under its id.

        Raises SpentId for an id whose request is forgotten, NonceUsed if a request with another id was accepted with this
        nonce, and of one that has a gate ControlsStopped and LimitReached: then nothing is kept.
        """

    async def note(self, request_id: str, query: str) -> None:
        """Keep this as the query of a request that is accepted and has no answer yet."""

    async def has_noted(self, noun: str, query: str) -> bool:
        """Whether a request of this noun is kept that has this query and was not answered with FAILED."""

    async def requests_at(
        self, noun: str, verbs: Collection[str], mrids: Collection[str], limit: int, *, is_open: bool
    ) -> list[StoredRequest]:
        """The latest requests of a noun and of these verbs that have a command for one of these meters; `is_open`: one without its result."""

    async def attempt(self, request_id: str, meter_name: str, begun_at: datetime, dialled_in: str = "") -> None:
        """What changes the meter is about to leave for it. What is in the store only then is known to every life.

        `dialled_in`: over a connection that the meter of this mRID (`mrid_key`) has opened to this process.

        Raises ControlsStopped: then it must not leave; and where processes share a store NotOwned, when the meter may be another one's by now, and when the command has been taken back.
        """

    async def save(self, results: Sequence[StoredResult]) -> list[Completed]:
        """Keep results (a command's first one stays), and hand back the requests of theirs that are complete with them."""

    async def take_back(self, results: Sequence[StoredResult]) -> frozenset[tuple[str, str]]:
        """Keep those of these results whose command has none and was never attempted, and say which, by request and meter; from then on it never is."""

    async def command(self, request_id: str, meter_name: str) -> StoredCommand | None: ...

    async def named(self, names: Collection[tuple[str, str]]) -> Mapping[tuple[str, str], StoredCommand]:
        """Those of these commands that are kept, by request id and by what their meter was called."""

    async def open_in_lanes(self) -> Mapping[Lane, int]:
        """How many commands have no result yet."""

    async def open_commands(self, request_id: str) -> list[StoredCommand]:
        """The commands of a request that have no result yet."""

    async def open_among(self, request_id: str, meter_names: Collection[str]) -> frozenset[str]:
        """Those of these meters whose command of a request has no result yet."""

    async def unanswered(self) -> list[str]:
        """The ids of requests that have no answer yet, oldest first."""

    async def completed(self, request_ids: Sequence[str]) -> list[Completed]:
        """Those of these requests that are complete and have no answer yet."""

    async def commands(self, request_id: str, first: int, end: int) -> list[StoredCommand]:
        """Some commands of a request in their order: from the one place to before the other."""

    async def keep_part(self, request_id: str, number: int, octets: bytes) -> None:
        """A part of an answer that is being written, from the second one on; it belongs to the one that is kept next."""

    async def answer(self, answers: Mapping[str, StoredAnswer], answered_at: datetime) -> None:
        """Keep answers by request (its first one stays); what goes to a reply address is owed from now on."""

    async def owed(self) -> list[str]:
        """The ids of requests whose answer was not taken at its reply address yet, oldest first."""

    async def next_part(self, request_id: str) -> AnswerPart | None:
        """The first part of an answer that was not taken yet; None if there is none."""

    async def part_taken(self, request_id: str, number: int) -> None:
        """The reply address has taken this part and those before it; waits for a store that does not take it now."""

    async def replied(self, request_id: str, taken_at: datetime) -> None:
        """The reply address has taken the answer."""

    async def forget(self, answered_before: datetime, *, ids_kept: int) -> int:
        """Drop old requests that owe nothing, but not their ids, of which the latest `ids_kept` stay; how many."""

    async def drop(self, request_ids: Sequence[str], *, ids_kept: int) -> int:
        """Drop these as `forget` does, if they are dead letters, whatever their age; how many."""


@dataclass(frozen=True, slots=True)
class FailedDelivery:
    """A reply that its receiver has not taken, counted over restarts; a dead letter once it is given up."""

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

    async def owed_since(self, request_id: str) -> datetime | None:
        """When it was owed again, after it was taken or given up; None if it never was."""

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
    """Our invocation counters, one per key. What is handed out is committed before and never handed out twice."""

    async def reserve_counters(self, key_id: str, at_least: int, count: int) -> CounterRange:
        """The next `count` values that are not below `at_least`; raises CountersExhausted past 2**32 - 1."""

    async def try_counters(self, key_id: str, at_least: int, count: int, *, max_jump: int) -> CounterRange | None:
        """Values for a claim that is not proved: they are spent, and `reserve_counters` goes on where it is.

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

    async def keep(self, key: ReceivedKey, lowest_acceptable: int) -> bool:
        """Committed when it returns; whether it is higher than what was kept, by whichever process: otherwise nothing has changed. Raises StoreUnavailable."""


class ScalerUnits(Protocol):
    """The scaler_units of each meter that were read first, as text. Every method raises StoreUnavailable."""

    async def load(self) -> dict[str, str]:
        """By logical device name."""

    async def keep(self, device: str, scaler_units: str) -> None:
        """Committed when it returns; in the place of those that were kept."""

    async def forget(self, device: str) -> None: ...
