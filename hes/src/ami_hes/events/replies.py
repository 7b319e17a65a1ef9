"""Replies that are posted to a ReplyAddress, and events that go to subscribers by the same road."""

from dataclasses import dataclass
from typing import ClassVar

from ami_process.events import Event, Severity


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplySent(Event):
    """The reply to a request, or an event for a subscriber, was taken."""

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
class DirectoryUnusable(Event):
    """Files can't be written to the directory of a subscriber when the head-end starts; its events wait and are retried as replies are."""

    severity: ClassVar[Severity | None] = "warning"

    subscriber: str
    """Its name in `hes.subscribers`."""
    directory: str
    """As it is configured."""
    reason: str
    """Why it takes none."""
