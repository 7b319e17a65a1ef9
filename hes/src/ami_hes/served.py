"""What this head-end serves: a row per noun and per operation. All that dispatches, keeps and answers looks here and names none.

Beside the tables is what is the same for all operations: dispatch, the end without a recipe, the details of the end.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from ami_cim.message import ReplyError, RequestMessage
from ami_cim.payloads import Payload
from ami_hes import operation_sets
from ami_hes.commands import Command, CommandJob, ControlEnd, Outcome
from ami_hes.end_device_events import EventOrders, end_event, log_reading, parts_of_events, question_of_events
from ami_hes.master_data import (
    DeviceOrders,
    ExchangeOrders,
    LinkageOrders,
    MakeChange,
    OpenCommands,
    UsagePointOrders,
    exchange_orders,
    question_of_devices,
    question_of_links,
    question_of_usage_points,
)
from ami_hes.meters import Meter, MeterFault, Meters
from ami_hes.meters.registry import Registry
from ami_hes.nouns import (
    Ask,
    Meant,
    NounModule,
    Order,
    RequestContext,
    Shown,
    end_device_controls,
    meter_readings,
)
from ami_hes.operation_sets import OperationSets
from ami_hes.operations import (
    Assignment,
    Attempt,
    Operation,
    change_key,
    change_master_key,
    commission,
    contactor,
    control,
    long_controls,
    read_meter,
    retries,
    transfer_firmware,
)
from ami_hes.registry import KeptRegistry
from ami_hes.schedules import ScheduleBook, ScheduleOrders, question_of_schedules
from ami_hes.store import DeviceEvents, Results, StoredDeviceEvent, UsagePoints
from ami_mapping.faults import explain


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What of this head-end a noun may look at or change that is carried out on the head-end itself."""

    schedules: ScheduleBook
    kept: KeptRegistry
    usage_points: UsagePoints
    change: MakeChange
    """How changes of usage points are noted."""
    results: Results
    open_commands: OpenCommands
    protected: tuple[tuple[str, str], ...]
    """Tags and values of meters that nobody switches alone."""
    device_events: DeviceEvents
    time_zone: str
    """`hes.time_zone`."""
    ask: Ask
    """How a part of a request is carried out that is a request itself."""


class Timed(Protocol):
    """What the module of a noun offers whose requests may have to be begun later, and may be looked at and taken back."""

    def begins_at(self, message: RequestMessage) -> datetime | None:
        """When it is to begin; None: at once. Raises Refused."""

    def begun(self, message: RequestMessage) -> RequestMessage:
        """The request, once its time has come."""

    def meant(
        self, context: RequestContext, message: RequestMessage, registry: Registry
    ) -> tuple[Meant, tuple[ReplyError, ...]]:
        """What of which meters a message points at, that names requests so; and an error for each that is no meter."""

    def asked_of(self, command: Command) -> tuple[str, str]:
        """What a command asks of which meter, in the same form."""

    def shown(self, requests: Sequence[Shown]) -> Payload:
        """Requests as the payload of a get."""


@dataclass(frozen=True, slots=True)
class OnMeters:
    """A noun whose requests become commands for meters."""

    noun: NounModule
    timed: Timed | None = None
    """Of one whose requests may be for later, and may be cancelled."""


@dataclass(frozen=True, slots=True)
class OnHeadEnd:
    """A noun whose requests are carried out on the head-end itself: none of them is a command for a meter."""

    order: Callable[[Parts], Order]
    check: Callable[[RequestMessage], object] | None = None
    """Of one that takes as long as meters do: raises Refused for a message of which nothing may be done. One with a ReplyAddress is
    acknowledged before it is carried out."""
    question: Callable[[RequestMessage], object] | None = None
    """Of one that can be asked for: what a get asks; raises Refused where the Request holds nothing of the kind."""
    parts: Callable[[Payload], Sequence[Payload]] | None = None
    """Of one whose payload may be long: as those of several messages, at a ReplyAddress."""


NOUNS: dict[str, OnMeters | OnHeadEnd] = {
    "EndDeviceControls": OnMeters(end_device_controls, end_device_controls),
    "MeterReadings": OnMeters(meter_readings),
    "EndDeviceEvents": OnHeadEnd(
        lambda parts: EventOrders(parts.device_events, parts.kept.registry),
        question=question_of_events,
        parts=parts_of_events,
    ),
    "MeterReadSchedule": OnHeadEnd(
        lambda parts: ScheduleOrders(parts.schedules, parts.time_zone), question=question_of_schedules
    ),
    "MeterConfig": OnHeadEnd(
        lambda parts: DeviceOrders("MeterConfig", parts.kept, parts.open_commands, parts.protected),
        question=question_of_devices,
    ),
    "EndDeviceConfig": OnHeadEnd(
        lambda parts: DeviceOrders("EndDeviceConfig", parts.kept, parts.open_commands, parts.protected),
        question=question_of_devices,
    ),
    "UsagePointConfig": OnHeadEnd(
        lambda parts: UsagePointOrders(parts.kept, parts.usage_points, parts.change), question=question_of_usage_points
    ),
    "MasterDataLinkageConfig": OnHeadEnd(
        lambda parts: LinkageOrders(parts.kept, parts.usage_points), question=question_of_links
    ),
    exchange_orders.NOUN: OnHeadEnd(
        lambda parts: ExchangeOrders(parts.kept, parts.results, parts.ask), check=exchange_orders.checked
    ),
    operation_sets.NOUN: OnHeadEnd(
        lambda parts: OperationSets(parts.ask, _of_operations()),
        check=lambda message: operation_sets.checked(message, _of_operations()),
    ),
}
OPERATIONS: dict[str, Operation] = {
    contactor.NAME: contactor.OPERATION,
    control.NAME: control.OPERATION,
    read_meter.NAME: read_meter.OPERATION,
    log_reading.NAME: log_reading.OPERATION,
    change_key.NAME: change_key.OPERATION,
    change_master_key.NAME: change_master_key.OPERATION,
    commission.NAME: commission.OPERATION,
    transfer_firmware.NAME: transfer_firmware.OPERATION,
    long_controls.NAME: long_controls.OPERATION,
}


def _of_operations() -> frozenset[str]:
    """Nouns that an operation of a set may have."""
    return frozenset(NOUNS) - {operation_sets.NOUN, exchange_orders.NOUN}


def noun_of(name: str) -> NounModule:
    """The module of a noun that is carried out on meters; LookupError for any other."""
    row = NOUNS[name]
    if not isinstance(row, OnMeters):
        raise LookupError(f"{name} is carried out on the head-end, not on meters")
    return row.noun


def timed_of(name: str) -> Timed | None:
    """That of a noun; None where requests of it are begun when they come."""
    row = NOUNS.get(name)
    return row.timed if isinstance(row, OnMeters) else None


def orders_of(parts: Parts) -> dict[str, Order]:
    """By noun, how each is carried out that changes the head-end itself."""
    return {name: row.order(parts) for name, row in NOUNS.items() if isinstance(row, OnHeadEnd)}


def check_of(name: str) -> Callable[[RequestMessage], object] | None:
    """That of a noun that is carried out on the head-end and takes long; None for any other."""
    row = NOUNS[name]
    return row.check if isinstance(row, OnHeadEnd) else None


def parts_of(name: str, payload: Payload | None) -> Sequence[Payload | None]:
    """What goes into the messages of a late answer, one after the other."""
    row = NOUNS.get(name)
    if payload is None or not isinstance(row, OnHeadEnd) or row.parts is None:
        return [payload]
    return row.parts(payload)


def is_meterless(job: CommandJob) -> bool:
    """Whether a command may be done without its meter, and so does not wait for it."""
    operation = OPERATIONS.get(job.command.operation)
    return operation is not None and operation.meterless(job)


async def run(meters: Meters, assignment: Assignment) -> Outcome:
    """Carry one command out on its meter. A fault that a recipe leaves to us is its end. Raises MeterNeeded, of one that is meterless."""
    operation = OPERATIONS.get(assignment.command.operation)
    if operation is None:  # a store of another version may hold such a command
        return failed(assignment.command, assignment.attempt, "internal", "failed", detail="no such operation here")
    try:
        return await operation.run(meters, assignment)
    except MeterFault as fault:
        begun = assignment.attempt.begun
        why = fault.explained(attempted=begun if operation.acts else None, switches=operation.switches)
        again = retries.is_worth(fault, acts=operation.acts, begun=begun)
        return Outcome(
            False, why.code, why.level, f"{assignment.meter.name}: {why.reason}", attempted=begun, again=again
        )


def failed(command: Command, attempt: Attempt, kind: str, name: str, *, detail: str = "") -> Outcome:
    """The end of a command that came to no recipe, or whose recipe came to no end; a row of the fault table."""
    operation = OPERATIONS.get(command.operation)
    in_question = operation is None or operation.acts
    attempted, switches = attempt.begun if in_question else None, operation is None or operation.switches
    fault = explain(kind, name, attempted=attempted, detail=detail, switches=switches)
    return Outcome(False, fault.code, fault.level, fault.reason, attempted=attempt.begun)


def describe(command: Command, meter: Meter | None, outcome: Outcome) -> dict[str, Any] | None:
    """What the operation has to say of a command's end; None for one that is not known here."""
    operation = OPERATIONS.get(command.operation)
    return None if operation is None else dict(operation.describe(command, meter, outcome))


def end_of(command: Command, outcome: Outcome, at: datetime) -> StoredDeviceEvent | None:
    """The end of a command as an event of its meter; None for operations whose ends are none."""
    operation = OPERATIONS.get(command.operation)
    if operation is None or operation.control_type is None:
        return None
    end = ControlEnd(
        command=command,
        control_type=operation.control_type(command),
        event_type=operation.ends_as(command, outcome),
        ok=outcome.ok,
        reply_code=outcome.code,
        attempted=outcome.attempted,
        reason=outcome.reason,
        at=at,
    )
    return end_event(end)


def event_type_of(command: Command, outcome: Outcome) -> str | None:
    """The EndDeviceEventType that the end of a command is; None where it is no event of the meter."""
    operation = OPERATIONS.get(command.operation)
    return None if operation is None else operation.ends_as(command, outcome)
