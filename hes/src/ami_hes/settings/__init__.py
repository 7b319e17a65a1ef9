"""The HES's settings: its sections of the one configuration file, and the environment on top of it (`ami_process.settings`).

`[[meters]]` is read by `ami_hes.meters.registry`. Relative paths are relative to the working directory.
"""

import re
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Any, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from ami_hes.settings.guard import GuardSettings
from ami_hes.settings.lanes import GroupSettings, LanesSettings
from ami_hes.settings.meters import CommissioningSettings, OutageSettings
from ami_hes.settings.partners import PartnerSettings, SubscriberSettings
from ami_hes.settings.traces import TelemetrySettings, TraceSettings
from ami_hes.settings.values import Octets, ReplyHost
from ami_process.http_urls import HttpUrl
from ami_process.message_security import MessageSecuritySettings
from ami_process.oidc import OidcSettings
from ami_process.principals import Role
from ami_process.settings import FileSettings, Port, Seconds, Section, StoreLocation
from ami_process.tls import TlsSettings

ENGINE = re.compile(r"(?:nats|tls)://(?:[\w.-]+@)?[\w.:\[\]-]+(?:,[\w.:\[\]-]+)*(?:/[A-Za-z0-9_-]{1,32})?/?")
"""Where servers of NATS are."""


class HesSettings(Section):
    """`[hes]`: where it listens, how long it waits, how much it does at once."""

    host: str = "127.0.0.1"
    """Where CIM is served: a name or an address of this machine."""
    port: Port = 8081
    """CIM: SOAP requests, WSDL, `/healthz`."""
    status_host: str = "127.0.0.1"
    """Where a process that serves no clients (`hes work`, `hes listen`) says how it is: a name or an address of this machine."""
    status_port: Port | None = Field(
        default=None,
        description="`/healthz`, `/readyz` and `/metrics` of such a process, with the tokens and the TLS of a front end, which has them at `port`; 0: any free one, which `ready` tells; unset: nothing is served. Each of several on a machine needs one of its own (AMI_HES__STATUS_PORT)",
    )
    dlms_host: str = "127.0.0.1"
    """Where meters dial in and push."""
    dlms_port: Port = 4059
    """Meters dial in (TCP) and push (TCP and UDP) here."""
    listen: bool = True
    """Whether `hes serve` listens there; `hes listen` does in any case ([scale-out](howto/scale-out.md#listeners))."""
    system_title: Octets = bytes.fromhex("414D490000000001")
    """Its own, of 8 octets, as the meters know it."""
    public_url: HttpUrl | None = Field(
        default=None,
        description="where clients reach the HES, for the WSDL; unset: the address that it is asked for at",
    )
    host_names: tuple[str, ...] = Field(
        default=(), description="further names in the Host header; addresses and names without a dot are always taken"
    )
    http_connections: int = Field(default=1_000, ge=1, description="HTTP connections at once")
    http_connections_per_address: int = Field(default=500, ge=1, description="of these, from one address")
    http_head_s: Seconds = Field(default=10.0, description="how long the head of an HTTP request may take")
    tls: TlsSettings = TlsSettings()
    """Encryption of that port and of late replies: `[hes.tls]`."""
    message_security: MessageSecuritySettings = MessageSecuritySettings()
    """WS-Security of requests, answers, late replies and events: `[hes.message_security]`."""
    token_file: Path | None = Field(
        default=None,
        description="bearer tokens of the API, one per line, for its owner alone (0600); made if missing; unset: served at loopback only",
    )
    principals: Path | None = Field(
        default=None,
        description="who is known by a token or a certificate, with which roles: a file of `[[principals]]` ([secure-it](howto/secure-it.md))",
    )
    oidc: OidcSettings = OidcSettings()
    """Tokens of an issuer of OpenID Connect: `[hes.oidc]`."""
    anonymous: tuple[Role, ...] | None = Field(
        default=None,
        description="roles of a sender of messages that proves nothing; unset: all where `principals` is unset too and it listens at a loopback address, else none",
    )
    store: StoreLocation = Path("var/hes.sqlite")
    """Requests, results, answers, counters: what has to survive. A file, or postgresql://USER@HOST/DATABASE."""
    store_password: str | None = Field(
        default=None, description="the password of such a database: `env:NAME` or `file:PATH`"
    )
    store_mark: Path | None = Field(
        default=None,
        description="a small file by which an older copy in the place of the store is recognised ([stores](howto/stores.md#a-copy-that-nobody-told-of)): best where backups don't reach; unset: NAME.mark beside the store, or for a database `var/hes-DIGEST.mark`, and none where `engine` is set: there all front ends need the same file",
    )
    engine: str | None = Field(
        default=None,
        description="what dispatches the work among several processes ([scale-out](howto/scale-out.md)): nats://HOST:4222/SYSTEM, several hosts with commas between them, tls:// over TLS, with USER@ before them; SYSTEM (`hes` where none is named) keeps several systems apart. Needs a store at postgresql://. Unset: this process does all of it",
    )
    engine_password: str | None = Field(default=None, description="of USER there: `env:NAME` or `file:PATH`")
    engine_replicas: int = Field(
        default=1,
        ge=1,
        le=5,
        description="how many servers of NATS keep each stream: 3 where three or more are a cluster, so that one of them may be lost without a pause",
    )
    master_key: str | None = Field(
        default=None,
        repr=False,
        description="seals the keys of meters in the store: `env:NAME` or `file:PATH`, which is made if missing; unset: `hes.master-key` beside the store",
    )
    shipments: tuple[Path, ...] = Field(
        default=(), description="shipment files (JSON or CSV) with further meters, beside those of [[meters]]"
    )
    transport_key: str | None = Field(
        default=None,
        repr=False,
        description="that wraps the keys of shipment files: hex, `env:NAME` or `file:PATH`",
    )
    packs: Path | None = None
    """A folder with packs ([packs](packs.md)) that lie over those that come with the project."""
    deadline_s: Seconds = 30.0
    """The work on all meters of a control has to end within this."""
    lanes: LanesSettings = LanesSettings()
    """What reads and campaigns may have: `[hes.lanes.read]`, `[hes.lanes.campaign]`."""
    groups: tuple[GroupSettings, ...] = ()
    """Limits of groups of meters: `[[hes.groups]]`."""
    commissioning: CommissioningSettings = CommissioningSettings()
    """What new meters get: `[hes.commissioning]`."""
    guard: GuardSettings = GuardSettings()
    """Limits of what is switched at once: `[hes.guard]`."""
    outages: OutageSettings = OutageSettings()
    """Last gasps by place: `[hes.outages]`."""
    traces: TraceSettings = TraceSettings()
    """What is kept of requests: `[hes.traces]`."""
    telemetry: TelemetrySettings = TelemetrySettings()
    """Who is told of it by OpenTelemetry: `[hes.telemetry]`."""
    time_zone: str = Field(
        default="UTC",
        description="of IANA, as Europe/Berlin: that of schedules that name none, of times without an offset, and of times that are shown",
    )
    subscribers: tuple[SubscriberSettings, ...] = ()
    """Who gets what is collected by schedule: `[[hes.subscribers]]`."""
    partners: tuple[PartnerSettings, ...] = ()
    """Who reads or writes the standard otherwise: `[[hes.partners]]`."""
    sessions_per_second: float | None = Field(
        default=None,
        gt=0,
        description="sessions that are begun in a second with the meters of no group; unset: no limit",
    )
    apdu_timeout_s: Seconds = 5.0
    """A single answer of a meter has to come within this."""
    max_sessions: int = Field(default=100, ge=1)
    """Meters worked on at the same time."""
    keep_open_s: float = Field(
        default=0.0,
        ge=0,
        le=86_400,
        description="how long an association stays open after its work, for the next work on the meter; 0: not at all",
    )
    max_kept_open: int = Field(default=1_000, ge=1, description="associations that stay open so, at most")
    max_callers: int = Field(
        default=64, ge=2, description="connections at a time that have not said which meter they are"
    )
    max_callers_per_address: int = Field(default=32, ge=1, description="of these, from one address (NATs are one)")
    datagram_buffer_octets: int = Field(
        default=4_194_304,
        ge=0,
        le=1 << 30,
        description="receive buffer of the socket for pushes by UDP (SO_RCVBUF); what it does not hold of a burst is lost; 0: as the system has it",
    )
    max_counter_jump: int = Field(
        default=2**20,
        ge=1,
        le=2**32,
        description="how far above ours an invocation counter may be that a meter claims, to be believed",
    )
    core_dumps: bool = Field(
        default=False,
        description="whether the system may write the memory of the process to a disk when it crashes, and others of the same user may look into it; keys are in it",
    )
    log_apdus: bool = False
    """Every framed APDU on standard output, secrets left out."""
    fast_path: bool = True
    """`false`: every APDU is coded and ciphered by the general path, which is slower; to find a fault, since no octet changes."""
    source: str = Field(default="HES", description="Header.Source of what the HES sends")
    max_request_octets: int = Field(default=5_000_000, ge=1_000, le=5_000_000)
    """A larger message is refused."""
    max_answer_octets: int = Field(
        default=2_000_000,
        ge=10_000,
        le=50_000_000,
        description="of one message; a larger answer goes to a ReplyAddress in parts, and is refused in an HTTP response",
    )
    max_meters_per_request: int = Field(default=5_000, ge=1)
    """A request that names more is refused."""
    max_pending: int = Field(default=100_000, ge=1, description="accepted controls that still wait or run")
    reply_networks: tuple[IPv4Network | IPv6Network, ...] = Field(
        default=(), description="where asynchronous replies may go, beside the CIS of [cis] and reply_hosts"
    )
    reply_hosts: tuple[ReplyHost, ...] = Field(
        default=(),
        description='hosts that replies may go to: "cis.example" (any port), "cis.example:8080", or over https alone "https://cis.example"',
    )
    reply_inside: tuple[IPv4Network | IPv6Network, ...] = Field(
        default=(),
        description="networks, none of them public, that these hosts may lie in where they are named by a name with a dot",
    )
    reply_timeout_s: Seconds = 10.0
    """A receiver of a reply has to answer within this."""
    reply_retry_first_s: Seconds = 0.5
    """The first pause before a reply is sent again; it doubles each time."""
    reply_retry_most_s: Seconds = 300.0
    """The longest pause."""
    reply_attempts_max: int = Field(default=1_000, ge=1, description="attempts until a reply is a dead letter")
    reply_max_age_s: Seconds = Field(default=259_200.0, description="age of a request (3 days) until then")
    look_for_answers_s: Seconds = Field(
        default=30.0,
        description="how often a waiting request looks into the store for an answer that nothing in this process has announced",
    )
    keep_readings_days: float = Field(
        default=400.0, ge=0, description="how long what was read of meters is kept; 0: it is not kept"
    )
    keep_device_events_days: float = Field(
        default=400.0, gt=0, description="how long what has happened to meters is kept; open alarms stay"
    )
    keep_audit_days: float = Field(
        default=1_100.0,
        ge=1,
        description="how long entries of the audit log are kept; what is dropped is an entry itself",
    )
    event_log_hours: float = Field(
        default=0.0,
        ge=0,
        le=24 * 366,
        description="how often the event logs of all meters are read; 0: only when asked",
    )
    keep_answers_days: float = Field(default=30.0, gt=0, description="how long a request and its answer are kept")
    keep_message_ids: int = Field(
        default=1_000_000, ge=0, description="MessageIDs of requests no longer kept; they are refused"
    )

    @model_validator(mode="after")
    def _partners_are_there(self) -> Self:
        names = [one.name for one in self.partners if one.name]
        if len(set(names)) < len(names):
            raise ValueError("two partners have the same name")
        unknown = [one.name for one in self.subscribers if one.partner is not None and one.partner not in names]
        if self.message_security.mode == "off" and any(one.message_security is not None for one in self.partners):
            raise ValueError('a partner with message_security = "required" needs a mode in [hes.message_security]')
        if unknown:
            raise ValueError(f"the partner of the subscriber {unknown[0]} is no name of a partner")
        return self

    @field_validator("engine")
    @classmethod
    def _is_nats(cls, value: str | None) -> str | None:
        """No message of this function holds a part of the value, which may have a password in it all the same."""
        if value is not None and not ENGINE.fullmatch(value):
            raise ValueError(
                "expected nats://HOST:4222/SYSTEM, with commas between several hosts, and no password in it"
            )
        return value

    @model_validator(mode="after")
    def _engine_has_a_database(self) -> Self:
        if self.engine is not None and isinstance(self.store, Path):
            raise ValueError(
                "an engine for several processes needs a store that they can share: store = postgresql://..."
            )
        return self

    @field_validator("time_zone")
    @classmethod
    def _is_a_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError("expected a time zone of IANA, as Europe/Berlin") from None
        return value

    @field_validator("subscribers")
    @classmethod
    def _different_names(cls, value: tuple[SubscriberSettings, ...]) -> tuple[SubscriberSettings, ...]:
        if len({one.name for one in value}) < len(value):
            raise ValueError("two subscribers have the same name")
        return value

    @field_validator("system_title")
    @classmethod
    def _eight_octets(cls, value: bytes) -> bytes:
        if len(value) != 8:
            raise ValueError("a system title has 8 octets")
        return value


class CisAddress(BaseModel):
    """`[cis]` as far as the HES cares: where its replies may go, and by which URL it is asked itself."""

    model_config = ConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True)

    host: str | None = None
    port: int = 8080
    reply_address: HttpUrl | None = None
    hes_url: HttpUrl | None = None


class Settings(FileSettings):
    """All that the HES knows from outside."""

    hes: HesSettings = HesSettings()
    cis: CisAddress = CisAddress()
    meters: tuple[dict[str, Any], ...] = Field(default=(), repr=False, description="read by ami_hes.meters.registry")
