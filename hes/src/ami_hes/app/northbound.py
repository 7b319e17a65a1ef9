"""What faces clients: the inbox for messages, the REST API, the console, health and metrics, at one address."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from functools import partial
from zoneinfo import ZoneInfo

from starlette.routing import BaseRoute
from starlette.types import ASGIApp

from ami_cim import reading
from ami_cim.wsse import FUNCTION, SecurityReading
from ami_console import Console, Live, Sessions
from ami_hes import configured, roles
from ami_hes.api import (
    Audited,
    Changes,
    Measured,
    SignIns,
    audit_routes,
    campaign_routes,
    commissioning_routes,
    contact_routes,
    device_event_routes,
    guard_routes,
    image_routes,
    kept_readings_routes,
    live_routes,
    meter_routes,
    metrics_routes,
    openapi_routes,
    outage_routes,
    outgoing_routes,
    paths,
    quarantine_routes,
    reading_routes,
    request_routes,
    scaler_routes,
    schedule_routes,
    trace_routes,
)
from ami_hes.app.setup import Setup
from ami_hes.app.southbound import South
from ami_hes.app.storage import Stores
from ami_hes.app.working import Work
from ami_hes.audit_checks import AuditCheck
from ami_hes.console import SITE
from ami_hes.inbox import create_inbox
from ami_mapping.events import IMPORTANCE
from ami_process.api import Branch, create_api
from ami_process.clock_api import clock_routes
from ami_process.doors import Admissions
from ami_process.environment import real_time
from ami_process.health import Health
from ami_process.http_server import serving
from ami_process.message_security import MessageSecurity
from ami_process.oidc import TokenIssuer
from ami_process.principal_api import principal_routes
from ami_process.principals import Admission, Principals
from ami_process.tls import client_context, server_context
from ami_process.tokens import Tokens
from ami_process.worker import Worker

NAMES = "hes.host_names"


@asynccontextmanager
async def opened(
    setup: Setup, stores: Stores, south: South, work: Work, listener: socket.socket
) -> AsyncIterator[None]:
    """Serve; at the end, first of all nothing more is accepted. Raises SettingsError for files of tokens or of TLS."""
    async with AsyncExitStack() as stack:
        bounds = configured.reading_bounds(setup.partners.partners)
        worker = await stack.enter_async_context(Worker(reading.FUNCTION, **bounds))
        bound_to, hes = listener.getsockname()[0], setup.settings.hes
        tokens = Tokens.of(hes.token_file, "hes.token_file", bound_to=bound_to)
        admissions = Admissions.of("hes", tokens, hes.principals, hes.anonymous, bound_to, real_time, _issuer(setup))
        sessions = Sessions(
            tokens,
            "hes",
            setup.environment.random_bytes,
            closed=not admissions.api.is_open,
            owner=admissions.api.owner,
            told=SignIns(work.guarding.auditor).told,
        )
        changes = _changes(setup, stores, south, work)
        live = await stack.enter_async_context(Live.opened(changes.take, changes.forget))
        audit_check = AuditCheck(stores.audit, setup.environment)
        stack.push_async_callback(audit_check.stop)
        names = configured.names(setup.settings)
        api = create_api(
            [*_routes(setup, stores, south, work, audit_check), *live_routes(live)],
            admissions.api,
            names=names,
            names_setting=NAMES,
            admits=sessions.principal_of,
            roles=roles.ROUTES,
        )
        security = await stack.enter_async_context(_security(setup, admissions.principals))
        inbox = _inbox(setup, stores, work, worker, admissions.messages, security)
        console = Console(SITE, sessions, names=names, names_setting=NAMES)
        application = Branch(
            paths.PREFIX,
            Audited(api, work.guarding.auditor),
            Branch(paths.METRICS, api, console.before(inbox)),
        )
        tls = server_context(setup.settings.hes.tls, "hes.tls", setup.environment.emit)
        await stack.enter_async_context(serving(application, listener, configured.http_limits(setup.settings), tls))
        stack.callback(work.stop_intake)
        stack.callback(south.taker.close)
        stack.callback(live.close)
        yield


def _changes(setup: Setup, stores: Stores, south: South, work: Work) -> Changes:
    zone = ZoneInfo(setup.settings.hes.time_zone)
    return Changes(
        setup.touched, setup.contacts, stores.history, south.taker, south.registry, work.guarding.guard, zone
    )


def _issuer(setup: Setup) -> TokenIssuer | None:
    hes = setup.settings.hes
    if hes.oidc.issuer is None:
        return None
    return TokenIssuer(hes.oidc, trusted=client_context(hes.tls, "hes.tls", setup.environment.emit))


@asynccontextmanager
async def _security(setup: Setup, principals: Principals) -> AsyncIterator[MessageSecurity]:
    """Of messages; large ones are looked at in a process of its own."""
    wanted, partners = configured.message_security(setup.settings), setup.partners.partners
    form = SecurityReading(configured.inbox_settings(setup.settings, setup.environment, partners).limits)
    async with Worker(FUNCTION, **configured.reading_bounds(partners)) as worker:
        sealing = configured.sealing(setup.settings, setup.environment)
        yield MessageSecurity(wanted, configured.SECURITY_SETTING, form, worker, principals, sealing)


def _inbox(
    setup: Setup, stores: Stores, work: Work, worker: Worker, admission: Admission, security: MessageSecurity
) -> ASGIApp:
    ready = Health(stores.checks | {"commands": work.check_room})
    settings = configured.inbox_settings(setup.settings, setup.environment, setup.partners.partners)
    unread = work.guarding.auditor.unread
    settings = replace(
        settings, ready=ready, admission=admission, security=security, unread=unread, refused=work.refused
    )
    return create_inbox(work.intake, setup.schemas, worker, Health(stores.checks), settings)


def _routes(setup: Setup, stores: Stores, south: South, work: Work, audit_check: AuditCheck) -> list[BaseRoute]:
    measured = Measured(
        meters=lambda: len(south.registry),
        sessions=south.meters.sessions,
        at_work=lambda: south.meters.at_work,
        traffic=south.meters.traffic,
        datagrams=lambda: south.meters.datagrams,
        refused=lambda: south.meters.refused,
        latency=stores.database.latency,
        history=stores.history,
        events_waiting=partial(south.taker.store.waiting, IMPORTANCE),
    )
    zone = ZoneInfo(setup.settings.hes.time_zone)
    ordering = asyncio.Lock()
    return [
        *clock_routes(setup.environment.clock),
        *principal_routes(roles.ROUTES),
        *meter_routes(south.kept, south.commissioning, zone),
        *quarantine_routes(south.meters.quarantine, south.kept, zone),
        *contact_routes(setup.contacts, zone),
        *scaler_routes(south.registry, south.meters.scalers.forget),
        *request_routes(stores.history, work.intake.take_back, zone),
        *trace_routes(work.traces, zone, south.registry.name_of),
        *metrics_routes(setup.metrics, measured),
        *openapi_routes(),
        *audit_routes(stores.audit, audit_check, zone),
        *guard_routes(work.guarding.guard, work.guarding.approvals, south.registry, zone),
        *campaign_routes(work.campaigns, south.registry, stores.history, stores.firmware, ordering, zone),
        *image_routes(stores.firmware, stores.history, setup.environment, ordering, zone),
        *commissioning_routes(
            work.campaigns, south.kept, south.commissioning, configured.commissioning(setup.settings), zone
        ),
        *schedule_routes(work.publishing.book, south.registry, zone),
        *device_event_routes(south.taker, south.registry, zone),
        *kept_readings_routes(south.meters.readings, south.registry, zone),
        *reading_routes(work.intake.handle, south.registry.name_of, setup.schemas, setup.environment, zone),
        *outage_routes(work.outages, south.registry, zone),
        *outgoing_routes(
            stores.history, work.delivering.redelivery, configured.subscriber_targets(setup.settings), zone
        ),
    ]
