"""Reads the value of one register (interface class 3); the body of its commands is the OBIS code."""

import json
from collections.abc import Mapping

from ami_dlms.cosem.descriptors import AttributeDescriptor
from ami_dlms.obis import Obis
from ami_hes.commands import Command, Outcome
from ami_hes.meters import Meter, MeterFault, Meters
from ami_hes.operations import Assignment, Operation
from ami_hes.operations.identity import check_identity

NAME = "read_register"


async def run(meters: Meters, assignment: Assignment) -> Outcome:
    try:
        async with meters.hold(assignment.meter, until=assignment.until) as session:
            await check_identity(session)
            read = await session.get(AttributeDescriptor(3, Obis.parse(assignment.command.body), 2))
    except MeterFault as fault:
        why = fault.explained(attempted=None)
        return Outcome(False, why.code, why.level, f"{assignment.meter.name}: {why.reason}")
    return Outcome(True, payload=json.dumps({"value": str(read.value)}))


def describe(command: Command, meter: Meter | None, outcome: Outcome) -> Mapping[str, object]:
    return {"obis": command.body}


OPERATION = Operation(run, describe, acts=False)
