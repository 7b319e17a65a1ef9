"""What processes report of TLS: their files, and handshakes that failed."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from ami_process.events import Event, Severity


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsFilesRead(Event):
    """The files of a section `[*.tls]` are in use from now on, for handshakes that begin."""

    setting: str
    """The section."""
    used_as: Literal["server", "client"]
    """For those who ask us, or for whom we ask."""
    subject: str | None = None
    """Of its own certificate."""
    not_after: str | None = None
    """Its last moment (ISO 8601)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsFilesUnusable(Event):
    """Files have changed and can't be used; what was read before stays in use."""

    severity: ClassVar[Severity | None] = "error"

    setting: str
    """The section."""
    reason: str
    """Which file, and what is wrong with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateExpires(Event):
    """Its own certificate ends soon, or has ended; said once a day as long as there are connections."""

    severity: ClassVar[Severity | None] = "warning"

    setting: str
    """The section."""
    not_after: str
    """The last moment of the certificate (ISO 8601)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsKeysLogged(Event):
    """Whoever has this file can read what passes."""

    severity: ClassVar[Severity | None] = "warning"

    setting: str
    """The section."""
    file: str
    """Where the secrets go."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HandshakeFailed(Event):
    """Somebody has connected without getting as far as a request."""

    severity: ClassVar[Severity | None] = "warning"

    peer: str
    """Its address."""
    reason: str
    """As OpenSSL says it, or what it sent instead."""
