"""Reads one register (interface class 3), scaled to the unit of its reading type, which is the body of its commands."""

from collections.abc import Mapping

from ami_dlms.cosem.descriptors import AttributeDescriptor
from ami_dlms.cosem.quantity import ScalerUnit
from ami_dlms.obis import Obis
from ami_hes.commands import Command, Lane, Outcome
from ami_hes.meters import Meter, Meters
from ami_hes.operations.assignment import Assignment
from ami_hes.operations.identity import read_identified
from ami_hes.operations.operation import Operation

NAME = "read_register"
REGISTERS = {
    "0.0.0.1.1.1.12.0.0.0.0.0.0.0.0.3.72.0": Obis.parse("1-0:1.8.0*255"),
    "0.0.0.1.1.1.12.0.0.0.0.0.0.0.128.3.72.0": Obis.parse("1-0:1.8.77*255"),
}


async def run(meters: Meters, assignment: Assignment) -> Outcome:
    register = REGISTERS[assignment.command.body]
    async with meters.hold(assignment.meter, until=assignment.until) as session:
        value, unit = await read_identified(session, *(AttributeDescriptor(3, register, one) for one in (2, 3)))
    return Outcome(True, payload=f"{ScalerUnit.decode(unit).apply(value).value:f}")


def describe(command: Command, meter: Meter | None, outcome: Outcome) -> Mapping[str, object]:
    return {"obis": str(REGISTERS[command.body]), "value": outcome.payload}


OPERATION = Operation(run, describe, Lane.READ, acts=False)
