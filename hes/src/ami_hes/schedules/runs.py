"""A run of a schedule as requests of the store: bounded parts, whose ids follow from the schedule and the moment that it was due.

So a run that was begun twice, because the process ended in between, is begun once.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from uuid import UUID, uuid5

from ami_cim.codes import Verb
from ami_hes.commands import Command, CommandJob, Lane, MeterId
from ami_hes.meters.registry import Meter, Registry
from ami_hes.operations import read_meter
from ami_hes.schedules.definition import Schedule
from ami_hes.schedules.subscribers import NOUN
from ami_hes.store import Collected, StoredRequest, StoredRun

METERS_PER_PART = 100


@dataclass(frozen=True, slots=True)
class RunPart:
    """A request, and its commands."""

    request: StoredRequest
    jobs: Sequence[CommandJob]


@dataclass(frozen=True, slots=True)
class Planned:
    """A run that is about to begin."""

    schedule: Schedule
    run_id: str
    due_at: datetime
    start: datetime
    end: datetime
    next_due_at: datetime

    def meters(self, registry: Registry) -> Iterator[list[Meter]]:
        """Those of each part, one after the other: meters of a large registry are looked up for a while."""
        meters = self.schedule.definition.meters(registry)
        return iter(lambda: list(islice(meters, METERS_PER_PART)), [])

    def part(
        self,
        number: int,
        meters: Sequence[Meter],
        complete: Mapping[str, datetime],
        now: datetime,
        deadline_at: datetime,
    ) -> RunPart:
        """`complete`: by mRID, up to when everything was collected before."""
        request = StoredRequest(
            request_id=part_id(self.run_id, number),
            digest="",
            verb=Verb.CREATED,
            noun=NOUN,
            source=self.schedule.name,
            correlation_id=self.run_id,
            reply_address=None,
            accepted_at=now,
            deadline_at=deadline_at,
            errors="[]",
        )
        commands = [self._command(request.request_id, meter, complete.get(meter.mrid)) for meter in meters]
        return RunPart(request, [CommandJob(one, Lane.CAMPAIGN, deadline_at) for one in commands])

    def _command(self, request_id: str, meter: Meter, complete_until: datetime | None) -> Command:
        body = self.schedule.definition.wanted(complete_until, self.start, self.end).format()
        return Command(request_id, MeterId(meter.name, meter.mrid), read_meter.NAME, body)


def planned(schedule: Schedule, now: datetime) -> Planned:
    """What is due by now; where it was missed several times, one run for all of them."""
    recurrence = schedule.definition.recurrence
    due_at = recurrence.last_due(now, schedule.next_due_at)
    return Planned(
        schedule=schedule,
        run_id=str(uuid5(UUID(schedule.schedule_id), due_at.isoformat())),
        due_at=due_at,
        start=recurrence.period(schedule.next_due_at)[0],
        end=recurrence.period(due_at)[1],
        next_due_at=recurrence.next_due(due_at),
    )


def part_id(run_id: str, number: int) -> str:
    """Of the request; a UUID."""
    return str(uuid5(UUID(run_id), str(number)))


def part_ids(run: StoredRun) -> list[str]:
    """Of all of its requests."""
    return [part_id(run.run_id, number) for number in range(1, run.parts + 1)]


def is_in_time(one: Collected, run: StoredRun) -> bool:
    """Whether it had its end by the deadline."""
    return one.finished_at <= run.deadline_at
