"""What a process with a console reports of those who sign in there."""

from dataclasses import dataclass
from typing import ClassVar

from ami_process.events import Event, Severity


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedIn(Event):
    """A session of a browser was begun."""

    principal: str
    """Whose token it was."""
    address: str
    """From where."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedOut(Event):
    """A session of a browser was ended by who had begun it."""

    principal: str
    """Whose it was."""
    address: str
    """From where."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignInRefused(Event):
    """A token that is none was shown to begin a session. While an address has to wait after several of them, nothing is looked at and nothing told."""

    severity: ClassVar[Severity | None] = "warning"

    address: str
    """From where."""
    reason: str
    """Why; never what was shown."""
