"""What the settings say to the parts: each function gives one of them its values. Pure, but for the files of partners."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from ssl import SSLContext

import httpx

from ami_cim.limits import UNKNOWN_PEER, Limits
from ami_cim.wsse import SecurityReading
from ami_hes.commands import Lane
from ami_hes.engine.nats_link import NatsAddress
from ami_hes.enums import Guarded
from ami_hes.file_drop import address_of
from ami_hes.guard import GroupLimit, GuardRules, Limit
from ami_hes.inbox import InboxSettings
from ami_hes.jobs import Backoff, Group, Groups, LaneLimits, Lanes
from ami_hes.meters import MetersSettings, Registry
from ami_hes.nouns import STANDARD, Partner
from ami_hes.operations import commission
from ami_hes.partner_files import dialect_of, profile_of
from ami_hes.reply_hosts import LOOPBACK, PORTS, ReplyHosts, format_host, is_loopback
from ami_hes.schedules import Subscriber
from ami_hes.settings import Settings
from ami_hes.settings.guard import GuardLimitSettings
from ami_hes.settings.partners import PartnerSettings
from ami_hes.traces import Collector, TraceLimits, TracesKept
from ami_mapping.lookup import ReadingTable
from ami_mapping.partner_codes import PartnerCodes, served_table
from ami_mapping.partners import PartnerProfile
from ami_mapping.recipes import PushTarget
from ami_mapping.tables import TableError
from ami_packs.document import ModelError
from ami_packs.pack_folders import Packs, packs_with
from ami_process.environment import Environment
from ami_process.http_connections import HttpLimits
from ami_process.message_security import MessageSecuritySettings, Outgoing, Sealing
from ami_process.principals import OIDC_NAME, UNNAMED_TOKEN
from ami_process.settings import SettingsError
from ami_process.store.mark import MarkFile
from ami_process.store.places import secret_of

SECURITY_SETTING = "hes.message_security"
ROOM = 2
"""So many times what a lane takes its stream holds: what several front ends accept at the same moment is beyond what each of them has seen."""
WAITING = 10_000
"""Connections of meters that have dialled in, for which files are asked of the system; where it grants more there may be more."""
LARGE_CPU_S, LARGE_S = 60, 120
"""For one message of a partner that may send more than others: of the processor, and of the clock."""
LARGE_MEMORY, MEMORY_PER_OCTET = 256_000_000, 16
"""Octets of the process that reads it, and beside them for each octet of the message."""


def subscribers(settings: Settings, partners: Sequence[Partner]) -> tuple[Subscriber, ...]:
    by_name = {one.name: one for one in partners}
    return tuple(
        Subscriber(
            name=one.name,
            address=one.url or address_of(one.name),
            file=one.file_format if one.directory is not None else None,
            meters_per_message=None if one.directory is None else one.meters_per_file,
            nouns=frozenset(one.nouns),
            groups=tuple((tag, value) for tag, _, value in (group.partition("=") for group in one.groups)),
            typed=one.event == "typed",
            ack_required=one.ack_required,
            values_per_message=one.values_per_message,
            partner=STANDARD if one.partner is None else by_name[one.partner],
        )
        for one in settings.hes.subscribers
    )


def message_security(settings: Settings) -> MessageSecuritySettings:
    """With the files of TLS where it names none of its own."""
    return settings.hes.message_security.with_files_of(settings.hes.tls)


def nameless(settings: Settings) -> tuple[str, ...]:
    """How the names of those begin who may be the same person as somebody with a name, for approvals; empty where nobody has one."""
    if settings.hes.principals is not None:
        return UNNAMED_TOKEN, OIDC_NAME
    return (UNNAMED_TOKEN,) if settings.hes.oidc.issuer is not None else ()


def sealing(settings: Settings, environment: Environment) -> Sealing:
    """What messages of ours get. Raises SettingsError for files that can't be used."""
    signs = any(one.outgoing is Outgoing.SIGN for one in settings.hes.partners)
    form, chance = SecurityReading(UNKNOWN_PEER), environment.random_bytes
    return Sealing(message_security(settings), SECURITY_SETTING, form, chance, signs=signs)


def directories(settings: Settings) -> dict[str, Path]:
    """Of subscribers that get files, by name."""
    return {one.name: one.directory for one in settings.hes.subscribers if one.directory is not None}


def subscriber_targets(settings: Settings) -> dict[str, str]:
    """Where each subscriber's events go, for people."""
    return {one.name: one.url or str(one.directory) for one in settings.hes.subscribers}


def inbox_settings(settings: Settings, environment: Environment, partners: Sequence[Partner]) -> InboxSettings:
    hes = settings.hes
    limits = Limits(octets=hes.max_request_octets, peers=tuple(one.peer for one in partners))
    return InboxSettings(
        limits=limits, emit=environment.emit, partners=partners, names=names(settings), public_url=hes.public_url
    )


def reading_bounds(partners: Sequence[Partner]) -> dict[str, int]:
    """What the process that reads messages may have, where a partner may send larger ones than anybody: arguments of a Worker."""
    most = max((one.octets or 0 for one in partners), default=0)
    if most <= UNKNOWN_PEER.octets:
        return {}
    return {"cpu_s": LARGE_CPU_S, "seconds": LARGE_S, "memory": LARGE_MEMORY + most * MEMORY_PER_OCTET}


def names(settings: Settings) -> tuple[str, ...]:
    """By which clients reach us, whatever they want."""
    hes = settings.hes
    urls = (url for url in (hes.public_url, settings.cis.hes_url) if url is not None)
    return (hes.host, *hes.host_names, *(httpx.URL(url).host for url in urls))


def http_limits(settings: Settings) -> HttpLimits:
    hes = settings.hes
    return HttpLimits(
        connections=hes.http_connections,
        connections_per_address=hes.http_connections_per_address,
        head_s=hes.http_head_s,
    )


def commissioning(settings: Settings) -> commission.Order:
    """What every meter that is commissioned is to have."""
    wanted = settings.hes.commissioning
    targets = tuple(PushTarget(one.setup, one.destination, one.transport) for one in wanted.push)
    return commission.Order(wanted.clock_within_s, targets, wanted.master_key)


def traces(settings: Settings) -> TraceLimits:
    """What is kept of requests for their traces."""
    wanted = settings.hes.traces
    return TraceLimits(
        keep=TracesKept(wanted.keep),
        meters_per_request=wanted.meters_per_request,
        failures_per_request=wanted.failures_per_request,
        one_of=wanted.one_of,
        per_second=wanted.per_second,
        octets_per_meter=wanted.octets_per_meter,
        octets=wanted.max_octets,
        age=timedelta(days=wanted.keep_days),
    )


def collector(settings: Settings, instance: str, role: str) -> Collector | None:
    """Who is told of requests by OpenTelemetry, by this process. Raises SettingsError for a token that is not there, and where there is nothing to tell."""
    wanted = settings.hes.telemetry
    if wanted.endpoint is None:
        return None
    if settings.hes.traces.keep == "off":
        raise SettingsError(
            'hes.telemetry.endpoint: a collector is told what hes.traces keeps, which is "off": choose "sampled", or leave the endpoint out'
        )
    url = httpx.URL(wanted.endpoint)
    token = None if wanted.token is None else secret_of(wanted.token, "hes.telemetry.token")
    return Collector(
        endpoint=str(url.copy_with(path="/v1/traces") if url.path == "/" else url),
        headers={} if token is None else {"Authorization": f"Bearer {token}"},
        authorities=None if wanted.authorities is None else str(wanted.authorities),
        service=wanted.service,
        version=version("ami-hes"),
        instance=instance,
        role=role,
    )


def store_mark(settings: Settings) -> MarkFile | None:
    """The mark outside of the store; each database has one of its own, and one that several front ends may share none unless it is named for all of them."""
    hes = settings.hes
    if hes.store_mark is not None:
        return MarkFile(hes.store_mark)
    if hes.engine is not None:
        return None
    if isinstance(hes.store, Path):
        return MarkFile(hes.store.with_name(hes.store.name + ".mark"))
    return MarkFile(Path("var") / f"hes-{sha256(hes.store.encode()).hexdigest()[:12]}.mark")


def engine(settings: Settings, trusted: Callable[[], SSLContext]) -> NatsAddress:
    """Where NATS is; `trusted`: how its certificate is checked. Raises SettingsError for a password that is not there."""
    hes = settings.hes
    scheme, _, rest = (hes.engine or "").partition("://")
    hosts, _, system = rest.rstrip("/").partition("/")
    user, _, hosts = hosts.rpartition("@")
    password = None if hes.engine_password is None else secret_of(hes.engine_password, "hes.engine_password")
    return NatsAddress(
        servers=tuple(f"{scheme}://{host}" for host in hosts.split(",")),
        system=system or "hes",
        user=user or None,
        password=password,
        replicas=hes.engine_replicas,
        room={lane: ROOM * limits.pending for lane, limits in lanes(settings).items()},
        tls=trusted() if scheme == "tls" else None,
    )


def open_files(settings: Settings) -> int:
    """How many sockets may be open at once."""
    hes = settings.hes
    kept_open = hes.max_kept_open if hes.keep_open_s else 0
    return http_limits(settings).at_most + hes.max_callers + 2 * hes.max_sessions + kept_open + WAITING


def meters(settings: Settings, mapping: ReadingTable | None) -> MetersSettings:
    """`mapping`: of a head-end whose partners have ReadingTypes of their own."""
    hes = settings.hes
    return MetersSettings(
        host=hes.dlms_host,
        port=hes.dlms_port,
        system_title=hes.system_title,
        apdu_timeout_s=hes.apdu_timeout_s,
        max_sessions=hes.max_sessions,
        keep_open_s=hes.keep_open_s,
        max_kept_open=hes.max_kept_open,
        datagram_buffer_octets=hes.datagram_buffer_octets,
        max_callers=hes.max_callers,
        max_callers_per_address=hes.max_callers_per_address,
        max_counter_jump=hes.max_counter_jump,
        log_apdus=hes.log_apdus,
        fast_path=hes.fast_path,
        mapping=mapping,
        packs=packs(settings),
    )


def packs(settings: Settings) -> Packs:
    """Those of the project, and over them those of the deployment. Raises SettingsError for what can't be used."""
    try:
        known = packs_with(settings.hes.packs)
        for name in known.names if settings.hes.packs is not None else ():
            known.pack(name)
    except ModelError as problem:
        raise SettingsError(f"hes.packs: {problem}") from None
    return known


def lanes(settings: Settings) -> Lanes:
    """Controls may have all sessions and are not tried again here: their recipe does so as long as nothing has left."""
    hes = settings.hes
    lanes = {
        lane: LaneLimits(
            timedelta(seconds=one.deadline_s),
            one.max_pending,
            max(1, int(hes.max_sessions * one.share)),
            Backoff(one.retry_first_s, one.retry_most_s, one.attempts),
        )
        for lane, one in ((Lane.READ, hes.lanes.read), (Lane.CAMPAIGN, hes.lanes.campaign))
    }
    controls = LaneLimits(timedelta(seconds=hes.deadline_s), hes.max_pending, hes.max_sessions, Backoff(1.0, 1.0, 1))
    return {Lane.CONTROL: controls} | lanes


def guard(settings: Settings) -> GuardRules:
    """What the guard goes by."""
    wanted = settings.hes.guard
    pairs = (group.partition("=") for group in wanted.protected)
    return GuardRules(
        limits={kind: _limit(getattr(wanted, kind)) for kind in Guarded},
        protected=tuple((tag, value) for tag, _, value in pairs),
        approval_within=timedelta(hours=wanted.approval_hours),
    )


def _limit(one: GuardLimitSettings) -> Limit:
    groups = tuple(GroupLimit(group.tag, group.value, group.meters) for group in one.groups)
    return Limit(one.per_principal, one.in_all, groups)


def groups(settings: Settings, registry: Registry) -> Groups:
    groups = [Group(one.tag, one.value, one.sessions, one.sessions_per_second) for one in settings.hes.groups]
    return Groups(registry, groups, settings.hes.sessions_per_second)


@dataclass(frozen=True, slots=True)
class PartnersAndReadings:
    """Who is known, and the mapping with the rows of all of them."""

    partners: tuple[Partner, ...]
    readings: ReadingTable | None
    """None: the general one, which no process loads before it looks up a code."""


def partners(settings: Settings) -> PartnersAndReadings:
    """As their files say now; raises SettingsError when their rows of the mapping can't be distinguished."""
    entries = settings.hes.partners
    profiles = [profile_of(one.mapping, one.mapping_rows) for one in entries]
    try:
        served = served_table([one for one in profiles if one is not None]) if any(profiles) else None
    except TableError as problem:
        raise SettingsError(f"hes.partners: {problem}") from None
    known = (_partner(one, profile, served) for one, profile in zip(entries, profiles, strict=True))
    return PartnersAndReadings(tuple(known), served)


def _partner(one: PartnerSettings, profile: PartnerProfile | None, served: ReadingTable | None) -> Partner:
    dialect = dialect_of(one.dialect)
    if one.late_reply is not None:
        dialect = replace(dialect, late_reply=one.late_reply)
    return Partner(
        name=one.name,
        source=one.source,
        reply_address=one.reply_address,
        several_names=one.several_names == "several-meters",
        typed_reply=dialect.late_reply == "typed",
        dialect=dialect,
        meters_per_message=one.meters_per_message,
        octets=one.max_request_octets,
        proves=one.message_security is not None,
        outgoing=None if one.outgoing is None else str(one.outgoing),
        switches=() if profile is None else tuple(profile.switches.items()),
        dropped=() if profile is None else profile.drop,
        codes=None if profile is None or served is None else PartnerCodes(profile, served),
    )


def reply_hosts(settings: Settings) -> ReplyHosts:
    """CIS and subscribers of the configuration may always be posted to, and this machine if the HES serves at a loopback address alone."""
    hes, cis = settings.hes, settings.cis
    networks = (*LOOPBACK, *hes.reply_networks) if is_loopback(hes.host) else hes.reply_networks
    named = [] if cis.host is None else [httpx.URL(scheme="http", host=cis.host, port=cis.port)]
    configured = (cis.reply_address, *(one.url for one in hes.subscribers))
    named += [httpx.URL(one) for one in configured if one is not None]
    secure = {url.host.lower() for url in named if url.scheme == "https"}
    hosts = (_named_host(url) for url in named if url.scheme == "https" or url.host.lower() not in secure)
    return ReplyHosts(networks, frozenset((*hes.reply_hosts, *hosts)), hes.reply_inside)


def _named_host(url: httpx.URL) -> str:
    """A CIS may take replies at other ports too, but what else listens on our own machine is not to be reached by a reply.

    One that is reached over https is never posted to over http: a sender of requests must not choose who reads the replies.
    """
    host = format_host(url.host.lower())
    host = f"{host}:{url.port or PORTS[url.scheme]}" if is_loopback(url.host) else host
    return f"https://{host}" if url.scheme == "https" else host
