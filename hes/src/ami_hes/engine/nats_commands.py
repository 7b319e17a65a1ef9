"""Dispatch of commands among processes: the Commands port over NATS, with the lanes of memory (`MemoryCommands`) in the process that works.

A command waits in a stream of NATS until it is done. The process that owns the partition of its meter is sent it at once, loads it from
the store, and has it in memory: lanes, groups, and one command of a meter at a time are as in a single process, since of one meter all
commands come to one process, in their order. When another process takes the partition, it is sent everything that is not acknowledged once more.
Those for meters that dial in go from the owner of their partition to whoever has the meter (`ami_hes.engine.dialled_in_commands`).
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from ami_hes import events
from ami_hes.commands import CommandJob, Lane
from ami_hes.engine.dialled_in_commands import DialledInCommands, DialledInMeters
from ami_hes.engine.memory_commands import MemoryCommand, MemoryCommands
from ami_hes.engine.nats_link import (
    Arrived,
    EngineUnavailable,
    NatsLink,
    StreamFull,
    acknowledge,
    patiently,
    read,
    send_again,
)
from ami_hes.engine.nats_take_back import ENDED_WITHIN_S, Asked, OpenCommands, TakingBack, owner_of
from ami_hes.engine.partitions import ALL, DIALLED_IN
from ami_hes.engine.ports import CommandDelivery, LaneCounts
from ami_hes.store import StoredCommand
from ami_process.environment import real_sleep, real_time, real_timer
from ami_process.events import Emit, format_fault

if TYPE_CHECKING:
    from nats.aio.msg import Msg

Key = tuple[str, str]
Load = Callable[[Collection[Key]], Awaitable[Mapping[Key, StoredCommand]]]
"""The commands of these names, of a request and of a meter in it, that are kept."""
Needs = Callable[[Iterable[CommandJob], Callable[[], Iterable[CommandJob]]], Awaitable[None]]
"""As `NeededMeters.need`: the meters of these are in the registry when it returns; the function gives all commands that are here."""
PartitionOf = Callable[[CommandJob], int]
OWED_EVERY_S = 1.0
ARRIVES_WITHIN_S = 5.0
TAKEN_IN = 500


@dataclass(eq=False, slots=True)
class NatsCommand:
    """The CommandDelivery port."""

    whole: MemoryCommand
    commands: "NatsCommands"
    life: int

    @property
    def job(self) -> CommandJob:
        return self.whole.job

    @property
    def redelivered(self) -> bool:
        return self.whole.redelivered

    @property
    def attempts(self) -> int:
        return self.whole.attempts

    @property
    def waited_s(self) -> float:
        return self.whole.waited_s

    @property
    def meterless(self) -> bool:
        return self.whole.meterless

    async def done(self) -> None:
        if not self.whole.over:
            await self.whole.done()
            await self.commands.acknowledged(self)

    async def free_meter(self) -> None:
        await self.whole.free_meter()

    async def needs_meter(self) -> None:
        await self.whole.needs_meter()

    async def afresh(self, after_s: float) -> None:
        if not self.whole.over:
            await self.whole.done()
            real_timer(real_time() + after_s, partial(self.commands.bring, self))

    async def again(self, after_s: float) -> None:
        if self.commands.is_lost(self):
            await self.whole.done()
            self.commands.gone(self)
        else:
            await self.whole.again(after_s)


async def nothing_needed(_: Iterable[CommandJob], __: Callable[[], Iterable[CommandJob]]) -> None:
    """Of a process that has all meters."""


class NatsCommands:
    """The Commands port."""

    def __init__(
        self,
        link: NatsLink,
        load: Load,
        open_commands: OpenCommands,
        memory: MemoryCommands,
        partition_of: PartitionOf,
        dialled_in: DialledInMeters,
        emit: Emit,
        needs: Needs = nothing_needed,
    ) -> None:
        """`needs`: what has to be there of the commands' meters is there when it returns."""

        async def load_with_meters(keys: Collection[Key]) -> Mapping[Key, StoredCommand]:
            found = await load(keys)
            await needs([one.job for one in found.values()], memory.jobs)
            return found

        self._link = link
        self._load = load_with_meters
        self._memory = memory
        self._partition_of = partition_of
        self._emit = emit
        self._owned: frozenset[int] = frozenset()
        self._life = 0
        """Another one since partitions were lost: what was in hand then is no more this process's to acknowledge."""
        self._messages: dict[Key, list[Msg]] = {}
        """Of the commands in memory, those that name them."""
        self._places: dict[Key, int] = {}
        """Of the same, the partitions in which they came."""
        self.dialled_in = DialledInCommands(link, memory, load_with_meters, dialled_in, self._places)
        self._had: dict[Lane, int] = {}
        """Up to where of each lane a process may have had a command in hand before it came here."""
        self._seen: dict[Lane, int] = {}
        self._came = asyncio.Condition()
        self._owed: dict[Key, tuple[CommandJob, bool]] = {}
        """What the server did not take yet, in its order; whether somebody may have had it in hand."""
        self._paying = asyncio.Lock()
        self._last: dict[Lane, int] = {}
        """Where the last command of each lane is in its stream that this process has put."""
        self._others = TakingBack(link, partition_of, open_commands, self._bring_back)
        self._answering: dict[int, Callable[[], Awaitable[None]]] = {}
        """By partition of which this process is asked what it has, how that is ended."""
        self._given_up: dict[Key, float] = {}
        """Commands that were given up to somebody who asked for them, and when, of `real_time`."""

    @property
    def owned(self) -> frozenset[int]:
        """The partitions of which commands come here."""
        return self._owned

    async def put(self, jobs: Sequence[CommandJob], *, again: bool = False) -> None:
        """They are in the store; what the server does not take now it is given later."""
        if not jobs:
            return
        self._owed |= {(job.request_id, job.subject): (job, again) for job in jobs}
        with suppress(EngineUnavailable):
            await self._pay()
            here = {job.lane for job in jobs if self._partition_of(job) in self._owned}
            await self._arrived({lane: self._last[lane] for lane in here})

    async def take(self, lanes: Collection[Lane], limit: int, full: Collection[str] = ()) -> Sequence[NatsCommand]:
        return self._given(await self._memory.take(lanes, limit, full))

    async def take_meterless(self, limit: int) -> Sequence[NatsCommand]:
        return self._given(await self._memory.take_meterless(limit))

    async def cancel(self, request_id: str) -> Sequence[CommandDelivery]:
        """Of those that are in any process, and those that are in none. Raises StoreUnavailable."""
        unsent = {meter for request, meter in self._owed if request == request_id}
        for meter in unsent:
            del self._owed[request_id, meter]
        here = self._given(await self._memory.cancel(request_id))
        return [*here, *await self._others.take_back(request_id, self._owned, unsent, self._places.keys())]

    async def pending(self, lane: Lane) -> int:
        """Of all processes. Raises EngineUnavailable."""
        if self._owned.issuperset(ALL):
            kept = sum(job.lane is lane for job in self.dialled_in.waiting())
            return kept + await self._memory.pending(lane)
        owed = sum(job.lane is lane for job, _ in self._owed.values())
        return owed + await self._link.waiting(lane)

    def here(self) -> Mapping[Lane, LaneCounts]:
        return self._memory.here()

    def is_lost(self, delivery: NatsCommand) -> bool:
        """Whether its partition was lost since it was taken: then it comes again where that is now, which may be here."""
        key = (delivery.job.request_id, delivery.job.subject)
        if self._places.get(key) == DIALLED_IN:
            return self.dialled_in.is_lost(key)
        return delivery.life != self._life

    def gone(self, delivery: NatsCommand) -> None:
        """It is not in this process any more, and not done."""
        self._forget((delivery.job.request_id, delivery.job.subject))

    async def acknowledged(self, delivery: NatsCommand) -> None:
        """It is done; where its partition was lost meanwhile that is for who has it."""
        key = (delivery.job.request_id, delivery.job.subject)
        if self._places.get(key) == DIALLED_IN:
            await self.dialled_in.finished(key)
            return
        messages = self._forget(key)
        if not self.is_lost(delivery):
            for one in messages:
                await acknowledge(one)

    def bring(self, delivery: NatsCommand) -> None:
        """Into memory once more, unless another process has it by now."""
        is_of = self._is_of(delivery.job, self._owned) or self._is_of(delivery.job, (DIALLED_IN,))
        if self.is_lost(delivery):
            self.gone(delivery)
        elif is_of:
            self._memory.restore([delivery.job])

    async def subscribe(self, partitions: Collection[int]) -> None:
        """From now on what is in these comes here, and nothing else. Raises EngineUnavailable."""
        standing = await self._link.standing()  # before anything of them can come
        self._had |= {lane: one.last for lane, one in standing.items()}
        self._owned = frozenset(partitions)
        await self._answer_for(self._owned)  # before as well: whoever is told that nobody has one takes what is in it
        await self._link.subscribe(partitions)

    async def _answer_for(self, partitions: Collection[int]) -> None:
        """From now on for these, and no others."""
        for number in self._answering.keys() - set(partitions):
            await self._answering.pop(number)()
        for number in set(partitions) - self._answering.keys():
            self._answering[number] = await self._link.answer(owner_of(number), partial(self._give_up, number))

    async def _give_up(self, number: int, asked: bytes) -> bytes | None:
        """Of the commands that somebody wants to end, those that are in no hand here."""
        try:
            wanted = Asked.parse(asked)
        except ValueError:
            return b""
        if number not in self._owned:
            return None
        now = real_time()
        self._given_up = {key: at for key, at in self._given_up.items() if now - at < ENDED_WITHIN_S}
        for key in [(wanted.request_id, name) for name in wanted.meters]:
            if self._places.get(key) == number and self._memory.give_up(key):
                self._given_up[key] = now
                for message in self._forget(key):
                    await send_again(message, ENDED_WITHIN_S)
        return Asked(
            wanted.request_id, tuple(name for name in wanted.meters if (wanted.request_id, name) in self._given_up)
        ).format()

    async def _bring_back(self, job: CommandJob) -> None:
        """What could not be ended is worked after all."""
        await self._link.remove(self._partition_of(job), job)
        await self.put([job], again=True)

    def lose(self) -> None:
        """No partition is this process's any more: what waits here goes, what is in hand ends for nobody."""
        self._owned = frozenset()
        self._life += 1
        self.drop(ALL)
        in_hand = {(job.request_id, job.subject) for job in self._memory.jobs()}
        for key in (self._messages.keys() | self._places.keys()) - in_hand:
            self._forget(key)
        self.dialled_in.clear()

    def drop(self, partitions: Collection[int]) -> None:
        """What waits here for meters of these partitions is not for this process."""
        for job in self._memory.drop(lambda job: self._is_of(job, partitions)):
            self._forget((job.request_id, job.subject))

    def has_any(self, partitions: Collection[int]) -> bool:
        """Whether a command of these is in this process."""
        return any(self._is_of(job, partitions) for job in self._memory.jobs())

    def _is_of(self, job: CommandJob, partitions: Collection[int]) -> bool:
        """By the partition in which it came, whatever the registry says by now."""
        return self._places.get((job.request_id, job.subject)) in partitions

    def _forget(self, key: Key) -> list["Msg"]:
        """It is not here any more; the messages that have named it."""
        self._places.pop(key, None)
        self.dialled_in.forget(key)
        return self._messages.pop(key, [])

    async def work(self) -> None:
        """Until cancelled: take in what the server sends."""
        while True:
            messages = [await self._link.arriving.get()]
            while len(messages) < TAKEN_IN and not self._link.arriving.empty():
                messages.append(self._link.arriving.get_nowait())
            await self._take_in([one for message in messages if (one := await self._named(message)) is not None])

    async def work_off(self) -> None:
        """Until cancelled: give the server what it did not take before."""
        while True:
            await real_sleep(OWED_EVERY_S)
            with suppress(EngineUnavailable):
                await self._pay()

    async def _named(self, message: "Msg") -> Arrived | None:
        """What names nothing was put there by somebody else, and is taken away."""
        if (one := read(message)) is None:
            await acknowledge(message)
        return one

    async def _pay(self) -> None:
        """Raises EngineUnavailable: then what the server has not taken stays owed."""
        full: StreamFull | None = None
        async with self._paying:  # what is named twice at once may be done in between, and come again
            for again in (True, False):
                for lane in Lane:
                    theirs = [job for job, may_be in self._owed.values() if may_be is again and job.lane is lane]
                    placed = [(self._partition_of(job), job) for job in theirs]
                    try:
                        last = await self._link.publish(placed, again=again, taken=self._paid)
                        self._last[lane] = max(self._last.get(lane, 0), last.get(lane, 0))
                    except StreamFull as problem:  # which keeps no other lane back
                        full = problem
        if full is not None:
            raise full

    def _paid(self, job: CommandJob) -> None:
        self._owed.pop((job.request_id, job.subject), None)

    async def _arrived(self, last: Mapping[Lane, int]) -> None:
        """What was put for this process itself is there when `put` returns."""
        with suppress(TimeoutError):
            async with asyncio.timeout(ARRIVES_WITHIN_S), self._came:
                await self._came.wait_for(lambda: all(self._seen.get(lane, 0) >= at for lane, at in last.items()))

    async def _take_in(self, arrived: Sequence[Arrived]) -> None:
        kept, unreadable = await self._loaded({one.key for one in arrived})
        of_dialled_in: list[tuple[Msg, StoredCommand, bool]] = []
        for one in arrived:
            command = kept.get(one.key)
            if one.key in unreadable:
                continue
            if command is None:  # forgotten, or named by somebody who may not
                await acknowledge(one.message)
            elif one.partition == DIALLED_IN and one.partition in self._owned:
                of_dialled_in.append((one.message, command, self._may_be_had(one)))
            elif one.partition in self._owned:
                await self._add(one, command)
        await self.dialled_in.came(of_dialled_in)
        async with self._came:
            for one in arrived:
                self._seen[one.lane] = max(self._seen.get(one.lane, 0), one.sequence)
            self._came.notify_all()

    async def _loaded(self, keys: Collection[Key]) -> tuple[Mapping[Key, StoredCommand], set[Key]]:
        """Those that are kept, and those that cannot be read, which keep no other back and are reported."""
        kept: dict[Key, StoredCommand] = {}
        unreadable: set[Key] = set()
        try:
            kept |= await patiently(lambda: self._load(keys))
        except Exception:  # noqa: BLE001  # found out one by one
            for key in keys:
                try:
                    kept |= await patiently(partial(self._load, {key}))
                except Exception as problem:  # noqa: BLE001  # reported, with its traceback
                    unreadable.add(key)
                    self._emit(events.RecoveryFailed(message_id=key[0], exception=format_fault(problem)))
        return kept, unreadable

    async def _add(self, one: Arrived, command: StoredCommand) -> None:
        """In memory it counts once, however often it comes."""
        self._messages.setdefault(one.key, []).append(one.message)
        self._places[one.key] = one.partition
        had = self._may_be_had(one)
        await self._memory.put([command.job], again=had or command.attempted or command.result is not None)

    def _may_be_had(self, one: Arrived) -> bool:
        """Whether somebody may have had it in hand."""
        return one.again or one.sequence <= self._had.get(one.lane, 0)

    def _given(self, taken: Sequence[MemoryCommand]) -> list[NatsCommand]:
        return [NatsCommand(one, self, self._life) for one in taken]
