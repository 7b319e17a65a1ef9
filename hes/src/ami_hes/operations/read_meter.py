"""Reads ReadingTypes of one meter, or all that it has: what can be read is handed back, and the rest each with its reason."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

from ami_hes.commands import Command, CommandJob, Lane, Outcome
from ami_hes.events import ReadingsNotKept
from ami_hes.meters import Meter, MeterFault, Meters
from ami_hes.operations.asked_types import Asked, SortedOut, is_period, of_medium, sort_out
from ami_hes.operations.assignment import Assignment, MeterNeeded
from ami_hes.operations.chosen_values import with_qualities
from ami_hes.operations.identity import check_identity
from ami_hes.operations.kept_readings import to_keep
from ami_hes.operations.operation import Operation
from ami_hes.operations.read_attributes import AttributeReader, all_of
from ami_hes.operations.read_periods import PeriodReader
from ami_hes.operations.read_profiles import ProfileReader, fault_of
from ami_hes.operations.read_results import METER, STORE, STORE_FIRST, NotRead, ReadValues, WantedReadings
from ami_hes.operations.stored_readings import StoredReadings
from ami_hes.operations.sub_meters import OWN, check_channel, reached_by
from ami_hes.store import StoreUnavailable
from ami_mapping.faults import Fault, explain
from ami_mapping.intervals import Span
from ami_mapping.lookup import readings

NAME = "read_meter"
"""The operation's name; the body of its commands is a `WantedReadings`, the payload of its outcomes a `ReadValues`."""
SEVERAL = "5.4"
"""Reply code of several kinds of faults."""
MOST_SHOWN = 10


async def run(meters: Meters, assignment: Assignment) -> Outcome:
    """Read from the store, from the meter or from both; whatever ends it before the first answer is a MeterFault."""
    wanted = WantedReadings.parse(assignment.command.body)
    now = int(meters.environment.now().timestamp())
    asked = sort_out(wanted, meters.table, now, of_sub_meter=bool(assignment.meter.behind))
    if asked.everything and not asked.has_now:
        return _nothing(explain("reading", "not-then", attempted=None))  # all that it has is what it has now (M-131)
    if wanted.source == METER:
        found = await _read_and_keep(meters, assignment, asked)
    else:
        stored = StoredReadings(meters.readings, assignment.meter.mrid, meters.environment.now)
        from_meter = _needs_meter if assignment.meterless else partial(_read_and_keep, meters, assignment)
        read = None if wanted.source == STORE else from_meter
        found = await stored.answer(asked, read)
    not_read = (*asked.not_read, *found.not_read)
    answered = replace(found, not_read=tuple(dict.fromkeys(not_read))) if not_read else found
    found = with_qualities(answered, wanted.qualities, asked)
    if not (found.values or found.series or found.not_read):
        if answered.values or answered.series:
            return _nothing(explain("reading", "no-quality", attempted=None, detail=" or ".join(wanted.qualities)))
        name, detail = ("not-kept", "") if wanted.source == STORE else ("OBJECT_UNDEFINED", "of those that are mapped")
        return _nothing(explain("reading", name, attempted=None, detail=detail))
    return _outcome(assignment.meter, found)


async def _needs_meter(_: SortedOut) -> ReadValues:
    raise MeterNeeded


async def _read_and_keep(meters: Meters, assignment: Assignment, asked: SortedOut) -> ReadValues:
    """Read from the meter, and keep it; the values are answered even when the store does not take them."""
    found = await _read(meters, assignment, asked)
    assignment.session_over()
    if meters.readings is not None and (series := to_keep(found)):
        try:
            await meters.readings.keep(assignment.meter.mrid, series, last=not meters.at_work)
        except StoreUnavailable:
            meters.environment.emit(
                ReadingsNotKept(message_id=assignment.command.request_id, meter=assignment.meter.name)
            )
    return found


async def _read(meters: Meters, assignment: Assignment, asked: SortedOut) -> ReadValues:
    table, now = meters.table, meters.environment.now
    meter = assignment.meter
    async with meters.hold(reached_by(meters.registry, meter), until=assignment.until) as session:
        channel = await check_channel(session, meter) if meter.behind else OWN
        if meter.behind:
            asked = of_medium(asked, channel.medium)
        attributes = AttributeReader(session, meters.objects, meters.scalers, now, channel.number)
        profiles = ProfileReader(session, meters.objects, meters.scalers, table, now, channel.number)
        if asked.everything:
            await check_identity(session)  # before its list of objects is believed
            objects = channel.objects(await meters.objects.of(session))
            await attributes.read_listed(all_of(objects, readings(), channel.medium), objects)
        elif absent := await attributes.read(asked.attributes):
            await attributes.read_listed(absent, await meters.objects.of(session))
        periods = PeriodReader(session, meters.objects, meters.scalers, now)
        if asked.span is not None:
            in_periods = [one for one in asked.columns if is_period(one.matches[0].row)]
            in_columns = [one for one in asked.columns if one not in in_periods]
            if in_columns:
                await _read_over(profiles, in_columns, asked.span, is_first=not attributes.values)
            if in_periods:
                is_first = not attributes.values and not in_columns
                await _read_over(periods, in_periods, asked.span, is_first=is_first)
    not_read = (*asked.not_read, *attributes.not_read, *profiles.not_read, *periods.not_read)
    return ReadValues(tuple(attributes.values), (*profiles.series, *periods.series), not_read)


async def _read_over(
    profiles: ProfileReader | PeriodReader, asked: Sequence[Asked], span: Span, *, is_first: bool
) -> None:
    """What was read before a fault is kept; without that, the fault is the end of the command."""
    try:
        await profiles.read(asked, span)
    except MeterFault as fault:
        if is_first:
            raise
        profiles.fail(asked, fault_of(fault))


def describe(command: Command, meter: Meter | None, outcome: Outcome) -> Mapping[str, object]:
    """How many values were read, and which ReadingTypes were not."""
    if outcome.ok and outcome.values is not None:  # as of thousands of meters: a payload need not be read again
        return {"values": outcome.values, "not_read": []}
    values, not_read = ReadValues.counted(outcome.payload)
    return {
        "values": values,
        "not_read": [{"reading_type": one.reading_type, "code": one.code} for one in not_read[:MOST_SHOWN]],
    }


def is_meterless(job: CommandJob) -> bool:
    """What is kept is given without the meter; a campaign, which collects what is not kept yet, goes there at once."""
    try:
        source = WantedReadings.parse(job.command.body).source
    except (TypeError, ValueError):  # as it was not kept by us; its recipe ends as a fault of ours
        return False
    return source == STORE or (source == STORE_FIRST and job.lane is not Lane.CAMPAIGN)


OPERATION = Operation(run, describe, Lane.READ, acts=False, meterless=is_meterless)


def _outcome(meter: Meter, found: ReadValues) -> Outcome:
    """OK when all that was asked for was read; the payload has what was read in any case."""
    if not found.not_read:
        return Outcome(True, payload=found.format(), values=found.count)
    first = found.not_read[0]
    code = first.code if _alike(found.not_read) else SEVERAL
    left = len(found.not_read)
    read = len(found.values) + len(found.series)
    reason = f"{meter.name}: {left} ReadingTypes were not read and {read} were; {first.reading_type}: {first.reason}"
    return Outcome(False, code, first.level, reason, payload=found.format())


def _nothing(why: Fault) -> Outcome:
    return Outcome(False, why.code, why.level, why.reason)


def _alike(not_read: Sequence[NotRead]) -> bool:
    return len({one.code for one in not_read}) == 1
