"""The narrow ports of the engine: dispatch, waiting for an answer, events out.

Behind them is one process (`ami_hes.engine.embedded`), or later a broker and many workers; one test suite holds each engine to
the same contract. Everything that may be a call over a network is awaited. The truth is in the store (`ami_hes.store.ports`) and
not here. Delivery is at least once, so the order of the work is: save the result, save the answer, hand it on (a reply job, or
an event), mark it replied, and only then `done`; wherever that is interrupted, the job comes again.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple, Protocol, Self, TypeVar

from ami_hes.commands import CommandJob, Lane
from ami_hes.engine.charge import Charge
from ami_hes.engine.dialled_in_port import Claims
from ami_hes.store import Deliveries, Results, StoredRequest
from ami_process.environment import Environment


class Dispatched(Protocol):
    """What a job has to have, of whatever kind it is."""

    @property
    def request_id(self) -> str: ...

    @property
    def subject(self) -> str:
        """Two jobs with the same subject (a meter, a reply) are never in hand at once."""


@dataclass(frozen=True, slots=True)
class ReplyJob:
    """The answer of a request, to be posted to its reply address."""

    request_id: str
    address: str
    give_up_at: datetime
    rank: int = 2
    """What goes to one receiver goes by rank, the lowest first; what a life finds left by another has this one."""

    @classmethod
    def of(cls, request: StoredRequest, age: timedelta, since: datetime | None = None) -> Self:
        """For a request whose answer is owed; `age`: how long after the request, or since it was owed again, it is still posted."""
        asked_at = (
            max(request.accepted_at, request.deadline_at) if request.query.startswith("later ") else request.accepted_at
        )
        return cls(request.request_id, request.reply_address or "", (since or asked_at) + age)

    @property
    def subject(self) -> str:
        return self.request_id


ANSWERED = "requests.answered"
"""The subject of events whose id is that of a request that has its answer now."""

J = TypeVar("J", bound=Dispatched)
J_co = TypeVar("J_co", bound=Dispatched, covariant=True)


class Delivery(Protocol[J_co]):
    """A job in hand; it comes again until it is done."""

    @property
    def job(self) -> J_co: ...

    @property
    def redelivered(self) -> bool:
        """Whether a worker may have had it in hand before: then the store knows how far it got."""

    @property
    def attempts(self) -> int:
        """How often it was taken, this time included; what an engine has forgotten of it does not count."""

    async def done(self) -> None:
        """It is finished and never comes again."""

    async def again(self, after_s: float) -> None:
        """Bring it again after this many seconds."""


class CommandDelivery(Delivery[CommandJob], Protocol):
    """A command in hand."""

    @property
    def waited_s(self) -> float:
        """How long it was in this process before it was taken for the first time."""

    @property
    def meterless(self) -> bool:
        """Whether it was taken without its meter, which another command may have in hand."""

    async def free_meter(self) -> None:
        """The work on its meter is over, and the next command for it may be taken, although this one is not done yet."""

    async def afresh(self, after_s: float) -> None:
        """Bring it again after this many seconds, behind what waits by then, as one that was not attempted so far."""

    async def needs_meter(self) -> None:
        """A meterless one can't be done so: from now on it waits for its meter as any other, behind what waits already."""


class Jobs(Protocol[J]):
    """Dispatch of jobs that have a subject each: what is put is delivered. The same subject twice counts once."""

    async def put(self, jobs: Sequence[J]) -> None: ...

    async def take(self, limit: int) -> Sequence[Delivery[J]]:
        """At least one and at most `limit` deliveries; waits for the first."""

    async def pending(self) -> int:
        """How many jobs are not done yet."""


class LaneCounts(NamedTuple):
    """The commands of a lane that this process has."""

    waiting: int
    in_hand: int


GroupOf = Callable[[CommandJob], str]
"""The group of meters that a command belongs to; "" if none."""


def no_group(_: CommandJob) -> str:
    """Where no groups are set up."""
    return ""


Meterless = Callable[[CommandJob], bool]
"""Whether a command may be done without its meter, as what is answered from the store."""


def never_meterless(_: CommandJob) -> bool:
    """Where every command needs its meter."""
    return False


class Commands(Protocol):
    """Dispatch of commands in lanes: what is put is delivered, in order for the commands of one lane to one meter.

    Of one meter never two are in hand, in whatever lanes, and the next one is the first of the highest lane that waits. One that comes
    again later (`Delivery.again`) keeps back what is behind it in its lane, and no other lane. The same (request, meter) twice counts
    once. What needs no meter waits for none, and keeps none back: it is taken by `take_meterless`.
    """

    async def put(self, jobs: Sequence[CommandJob], *, again: bool = False) -> None:
        """`again`: a worker may have had them in hand before (`Delivery.redelivered`)."""

    async def take(self, lanes: Collection[Lane], limit: int, full: Collection[str] = ()) -> Sequence[CommandDelivery]:
        """At least one and at most `limit` of these lanes, those of higher lanes first; waits for the first.

        None of the groups that are `full`; the others take turns within a lane. Who is cancelled meanwhile has taken nothing.
        """

    async def take_meterless(self, limit: int) -> Sequence[CommandDelivery]:
        """At least one and at most `limit` of those that need no meter, those of higher lanes first; waits for the first."""

    async def cancel(self, request_id: str) -> Sequence[CommandDelivery]:
        """The commands of a request that are in no hand, so that none is begun any more; who cancels them ends them."""

    async def pending(self, lane: Lane) -> int:
        """How many of its commands are not done yet, in whatever process they are."""

    def here(self) -> Mapping[Lane, LaneCounts]:
        """Of each lane what this process has."""


class Stopping(Exception):
    """The engine is about to stop."""


class Answers(Protocol):
    """Waiting for the answer of an accepted request."""

    async def wait(self, request_id: str, within_s: float) -> bytes:
        """The answer as it is stored, whichever process has made it.

        Raises TimeoutError when there is none within these real seconds, Stopping, and LookupError for a request that is not kept. A
        store that is unavailable for a while is waited for as well.
        """

    def stop(self) -> None:
        """Waiting requests end, with Stopping."""


MISSED = "missed"
"""The subject of an event of this process alone: events of others may have been lost before."""

LOST = "lost"
"""Likewise: commands that were put may be in no lane any more, though nobody has had them. Those of paced requests are put again by who paces them."""

Listener = Callable[[str, bytes], None]


class Events(Protocol):
    """What others may want to know of."""

    async def publish(self, subject: str, event_id: str, body: bytes) -> None:
        """The same id of a subject twice counts once."""

    def listen(self, subject: str, listener: Listener) -> None:
        """Have it called with id and body of each event of a subject from now on, of whichever process."""


class Engine(Protocol):
    """All of them."""

    async def open(self) -> None:
        """Before any request is taken: have a part in the dispatch. Raises StoreUnavailable."""

    async def recover(self, paced: Collection[str] = ()) -> None:
        """By who is in charge, before any request is taken by a single process: what an earlier life left open is dispatched again.

        Commands without a result of `paced` requests are not: who made these puts their commands, as their lane has room.
        Raises StoreUnavailable.
        """

    @property
    def charge(self) -> Charge: ...

    @property
    def commands(self) -> Commands: ...

    @property
    def replies(self) -> Jobs[ReplyJob]: ...

    @property
    def answers(self) -> Answers: ...

    @property
    def events(self) -> Events: ...

    @property
    def claims(self) -> Claims:
        """How a meter that dials in becomes this process's."""


class MakeEngine(Protocol):
    """Make an engine on a store: how the composition root gets the one that it joins to the rest."""

    def __call__(
        self,
        results: Results,
        deliveries: Deliveries,
        environment: Environment,
        *,
        reply_age: timedelta,
        look_every_s: float,
        group_of: GroupOf = no_group,
        meterless: Meterless = never_meterless,
    ) -> Engine:
        """`reply_age`: how long after its request an answer is still posted; `look_every_s`: how often the store is searched for
        an answer that nothing has announced; `group_of`: by which groups commands are taken; `meterless`: which need no meter.
        """
