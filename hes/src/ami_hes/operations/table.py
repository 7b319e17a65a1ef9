"""The table of operations, and what is the same for all of them: dispatch, the end without a recipe, the details of the end."""

from typing import Any

from ami_hes.commands import Command, Outcome
from ami_hes.meters import Meter, Meters
from ami_hes.operations import contactor
from ami_hes.operations.assignment import Assignment, Attempt
from ami_hes.operations.operation import Operation
from ami_mapping.faults import explain

OPERATIONS: dict[str, Operation] = {contactor.NAME: contactor.OPERATION}


async def run(meters: Meters, assignment: Assignment) -> Outcome:
    """Carry one command out on its meter."""
    operation = OPERATIONS.get(assignment.command.operation)
    if operation is None:  # a store of another version may hold such a command
        return failed(assignment.command, assignment.attempt, "internal", "failed", detail="no such operation here")
    return await operation.run(meters, assignment)


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
