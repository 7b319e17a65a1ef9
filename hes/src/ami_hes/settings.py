"""The HES's settings: its sections of the one configuration file, and the environment on top of it (`ami_process.settings`).

`[[meters]]` is read by `ami_hes.meters.registry`. Relative paths are relative to the working directory.
"""

import re
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from ami_hes.partner_files import dialect_of, profile_of
from ami_process.http_urls import HttpUrl, ReceiverUrl
from ami_process.message_security import MessageSecuritySettings, Outgoing
from ami_process.oidc import OidcSettings
from ami_process.principals import Role
from ami_process.settings import FileSettings, Port, Seconds, Section, StoreLocation
from ami_process.tls import TlsSettings


def _octets(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return bytes.fromhex(value)
    except ValueError:
        raise ValueError("expected hex digits") from None


Octets = Annotated[bytes, BeforeValidator(_octets)]


_HOST = re.compile(r"(https?://)?(\[[0-9a-f:.]+\]|[^\s/:@\[\]]+)(:\d{1,5})?", re.IGNORECASE)


def _host(value: str) -> str:
    if _HOST.fullmatch(value) is None:
        raise ValueError("expected a host, host:port or https://host:port, without a path; an IPv6 address in brackets")
    return value.lower()


ReplyHost = Annotated[str, AfterValidator(_host)]


def _group(value: str) -> str:
    tag, separator, wanted = value.partition("=")
    if not (tag and separator and wanted):
        raise ValueError("expected TAG=VALUE, as feeder=F12")
    return value


MeterGroup = Annotated[str, AfterValidator(_group)]


class LaneSettings(Section):
    """`[hes.lanes.read]` and `[hes.lanes.campaign]`: what may wait and be worked in a lane below that of controls."""

    deadline_s: Seconds
    """The work on all meters of a request has to end within this."""
    max_pending: int = Field(default=100_000, ge=1, description="accepted commands that still wait or run")
    share: float = Field(gt=0, le=1, description="of `hes.max_sessions`, in this lane and those below it")
    attempts: int = Field(
        default=3, ge=1, description="how often a meter is tried whose fault may be gone the next time"
    )
    retry_first_s: Seconds = 1.0
    """The first pause before a meter is tried again; it doubles each time."""
    retry_most_s: Seconds = 30.0
    """The longest pause."""


class ReadSettings(LaneSettings):
    """`[hes.lanes.read]`: reading on demand."""

    deadline_s: Seconds = 120.0
    share: float = Field(default=0.8, gt=0, le=1, description="of `hes.max_sessions`, in this lane and those below it")


class CampaignSettings(LaneSettings):
    """`[hes.lanes.campaign]`: what can wait, as collecting by schedule."""

    deadline_s: Seconds = 3600.0
    share: float = Field(default=0.5, gt=0, le=1, description="of `hes.max_sessions`")


class LanesSettings(Section):
    """`[hes.lanes]`: controls go before reads, and reads before campaigns. Controls have `hes.deadline_s` and `hes.max_pending`."""

    read: ReadSettings = ReadSettings()
    campaign: CampaignSettings = CampaignSettings()


class GroupSettings(Section):
    """`[[hes.groups]]`: meters that share what is narrow; a meter is in the first group that fits."""

    tag: str = Field(min_length=1)
    """A tag of the registry, as `feeder`."""
    value: str | None = None
    """Its value; unset: each value of the tag is a group by itself."""
    sessions: int | None = Field(default=None, ge=1)
    """Meters of it that are worked at once; unset: no limit of its own."""
    sessions_per_second: float | None = Field(default=None, gt=0)
    """How many sessions are begun in a second; unset: no limit."""


EventNoun = Literal[
    "MeterReadings",
    "EndDeviceEvents",
    "MeterConfig",
    "EndDeviceConfig",
    "UsagePointConfig",
    "MasterDataLinkageConfig",
]


class SubscriberSettings(Section):
    """`[[hes.subscribers]]`: who gets what is collected by schedule, what has happened to meters, or what has changed of master data."""

    name: str = Field(min_length=1, max_length=100)
    """MessageIDs of its events follow from it, so a name is kept for as long as the subscriber is the same."""
    url: ReceiverUrl | None = Field(default=None, description="where events are posted")
    directory: Path | None = Field(
        default=None, description="in place of `url`: an existing directory, where each event is a file"
    )
    file_format: Literal["xml", "csv"] = "xml"
    """Of files: the message without a SOAP envelope, or a line for each value."""
    meters_per_file: int = Field(default=100, ge=1, le=100, description="meters in one file, at most")
    nouns: tuple[EventNoun, ...] = ("MeterReadings",)
    """Events of these nouns are for it."""
    groups: tuple[MeterGroup, ...] = Field(
        default=(), description='meters that have one of these tags of the registry, as "feeder=F12"; unset: all meters'
    )
    event: Literal["generic", "typed"] = "generic"
    """How an event is written: as EventMessage, or as the noun's own, as CreatedMeterReadings."""
    ack_required: bool = Field(default=True, description="Header.AckRequired of its events")
    partner: str | None = Field(
        default=None,
        min_length=1,
        description="name of an entry of `[[hes.partners]]`, in whose dialect and ReadingTypes its events are written",
    )
    values_per_message: int = Field(
        default=2_000, ge=1, le=100_000, description="values in one event, unless one meter has more"
    )

    @model_validator(mode="after")
    def _has_one_target(self) -> Self:
        if (self.url is None) == (self.directory is None):
            raise ValueError("a subscriber has a url or a directory")
        if self.partner is not None and self.directory is not None and self.file_format == "csv":
            raise ValueError("files of lines have no dialect: a partner gets xml")
        return self


class PartnerSettings(Section):
    """`[[hes.partners]]`: a partner that reads or writes the standard otherwise: by what it is known, and how it is understood and answered."""

    name: str = Field(default="", max_length=100)
    """What it is called in what is reported."""
    source: str | None = Field(default=None, min_length=1)
    """Its Header.Source."""
    reply_address: str | None = Field(default=None, min_length=1)
    """Its ReplyAddress, of which scheme, host and port count; with `source`, both have to fit."""
    dialect: str = "strict"
    """Its namespaces, wrappers and orders: `strict`, the name of a known product's, or a file that ends with .toml."""
    late_reply: Literal["generic", "typed", "operation"] | None = Field(
        default=None,
        description="how a late reply is written: as ResponseMessage, as the noun's own, as EndDeviceControlsResponseMessage, or in the operation Response; unset: as the dialect says",
    )
    several_names: Literal["one-meter", "several-meters"] = "one-meter"
    """What several Names of one EndDevice without mRID are."""
    mapping: Path | None = Field(
        default=None, description="profile of its ReadingTypes (TOML); unset: the general ones"
    )
    mapping_rows: Path | None = Field(
        default=None, description="rows of the mapping of its own (CSV), beside the profile"
    )
    meters_per_message: int | None = Field(
        default=None, ge=1, description="of an answer in parts; unset: as many as `hes.max_answer_octets` lets in"
    )

    message_security: Literal["required"] | None = Field(
        default=None,
        description="`required`: a message with its Source or ReplyAddress has to prove by its Security header who it is from, also where others need not",
    )
    outgoing: Outgoing | None = Field(
        default=None,
        description="what late replies and events for it get; unset: as `hes.message_security.outgoing`",
    )
    max_request_octets: int | None = Field(
        default=None,
        ge=1_000,
        le=64_000_000,
        description="of its largest request, if that is more than `hes.max_request_octets`; whoever gives its Source may send as much",
    )

    @field_validator("dialect")
    @classmethod
    def _is_a_dialect(cls, value: str) -> str:
        dialect_of(value)
        return value

    @model_validator(mode="after")
    def _is_known_by_something(self) -> Self:
        if self.source is None and self.reply_address is None:
            raise ValueError("a partner needs source or reply_address, to be known by")
        profile_of(self.mapping, self.mapping_rows)
        return self


_SETUP = re.compile(r"(\d{1,3})-(\d{1,3}):25\.9\.(\d{1,3})")


def _push_setup(value: str) -> str:
    found = _SETUP.fullmatch(value)
    if found is None or any(int(group) > 255 for group in found.groups()):
        raise ValueError("expected the logical name of a push setup, as 0-4:25.9.0")
    return value


def _push_destination(value: str) -> str:
    host, _, port = value.rpartition(":")
    if not (host and value.isascii() and value.isprintable() and len(value) <= MOST_DESTINATION):
        raise ValueError("expected host:port")
    if not (port.isdecimal() and 0 < int(port) < 0x10000):
        raise ValueError("expected host:port, with a port from 1 to 65535")
    return value


MOST_DESTINATION = 100


class PushSettings(Section):
    """`[[hes.commissioning.push]]`: where a push setup (class 40) of every meter is to push to."""

    setup: Annotated[str, AfterValidator(_push_setup)]
    """Its logical name, as `0-4:25.9.0`."""
    destination: Annotated[str, AfterValidator(_push_destination)]
    """`host:port` of this head-end, as meters reach it."""
    transport: Literal["tcp", "udp"] = "tcp"


class CommissioningSettings(Section):
    """`[hes.commissioning]`: what a meter has to show before it is commissioned."""

    clock_within_s: Seconds = Field(default=10.0, description="a clock that is further off is set")
    master_key: bool = Field(
        default=False,
        description="whether the master key (KEK) of meters with default keys is changed as well, which takes a security setup (class 64) of version 1",
    )
    push: tuple[PushSettings, ...] = Field(default=(), max_length=16)
    """Push targets: `[[hes.commissioning.push]]`."""


class OutageSettings(Section):
    """`[hes.outages]`: how last gasps are put together."""

    levels: tuple[Annotated[str, Field(min_length=1, max_length=100)], ...] = Field(
        default=("feeder", "transformer"),
        max_length=8,
        description="tags of the registry that are places in the network, from the largest to the smallest",
    )
    share: float = Field(
        default=0.5, gt=0, le=1, description="of its meters (or of the places in it) that are dark where a place is out"
    )
    momentary_s: float = Field(
        default=60.0, ge=0, allow_inf_nan=False, description="an interruption that is no longer counts as momentary"
    )
    verify_every_s: float = Field(
        default=0.0,
        ge=0,
        allow_inf_nan=False,
        description="how often meters that have said that their power is back are pinged, some at a time; 0: when somebody asks for it",
    )
    look_back_days: float = Field(
        default=7.0, gt=0, le=366, description="of how many days the events of power are looked at"
    )


class TraceSettings(Section):
    """`[hes.traces]`: what is kept of requests for `ami trace`."""

    keep: Literal["off", "sampled", "everything"] = "sampled"
    """`everything`: every APDU of every meter, for an hour in which something is looked for."""
    meters_per_request: int = Field(
        default=20, ge=0, description="whose sessions are kept, of the meters of a request that ended well first"
    )
    failures_per_request: int = Field(default=200, ge=0, description="sessions that failed, of a request")
    one_of: int = Field(default=100, ge=1, description="beyond these one of so many that ended well is kept")
    per_second: float = Field(
        default=50.0, gt=0, allow_inf_nan=False, description="of the sessions that ended well, however many requests"
    )
    octets_per_meter: int = Field(
        default=256_000, ge=1_000, le=10_000_000, description="of APDUs in one attempt; those behind are left out"
    )
    max_octets: int = Field(
        default=256_000_000, ge=1_000_000, description="of all sessions in the store, packed; the oldest ones go"
    )
    keep_days: float = Field(default=7.0, gt=0, le=366, description="how long they are kept")


class GroupLimitSettings(Section):
    """`[[hes.guard.disconnects.groups]]` and the same of the others: a limit of its own for each group of meters with this tag."""

    tag: str = Field(min_length=1)
    """A tag of the registry, as `feeder`."""
    value: str | None = None
    """Its value; unset: each value of the tag is a group by itself."""
    meters: int = Field(ge=0, description="of the group, in an hour, whoever asks")


class GuardLimitSettings(Section):
    """`[hes.guard.keys]`, `[hes.guard.firmware]`: how many meters in an hour need no second person."""

    per_principal: int | None = Field(
        default=None, ge=0, description="meters in an hour that one principal may ask for; unset: no limit"
    )
    in_all: int | None = Field(default=None, ge=0, description="meters in an hour of all principals; unset: no limit")
    groups: tuple[GroupLimitSettings, ...] = Field(default=(), max_length=100)
    """Beside these, by group."""


class SwitchingLimitSettings(GuardLimitSettings):
    """`[hes.guard.disconnects]`, `[hes.guard.load_limits]`: the same of what takes power away. Connects have no limit."""

    per_principal: int | None = Field(default=50, ge=0, description="meters in an hour that one principal may ask for")
    in_all: int | None = Field(default=200, ge=0, description="meters in an hour of all principals")


class GuardSettings(Section):
    """`[hes.guard]`: what a second person has to approve before it is done ([approve-mass-switching](howto/approve-mass-switching.md))."""

    disconnects: SwitchingLimitSettings = SwitchingLimitSettings()
    """`[hes.guard.disconnects]`."""
    load_limits: SwitchingLimitSettings = SwitchingLimitSettings()
    """`[hes.guard.load_limits]`: limits and emergency limits that are set."""
    keys: GuardLimitSettings = GuardLimitSettings()
    """`[hes.guard.keys]`: keys that are changed, by commissioning too."""
    firmware: GuardLimitSettings = GuardLimitSettings()
    """`[hes.guard.firmware]`."""
    protected: tuple[MeterGroup, ...] = Field(
        default=("protected=yes",),
        max_length=100,
        description="tags of meters that take all of the above with approval alone, as hospitals",
    )
    approval_hours: float = Field(
        default=24.0, gt=0, le=24 * 31, description="how long a request waits for approval; then it ends with 5.2"
    )


class HesSettings(Section):
    """`[hes]`: where it listens, how long it waits, how much it does at once."""

    host: str = "127.0.0.1"
    """Where CIM is served: a name or an address of this machine."""
    port: Port = 8081
    """CIM: SOAP requests, WSDL, `/healthz`."""
    dlms_host: str = "127.0.0.1"
    """Where meters dial in and push."""
    dlms_port: Port = 4059
    """Meters dial in (TCP) and push (TCP and UDP) here."""
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
        description="a small file by which an older copy in the place of the store is recognised ([stores](howto/stores.md#a-copy-that-nobody-told-of)): best where backups don't reach; unset: NAME.mark beside the store, or for a database `var/hes-DIGEST.mark`",
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
