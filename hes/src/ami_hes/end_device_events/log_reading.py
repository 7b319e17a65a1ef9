"""Reads the event logs of one meter (class 7, 0-b:99.98.e): what they captured since they were read last, kept as events (M-160).

A log is marked as read when its entries are in the store, so a command that is interrupted reads some again, which are the same events.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from ami_dlms.cosem.descriptors import AttributeDescriptor
from ami_dlms.data import Data
from ami_dlms.datetimes import CosemDateTime
from ami_dlms.errors import DecodeError
from ami_dlms.obis import Obis
from ami_hes.commands import Command, Lane, Outcome
from ami_hes.end_device_events.log_entries import MOST_ENTRIES, LogEntries, entries_of, not_pushed
from ami_hes.end_device_events.taking import EventTaker
from ami_hes.meters import GetRefused, Meter, MeterFault, Meters, Session
from ami_hes.meters.known_objects import EVENT_LOGS, attributes_of_profile, profile_of
from ami_hes.operations import Assignment, Operation
from ami_hes.operations.identity import check_identity
from ami_hes.store import EventQuery, Happened, StoredDeviceEvent, StoreUnavailable
from ami_mapping.profiles import PROFILE_GENERIC, Profile

NAME = "read_event_logs"
"""The operation's name; the body of its commands is empty, or `WHOLE`."""
WHOLE = "whole"
"""All that the logs have, whatever was read before."""
OVERLAP = timedelta(days=1)
"""That is read again before the latest entry: the meter's clock may have been set back."""
FIRST = datetime(1970, 1, 1, tzinfo=UTC)
LAST = datetime(2099, 12, 31, tzinfo=UTC)
ENTRIES_IN_USE = 7
MOST_LOGS = 50
MOST_KEPT = 20_000
"""Events of a meter that are compared with its entries."""
NO_RANGE = frozenset({"SCOPE_OF_ACCESS_VIOLATED", "TYPE_UNMATCHED", "OTHER_REASON"})
"""Data-access-results by which meters refuse to give a part of a profile."""


async def run(meters: Meters, assignment: Assignment) -> Outcome:
    """Read all logs of one meter; a fault before the first of them is a MeterFault."""
    taker = meters.taker
    if not isinstance(taker, EventTaker):
        raise MeterFault("internal", "store", detail="nothing keeps events here")
    work = _Work(meters, taker, assignment)
    try:
        return await work.outcome()
    except StoreUnavailable as problem:
        why = MeterFault("internal", "store", detail=str(problem)).explained(attempted=None)
        return Outcome(False, why.code, why.level, f"{assignment.meter.name}: {why.reason}", again=True)


def describe(_: Command, __: Meter | None, outcome: Outcome) -> Mapping[str, object]:
    """The fields of `ami_hes.events.EventLogDetails`."""
    entries, logs = outcome.payload.split() if outcome.payload else ("0", "0")
    return {"entries": int(entries), "logs": int(logs)}


OPERATION = Operation(run, describe, Lane.CAMPAIGN, acts=False, switches=False)


@dataclass(slots=True)
class _Work:
    """One command on its way."""

    meters: Meters
    taker: EventTaker
    assignment: Assignment
    entries: int = 0
    logs: int = 0
    problems: list[str] = field(default_factory=list)
    fault: MeterFault | None = None

    async def outcome(self) -> Outcome:
        meter = self.assignment.meter
        marks = await self.taker.store.log_marks(meter.mrid)
        async with self.meters.hold(meter, until=self.assignment.until) as session:
            await check_identity(session)
            objects = await self.meters.objects.of(session)
            names = [name for class_id, name in objects if class_id == PROFILE_GENERIC and name[2:4] == EVENT_LOGS]
            for name in names[:MOST_LOGS]:
                since = None if self.assignment.command.body == WHOLE else marks.get(str(name))
                try:
                    await self._read(session, name, since)
                except GetRefused as refusal:
                    self._note(name, refusal.explained(attempted=None).reason, refusal)
                except MeterFault as fault:
                    if not self.logs:
                        raise
                    self._note(name, fault.explained(attempted=None).reason, fault)
                    break
        if len(names) > MOST_LOGS:
            self.problems.append(
                f"{len(names) - MOST_LOGS} of its {len(names)} logs were not read: {MOST_LOGS} are read at most"
            )
        return self._ended(len(names))

    def _ended(self, there: int) -> Outcome:
        name, payload = self.assignment.meter.name, f"{self.entries} {self.logs}"
        said = f"{name}: {self.entries} entries of {self.logs} logs"
        if not there:
            return Outcome(True, reason=f"{name}: it has no event logs", payload=payload)
        if self.fault is not None:
            why = self.fault.explained(attempted=None)
            reason = f"{said}; not read: {'; '.join(self.problems)}"
            return Outcome(False, why.code, why.level, reason, payload)
        return Outcome(True, reason="; ".join([said, *self.problems]), payload=payload)

    def _note(self, log: Obis, reason: str, fault: MeterFault | None = None) -> None:
        self.problems.append(f"{log}: {reason}")
        self.fault = self.fault or fault

    async def _read(self, session: Session, log: Obis, since: datetime | None) -> None:
        objects, period = await session.get_each(*attributes_of_profile(log))
        profile = profile_of(log, objects, period)
        if profile is None or profile.clock is None:
            self._note(log, "it does not say what it captures", _unexpected(log, "it does not say what it captures"))
            return
        start = FIRST if since is None else max(FIRST, since - OVERLAP)
        buffer = await self._buffer(session, profile, start)
        now, meter = self.meters.environment.now(), self.assignment.meter
        names = self.taker.names.of(meter)
        try:
            found = await asyncio.to_thread(entries_of, buffer, profile.columns, log, meter, now, names)
        except (DecodeError, ValueError) as problem:
            self._note(log, str(problem), _unexpected(log, str(problem)))
            return
        await self._keep(log, found, start, now)

    async def _buffer(self, session: Session, profile: Profile, start: datetime) -> Data:
        """The entries from this moment on; of a meter that gives no part of it, all of them."""
        first, last = CosemDateTime.from_datetime(start), CosemDateTime.from_datetime(LAST)
        if start > FIRST:
            try:
                return await session.get(profile.buffer, profile.between(first, last))
            except GetRefused as refusal:
                if refusal.name not in NO_RANGE:
                    raise
        in_use = await session.get(AttributeDescriptor(PROFILE_GENERIC, profile.obis, ENTRIES_IN_USE))
        if not isinstance(in_use.value, int) or in_use.value > MOST_ENTRIES:
            raise _unexpected(profile.obis, f"it has {in_use.value} entries, and {MOST_ENTRIES} are read at most")
        return await session.get(profile.buffer)

    async def _keep(self, log: Obis, found: LogEntries, start: datetime, now: datetime) -> None:
        """First the events and then the mark."""
        mrid, store = self.assignment.meter.mrid, self.taker.store
        kept = await store.find(EventQuery(mrids=(mrid,), since=start, most=MOST_KEPT, newest_first=True))
        new = await asyncio.to_thread(_new_ones, found, kept, log)
        if new:
            await self.taker.take(Happened(mrid=mrid, at=now, events=new))
        latest = max((one.created_at for one in found.events if one.created_at <= now), default=None)
        if latest is not None:
            await store.mark_log(mrid, str(log), seen_at=latest, read_at=now)
        self.logs += 1
        self.entries += len(found.events)
        if found.odd:
            self._note(log, f"{found.odd} entries have no moment or no number, and are left out")


def _new_ones(found: LogEntries, kept: Sequence[StoredDeviceEvent], log: Obis) -> list[StoredDeviceEvent]:
    return list(not_pushed(found.events, [one for one in kept if _is_of(one, log)]))


def _is_of(one: StoredDeviceEvent, log: Obis) -> bool:
    return one.source == "log" and f'["log", "{log}"]' in one.details


def _unexpected(log: Obis, detail: str) -> MeterFault:
    where = f"reading the event log {log}"
    return MeterFault("data-access-result", "unexpected-value", where=where, detail=detail)
