"""What this head-end serves: a row per noun and per operation. All that dispatches, keeps and answers looks here and names none.

Beside the tables is what is the same for all operations: dispatch, the end without a recipe, the details of the end.
"""

from typing import Any

from ami_hes.commands import Command, Outcome
from ami_hes.meters import Meter, MeterFault, Meters
from ami_hes.nouns import Noun, end_device_controls, meter_readings
from ami_hes.operations import Assignment, Attempt, Operation, contactor, read_meter, retries
from ami_mapping.faults import explain

NOUNS: dict[str, Noun] = {
    "EndDeviceControls": end_device_controls,
    "MeterReadings": meter_readings,
}
OPERATIONS: dict[str, Operation] = {
    contactor.NAME: contactor.OPERATION,
    read_meter.NAME: read_meter.OPERATION,
}


async def run(meters: Meters, assignment: Assignment) -> Outcome:
    """Carry one command out on its meter. A fault that a recipe leaves to us is its end."""
    operation = OPERATIONS.get(assignment.command.operation)
    if operation is None:  # a store of another version may hold such a command
        return failed(assignment.command, assignment.attempt, "internal", "failed", detail="no such operation here")
    try:
        return await operation.run(meters, assignment)
    except MeterFault as fault:
        begun = assignment.attempt.begun
        why = fault.explained(attempted=begun if operation.acts else None)
        again = retries.is_worth(fault, acts=operation.acts, begun=begun)
        return Outcome(
            False, why.code, why.level, f"{assignment.meter.name}: {why.reason}", attempted=begun, again=again
        )


def failed(command: Command, attempt: Attempt, kind: str, name: str, *, detail: str = "") -> Outcome:
    """The end of a command that came to no recipe, or whose recipe came to no end; a row of the fault table."""
    operation = OPERATIONS.get(command.operation)
    in_question = operation is None or operation.acts
    fault = explain(kind, name, attempted=attempt.begun if in_question else None, detail=detail)
    return Outcome(False, fault.code, fault.level, fault.reason, attempted=attempt.begun)


def describe(command: Command, meter: Meter | None, outcome: Outcome) -> dict[str, Any] | None:
    """What the operation has to say of a command's end; None for one that is not known here."""
    operation = OPERATIONS.get(command.operation)
    return None if operation is None else dict(operation.describe(command, meter, outcome))
