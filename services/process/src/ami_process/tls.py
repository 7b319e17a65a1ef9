"""TLS for HTTP, at both ends: what a section `[*.tls]` says, and contexts (`ssl.SSLContext`) for servers and clients made from it.

TLS 1.2 is the oldest version that is spoken (RFC 9325, 3.1.1; IEC 62351-3 asks for no less). Files are looked at before each handshake and
read again when one has changed, so a renewed certificate or a new list of revoked ones needs no restart and no signal. If the new files
can't be used, which they can't while only one of two is written, the ones read before stay in use, and that is reported.
"""

import ssl
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from ami_process.events import Emit
from ami_process.private_files import make_private_file, read_private
from ami_process.settings import Section, SettingsError
from ami_process.tls_events import CertificateExpires, TlsFilesRead, TlsFilesUnusable, TlsKeysLogged

MAX_FILE = 1_000_000
WARN_BEFORE = timedelta(days=30)
WARN_EVERY = timedelta(days=1)


class TlsMode(StrEnum):
    """How connections are taken."""

    NONE = "none"
    SERVER = "server"
    MUTUAL = "mutual"


class TlsSettings(Section):
    """`[cis.tls]` and `[hes.tls]`: certificates (PEM) of a process, which it shows as server and as client alike."""

    mode: TlsMode = Field(
        default=TlsMode.NONE,
        description="of its own port: unencrypted; with our certificate; with those of clients as well (mutual TLS)",
    )
    certificate: Path | None = Field(
        default=None, description="its certificate, and those between it and the authority"
    )
    key: Path | None = Field(default=None, description="the private key of it, for its owner alone (0600)")
    authorities: Path | None = Field(
        default=None, description="who signs the certificates of peers; unset: for servers that we ask, the usual ones"
    )
    revoked: Path | None = Field(
        default=None, description="revocation lists (CRL) of these authorities; one that has expired refuses everybody"
    )
    key_log: Path | None = Field(
        default=None,
        description="for Wireshark: secrets of every connection are appended to this file, which undoes the encryption",
    )

    @model_validator(mode="after")
    def _is_complete(self) -> Self:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("certificate and key go together")
        if self.mode is not TlsMode.NONE and self.certificate is None:
            raise ValueError(f'mode = "{self.mode}" needs certificate and key')
        if self.mode is TlsMode.MUTUAL and self.authorities is None:
            raise ValueError('mode = "mutual" needs authorities, which sign the certificates of clients')
        if self.revoked is not None and self.authorities is None:
            raise ValueError("revoked needs authorities, whose list it is")
        return self

    @property
    def files(self) -> tuple[Path, ...]:
        """Those that are read."""
        return tuple(one for one in (self.certificate, self.key, self.authorities, self.revoked) if one is not None)


@dataclass(frozen=True, slots=True)
class PeerCertificate:
    """The verified certificate of a client, as a request bears it (`scope["peer_certificate"]`)."""

    subject: str
    """As `CN=cis,O=AMI` (RFC 4514): a comma within a name is escaped, so that no name stands for two."""
    names: tuple[str, ...]
    """Subject alternative names, as `DNS:cis.example`."""
    fingerprint: str
    """SHA-256 of the certificate in hex."""

    @classmethod
    def of(cls, connection: ssl.SSLObject | None) -> Self | None:
        """Of a connection; None where no certificate was asked for, or there is no TLS."""
        octets = connection.getpeercert(binary_form=True) if connection is not None else None
        said = connection.getpeercert() if connection is not None else None
        if not octets or not said:
            return None
        alternatives: Any = said.get("subjectAltName", ())
        names = tuple(f"{kind}:{value}" for kind, value in alternatives)
        return cls(_subject_of(octets), names, sha256(octets).hexdigest())


def _subject_of(octets: bytes) -> str:
    from cryptography import x509  # as in `_own`

    try:
        return x509.load_der_x509_certificate(octets).subject.rfc4514_string()
    except ValueError:
        return ""  # OpenSSL takes what others don't read; its names and its digest are known all the same


_PLAIN_HTTP = "HTTP_REQUEST"
ADVICE = b"This port speaks TLS: write https:// instead of http://\n"
"""What is answered to HTTP."""
_ANSWER_TO_PLAIN_HTTP = (
    b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n"
    b"Content-Length: %d\r\n\r\n%b" % (len(ADVICE), ADVICE)
)


class _Connection(ssl.SSLObject):
    """One that tells its peer why a handshake fails: what OpenSSL has written for it leaves before the failure is told here."""

    handshake: "Handshake | None" = None
    outgoing: ssl.MemoryBIO

    def do_handshake(self) -> None:
        if self.handshake is None:
            super().do_handshake()
            return
        if self.handshake.problem is not None:
            raise self.handshake.problem
        try:
            super().do_handshake()
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise
        except ssl.SSLError as problem:
            self.handshake.problem = problem
            if problem.reason == _PLAIN_HTTP:
                self.outgoing.write(_ANSWER_TO_PLAIN_HTTP)
            raise ssl.SSLWantReadError(ssl.SSL_ERROR_WANT_READ, "the peer is told first") from None


class Handshake(ssl.SSLContext):
    """A context for one connection to a server, which knows why it failed: event loops forget that once the peer has gone."""

    problem: ssl.SSLError | None
    _context: "TlsContext"
    _early: bytearray

    @classmethod
    def of(cls, context: "TlsContext", early: bytearray) -> Self:
        """The next connection's; `early` is what of it has come before its handshake begins."""
        made = cls(ssl.PROTOCOL_TLS_SERVER)
        made.problem, made._context, made._early = None, context, early
        return made

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLObject:
        """As of the context."""
        connection = self._context.wrap_bio(incoming, outgoing, server_side, server_hostname, session)
        if isinstance(connection, _Connection):
            connection.handshake, connection.outgoing = self, outgoing
        incoming.write(self._early)
        self._early.clear()
        return connection


Stamp = tuple[int, int, int] | None


class TlsContext(ssl.SSLContext):
    """A context that is another one inside: the one of the files as they are now."""

    emit: Emit
    """Where it is reported what became of its files, and of handshakes."""
    _files: Sequence[Path]
    _make: Callable[[], ssl.SSLContext]
    _report: "_Reports"
    _stamps: tuple[Stamp, ...]
    _current: ssl.SSLContext
    _lock: threading.Lock

    @classmethod
    def of(cls, settings: TlsSettings, setting: str, emit: Emit, *, server: bool) -> Self:
        """For a server or a client. Raises SettingsError."""
        made = cls(ssl.PROTOCOL_TLS_SERVER if server else ssl.PROTOCOL_TLS_CLIENT)
        made.emit = emit
        made._files, made._lock = settings.files, threading.Lock()
        made._make = lambda: _server_context(settings, setting) if server else _client_context(settings, setting)
        made._report = _Reports(settings, setting, "server" if server else "client", emit)
        made._stamps = made._look()
        made._current = made._make()
        made._report.read()
        return made

    @property
    def current(self) -> ssl.SSLContext:
        """The context for the next handshake."""
        with self._lock:
            stamps = self._look()
            if stamps != self._stamps:
                self._stamps = stamps
                try:
                    self._current = self._make()
                except SettingsError as problem:
                    self._report.unusable(problem)
                else:
                    self._report.read()
            self._report.expiry()
            return self._current

    def is_current(self, connection: ssl.SSLObject) -> bool:
        """Whether a connection was opened by what is in the files now."""
        return connection.context is self.current

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLObject:
        """As of the context inside."""
        return self.current.wrap_bio(incoming, outgoing, server_side, server_hostname, session)

    def wrap_socket(self, *arguments: Any, **options: Any) -> ssl.SSLSocket:
        """As of the context inside."""
        return self.current.wrap_socket(*arguments, **options)

    def set_alpn_protocols(self, alpn_protocols: object) -> None:
        """HTTP/1.1 alone is spoken, and every context inside says so already."""

    def _look(self) -> tuple[Stamp, ...]:
        return tuple([_stamp(file) for file in self._files])


def _stamp(file: Path) -> Stamp:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


@dataclass(slots=True)
class _Reports:
    """What is said of the files of one section."""

    settings: TlsSettings
    setting: str
    used_as: Literal["server", "client"]
    emit: Emit
    not_after: datetime | None = None
    warned_at: datetime = field(default=datetime.min.replace(tzinfo=UTC))

    def read(self) -> None:
        """They are in use."""
        self.warned_at = datetime.min.replace(tzinfo=UTC)
        subject = end = None
        if self.settings.certificate is not None:
            subject, self.not_after = _own(self.settings.certificate, self.setting)
            end = self.not_after.isoformat()
        read = TlsFilesRead(setting=self.setting, used_as=self.used_as, subject=subject, not_after=end)
        self.emit(read)
        self.expiry()

    def unusable(self, problem: SettingsError) -> None:
        """They are not."""
        self.emit(TlsFilesUnusable(setting=self.setting, reason=str(problem)))

    def expiry(self) -> None:
        """Warn of the end. The machine's clock decides, as it does for OpenSSL and every peer."""
        now = datetime.now(UTC)
        if self.not_after is None or now < self.not_after - WARN_BEFORE or now < self.warned_at + WARN_EVERY:
            return
        self.warned_at = now
        self.emit(CertificateExpires(setting=self.setting, not_after=self.not_after.isoformat()))


def _own(file: Path, setting: str) -> tuple[str, datetime]:
    from cryptography import x509  # takes 20 ms, which a process without TLS need not spend

    try:
        certificate = x509.load_pem_x509_certificates(file.read_bytes())[0]
    except (OSError, ValueError) as problem:
        raise SettingsError(f"{setting}.certificate: {file} can't be used: {problem}") from None
    return certificate.subject.rfc4514_string(), certificate.not_valid_after_utc


def server_context(settings: TlsSettings, setting: str, emit: Emit) -> TlsContext | None:
    """For the port of a process; None where that is not encrypted. Raises SettingsError."""
    if settings.mode is TlsMode.NONE:
        return None
    if settings.key_log is not None:
        emit(TlsKeysLogged(setting=setting, file=str(settings.key_log)))
    return TlsContext.of(settings, setting, emit, server=True)


def client_context(settings: TlsSettings, setting: str, emit: Emit) -> ssl.SSLContext:
    """For what a process asks over https. Raises SettingsError."""
    return TlsContext.of(settings, setting, emit, server=False)


def _server_context(settings: TlsSettings, setting: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.sslobject_class = _Connection
    context.options |= ssl.OP_NO_TICKET | ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    context.num_tickets = 0  # a resumed session would not be looked up among the revoked certificates
    if settings.mode is TlsMode.MUTUAL:
        context.verify_mode = ssl.CERT_REQUIRED
    return _filled(context, settings, setting)


def _client_context(settings: TlsSettings, setting: str) -> ssl.SSLContext:
    if settings.authorities is not None:
        return _filled(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), settings, setting)
    import httpx  # which knows where the usual authorities are

    return _filled(httpx.create_ssl_context(trust_env=False), settings, setting)


def _filled(context: ssl.SSLContext, settings: TlsSettings, setting: str) -> ssl.SSLContext:
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    if settings.certificate is not None and settings.key is not None:
        read_private(settings.key, f"{setting}.key", "a private key", MAX_FILE)
        _load(setting, "certificate or key", settings.certificate, settings.key, load=context.load_cert_chain)
    if settings.authorities is not None:
        _load(setting, "authorities", settings.authorities, load=context.load_verify_locations)
    if settings.revoked is not None:
        _load(setting, "revoked", settings.revoked, load=context.load_verify_locations)
        context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF
    if settings.key_log is not None:
        _log_keys(context, settings.key_log, setting)
    return context


def _log_keys(context: ssl.SSLContext, file: Path, setting: str) -> None:
    make_private_file(file, f"{setting}.key_log", "# secrets of TLS connections, for Wireshark\n")
    _load(setting, "key_log", file, load=lambda name: setattr(context, "keylog_filename", str(name)))


def _load(setting: str, what: str, *files: Path, load: Callable[..., None]) -> None:
    try:
        load(*files)
    except (OSError, ValueError) as problem:  # SSLError is an OSError
        reason = getattr(problem, "reason", None) or getattr(problem, "strerror", None) or "not understood"
        names = " and ".join(map(str, files))
        raise SettingsError(f"{setting}: {what}: {names} can't be used: {reason}") from None


def tls_problem(problem: BaseException | None) -> ssl.SSLError | None:
    """The failure of TLS that an error of httpx comes from, if it is one."""
    while problem is not None and not isinstance(problem, ssl.SSLError):
        problem = problem.__cause__ or problem.__context__
    return problem


def describe(problem: ssl.SSLError) -> str:
    """For a person: what OpenSSL names in capitals, and what to do about what is met most."""
    reason = problem.reason or str(problem)
    if isinstance(problem, ssl.SSLCertVerificationError):
        reason = f"the certificate is not taken: {problem.verify_message}"
    return f"{reason}{_HINTS.get(problem.reason or '', '')}"


_HINTS = {
    _PLAIN_HTTP: ": it sent http:// to a port that speaks TLS",
    "WRONG_VERSION_NUMBER": ": no TLS is spoken there, or it was asked by http://",
    "UNSUPPORTED_PROTOCOL": ": it speaks nothing newer than TLS 1.1",
    "PEER_DID_NOT_RETURN_A_CERTIFICATE": ": it shows no certificate",
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": ": it wants a certificate of ours",
    "TLSV1_ALERT_UNKNOWN_CA": ": it does not know the authority of our certificate",
    "SSLV3_ALERT_CERTIFICATE_REVOKED": ": our certificate is revoked",
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": ": our certificate has expired",
}
