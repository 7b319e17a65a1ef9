"""What is kept for traces: which recordings, and their way into the store behind the work.

Nothing here is waited for: what has its end is put into a queue that is bounded, and one task commits what has gathered. What the queue
or the store does not take is lost, and counted.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from ami_hes import events
from ami_hes.commands import Command
from ami_hes.meters.pushed import NotedPush
from ami_hes.meters.recording import Recording
from ami_hes.store import EVENT, PUSH, REFUSAL, KeptArrival, KeptAttempt, StoredRequest, StoreUnavailable, TraceStore
from ami_hes.traces import exported, pushes, refusals
from ami_hes.traces.arrivals import Arrival, pack_arrival
from ami_hes.traces.packing import pack
from ami_hes.traces.refusals import Refusal
from ami_hes.traces.telemetry import Telemetry
from ami_hes.traces.trace_ids import SpanPlace
from ami_process.environment import Environment, real_sleep, real_time

MOST_WAITING = 2_000
BATCH = 50
"""Rows of one transaction: others wait behind it."""
GATHER_S = 0.25
MOST_REQUESTS = 10_000
"""Whose recordings are counted at once."""
WRITTEN_S = 5.0
"""How long somebody who asks waits for what is not committed yet."""
STOP_S = 1.0


class TracesKept(StrEnum):
    """`hes.traces.keep`."""

    OFF = "off"
    SAMPLED = "sampled"
    EVERYTHING = "everything"


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceLimits:
    """What is kept; all but `keep` and the octets counts where it is sampled."""

    keep: TracesKept = TracesKept.SAMPLED
    meters_per_request: int = 20
    failures_per_request: int = 200
    one_of: int = 100
    per_second: float = 50.0
    octets_per_meter: int = 256_000
    octets: int = 256_000_000
    age: timedelta = timedelta(days=7)


@dataclass(slots=True)
class _Counted:
    well: int = 0
    kept: int = 0
    failed: int = 0


@dataclass(slots=True)
class _Rate:
    """At most so many in a second, with those of a second in hand."""

    per_second: float
    left: float = 0.0
    at: float = 0.0

    def take(self) -> bool:
        now = real_time()
        self.left = min(self.per_second, self.left + (now - self.at) * self.per_second) if self.at else self.per_second
        self.at = now
        if self.left < 1:
            return False
        self.left -= 1
        return True


class _Ended(NamedTuple):
    command: Command
    ok: bool
    recording: Recording


class _Arrived(NamedTuple):
    request_id: str
    arrival: Arrival
    began_at: datetime


class _Refused(NamedTuple):
    message_id: str
    refusal: Refusal
    began_at: datetime


class _Pushed(NamedTuple):
    push_id: str
    push: NotedPush


_Waits = _Ended | _Arrived | _Refused | _Pushed


class TraceKeeper:
    """Decides what is kept, and keeps it."""

    def __init__(
        self, store: TraceStore, environment: Environment, limits: TraceLimits, telemetry: Telemetry | None = None
    ) -> None:
        """`telemetry` is told of what is kept of meters, and of each request that comes."""
        self._telemetry = telemetry
        self.store = store
        self.limits = limits
        self.lost = 0
        """Attempts and arrivals that could not be kept."""
        self._environment = environment
        self._counted: OrderedDict[str, _Counted] = OrderedDict()
        self._attempts, self._arrivals = _Rate(limits.per_second), _Rate(limits.per_second)
        self._pushes, self._unsecured = _Rate(limits.per_second), _Rate(pushes.PER_SECOND_UNSECURED)
        self._refusals = _Rate(refusals.PER_SECOND)
        self._waiting: deque[_Waits] = deque()
        self._there = asyncio.Event()
        self._done = 0
        self._put = 0
        self._committed = asyncio.Condition()

    @property
    def is_off(self) -> bool:
        """Whether nothing is noted at all."""
        return self.limits.keep is TracesKept.OFF

    def recording(self) -> Recording | None:
        """Where an attempt that begins now is noted."""
        if self.is_off:
            return None
        return Recording(self._environment.now(), self._environment.perf_counter, self.limits.octets_per_meter)

    def ended(self, recording: Recording | None, command: Command, *, ok: bool) -> None:
        """An attempt has its end."""
        if recording is not None and self._is_wanted(command.request_id, ok=ok):
            self._keep(_Ended(command, ok, recording))

    def arrived(self, request: StoredRequest, arrival: Arrival, sender: SpanPlace | None = None) -> None:
        """A request is kept that came so; `sender`: the span that its message names."""
        if self.is_off:
            return
        began_at = self._at(arrival)
        if self._telemetry is not None:
            self._telemetry.tell(exported.taken(request, arrival, began_at, sender))
        if self.limits.keep is TracesKept.EVERYTHING or self._arrivals.take():
            self._keep(_Arrived(request.request_id, arrival, began_at))

    def refused(self, refusal: Refusal) -> None:
        """Nothing was kept of a request. However traces are kept, no more than some of them are in a second."""
        if not self.is_off and self._refusals.take():
            message_id = refusal.message_id or f"refused-{self._environment.random_bytes(8).hex()}"
            self._keep(_Refused(message_id, refusal, self._at(refusal.arrival)))

    def pushed(self, push: NotedPush) -> None:
        """A meter has pushed something; what no key vouches for is kept now and then, whatever is kept else."""
        if self.is_off:
            return
        if not push.meter or push.reason:
            is_wanted = self._unsecured.take()
        else:
            is_wanted = self.limits.keep is TracesKept.EVERYTHING or self._pushes.take()
        if is_wanted:
            self._keep(_Pushed(f"push-{self._environment.random_bytes(8).hex()}", push))

    def _at(self, arrival: Arrival) -> datetime:
        return self._environment.now() - timedelta(seconds=real_time() - arrival.began)

    def _is_wanted(self, request_id: str, *, ok: bool) -> bool:
        if self.limits.keep is TracesKept.EVERYTHING:
            return True
        counted = self._counted.setdefault(request_id, _Counted())
        self._counted.move_to_end(request_id)
        if len(self._counted) > MOST_REQUESTS:
            self._counted.popitem(last=False)
        if not ok:
            counted.failed += 1
            return counted.failed <= self.limits.failures_per_request
        counted.well += 1
        is_first, is_sample = counted.kept < self.limits.meters_per_request, counted.well % self.limits.one_of == 0
        if not (is_first or is_sample) or not self._attempts.take():
            return False
        counted.kept += is_first
        return True

    def _keep(self, one: _Waits) -> None:
        if len(self._waiting) >= MOST_WAITING:
            self.lost += 1
            return
        self._put += 1
        self._waiting.append(one)
        self._there.set()

    async def written(self) -> None:
        """Everything that has its end by now is in the store, or lost; waits no longer than WRITTEN_S."""
        wanted = self._put
        try:
            async with asyncio.timeout(WRITTEN_S), self._committed:
                await self._committed.wait_for(lambda: self._done >= wanted)
        except TimeoutError:
            return

    async def work(self) -> None:
        """Commit what has gathered, until cancelled; what is there then is committed still."""
        try:
            while True:
                await self._there.wait()
                if len(self._waiting) < BATCH:
                    await real_sleep(GATHER_S)
                await self._commit()
        finally:
            await self._commit_at_last()

    async def _commit_at_last(self) -> None:
        try:
            async with asyncio.timeout(STOP_S):
                while self._waiting:
                    await self._commit()
        except TimeoutError:
            self._report_lost(len(self._waiting), "the process ends")

    async def _commit(self) -> None:
        """Some of it."""
        batch = [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]
        if not self._waiting:
            self._there.clear()
        rows = _Rows()
        try:
            rows = await asyncio.to_thread(_rows, batch, exports=self._telemetry is not None)
            if self._telemetry is not None:
                self._telemetry.tell(rows.spans)
            for reason in rows.faults:
                self._report_lost(1, reason)
            await self.store.keep(rows.attempts, rows.arrivals, rows.refusals)
        except StoreUnavailable as problem:
            self._report_lost(len(batch) - len(rows.faults), str(problem))
        finally:
            async with self._committed:
                self._done += len(batch)
                self._committed.notify_all()

    def _report_lost(self, number: int, reason: str) -> None:
        self.lost += number
        self._environment.emit(events.TracesLost(rows=number, reason=reason))

    async def forget(self) -> int:
        """Drop what is too old or too much; how many attempts."""
        return await self.store.forget(self._environment.now() - self.limits.age, self.limits.octets)


@dataclass(slots=True)
class _Rows:
    """What goes into the store, and what keeps the others of a batch from being rows."""

    attempts: list[KeptAttempt] = field(default_factory=list)
    arrivals: list[KeptArrival] = field(default_factory=list)
    refusals: list[KeptArrival] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    exports: bool = False
    spans: list[exported.Exported] = field(default_factory=list)
    """The same for a collector."""

    def add(self, one: _Waits) -> None:
        match one:
            case _Ended(command, ok, recording):
                began_at, packed = recording.began_at, pack(recording)
                self.attempts.append(kept := KeptAttempt(command.request_id, command.meter.name, began_at, ok, packed))
                if self.exports:
                    self.spans += exported.attempted(command, kept)
            case _Arrived(request_id, arrival, began_at):
                self.arrivals.append(KeptArrival(request_id, began_at, pack_arrival(arrival)))
            case _Refused(message_id, refusal, began_at):
                packed = refusals.pack_refusal(refusal, message_id)
                self.refusals.append(KeptArrival(f"{REFUSAL}{message_id}", began_at, packed))
                if self.exports:
                    self.spans += exported.refused(refusal, message_id, began_at)
            case _Pushed(push_id, push):
                began_at, packed = push.recording.began_at, pushes.pack_push(push)
                kept = KeptAttempt(f"{PUSH}{push_id}", push.meter, began_at, not push.reason, packed)
                self.attempts.append(kept)
                if self.exports:
                    self.spans += exported.pushed(push_id, push.service, push.reason, kept)
                for event in push.events[: pushes.MOST_EVENTS]:
                    self.arrivals.append(KeptArrival(f"{EVENT}{event.event_id}", began_at, push_id.encode()))


def _rows(batch: Sequence[_Waits], *, exports: bool) -> _Rows:
    """In a thread of its own: octets are looked into for secrets and packed. They are anybody's: a fault costs its own trace alone."""
    rows = _Rows(exports=exports)
    for one in batch:
        try:
            rows.add(one)
        except Exception as problem:  # noqa: BLE001  # reported; its text may hold octets, so it is not
            rows.faults.append(f"it can't be packed: {type(problem).__name__}")
    return rows
