"""The events of the customer information system, one line each on standard output."""

from dataclasses import dataclass

from ami_process.events import Event


@dataclass(frozen=True, slots=True)
class ReplyProblem:
    """One error of a reply."""

    code: str
    """IEC 61968-9 reply code."""
    reason: str | None
    """In words."""
    meter: str | None
    """Which meter it is about, by the name that the CIS knows; None: none in particular."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestSent(Event):
    """A request goes to the HES."""

    message_id: str
    """Of the request; everything that follows from it says the same."""
    correlation_id: str | None
    """Header.CorrelationID."""
    verb: str
    """Header.Verb."""
    noun: str
    """Header.Noun."""
    code: str
    """EndDeviceControlType, or the ReadingTypes of a get."""
    control: str
    """The same in a word, where there is one."""
    meters: list[str]
    """Whom it is for, by their names."""
    asynchronous: bool
    """Whether the reply is to come later, on a connection of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Acknowledged(Event):
    """The HES has accepted a request and will reply later."""

    message_id: str
    """Of the request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AskingAgain(Event):
    """A request whose end is not known is sent again, under the same MessageID."""

    message_id: str
    """Of the request."""
    reason: str
    """Why its end is not known."""
    after_s: float | None = None
    """Seconds after which it is due; absent: at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplyReceived(Event):
    """A reply came; its errors are those that say what went wrong."""

    message_id: str
    """Of the request that it answers."""
    correlation_id: str | None = None
    """Header.CorrelationID of a reply that the inbox took."""
    result: str | None
    """OK, PARTIAL or FAILED."""
    errors: list[ReplyProblem]
    """What the HES says went wrong; of a reply that the inbox took, all it says."""
    ms: float
    """Milliseconds since the request."""
    late: bool | None = None
    """True for one that the inbox took and that nothing waits for any longer."""
    final: bool | None = None
    """Of a late one: whether it is the last for its request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplyRepeated(Event):
    """A reply came once more; it counts once."""

    message_id: str | None = None
    """Of the request that it answers."""
    correlation_id: str | None
    """Header.CorrelationID."""
    result: str
    """OK, PARTIAL or FAILED."""
    errors: list[ReplyProblem]
    """What the HES says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplyContradicting(ReplyRepeated):
    """A reply came for a request that was answered otherwise before; the first answer remains."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplyUnknown(ReplyRepeated):
    """A reply came to no request of ours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestFailed(Event):
    """A request has surely not been taken."""

    message_id: str
    """Of the request."""
    reason: str
    """Why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestUnknown(Event):
    """The outcome of a request is unknown and it is not sent again; it may have been carried out."""

    message_id: str
    """Of the request."""
    reason: str
    """Why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NotResumed(Event):
    """What a former life of the process left open could not be taken up again."""

    message_id: str | None = None
    """Of the request; absent: none of them."""
    reason: str
    """Why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StillWaitingForReplies(Event):
    """At the start: replies are owed to requests of a former life of the process."""

    requests: int
    """How many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EventReceived(Event):
    """A CIM event was taken and kept."""

    message_id: str
    """Its own, or `sha256:` and the digest of its octets."""
    correlation_id: str | None
    """Header.CorrelationID."""
    verb: str
    """Header.Verb."""
    noun: str
    """Header.Noun."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRepeated(EventReceived):
    """A CIM event came once more; it is kept once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingsKept(Event):
    """Values of meters were taken from a message and kept."""

    message_id: str
    """Of the request that they answer, or of the event that they came with."""
    values: int
    """How many."""
    unusable: int
    """How many more can't be kept: of no meter, at no moment or one to come, or no number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceEventsKept(Event):
    """What has happened to meters was taken from a message and kept."""

    message_id: str
    """Of the event that they came with, or of our request that they answer."""
    events: int
    """How many, those that were known already included."""
    unusable: int
    """How many more can't be kept: of no meter, without an mRID, or of no moment since 1970."""


@dataclass(frozen=True, slots=True)
class RegisterValue:
    """A value of a meter."""

    meter: str
    """The meter's name or mRID."""
    name: str
    """The alias of its ReadingType, or the code."""
    value: str | None
    """An exact decimal; None where the meter has none."""
    unit: str
    """As written behind the value; empty where it has none."""
    qualities: list[str]
    """Codes of its ReadingQualities."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistersRead(Event):
    """The demo has read its meters, before or after a control; without any value where nothing came."""

    message_id: str
    """Of the request."""
    registers: list[RegisterValue]
    """The first of them."""
    more: int
    """How many more values came."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageRefused(Event):
    """The inbox did not take a message, and its sender got a SOAP fault."""

    code: str
    """IEC 61968-9 reply code."""
    reason: str
    """Why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingFor(Event):
    """The HES does not serve yet; the loop begins when it does."""

    url: str
    """Where it is expected."""
    reason: str
    """What came instead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeoutTooShort(Event):
    """At the start: we would stop waiting while the HES may still be at work."""

    request_timeout_s: float
    """cis.request_timeout_s."""
    deadline_s: float | None
    """hes.deadline_s, or hes.lanes.read.deadline_s if that is longer."""
    reason: str
    """What follows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Forgotten(Event):
    """What was too old has been dropped from the store."""

    rows: int
    """How many rows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreOutage(Event):
    """The store takes nothing now."""

    reason: str
    """Of the database."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkFailed(Event):
    """A fault of ours ended something that goes on beside the inbox."""

    work: str
    """What."""
    reason: str
    """The fault."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Done(Event):
    """The loop is over; a command is one request for all meters."""

    cycles: int
    """Disconnects and connects."""
    commands: int
    """Requests."""
    confirmed: int
    """Those whose final reply was OK."""
    failed: int
    """All others."""
    median_ms: float | None
    """Milliseconds from request to reply, in the middle."""
