"""A small meter whose keys can be changed, and a head-end before it that can be killed between any two of its steps.

A step is a moment at which something has just become so, or is about to: a write of the head-end's store, a request that the meter has
got, one that it has carried out and not answered. Steps are counted, so that a test enumerates them.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from small_meter import HES_TITLE, Counters, SmallMeter

from ami_dlms.cosem.descriptors import AttributeDescriptor, MethodDescriptor
from ami_dlms.data import Data
from ami_dlms.enums import ActionResult, DataAccessResult
from ami_dlms.errors import SecurityError
from ami_dlms.obis import Obis
from ami_dlms.security import ReceiveCounter, SendCounter, unwrap_key
from ami_hes.commands import Command, CommandJob, Lane, MeterId, Outcome
from ami_hes.meters import Meter, Meters, MetersSettings
from ami_hes.operations import Assignment, Attempt, change_key, change_master_key
from ami_hes.operations.identity import check_identity
from ami_hes.registry import KeptRegistry, MasterKey, Sealer, configured_meters, open_registry
from ami_hes.served import run
from ami_hes.store import (
    CounterRange,
    Database,
    FirmwareStore,
    RegistryChange,
    SqlReceivedCounters,
    SqlRegistry,
    SqlResults,
    StoredRequest,
)
from ami_process.clocks import Clock
from ami_process.environment import REAL, Environment, real_time

SECURITY_SETUP = Obis.parse("0-0:43.0.0*255")
CURRENT_ASSOCIATION = Obis.parse("0-0:40.0.0*255")
PASSWORD, CHANGE_HLS_SECRET = (
    AttributeDescriptor(15, CURRENT_ASSOCIATION, 7),
    MethodDescriptor(15, CURRENT_ASSOCIATION, 2),
)
MASTER = MasterKey(bytes(range(32)))
NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
Step = Callable[[str], None]


@dataclass
class KeyedMeter(SmallMeter):
    """Takes keys that are wrapped under its master key; they count from the next connection on."""

    master_key: bytes = field(default_factory=lambda: os.urandom(16))
    new_counters: bool = False
    """Its counters begin anew with a new encryption key."""
    takes: bool = True
    """False: it answers success and keeps the former key."""
    keeps: frozenset[int] = frozenset()
    """The key_ids of which it answers so."""
    step: Step = lambda _: None
    transfers: int = 0

    def entry(self, **changes: Any) -> dict[str, Any]:
        return super().entry(**{"master_key": self.master_key.hex()} | changes)

    def _set(self, descriptor: AttributeDescriptor, value: Data) -> DataAccessResult:
        if descriptor != PASSWORD:
            return super()._set(descriptor, value)
        self.password = bytes(value.value)
        return DataAccessResult.SUCCESS

    def _act(self, descriptor: MethodDescriptor, parameters: Data | None) -> ActionResult:
        if descriptor == CHANGE_HLS_SECRET and parameters is not None:
            self.password = bytes(parameters.value)
            return ActionResult.SUCCESS
        if descriptor != MethodDescriptor(64, SECURITY_SETUP, 2):
            return super()._act(descriptor, parameters)
        self.step("the meter has got the key")
        assert parameters is not None
        if self.result is not ActionResult.SUCCESS:
            return self.result
        for key_id, wrapped in (one.value for one in parameters.value):
            try:
                key = unwrap_key(self.master_key, wrapped.value)
            except SecurityError:
                return ActionResult.OTHER_REASON
            self.transfers += 1
            if self.takes and key_id.value not in self.keeps:
                self._change(key_id.value, key)
        self.step("the meter has taken the key and has not answered")
        return ActionResult.SUCCESS

    def _change(self, key_id: int, key: bytes) -> None:
        if key_id == 3:
            self.master_key = key
            return
        if key_id == 2:
            self.authentication_key = key
            return
        if self.new_counters and key != self.encryption_key:
            self.send_counter, self.receive_counter = SendCounter(1), ReceiveCounter(0)
        self.encryption_key = key


class Killed(BaseException):
    """The head-end is no more."""


class Steps:
    """Counts steps, and does something at one of them."""

    def __init__(self, at: int = 0, then: Callable[[], None] = lambda: None) -> None:
        self.names: list[str] = []
        self._at = at
        self._then = then

    def __call__(self, name: str) -> None:
        self.names.append(name)
        if len(self.names) == self._at:
            self._then()


class _Registry(SqlRegistry):
    def __init__(self, database: Database, life: Life) -> None:
        super().__init__(database)
        self._life = life

    async def change(self, change: RegistryChange) -> None:
        await self._life.around("keys are kept", partial(super().change, change))


class _Counters(Counters):
    def __init__(self, database: Database, life: Life) -> None:
        super().__init__(database)
        self._life = life

    async def reserve_counters(self, key_id: str, at_least: int, count: int) -> CounterRange:
        given: CounterRange = await self._life.around(
            "counters are reserved", partial(super().reserve_counters, key_id, at_least, count)
        )
        self._life.ranges.append((key_id, given))
        return given

    async def try_counters(self, key_id: str, at_least: int, count: int, *, max_jump: int) -> CounterRange | None:
        trying = partial(super().try_counters, key_id, at_least, count, max_jump=max_jump)
        given: CounterRange | None = await self._life.around("counters are tried", trying)
        if given is not None:
            self._life.ranges.append((key_id, given))
        return given


@dataclass
class Life:
    """A life of the head-end's process, with the store that outlives it."""

    path: Path
    meter: SmallMeter
    ranges: list[tuple[str, CounterRange]]
    """Of all lives: what was handed out, by key."""
    step: Step = lambda _: None
    dead: bool = False
    entry: dict[str, Any] | None = None
    """As configured; None: as the meter was before any change."""
    clock: Clock = REAL
    meters: Meters | None = None
    """While it lives."""
    known: Meter | None = None
    """The registry's meter after the last command."""
    _tasks: list[asyncio.Task[Outcome]] = field(default_factory=list)

    async def around(self, name: str, work: Callable[[], Any]) -> Any:
        self.check(f"before {name}")
        done = await work()
        self.check(f"after {name}")
        return done

    def check(self, name: str) -> None:
        if self.dead:
            raise Killed
        self.step(name)
        if self.dead:
            raise Killed

    def kill(self) -> None:
        """Nothing that this life does from now on reaches its store; its sockets are closed by the end of its task."""
        self.dead = True
        for task in self._tasks:
            task.cancel()

    @asynccontextmanager
    async def lived(self) -> AsyncIterator[tuple[KeptRegistry, Meters, SqlResults]]:
        async with Database(self.path) as database:
            sealer = Sealer(_Masters(), os.urandom)
            entries = [self.entry or self.meter.entry()]
            opening = open_registry(
                _Registry(database, self), sealer, configured_meters(entries, [], None), lambda _: None
            )
            kept = await opening
            meters = Meters(
                kept.registry,
                _Counters(database, self),
                SqlReceivedCounters(database),
                MetersSettings(host="127.0.0.1", port=0, system_title=HES_TITLE, apdu_timeout_s=2.0),
                Environment(emit=lambda _: None).by(self.clock),
                keys=kept.keys,
                firmware=self.firmware(database),
            )
            await meters.start()
            self.meters = meters
            try:
                yield kept, meters, SqlResults(database)
            finally:
                await meters.stop()

    def firmware(self, _: Database) -> FirmwareStore | None:
        """None of a test of keys."""
        return None

    async def change(self, field_name: str = "encryption_key", request_id: str = "roll") -> Outcome | None:
        """Work the command as the worker does; None when this life was killed."""
        operation = change_master_key.NAME if field_name == change_master_key.FIELD else change_key.NAME
        return await self.work(job(request_id, self.meter, operation, field_name))

    async def work(self, job: CommandJob, is_cancelled: Callable[[], bool] = lambda: False) -> Outcome | None:
        """The same of any command; it is run again as long as it goes on, at once."""
        request_id = job.request_id
        async with self.lived() as (kept, meters, results):
            await results.accept(_request(request_id), [job])
            stored = await results.command(request_id, self.meter.name)
            meter = kept.registry.find_by_name(self.meter.name)
            assert stored is not None and meter is not None
            keep = partial(
                self.around, "the attempt is kept", partial(results.attempt, request_id, self.meter.name, NOW)
            )
            attempt = Attempt(keep, begun=stored.attempted)
            assignment = Assignment(meter, job.command, attempt, real_time() + 20, is_cancelled=is_cancelled)
            task = asyncio.create_task(_until_its_end(meters, assignment))
            self._tasks.append(task)
            try:
                outcome = await task
                self.known = kept.registry.find_by_name(self.meter.name)
                return outcome
            except (Killed, asyncio.CancelledError):
                assert self.dead
                return None

    @property
    def registered(self) -> Meter:
        """As the registry has it while it lives."""
        found = None if self.meters is None else self.meters.registry.find_by_name(self.meter.name)
        assert found is not None
        return found

    async def opens(self) -> Meter:
        """The registry's meter, with which a session was just held."""
        async with self.lived() as (kept, meters, _):
            meter = kept.registry.find_by_name(self.meter.name)
            assert meter is not None
            async with meters.hold(meter, until=real_time() + 20) as session:
                await check_identity(session)
            now = kept.registry.find_by_name(self.meter.name)
            assert now is not None
            return now


class _Masters:
    place = "the test"

    def current(self) -> MasterKey:
        return MASTER

    def find(self, key_id: str) -> MasterKey | None:
        return MASTER if key_id == MASTER.id else None

    def renew(self) -> None:
        """Never asked for."""


def _request(request_id: str) -> StoredRequest:
    return StoredRequest(
        request_id=request_id,
        digest="",
        verb="created",
        noun="EndDeviceControls",
        correlation_id="c",
        reply_address=None,
        accepted_at=NOW,
        deadline_at=NOW + timedelta(days=1),
        errors="[]",
    )


async def _until_its_end(meters: Meters, assignment: Assignment) -> Outcome:
    while (outcome := await run(meters, assignment)).goes_on_s is not None:
        await pause(outcome.goes_on_s)
    return outcome


async def pause(_: float) -> None:
    """In a test what goes on later goes on at once."""
    await asyncio.sleep(0)


def job(request_id: str, meter: SmallMeter, operation: str, body: str) -> CommandJob:
    who = MeterId(meter.name, str(meter.entry()["mrid"]))
    command = Command(request_id, who, operation, body)
    return CommandJob(command, Lane.CAMPAIGN, NOW + timedelta(days=1))
