"""What a process with a console reports of those who sign in there."""

from dataclasses import dataclass
from typing import ClassVar

from ami_process.events import Event, Severity


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedIn(Event):
    """A session of a browser was begun by a token of `principal`, from `address`."""

    principal: str
    address: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedOut(Event):
    """A session of a browser was ended by who had begun it."""

    principal: str
    address: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SignInRefused(Event):
    """A token that is none was shown to begin a session. What is refused since its address has to wait is told by the first such event alone."""

    severity: ClassVar[Severity | None] = "warning"

    address: str
    reason: str
