"""An engine whose process dies right behind a call of one of its ports, whichever engine it is."""

from __future__ import annotations

import os
import signal
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic

from ami_hes.commands import CommandJob, Lane
from ami_hes.engine import (
    ANSWERED,
    Answers,
    Charge,
    CommandDelivery,
    Commands,
    Delivery,
    Engine,
    Events,
    Jobs,
    LaneCounts,
    MakeEngine,
    ReplyJob,
)
from ami_hes.engine.ports import J, Listener


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@dataclass
class DyingDelivery(Generic[J]):
    """Of which the process dies when it is done."""

    whole: Delivery[J]

    @property
    def job(self) -> J:
        return self.whole.job

    @property
    def redelivered(self) -> bool:
        return self.whole.redelivered

    @property
    def attempts(self) -> int:
        return self.whole.attempts

    async def done(self) -> None:
        await self.whole.done()
        die()

    async def again(self, after_s: float) -> None:
        await self.whole.again(after_s)


@dataclass
class DyingCommand(DyingDelivery[CommandJob]):
    """The same of a command."""

    whole: CommandDelivery

    @property
    def waited_s(self) -> float:
        return self.whole.waited_s

    @property
    def meterless(self) -> bool:
        return self.whole.meterless

    async def free_meter(self) -> None:
        await self.whole.free_meter()

    async def afresh(self, after_s: float) -> None:
        await self.whole.afresh(after_s)

    async def needs_meter(self) -> None:
        await self.whole.needs_meter()


@dataclass
class DyingJobs(Generic[J]):
    """A lane whose process dies behind its `put`, or behind the `done` of what was taken from it."""

    whole: Jobs[J]
    call: str

    async def put(self, jobs: Sequence[J]) -> None:
        await self.whole.put(jobs)
        if self.call == "put":
            die()

    async def take(self, limit: int) -> Sequence[Delivery[J]]:
        taken = await self.whole.take(limit)
        return [DyingDelivery(one) for one in taken] if self.call == "done" else taken

    async def pending(self) -> int:
        return await self.whole.pending()


@dataclass
class DyingCommands:
    """The same of the lanes of commands."""

    whole: Commands
    call: str

    async def put(self, jobs: Sequence[CommandJob]) -> None:
        await self.whole.put(jobs)
        if self.call == "put":
            die()

    async def take(self, lanes: Collection[Lane], limit: int, full: Collection[str] = ()) -> Sequence[CommandDelivery]:
        taken = await self.whole.take(lanes, limit, full)
        return [DyingCommand(one) for one in taken] if self.call == "done" else taken

    async def take_meterless(self, limit: int) -> Sequence[CommandDelivery]:
        taken = await self.whole.take_meterless(limit)
        return [DyingCommand(one) for one in taken] if self.call == "done" else taken

    async def cancel(self, request_id: str) -> Sequence[CommandDelivery]:
        return await self.whole.cancel(request_id)

    async def pending(self, lane: Lane) -> int:
        return await self.whole.pending(lane)

    def here(self) -> Mapping[Lane, LaneCounts]:
        return self.whole.here()


@dataclass
class DyingEvents:
    whole: Events

    async def publish(self, subject: str, event_id: str, body: bytes) -> None:
        await self.whole.publish(subject, event_id, body)
        if subject == ANSWERED:  # front ends tell each other more than answers
            die()

    def listen(self, subject: str, listener: Listener) -> None:
        self.whole.listen(subject, listener)


class DyingEngine:
    """The Engine port."""

    def __init__(self, whole: Engine, port: str, call: str) -> None:
        self._whole = whole
        self.commands: Commands = DyingCommands(whole.commands, call) if port == "commands" else whole.commands
        self.replies: Jobs[ReplyJob] = DyingJobs(whole.replies, call) if port == "replies" else whole.replies
        self.answers: Answers = whole.answers
        self.events: Events = DyingEvents(whole.events) if port == "events" else whole.events

        self.charge: Charge = whole.charge

    async def open(self) -> None:
        await self._whole.open()

    async def recover(self, paced: Collection[str] = ()) -> None:
        await self._whole.recover(paced)


def dying(make: MakeEngine, port: str, call: str) -> MakeEngine:
    """What makes the same engine, of which the process dies behind this call of this port."""

    def make_dying(*store: Any, **settings: Any) -> Engine:
        return DyingEngine(make(*store, **settings), port, call)

    return make_dying
