"""The work on commands, the same for every operation; `details` are the fields of an operation of its own."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from ami_process.events import Event, Severity


@dataclass(frozen=True, slots=True)
class SwitchState:
    """What a disconnect control (class 70) shows, in the words that all services use."""

    output_state: bool
    control_state: int
    control_mode: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DisconnectDetails:
    """The `details` of the operation `disconnect_control`."""

    code: str
    """EndDeviceControlType."""
    control: str | None
    """The same in a word."""
    class_id: int | None
    """Of the object."""
    obis: str | None
    """The object."""
    method: int | None
    """The method that was to be called."""
    before: SwitchState | None
    """What the meter showed before."""
    after: SwitchState | None
    """What it showed when it was read back."""
    action_result: str | None
    """What it answered to the ACTION: the name of the standard."""


@dataclass(frozen=True, slots=True)
class NotReadType:
    """A ReadingType that was not read, with the reply code that says why."""

    reading_type: str
    code: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadDetails:
    """The `details` of the operation `read_meter`."""

    values: int
    """How many were read."""
    not_read: list[NotReadType]
    """ReadingTypes that were not, the first ten of them, each with its reply code."""


@dataclass(frozen=True, slots=True)
class ControlStep:
    """A method that was invoked or an attribute that was written, and what the meter answered: the name of the standard."""

    step: str
    result: str


@dataclass(frozen=True, slots=True)
class ShownValue:
    """An attribute as it was read last; octets as hexadecimal, shortened."""

    attribute: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlDetails:
    """The `details` of the operation `control`."""

    code: str | None
    """EndDeviceControlType."""
    control: str | None
    """The same in a word."""
    steps: list[ControlStep]
    """What was sent."""
    shown: list[ShownValue]
    """What was read, for the last time each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeKeyDetails:
    """The `details` of the operations `change_key` and `change_master_key`."""

    key: str
    """Which one: a field of the meter's entry, as encryption_key."""


@dataclass(frozen=True, slots=True)
class StepDetails:
    """A step of the commissioning of a meter: `done`, `left` where there was nothing to do, or `failed`; and what was seen."""

    step: str
    result: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CommissionDetails:
    """The `details` of the operation `commission`."""

    steps: list[StepDetails]
    """In their order, up to the last one that was taken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EventLogDetails:
    """The `details` of the operation `read_event_logs`."""

    entries: int
    """How many were read, those that were known already included."""
    logs: int
    """How many logs were read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FirmwareDetails:
    """The `details` of the operation `transfer_firmware`."""

    image: str
    """Its identifier."""
    version: str
    """What a meter shows that runs it."""


DETAILS: Mapping[str, type[Any]] = {
    "disconnect_control": DisconnectDetails,
    "control": ControlDetails,
    "read_meter": ReadDetails,
    "change_key": ChangeKeyDetails,
    "read_event_logs": EventLogDetails,
    "change_master_key": ChangeKeyDetails,
    "commission": CommissionDetails,
    "transfer_firmware": FirmwareDetails,
}
"""Name of an operation -> the dataclass of its details, where it is declared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterDone(Event):
    """A command has its end on one meter, whatever it is, and its result is kept."""

    severity: ClassVar[Severity | None] = "info"

    message_id: str
    """Of the request."""
    meter: str
    """The name of the meter."""
    operation: str
    """What was to be done: its name."""
    details: dict[str, Any] | None = None
    """What the operation has to add, in fields of its own."""
    ok: bool
    """True only for what has been read back."""
    event_type: str | None = None
    """EndDeviceEventType that this end of a control is, such as 3.31.0.68 for disconnected."""
    reply_code: str | None
    """IEC 61968-9 reply code of the reply to come."""
    reason: str
    """In words, for a person."""
    ms: float
    """Milliseconds that it took."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LateAnswer(Event):
    """A meter answered an ACTION after its command had failed."""

    severity: ClassVar[Severity | None] = "warning"

    message_id: str
    """Of the request."""
    meter: str
    """Its name."""
    operation: str
    """What was to be done: its name."""
    details: dict[str, Any]
    """As of `meter_done`; what was seen is what the meter showed then."""
    ms: float
    """Milliseconds since the ACTION."""
    kept: bool
    """Whether it is kept as an event of the meter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandFailed(Event):
    """A fault of ours ended the work on a command; it is tried again."""

    severity: ClassVar[Severity | None] = "error"

    message_id: str
    """Of the request."""
    meter: str
    """Its name."""
    exception: str | None = None
    """The traceback of the fault."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandPostponed(Event):
    """A command failed for now, and is tried again within its deadline."""

    severity: ClassVar[Severity | None] = "info"

    message_id: str
    """Of the request."""
    meter: str
    """Its name."""
    operation: str
    """What is to be done: its name."""
    reason: str
    """Why it failed, in words."""
    attempts: int
    """How often it was tried so far."""
    after_s: float
    """Seconds until the next attempt."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DetailsFailed(Event):
    """A fault of ours: an operation could not say its `details` of a command, whose result is kept nevertheless."""

    severity: ClassVar[Severity | None] = "error"

    message_id: str
    """Of the request."""
    meter: str
    """Its name."""
    exception: str | None = None
    """The traceback of the fault."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationFailed(Event):
    """A fault of ours ended a command."""

    severity: ClassVar[Severity | None] = "error"

    message_id: str
    """Of the request."""
    meter: str
    """Its name."""
    exception: str | None = None
    """The traceback of the fault."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationOverdue(Event):
    """A command did not end by its deadline, and was ended."""

    severity: ClassVar[Severity | None] = "error"

    message_id: str
    """Of the request."""
    meter: str
    """Its name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultsNotKept(Event):
    """The process ends and the store takes no results; their commands are worked again, as attempted ones."""

    severity: ClassVar[Severity | None] = "error"

    commands: int
    """How many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingsNotKept(Event):
    """The store did not take the readings of a meter; the request that asked for them is answered with them all the same."""

    severity: ClassVar[Severity | None] = "warning"

    message_id: str
    """Of the request."""
    meter: str
    """Its name."""
