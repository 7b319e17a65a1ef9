"""What can go wrong in this package, each with its wire answer: the IEC 61968-100 reply code.

`InvalidMessage` blames the peer (what came in cannot be used), `LocalError` blames us (what we wanted to send is wrong)."""

from dataclasses import dataclass


@dataclass(eq=False)
class CimError(Exception):
    """Base of all errors here; `code` is a Reply/Error code, `reason` is a sentence for a person."""

    code: str
    reason: str
    details: str | None = None

    def __str__(self) -> str:
        return self.reason if self.details is None else f"{self.reason} ({self.details})"


class InvalidMessage(CimError):
    """The octets, the XML or the message that came in cannot be used."""


class LocalError(CimError):
    """The message that we were about to send breaks the standard or our own rules."""

    def __init__(self, reason: str, details: str | None = None) -> None:
        super().__init__(code="5.2", reason=reason, details=details)
