"""Dispatch of commands inside one process: the Commands port in memory, with its lanes, groups, and one command per meter at a time.

Nothing here survives a restart, and nothing has to: what is open in the store is put again (`restore`). Of the commands that wait
for one meter the first of the highest lane is offered; it is taken when its lane and its group are asked for. So a control
overtakes the reads that wait for its meter, and waits for nothing but what is in hand there. What needs no meter is in no line of one.
"""

import asyncio
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice

from ami_hes.commands import CommandJob, Lane
from ami_hes.engine.ports import GroupOf, LaneCounts, Meterless
from ami_process.environment import real_time


@dataclass(eq=False, slots=True)
class MemoryCommand:
    """The CommandDelivery port: a command from being put to being done."""

    job: CommandJob
    redelivered: bool
    lanes: "MemoryCommands"
    meterless: bool = False
    attempts: int = 0
    resting: bool = False
    displaced: bool = False
    """Offered before, so that it goes in front when it is offered again."""
    over: bool = False
    put_at: float = field(default_factory=real_time)
    waited_s: float = 0.0

    def taken(self) -> None:
        """Into a hand."""
        self.attempts += 1
        if self.attempts == 1:
            self.waited_s = real_time() - self.put_at

    async def done(self) -> None:
        if not self.over:
            self.lanes.finish(self)

    async def free_meter(self) -> None:
        self.lanes.leave_hand(self)

    async def needs_meter(self) -> None:
        self.lanes.line_up(self)

    async def afresh(self, after_s: float) -> None:
        if not self.over:
            self.lanes.finish(self)
            asyncio.get_running_loop().call_later(after_s, self.lanes.restore, [self.job])

    async def again(self, after_s: float) -> None:
        self.redelivered = True
        self.lanes.rest(self)
        asyncio.get_running_loop().call_later(after_s, self.lanes.wake, self)


@dataclass(slots=True)
class _Line:
    """The commands for one meter."""

    waiting: dict[Lane, deque[MemoryCommand]] = field(default_factory=lambda: {lane: deque() for lane in Lane})
    in_hand: MemoryCommand | None = None
    offered: MemoryCommand | None = None

    def first(self) -> MemoryCommand | None:
        """Which is to be taken next; one that rests keeps back what waits behind it in its lane, and no other lane."""
        if self.in_hand is not None:
            return None
        heads = (waiting[0] for waiting in self.waiting.values() if waiting)
        return next((one for one in heads if not one.resting), None)

    @property
    def idle(self) -> bool:
        return self.in_hand is None and not any(self.waiting.values())


class _Offers:
    """What may be taken of one lane, by group; groups take turns."""

    def __init__(self) -> None:
        self._groups: OrderedDict[str, OrderedDict[MemoryCommand, None]] = OrderedDict()

    def add(self, group: str, delivery: MemoryCommand) -> None:
        offers = self._groups.setdefault(group, OrderedDict())
        offers[delivery] = None
        if delivery.displaced:
            offers.move_to_end(delivery, last=False)
        delivery.displaced = True

    def remove(self, group: str, delivery: MemoryCommand) -> None:
        del self._groups[group][delivery]
        if not self._groups[group]:
            del self._groups[group]

    def take(self, full: Collection[str]) -> Iterator[MemoryCommand]:
        """One after the other, but none of the groups that are full."""
        while (group := next((one for one in self._groups if one not in full), None)) is not None:
            delivery = next(iter(self._groups[group]))
            self.remove(group, delivery)
            if group in self._groups:
                self._groups.move_to_end(group)
            yield delivery


class MemoryCommands:
    """The Commands port."""

    def __init__(self, group_of: GroupOf, meterless: Meterless) -> None:
        self._group_of = group_of
        self._is_meterless = meterless
        self._meterless: dict[Lane, deque[MemoryCommand]] = {lane: deque() for lane in Lane}
        """Those that are in no hand and do not rest."""
        self._offers = {lane: _Offers() for lane in Lane}
        self._lines: dict[str, _Line] = {}
        self._known: dict[tuple[str, str], MemoryCommand] = {}
        self._pending: Counter[Lane] = Counter()
        self._offered = asyncio.Event()
        self._put_meterless = asyncio.Event()

    async def put(self, jobs: Sequence[CommandJob], *, again: bool = False) -> None:
        self._add(jobs, redelivered=again)

    def restore(self, jobs: Sequence[CommandJob]) -> None:
        """Put what an earlier life of the process may have had in hand."""
        self._add(jobs, redelivered=True)

    async def take(self, lanes: Collection[Lane], limit: int, full: Collection[str] = ()) -> Sequence[MemoryCommand]:
        while not (taken := self._take(lanes, limit, full)):
            self._offered.clear()
            await self._offered.wait()
        return taken

    async def take_meterless(self, limit: int) -> Sequence[MemoryCommand]:
        while not (taken := self._take_meterless(limit)):
            self._put_meterless.clear()
            await self._put_meterless.wait()
        return taken

    async def cancel(self, request_id: str) -> Sequence[MemoryCommand]:
        theirs = [one for (request, _), one in self._known.items() if request == request_id]
        return [one for one in theirs if self._withdraw(one)]

    def give_up(self, key: tuple[str, str]) -> bool:
        """Forget the command of this request and this meter, which somebody else ends; False where it is in a hand, or not here."""
        delivery = self._known.get(key)
        if delivery is None or not self._withdraw(delivery):
            return False
        self.finish(delivery)
        return True

    async def pending(self, lane: Lane) -> int:
        return self._pending[lane]

    def here(self) -> Mapping[Lane, LaneCounts]:
        waiting = {lane: len(of_none) for lane, of_none in self._meterless.items()}
        for line in self._lines.values():
            for lane, theirs in line.waiting.items():
                waiting[lane] += len(theirs)
        return {lane: LaneCounts(waiting[lane], self._pending[lane] - waiting[lane]) for lane in Lane}

    def jobs(self) -> Iterator[CommandJob]:
        """Those that are not done yet."""
        return (one.job for one in self._known.values())

    def knows(self, key: tuple[str, str]) -> bool:
        """Whether this command, by request and subject, is not done yet."""
        return key in self._known

    def drop(self, of: Callable[[CommandJob], bool]) -> list[CommandJob]:
        """Forget those of these commands that are in no hand, which somebody else works; what they were."""
        return self._dropped([one for one in self._known.values() if of(one.job)])

    def drop_these(self, keys: Iterable[tuple[str, str]]) -> list[CommandJob]:
        """The same for commands by request and subject."""
        return self._dropped([self._known[key] for key in keys if key in self._known])

    def _dropped(self, chosen: Iterable[MemoryCommand]) -> list[CommandJob]:
        theirs = [one for one in chosen if self._withdraw(one)]
        for one in theirs:
            self.finish(one)
        return [one.job for one in theirs]

    def finish(self, delivery: MemoryCommand) -> None:
        """Forget a command that was in hand, and let the next of its meter come forward."""
        delivery.over = True
        job = delivery.job
        del self._known[job.request_id, job.subject]
        self._pending[job.lane] -= 1
        self.leave_hand(delivery)

    def rest(self, delivery: MemoryCommand) -> None:
        """Put it back in front of its lane, where it is not offered before `wake`."""
        delivery.resting = True
        if delivery.meterless:
            return
        self._lines.setdefault(delivery.job.subject, _Line()).waiting[delivery.job.lane].appendleft(delivery)
        self.leave_hand(delivery)

    def wake(self, delivery: MemoryCommand) -> None:
        """Its rest is over."""
        resting, delivery.resting = delivery.resting, False
        if delivery.meterless:
            if resting and not delivery.over:
                self._meterless[delivery.job.lane].appendleft(delivery)
                self._put_meterless.set()
        elif delivery.job.subject in self._lines:
            self._offer(delivery.job.subject)

    def line_up(self, delivery: MemoryCommand) -> None:
        """Let it wait for its meter, as if it had not been taken so far."""
        delivery.meterless = False
        delivery.attempts = 0
        self._wait_for_meter(delivery)

    def leave_hand(self, delivery: MemoryCommand) -> None:
        """Let the next of its meter come forward."""
        line = self._lines.get(delivery.job.subject)
        if line is None:  # cancelled, and nothing else waits for this meter
            return
        if line.in_hand is delivery:
            line.in_hand = None
        self._offer(delivery.job.subject)

    def _add(self, jobs: Sequence[CommandJob], *, redelivered: bool) -> None:
        for job in jobs:
            key = (job.request_id, job.subject)
            if key in self._known:
                continue
            delivery = self._known[key] = MemoryCommand(job, redelivered, self, self._is_meterless(job))
            self._pending[job.lane] += 1
            if delivery.meterless:
                self._meterless[job.lane].append(delivery)
                self._put_meterless.set()
            else:
                self._wait_for_meter(delivery)

    def _wait_for_meter(self, delivery: MemoryCommand) -> None:
        job = delivery.job
        self._lines.setdefault(job.subject, _Line()).waiting[job.lane].append(delivery)
        self._offer(job.subject)

    def _take(self, lanes: Collection[Lane], limit: int, full: Collection[str]) -> list[MemoryCommand]:
        taken: list[MemoryCommand] = []
        for lane in (lane for lane in Lane if lane in lanes):
            for delivery in self._offers[lane].take(full):
                line = self._lines[delivery.job.subject]
                line.waiting[lane].popleft()
                line.in_hand, line.offered = delivery, None
                delivery.taken()
                taken.append(delivery)
                if len(taken) == limit:
                    return taken
        return taken

    def _take_meterless(self, limit: int) -> list[MemoryCommand]:
        waiting = chain.from_iterable(self._meterless.values())
        taken = list(islice(waiting, limit))
        for delivery in taken:
            self._meterless[delivery.job.lane].popleft()
            delivery.taken()
        return taken

    def _withdraw(self, delivery: MemoryCommand) -> bool:
        """Out of its line, into the hands of who cancels it; False for one that is in hand."""
        if delivery.meterless:
            return self._withdraw_meterless(delivery)
        line = self._lines.get(delivery.job.subject)
        if line is None or delivery not in (waiting := line.waiting[delivery.job.lane]):
            return False
        waiting.remove(delivery)
        self._offer(delivery.job.subject)
        return True

    def _withdraw_meterless(self, delivery: MemoryCommand) -> bool:
        waiting = self._meterless[delivery.job.lane]
        is_waiting = delivery in waiting
        if is_waiting:
            waiting.remove(delivery)
        resting, delivery.resting = delivery.resting, False
        return is_waiting or resting

    def _offer(self, subject: str) -> None:
        """Have the meter's first command offered, and no other one."""
        line = self._lines[subject]
        first = line.first()
        if first is not line.offered:
            if line.offered is not None:
                self._offers[line.offered.job.lane].remove(self._group_of(line.offered.job), line.offered)
            if first is not None:
                self._offers[first.job.lane].add(self._group_of(first.job), first)
                self._offered.set()
            line.offered = first
        if line.idle:
            del self._lines[subject]
