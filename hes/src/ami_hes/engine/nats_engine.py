"""The engine of many processes: dispatch by NATS, ownership of partitions by the store, and the truth in the store as ever.

A front end takes requests; the one that is in charge (`ami_hes.engine.charge`) posts replies, and puts again what is open, at its beginning and wherever the
streams have lost it. A listener works the meters that dial into it; a front end may be one as well. A worker has a share of the partitions of all other meters. A process that finds its connection to the store renewed has
lost its partitions with the old one, and takes none before everything that it had in hand is over.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta

from ami_hes import events
from ami_hes.commands import CommandJob, Lane
from ami_hes.engine.charge import Charge
from ami_hes.engine.dialled_in_commands import DialledInMeters
from ami_hes.engine.holding import Holding
from ami_hes.engine.memory_commands import MemoryCommands
from ami_hes.engine.memory_events import MemoryEvents
from ami_hes.engine.memory_queue import MemoryQueue
from ami_hes.engine.nats_charge import NatsCharge
from ami_hes.engine.nats_commands import NatsCommands, Needs, PartitionOf, nothing_needed
from ami_hes.engine.nats_link import NatsLink, Standing
from ami_hes.engine.partitions import ALL, DIALLED_IN, FRONT, LINES, PARTITIONS, fair_share, too_many
from ami_hes.engine.ports import (
    ANSWERED,
    LOST,
    MISSED,
    Delivery,
    GroupOf,
    Meterless,
    ReplyJob,
    never_meterless,
    no_group,
)
from ami_hes.engine.recovery import Recovery
from ami_hes.engine.stored_answers import StoredAnswers
from ami_hes.store import Deliveries, NotOwned, Ownership, Results, StoreUnavailable
from ami_process.environment import Environment, real_sleep

LOOK_EVERY_S = 1.0
"""How often a process looks after its partitions: so soon those of a dead one are taken."""
PUT_AGAIN_EVERY_S = 60.0
DRAINED_EVERY_S = 0.05
LONGEST_EVENT, LONGEST_ID = 10_000, 500
UNPACED = (Lane.CONTROL, Lane.READ)
"""Lanes of which whatever is open is to be in its stream; campaigns and schedules put theirs as there is room."""

_EVENTS, _REPLIES = "events", "replies"


class Everything:
    """A process that is all of it; what the contract of the port asks for."""

    fixed: frozenset[int] | None = frozenset({*ALL, FRONT})
    """What it tries to have; None: its share of what workers have."""
    is_front = True
    listens = True


class Front(Everything):
    """A front end, which meters dial into as well."""

    fixed = frozenset({DIALLED_IN, LINES, FRONT})


class FrontAlone(Everything):
    """A front end that meters do not dial into."""

    fixed = frozenset({FRONT})
    listens = False


class Listener(Everything):
    """What meters dial into, and those on serial lines of its machine are worked by."""

    fixed = frozenset({DIALLED_IN, LINES})
    is_front = False


class Worker(Everything):
    """A worker: as many partitions as are its share."""

    fixed = None
    is_front = False
    listens = False


@dataclass(frozen=True, slots=True)
class Sharing:
    """What a process has a part in: the connection, the ownership, its role, and where a command belongs."""

    link: NatsLink
    ownership: Ownership
    role: type[Everything]
    partition_of: PartitionOf
    taken_over: Callable[[], Awaitable[None]]
    """Called before anything of partitions that are new here is worked: what is known of their meters may be old."""
    leave: Callable[[], Awaitable[None]]
    """Called before partitions are given to others."""
    dialled_in: DialledInMeters
    needs: Needs = nothing_needed
    """Called with commands that have come, before anything is asked of their meters, and with what gives all that are here. Raises StoreUnavailable."""
    has_lines: bool = True
    """Whether the serial lines of the configuration are at this machine."""


class NatsEvents:
    """The Events port: who listens in any process is called."""

    def __init__(self, link: NatsLink) -> None:
        self._link = link
        self._here = MemoryEvents()
        self.listen = self._here.listen

    async def open(self) -> None:
        """From now on those of others are heard."""
        await self._link.listen(_EVENTS, self._heard)

    async def publish(self, subject: str, event_id: str, body: bytes) -> None:
        await self._here.publish(subject, event_id, body)
        said = json.dumps({"subject": subject, "id": event_id, "body": body.decode("latin-1")})
        await self._link.say(_EVENTS, said.encode())

    def missed(self) -> None:
        """Those of others may have been lost."""
        self._here.call(MISSED, "", b"")

    def lost(self) -> None:
        """Commands of this system may have been lost."""
        self._here.call(LOST, "", b"")

    async def _heard(self, said: bytes) -> None:
        with suppress(ValueError, KeyError, TypeError):
            event = json.loads(said[:LONGEST_EVENT])
            await self._here.publish(str(event["subject"]), str(event["id"]), str(event["body"]).encode("latin-1"))


class HandedReplies:
    """The Jobs port of replies: those that are put are in the queue of the process in charge, which finds them in the store once it is told."""

    def __init__(self, link: NatsLink, charge: Charge) -> None:
        self._link = link
        self._charge = charge
        self._queue: MemoryQueue[ReplyJob] = MemoryQueue()

    async def put(self, jobs: Sequence[ReplyJob]) -> None:
        if self._charge.is_mine:
            await self._queue.put(jobs)
            return
        for job in jobs:
            await self._link.say(_REPLIES, job.request_id.encode())

    async def take(self, limit: int) -> Sequence[Delivery[ReplyJob]]:
        return await self._queue.take(limit)

    async def pending(self) -> int:
        return await self._queue.pending()

    def begin(self) -> None:
        """Another term: what is owed is found in the store."""
        self._queue = MemoryQueue()


class NatsEngine:
    """The Engine port."""

    def __init__(
        self,
        sharing: Sharing,
        results: Results,
        deliveries: Deliveries,
        environment: Environment,
        *,
        reply_age: timedelta,
        look_every_s: float,
        group_of: GroupOf = no_group,
        meterless: Meterless = never_meterless,
    ) -> None:
        self._sharing = sharing
        self._link = sharing.link
        self._opening = True
        self._may_be_lost = asyncio.Event()
        self._standing: dict[Lane, Standing] = {}
        """How the streams stood when it was last looked at what is in them."""
        self._results = results
        self._emit = environment.emit
        self._random_bytes = environment.random_bytes
        memory = MemoryCommands(group_of, meterless)
        self.commands = NatsCommands(
            sharing.link,
            results.named,
            results.open_commands,
            memory,
            sharing.partition_of,
            sharing.dialled_in,
            environment.emit,
            sharing.needs,
        )
        self.claims = Holding(sharing.link, sharing.dialled_in, self.commands.dialled_in)
        """How meters that dial in become this process's, if it listens."""
        self.charge = NatsCharge(sharing.link)
        self.replies = HandedReplies(sharing.link, self.charge)
        self.answers = StoredAnswers(results, look_every_s=look_every_s)
        self.events = NatsEvents(sharing.link)
        self.events.listen(ANSWERED, self.answers.announce)
        self._recovery = Recovery(results, deliveries, environment.emit, reply_age, self._put_again, self.replies.put)

    async def open(self) -> None:
        """Take part. Raises StoreUnavailable."""
        await self.events.open()
        if self._sharing.role.is_front:
            await self._sharing.link.listen(_REPLIES, self._reply_is_owed)
        self._link.begin(self.commands.work(), self.commands.work_off())
        if self._sharing.role.listens:
            await self.claims.open()
            await self.commands.dialled_in.open()
            self._link.begin(self.commands.dialled_in.keep_on())
        await self._look()
        if self._sharing.role.is_front:
            self._standing = await self._link.standing()
            self._link.begin(self._look_for_what_is_lost())
        self._link.begin(self._go_on_looking())

    async def recover(self, paced: Collection[str] = ()) -> None:
        self.replies.begin()
        self._opening = True
        try:
            await self._recovery.all_of_it(paced)
        finally:
            self._opening = False

    async def _go_on_looking(self) -> None:
        while True:
            await real_sleep(LOOK_EVERY_S)
            with suppress(StoreUnavailable):  # who has said so already says when it ends
                await self._look()

    async def _look(self) -> None:
        """Have what is this process's share, and be sent what is in it. Raises StoreUnavailable."""
        if self._sharing.role.listens:
            await self.claims.look()
        try:
            owned = await self._share()
        except NotOwned:
            await self._lost()
            owned = await self._share()
        if FRONT in owned and not self.charge.is_mine:
            await self.charge.give()
            self._emit(events.ChargeTaken())
        owned -= {FRONT}
        is_sent = not self._link.came_back.is_set() and await self._link.is_subscribed()
        if owned != self.commands.owned or not is_sent:
            await self._subscribe(owned)
        if not is_sent:
            self._may_be_lost.set()  # whoever has made the streams anew

    async def _share(self) -> frozenset[int]:
        """Taken on the connection that has what it owned until now. Raises NotOwned, StoreUnavailable."""
        ownership, fixed, holding = self._sharing.ownership, self._sharing.role.fixed, self.commands.owned
        if self.charge.is_mine:
            holding |= {FRONT}
        if fixed is not None:
            fixed = fixed if self._sharing.has_lines else fixed - {LINES}
            return await ownership.take(fixed, len(fixed), holding)
        workers = await ownership.sharing()
        owned = await ownership.take(self._in_some_order(), fair_share(workers), holding)
        if given := too_many(owned, workers):
            await self._give(given)
            owned -= set(given)
        return owned

    def _in_some_order(self) -> list[int]:
        """All partitions, in another order each time, so that several workers do not try the same one first."""
        drawn = self._random_bytes(PARTITIONS)
        return sorted(range(PARTITIONS), key=lambda number: drawn[number])

    async def _subscribe(self, owned: frozenset[int]) -> None:
        if self._link.came_back.is_set():
            self.events.missed()
        self._link.came_back.clear()
        new = owned - self.commands.owned
        if new:
            await self._sharing.taken_over()
        await self._link.make_streams()
        await self.commands.subscribe(owned)
        if new:
            self._emit(events.PartitionsTaken(partitions=len(new), owned=len(owned)))

    async def _lost(self) -> None:
        """Nothing may leave for a meter that another process may have by now (`demand_owned`), until all that was in hand is over."""
        self._emit(events.PartitionsLost(partitions=len(self.commands.owned)))
        self.commands.lose()
        if self.charge.is_mine:
            self._emit(events.ChargeLost())
        await self.charge.withdraw()
        await self._over(ALL)

    async def _give(self, partitions: Collection[int]) -> None:
        """To whoever takes them, once nothing of them is in hand here."""
        await self.commands.subscribe(self.commands.owned.difference(partitions))
        self.commands.drop(partitions)
        await self._over(partitions)
        await self._sharing.leave()
        await self._sharing.ownership.leave(partitions)
        self._emit(events.PartitionsGiven(partitions=len(partitions), owned=len(self.commands.owned)))

    async def _over(self, partitions: Collection[int]) -> None:
        """Until nothing of them is in hand; what comes out of a hand to be tried again is dropped as well."""
        while self.commands.has_any(partitions):
            await real_sleep(DRAINED_EVERY_S)
            self.commands.drop(partitions)

    async def _look_for_what_is_lost(self) -> None:
        """What is open in the store and in no stream any more is put again, and replies of which nobody has told are found."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(PUT_AGAIN_EVERY_S):
                    await self._may_be_lost.wait()
            self._may_be_lost.clear()
            with suppress(StoreUnavailable):
                await self._look_into_the_streams()

    async def _look_into_the_streams(self) -> None:
        """Raises StoreUnavailable."""
        before, now = self._standing, await self._link.standing()
        if self.charge.is_mine:
            await self._recovery.replies()
            others = [
                lane
                for lane, one in before.items()
                if one.created_at != now[lane].created_at or now[lane].last < one.last
            ]
            if others or await self._some_are_lost():
                await self._recovery.commands(await self._results.unanswered())
            if Lane.CAMPAIGN in others:
                self.events.lost()
        self._standing = now

    async def _some_are_lost(self) -> bool:
        """A command is in its stream until it is done, so a stream has as many as are open, or more."""
        is_open = await self._results.open_in_lanes()
        counts = [(is_open.get(lane, 0), await self.commands.pending(lane)) for lane in UNPACED]
        return any(kept > there for kept, there in counts)

    async def _put_again(self, jobs: Sequence[CommandJob]) -> None:
        await self.commands.put(jobs if self._opening else [job for job in jobs if job.lane in UNPACED], again=True)

    async def _reply_is_owed(self, said: bytes) -> None:
        if not self.charge.is_mine:
            return
        request_id = said[:LONGEST_ID].decode("utf-8", "replace")
        with suppress(StoreUnavailable, LookupError):  # it is found later all the same
            request = await self._results.find(request_id)
            if request is not None and request.reply_address is not None and request.answer is not None:
                await self._recovery.reply(request_id)
