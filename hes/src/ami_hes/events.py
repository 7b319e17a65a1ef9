"""The events of the head-end system, one line each on standard output; each has a `level`.

Those about the work on a meter say for which request it is done: `message_id` is the MessageID of its envelope.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

from ami_process import events
from ami_process.events import Event, Severity


@dataclass(frozen=True, slots=True)
class SwitchState:
    """What a disconnect control (class 70) shows, in the words that all services use."""

    output_state: bool
    control_state: int
    control_mode: int


@dataclass(frozen=True, slots=True)
class Refusal:
    """One error of a reply."""

    code: str
    """IEC 61968-9 reply code."""
    reason: str | None
    """In words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Apdu(Event):
    """A framed APDU, sent to a meter or received from one; only if hes.log_apdus is true."""

    severity: ClassVar[Severity | None] = "info"

    message_id: str | None
    """Of the request that is worked on; null: of none."""
    meter: str
    """Name of the meter; `unknown` as long as a caller has not said who it is."""
    direction: str
    """`request` or `response`."""
    name: str
    """Of the APDU: its tag."""
    hex: str
    """The frame; a password that goes over the wire unencrypted is asterisks."""
    ms: float
    """Of a response: milliseconds since the request before it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification(Event):
    """A meter has sent something of its own accord."""

    severity: ClassVar[Severity | None] = "info"

    message_id: str | None
    """Of the request that is worked on over the same connection; null: of none."""
    transport: str
    """`tcp` or `udp`."""
    peer: str
    """Where it came from."""
    system_title: str | None
    """Hex; of the sender of a protected one."""
    meter: str | None
    """Name of the meter, where its keys vouch for it."""
    secured: bool
    """Whether its protection was checked."""
    service: str
    """`data-notification`, `event-notification` or `information-report`."""
    sent_at: str | None
    """The meter's own date and time."""
    body: Any
    """What it says: values of JSON, octets as hex."""
    class_id: int | None = None
    """Of an event-notification: the class that it is about."""
    obis: str | None = None
    """The object."""
    attribute: int | None = None
    """The attribute."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dropped(Event):
    """Something from the network was thrown away."""

    severity: ClassVar[Severity | None] = "warning"

    peer: str
    """Where it came from."""
    transport: str
    """`tcp` or `udp`."""
    reason: str
    """Why."""
    hex: str
    """Its first octets."""
    looks_like: str | None
    """A guess at what they are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DialledIn(Event):
    """A meter has called, and has said who it is."""

    severity: ClassVar[Severity | None] = "info"

    meter: str
    """Its name."""
    peer: str
    """Where it called from."""
    standing: str
    """`proved` by its keys, `claimed`, or `refuted`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NotProved(Event):
    """A caller claims to be a meter, and did not prove its keys."""

    severity: ClassVar[Severity | None] = "warning"

    meter: str
    """Whom it claims to be."""
    peer: str
    """Where it called from."""
    reason: str
    """What went wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Replaced(Event):
    """A waiting connection was closed, because the meter has a newer one."""

    severity: ClassVar[Severity | None] = "info"

    meter: str
    """Its name."""
    peer: str
    """The older one."""
    standing: str
    """As of `dialled_in`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HungUp(Event):
    """A waiting connection has ended."""

    severity: ClassVar[Severity | None] = "info"

    meter: str
    """Its name."""
    peer: str
    """Where it had called from."""
    reason: str
    """How it ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Forgotten(Event):
    """Answers that were too old have been dropped from the store."""

    severity: ClassVar[Severity | None] = "info"

    requests: int
    """How many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready(events.Ready):
    """The process serves."""

    severity: ClassVar[Severity | None] = "info"


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestAccepted(Event):
    """A request is kept, and will be worked whatever happens."""

    severity: ClassVar[Severity | None] = "info"

    message_id: str
    """Of the request."""
    code: str
    """What it asks for: its control codes."""
    meters: list[str]
    """The meters, by name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestRefused(Event):
    """A message was refused, and nothing of it is done."""

    severity: ClassVar[Severity | None] = "info"

    message_id: str | None = None
    """Of the message, where it was read so far."""
    errors: list[Refusal | str] | None = None
    """What the reply says."""
    status: int | None = None
    """Of HTTP, where the message was not even read."""
    reason: str | None = None
    """Why it was not read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestRepeated(Event):
    """The MessageID is known: the request is answered as before, and nothing is done again."""

    severity: ClassVar[Severity | None] = "info"

    message_id: str
    """Of the request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestUnreadable(Event):
    """A message could not be read, and its sender got a SOAP fault."""

    severity: ClassVar[Severity | None] = "info"

    code: str
    """IEC 61968-9 reply code."""
    reason: str
    """What is wrong with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestTooCostly(Event):
    """A message took too much time or memory to read."""

    severity: ClassVar[Severity | None] = "warning"

    reason: str
    """What it took."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterDone(Event):
    """A command has its end on one meter, whatever it is; what depends on the operation is absent where it has no meaning."""

    severity: ClassVar[Severity | None] = "info"

    message_id: str
    """Of the request."""
    meter: str
    """The name of the meter."""
    operation: str | None = None
    """What was to be done."""
    code: str | None = None
    """Its EndDeviceControlType."""
    control: str | None = None
    """The same in a word."""
    class_id: int | None = None
    """Of the object."""
    obis: str | None = None
    """The object."""
    method: int | None = None
    """The method that was to be called."""
    before: SwitchState | None = None
    """What the meter showed before."""
    after: SwitchState | None = None
    """What it showed when it was read back."""
    action_result: str | None = None
    """What it answered to the ACTION: the name of the standard."""
    ok: bool
    """True only for what has been read back."""
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
    code: str
    """EndDeviceControlType."""
    control: str
    """The same in a word."""
    action_result: str | None
    """What it answered."""
    after: SwitchState | None
    """What it showed then."""
    ms: float
    """Milliseconds since the ACTION."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplySent(Event):
    """The reply to a request was taken."""

    severity: ClassVar[Severity | None] = "info"

    message_id: str
    """Of the request."""
    result: str | None
    """OK, PARTIAL or FAILED."""
    ms: float
    """Milliseconds since the request was accepted."""
    asynchronous: bool
    """Whether it went to the ReplyAddress."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplyPostponed(Event):
    """A reply was not taken, and is sent again later."""

    severity: ClassVar[Severity | None] = "info"

    message_id: str
    """Of the request."""
    address: str
    """The ReplyAddress."""
    reason: str
    """Why it was not taken."""
    attempts: int
    """How many so far."""
    after_s: float
    """In seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplyDeadLetter(Event):
    """A reply was given up; a sender that asks again with the same MessageID gets it."""

    severity: ClassVar[Severity | None] = "warning"

    message_id: str
    """Of the request."""
    address: str
    """The ReplyAddress."""
    reason: str
    """Why it was not taken."""
    attempts: int
    """How many so far."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplyFailed(Event):
    """A fault of ours kept a reply from being sent; it is tried again."""

    severity: ClassVar[Severity | None] = "error"

    message_id: str
    """Of the request."""
    address: str
    """The ReplyAddress."""
    exception: str | None = None
    """The traceback of the fault."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerInvalid(Event):
    """An answer could not be written, and its receiver got another one that says so."""

    severity: ClassVar[Severity | None] = "error"

    message_id: str | None
    """Of the request."""
    reason: str | None = None
    """What is wrong with it."""
    exception: str | None = None
    """The traceback of the fault."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerFailed(Event):
    """A fault of ours kept the answer of a request that is kept."""

    severity: ClassVar[Severity | None] = "error"

    message_id: str
    """Of the request."""
    exception: str | None = None
    """The traceback of the fault."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerNotHandedOn(Event):
    """A fault of ours kept an answer from its receiver; it is tried again."""

    severity: ClassVar[Severity | None] = "error"

    message_id: str
    """Of the request."""
    exception: str | None = None
    """The traceback of the fault."""


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
class Recovered(Event):
    """At the start: what a former life of the process left open goes on."""

    severity: ClassVar[Severity | None] = "info"

    requests: int
    """Requests without an answer."""
    commands: int
    """Their commands without a result."""
    replies: int
    """Replies that are owed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoveryFailed(Event):
    """A request of a former life of the process could not be taken up."""

    severity: ClassVar[Severity | None] = "error"

    message_id: str
    """Of the request."""
    exception: str | None = None
    """The traceback of the fault."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetters(Event):
    """At the start: replies that were given up."""

    severity: ClassVar[Severity | None] = "warning"

    replies: int
    """How many are kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreUnavailable(Event):
    """The store takes nothing now; what can be refused is refused, the rest waits."""

    severity: ClassVar[Severity | None] = "error"

    store: str
    """Which."""
    reason: str
    """Of the database."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreAvailable(Event):
    """The store takes everything again."""

    severity: ClassVar[Severity | None] = "info"

    store: str
    """Which."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CannotListen(events.CannotListen):
    """The process ends, because it can't listen where it should."""

    severity: ClassVar[Severity | None] = "error"


@dataclass(frozen=True, slots=True, kw_only=True)
class PortTaken(events.PortTaken):
    """The process ends, because another program listens where it should."""

    severity: ClassVar[Severity | None] = "error"
