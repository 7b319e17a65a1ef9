"""What the settings say to the parts: each function gives one of them its values. Pure."""

from datetime import timedelta

import httpx

from ami_cim.limits import Limits
from ami_hes.commands import Lane
from ami_hes.inbox import InboxSettings
from ami_hes.jobs import Backoff, Group, Groups, LaneLimits, Lanes
from ami_hes.meters import Registry
from ami_hes.nouns import Partner
from ami_hes.reply_hosts import LOOPBACK, PORTS, ReplyHosts, format_host, is_loopback
from ami_hes.schedules import Subscriber
from ami_hes.settings import Settings
from ami_process.environment import Environment
from ami_process.http_connections import HttpLimits


def subscribers(settings: Settings) -> tuple[Subscriber, ...]:
    return tuple(
        Subscriber(
            name=one.name,
            url=one.url,
            nouns=frozenset(one.nouns),
            groups=tuple((tag, value) for tag, _, value in (group.partition("=") for group in one.groups)),
            typed=one.event == "typed",
            ack_required=one.ack_required,
            values_per_message=one.values_per_message,
        )
        for one in settings.hes.subscribers
    )


def inbox_settings(settings: Settings, environment: Environment) -> InboxSettings:
    hes = settings.hes
    limits = Limits(octets=hes.max_request_octets)
    return InboxSettings(limits=limits, emit=environment.emit, names=names(settings), public_url=hes.public_url)


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


def groups(settings: Settings, registry: Registry) -> Groups:
    groups = [Group(one.tag, one.value, one.sessions, one.sessions_per_second) for one in settings.hes.groups]
    return Groups(registry, groups, settings.hes.sessions_per_second)


def partners(settings: Settings) -> tuple[Partner, ...]:
    return tuple(
        Partner(
            source=one.source,
            reply_address=one.reply_address,
            several_names=one.several_names == "several-meters",
            typed_reply=one.late_reply == "typed",
        )
        for one in settings.partners
    )


def reply_hosts(settings: Settings) -> ReplyHosts:
    """CIS and subscribers of the configuration may always be posted to, and this machine if the HES serves at a loopback address alone."""
    hes, cis = settings.hes, settings.cis
    networks = (*LOOPBACK, *hes.reply_networks) if is_loopback(hes.host) else hes.reply_networks
    named = [] if cis.host is None else [httpx.URL(scheme="http", host=cis.host, port=cis.port)]
    configured = (cis.reply_address, *(one.url for one in hes.subscribers))
    named += [httpx.URL(one) for one in configured if one is not None]
    return ReplyHosts(networks, frozenset((*hes.reply_hosts, *map(_named_host, named))))


def _named_host(url: httpx.URL) -> str:
    """A CIS may take replies at other ports too, but what else listens on our own machine is not to be reached by a reply."""
    host = format_host(url.host.lower())
    return f"{host}:{url.port or PORTS[url.scheme]}" if is_loopback(url.host) else host
