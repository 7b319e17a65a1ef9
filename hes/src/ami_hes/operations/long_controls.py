"""Controls that take several associations or minutes: a key changed, an image activated; carried out by the operations of campaigns (M-166).

What is true of such a change, when it may be repeated and how it is proved is said there: `change_key`, `change_master_key`, `transfer_firmware`.
Here is what of an EndDeviceControl they are given, and the events of their ends.
"""

from dataclasses import replace

from ami_cim.control_parameters import FirmwareImage, KeyChange
from ami_hes.commands import Lane, Outcome
from ami_hes.meters import MeterFault, Meters
from ami_hes.operations import change_key, change_master_key, control, transfer_firmware
from ami_hes.operations.assignment import Assignment
from ami_hes.operations.firmware_order import format_order, order_of
from ami_hes.operations.operation import Operation
from ami_hes.store import StoreUnavailable

NAME = "long_control"
"""The operation's name; the body of its commands is that of `control.format_body`."""


async def run(meters: Meters, assignment: Assignment) -> Outcome:
    """Carry one command out on one meter; every end is an Outcome."""
    _, taken = control.parse_body(assignment.command.body)
    if isinstance(taken, KeyChange):
        return await _change_key(meters, assignment, taken)
    if isinstance(taken, FirmwareImage):
        try:
            return await _activate(meters, assignment, taken.identifier)
        except MeterFault as fault:  # nothing was asked of the meter
            why = fault.explained(attempted=None, switches=False)
            reason = f"{assignment.meter.name}: {why.reason}"
            return Outcome(False, why.code, why.level, reason, attempted=assignment.attempt.begun)
    raise LookupError(f"{assignment.command.body[:64]} has no operation")


async def _change_key(meters: Meters, assignment: Assignment, taken: KeyChange) -> Outcome:
    if taken.key == "master":
        return await change_master_key.run(meters, _as(assignment, change_master_key.NAME, change_master_key.FIELD))
    field = taken.key if taken.key == "secret" else f"{taken.key}_key"
    return await change_key.run(meters, _as(assignment, change_key.NAME, field))


async def _activate(meters: Meters, assignment: Assignment, identifier: str) -> Outcome:
    """Raises MeterFault where there is no such image."""
    if meters.firmware is None:
        raise LookupError("there is no store of firmware")
    try:
        found = await meters.firmware.image(identifier)
    except StoreUnavailable as problem:
        raise MeterFault("internal", "store", detail=str(problem)) from None
    if found is None or not found.image.complete:
        raise MeterFault("firmware", "no-image")
    order = format_order(order_of(found.image, activates_alone=True))
    return await transfer_firmware.run(meters, _as(assignment, transfer_firmware.NAME, order))


def _as(assignment: Assignment, operation: str, body: str) -> Assignment:
    return replace(assignment, command=replace(assignment.command, operation=operation, body=body))


OPERATION = Operation(
    run,
    control.describe,
    Lane.CAMPAIGN,
    acts=True,
    switches=False,
    ends_as=control.ends_as,
    control_type=control.control_type,
)
