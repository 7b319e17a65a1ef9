"""Reads ReadingTypes of one meter, or all that it has: what can be read is handed back, and the rest each with its reason."""

from collections.abc import Mapping, Sequence

from ami_hes.commands import Command, Lane, Outcome
from ami_hes.meters import Meter, Meters
from ami_hes.operations.assignment import Assignment
from ami_hes.operations.identity import check_identity
from ami_hes.operations.operation import Operation
from ami_hes.operations.read_attributes import Asked, AttributeReader, all_of, asked_for
from ami_hes.operations.read_results import NotRead, ReadValues, Wanted
from ami_mapping.lookup import ReadingTable, readings
from ami_mapping.reading_types import RefusedReadingType

NAME = "read_meter"
"""The operation's name; the body of its commands is a `Wanted`, the payload of its outcomes a `ReadValues`."""
SEVERAL = "5.4"
"""Reply code of several kinds of faults."""
MOST_SHOWN = 10


async def run(meters: Meters, assignment: Assignment) -> Outcome:
    """Read; whatever ends it before the first answer is a MeterFault."""
    table = readings()
    asked, not_read = _asked(Wanted.parse(assignment.command.body), table)
    async with meters.hold(assignment.meter, until=assignment.until) as session:
        reader = AttributeReader(session, meters.environment.now)
        if asked is None:
            await check_identity(session)  # before its list of objects is believed
            objects = await meters.objects.of(session)
            await reader.read_listed(all_of(objects, table), objects)
        elif absent := await reader.read(asked):
            await reader.read_listed(absent, await meters.objects.of(session))
    return _outcome(assignment.meter, ReadValues(tuple(reader.values), (*not_read, *reader.not_read)))


def describe(command: Command, meter: Meter | None, outcome: Outcome) -> Mapping[str, object]:
    """How many values were read, and which ReadingTypes were not."""
    found = ReadValues.parse(outcome.payload)
    return {
        "values": len(found.values),
        "not_read": [{"reading_type": one.reading_type, "code": one.code} for one in found.not_read[:MOST_SHOWN]],
    }


OPERATION = Operation(run, describe, Lane.READ, acts=False)


def _asked(wanted: Wanted, table: ReadingTable) -> tuple[list[Asked] | None, list[NotRead]]:
    """What to read, None for all that there is, and what no row answers any more: a command may be older than the table."""
    if not wanted.reading_types:
        return None, []
    asked: list[Asked] = []
    not_read: list[NotRead] = []
    for one in wanted.reading_types:
        try:
            asked.append(asked_for(one, table))
        except RefusedReadingType as refused:
            not_read.append(NotRead(one, refused.code, "FATAL", refused.reason))
    return asked, not_read


def _outcome(meter: Meter, found: ReadValues) -> Outcome:
    """OK when all that was asked for was read; the payload has what was read in any case."""
    if not found.not_read:
        return Outcome(True, payload=found.format())
    first = found.not_read[0]
    code = first.code if _alike(found.not_read) else SEVERAL
    left = len(found.not_read)
    reason = f"{meter.name}: {left} of {left + len(found.values)} were not read; {first.reading_type}: {first.reason}"
    return Outcome(False, code, first.level, reason, payload=found.format())


def _alike(not_read: Sequence[NotRead]) -> bool:
    return len({one.code for one in not_read}) == 1
