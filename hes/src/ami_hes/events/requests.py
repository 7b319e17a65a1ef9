"""Requests that come in, and the making of their answers."""

from dataclasses import dataclass
from typing import ClassVar

from ami_process.events import Event, Severity


@dataclass(frozen=True, slots=True)
class ReportedError:
    """One error of a reply."""

    code: str
    """IEC 61968-9 reply code."""
    reason: str | None
    """In words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestAccepted(Event):
    """A request is kept, and will be worked whatever happens."""

    severity: ClassVar[Severity | None] = "info"

    message_id: str
    """Of the request."""
    verb: str
    """Of its header."""
    noun: str
    """Of its header."""
    summary: str
    """What it asks for, in the noun's short words; of EndDeviceControls, the control codes."""
    meters: list[str]
    """The meters, by name; none of a request that is carried out on the head-end itself, as of master data."""
    errors: list[ReportedError] | None = None
    """What of it is refused at once, as meters that are not known; the first twenty."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestRefused(Event):
    """A message was refused, and nothing of it is done."""

    severity: ClassVar[Severity | None] = "info"

    message_id: str | None = None
    """Of the message, where it was read so far."""
    errors: list[ReportedError | str] | None = None
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
class KeptMessageUnusable(Event):
    """An acknowledged message is not in the store as it was kept; its sender gets a reply that says so, and nothing more of it is done."""

    severity: ClassVar[Severity | None] = "error"

    message_id: str
    """Of the request."""
    reason: str
    """How that is seen."""


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
class AnswerUnusable(Event):
    """An answer is not in the store as it was kept; who asks for it gets one that says so."""

    severity: ClassVar[Severity | None] = "error"

    message_id: str
    """Of the request."""
    reason: str
    """How that is seen."""


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
