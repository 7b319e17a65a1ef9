"""What can go wrong in this package, each with its wire answer: the IEC 61968-100 reply code.

`InvalidMessage` blames the peer (what came in cannot be used), `LocalError` blames us (what we wanted to send is wrong),
`PeerFault` is the peer's own refusal of what we sent."""

from dataclasses import dataclass


@dataclass(eq=False)
class CimError(Exception):
    """Base of all errors here; `code` is a Reply/Error code, `reason` is a sentence for a person.

    `wrapper` is the Clark name of the message that it is about, where that much could be read: it decides the fault's type."""

    code: str
    reason: str
    details: str | None = None
    wrapper: str | None = None

    def __str__(self) -> str:
        return self.reason if self.details is None else f"{self.reason} ({self.details})"


@dataclass(eq=False)
class InvalidMessage(CimError):
    """The octets, the XML or the message that came in cannot be used; `fault_code` is the SOAP 1.1 faultcode to answer with."""

    fault_code: str = "Client"

    def __str__(self) -> str:
        return CimError.__str__(self)


class UnsupportedMedia(InvalidMessage):
    """The HTTP headers say something about the octets that is not read here (charset, coding, multipart); HTTP status 415."""


@dataclass(eq=False)
class PeerFault(CimError):
    """A SOAP fault came back; `code` and `reason` are those of its first Error, or of the fault itself."""

    fault_code: str = "Server"

    def __str__(self) -> str:
        return CimError.__str__(self)


class LocalError(CimError):
    """The message that we were about to send breaks the standard or our own rules."""

    def __init__(self, reason: str, details: str | None = None) -> None:
        super().__init__(code="5.2", reason=reason, details=details)
