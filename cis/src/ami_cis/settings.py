"""The settings of the CIS: its sections of the one configuration file, and the environment on top of it.

The file is TOML and shared by all processes, so each takes its own sections: the CIS reads [demo], [cis] and, of every
[[meters]], the three names by which CIM knows a meter; of [hes] it looks at the deadline alone. Keys, addresses and ports of a meter are never read here: a CIS has
no business with them. An unknown key in [demo] or [cis] is refused, since it is a misspelled one.
The environment wins over the file: `AMI_CIS__PORT=9000` sets [cis] port, `AMI_METERS=20` takes the first 20 meters.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit, urlunsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from ami_cim.reading_type_names import reading_type_of
from ami_cis.meters import Meter
from ami_process.http_urls import HttpUrl
from ami_process.message_security import MessageSecuritySettings
from ami_process.oidc import OidcSettings
from ami_process.oidc_client import OidcClientSettings
from ami_process.principals import Role
from ami_process.settings import FileSettings, Seconds, Section, SettingsError, StoreLocation
from ami_process.tls import TlsMode, TlsSettings

WILDCARDS = frozenset({"0.0.0.0", "::", ""})  # noqa: S104 - compared with, not bound


class Demo(Section):
    """The loop: a disconnect each period and the connect some seconds later; `cycles` 0 means no limit."""

    period_s: Seconds = 10.0
    """From one disconnect to the next."""
    connect_after_s: float = Field(default=2.0, ge=0, allow_inf_nan=False)
    """From a disconnect to the connect after it."""
    cycles: int = Field(default=0, ge=0)
    """End after this number of cycles (a disconnect and a connect each); 0 = no limit."""
    read: tuple[str, ...] = ()
    """What is read of all meters before and after each of them: names as of `cis read --type`, or codes of ReadingTypes."""

    @field_validator("read")
    @classmethod
    def _known(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        for one in given:
            reading_type_of(one)
        return given


class Cis(Section):
    """Where the CIS listens, whom it asks, how long it waits, and where it remembers."""

    host: str = "127.0.0.1"
    """Where late replies are taken."""
    port: int = Field(default=8080, ge=0, le=65535)
    """The same; its path is `/cim`."""
    hes_url: HttpUrl = "http://127.0.0.1:8081"
    """Whom the CIS asks."""
    core_dumps: bool = Field(
        default=False,
        description="whether the system may write the memory of the process to a disk when it crashes, and others of the same user may look into it; tokens are in it",
    )
    asynchronous: bool = False
    """Ask for an acknowledgement now and the reply later."""
    reply_address: HttpUrl | None = None
    """The ReplyAddress of such requests, if it is not host and port."""
    request_timeout_s: Seconds = 150.0
    """Give up waiting for an answer after this."""
    host_names: tuple[str, ...] = Field(
        default=(), description="further names in the Host header; addresses and names without a dot are always taken"
    )
    http_connections: int = Field(default=500, ge=1, description="HTTP connections at once")
    http_connections_per_address: int = Field(default=250, ge=1, description="of these, from one address")
    http_head_s: Seconds = Field(default=10.0, description="how long the head of an HTTP request may take")
    ask_again_s: float = Field(
        default=120.0,
        ge=0,
        allow_inf_nan=False,
        description="how long a request without an answer is sent again under its MessageID",
    )
    tls: TlsSettings = TlsSettings()
    """Encryption of its port, and of what it asks over https: `[cis.tls]`."""
    message_security: MessageSecuritySettings = MessageSecuritySettings()
    """WS-Security of requests, answers, late replies and events: `[cis.message_security]`."""
    hes_signs: bool = Field(default=False, description="answers of the HES have to be signed; others are not believed")
    hes_certificate: str | None = Field(
        default=None,
        min_length=1,
        description="a name in the certificate with which the HES signs (`DNS:hes.example`), its subject, or its SHA-256 in hex; unset: the host of `hes_url`",
    )
    token_file: Path | None = Field(
        default=None,
        description="bearer tokens of the API, one per line, for its owner alone (0600); made if missing; unset: served at loopback only",
    )
    principals: Path | None = Field(
        default=None,
        description="who is known by a token or a certificate, with which roles: a file of `[[principals]]` ([secure-it](howto/secure-it.md))",
    )
    oidc: OidcSettings = OidcSettings()
    """Tokens of an issuer of OpenID Connect: `[cis.oidc]`."""
    oidc_client: OidcClientSettings = OidcClientSettings()
    """Where the CIS gets the tokens with which it asks the HES: `[cis.oidc_client]`."""
    anonymous: tuple[Role, ...] | None = Field(
        default=None,
        description="roles of a sender of messages that proves nothing; unset: all where `principals` is unset too and it listens at a loopback address, else none",
    )
    store: StoreLocation = Path("var/cis.sqlite")
    """Open requests: what has to survive. A file, or postgresql://USER@HOST/DATABASE."""
    store_password: str | None = Field(
        default=None, description="the password of such a database: `env:NAME` or `file:PATH`"
    )
    shipments: tuple[Path, ...] = Field(
        default=(), description="shipment files (JSON or CSV) with further meters, beside those of [[meters]]"
    )
    keep_days: float = Field(
        default=30.0, gt=0, allow_inf_nan=False, description="how long requests, replies and events stay"
    )
    keep_readings_days: float = Field(
        default=800.0, gt=0, allow_inf_nan=False, description="how long readings stay, by the moment that they are of"
    )
    max_readings: int = Field(default=10_000_000, ge=1, description="readings that are kept; the oldest go first")
    time_zone: str = Field(
        default="UTC", description="where times without an offset are meant, and in which they are shown: an IANA name"
    )
    max_events: int = Field(default=10_000, ge=1, description="events that are kept; the oldest go first")
    max_event_octets: int = Field(default=64_000_000, ge=1, description="what the kept events may take in sum")

    @field_validator("time_zone")
    @classmethod
    def _zone_is_known(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError(f"{name[:80]!r} is no time zone that this machine knows, e.g. Europe/Berlin") from None
        return name

    @model_validator(mode="after")
    def _reply_address_is_reachable(self) -> Self:
        if self.asynchronous and self.reply_address is None and self.host in WILDCARDS:
            raise ValueError(f"host {self.host!r} is no address to reply to: set reply_address as well")
        return self

    @property
    def hes_names(self) -> frozenset[str]:
        """Of which the certificate has one with which the HES signs."""
        host = urlsplit(self.hes_url).hostname or ""
        return frozenset({self.hes_certificate} if self.hes_certificate else {f"DNS:{host}", f"IP Address:{host}"})

    def reply_address_at(self, port: int) -> str | None:
        """The Header.ReplyAddress of an inbox on `port`; None if it listens everywhere and no name is configured."""
        if self.reply_address is not None:
            return self.reply_address if port == self.port else _with_port(self.reply_address, port)
        if self.host in WILDCARDS:
            return None
        host = f"[{self.host}]" if ":" in self.host else self.host
        scheme = "http" if self.tls.mode is TlsMode.NONE else "https"
        return f"{scheme}://{host}:{port}/cim"


class HesRead(BaseModel):
    """How long a reading may take at the HES."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    deadline_s: Seconds | None = None


class HesLanes(BaseModel):
    """Of the lanes of the HES, the one that our readings go in."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    read: HesRead = HesRead()


class Hes(BaseModel):
    """The settings of the HES that matter here: how long its work may take."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    deadline_s: Seconds | None = None
    lanes: HesLanes = HesLanes()

    @property
    def longest_s(self) -> float | None:
        """The longer of the deadlines that are known here."""
        return max((one for one in (self.deadline_s, self.lanes.read.deadline_s) if one is not None), default=None)


class Settings(FileSettings):
    """All that the composition root reads."""

    demo: Demo = Demo()
    cis: Cis = Cis()
    hes: Hes = Hes()
    meters: tuple[Meter, ...] = ()

    @model_validator(mode="after")
    def _meters_are_distinct(self) -> Self:
        _check_distinct(self.meters)
        return self

    def with_meters(self, further: Iterable[Meter]) -> Self:
        """The same with these meters beside the others; SettingsError when two share a name or an mRID."""
        meters = (*self.meters, *further)
        try:
            _check_distinct(meters)
        except ValueError as problem:
            raise SettingsError(f"cis.shipments: {problem}") from None
        return self.model_copy(update={"meters": meters})

    @property
    def gives_up_too_early(self) -> bool:
        """Whether we stop waiting while the HES may still be at work."""
        longest_s = self.hes.longest_s
        return longest_s is not None and self.cis.request_timeout_s <= longest_s


def _check_distinct(meters: Sequence[Meter]) -> None:
    names = Counter(meter.name for meter in meters)
    mrids = Counter(meter.mrid for meter in meters if meter.mrid is not None)
    for what, values in (("name", names), ("mrid", mrids)):
        for value, times in values.most_common(1):
            if times > 1:
                raise ValueError(f"two meters have the {what} {value!r}")


def _with_port(url: str, port: int) -> str:
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return urlunsplit(parts._replace(netloc=f"{host}:{port}"))
