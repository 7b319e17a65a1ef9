"""What faces clients: the inbox for messages, the REST API, the console, health and metrics, at one address."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from functools import partial
from zoneinfo import ZoneInfo

from starlette.routing import BaseRoute
from starlette.types import ASGIApp

from ami_cim import reading
from ami_cim.wsse import FUNCTION, SecurityReading
from ami_console import Console, IssuerSignIn, Live, Sessions
from ami_hes import configured, roles
from ami_hes.api import paths
from ami_hes.api.audit import audit_routes
from ami_hes.api.audited import Audited
from ami_hes.api.campaigns import campaign_routes
from ami_hes.api.commissioning import commissioning_routes
from ami_hes.api.contacts import contact_routes
from ami_hes.api.controls import control_routes
from ami_hes.api.device_events import device_event_routes
from ami_hes.api.guard import guard_routes
from ami_hes.api.images import image_routes
from ami_hes.api.live import Changes, live_routes
from ami_hes.api.meters import meter_routes
from ami_hes.api.metrics import FrontMeasured, metrics_routes
from ami_hes.api.on_demand import reading_routes
from ami_hes.api.openapi import openapi_routes
from ami_hes.api.outages import outage_routes
from ami_hes.api.outgoing import outgoing_routes
from ami_hes.api.pushes import push_routes
from ami_hes.api.quarantine import quarantine_routes
from ami_hes.api.readings import kept_readings_routes
from ami_hes.api.requests import request_routes
from ami_hes.api.scalers import scaler_routes
from ami_hes.api.schedules import schedule_routes
from ami_hes.api.sign_ins import SignIns
from ami_hes.api.traces import trace_routes
from ami_hes.app import admitting, signing_in, status
from ami_hes.app.setup import Setup
from ami_hes.app.southbound import South
from ami_hes.app.storage import Stores
from ami_hes.app.working import Work
from ami_hes.audit_checks import AuditCheck
from ami_hes.console import SITE
from ami_hes.inbox import create_inbox
from ami_hes.store import SqlSeenMessages
from ami_mapping.events import IMPORTANCE
from ami_process.api import Branch, create_api
from ami_process.clock_api import clock_routes
from ami_process.events import utc_now
from ami_process.health import Health
from ami_process.http_server import serving
from ami_process.message_security import MessageSecurity, SecurityMode
from ami_process.principal_api import principal_routes
from ami_process.principals import Admission, Principals
from ami_process.tls import server_context
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
        tokens, issuer, admissions = admitting.at(setup, bound_to)
        sessions = Sessions(
            tokens,
            "hes",
            setup.environment.random_bytes,
            closed=not admissions.api.is_open,
            owner=admissions.api.owner,
            told=SignIns(work.guarding.auditor).told,
            keeper=signing_in.keeper(setup, stores, work.hints),
        )
        signing_in.heed(work.hints, sessions)
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
        security = await stack.enter_async_context(_security(setup, stores, admissions.principals))
        inbox = _inbox(setup, stores, work, worker, admissions.messages, security)
        by_issuer = IssuerSignIn.of(sessions, issuer, "hes.oidc", setup.environment.random_bytes, hes.public_url)
        console = Console(SITE, sessions, names=names, names_setting=NAMES, issuer=by_issuer)
        application = signing_in.looking(
            sessions,
            Branch(
                paths.PREFIX,
                Audited(api, work.guarding.auditor),
                Branch(paths.METRICS, api, console.before(inbox)),
            ),
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


@asynccontextmanager
async def _security(setup: Setup, stores: Stores, principals: Principals) -> AsyncIterator[MessageSecurity]:
    """Of messages; large ones are looked at in a process of its own."""
    wanted, partners = configured.message_security(setup.settings), setup.partners.partners
    form = SecurityReading(configured.inbox_settings(setup.settings, setup.environment, partners).limits)
    async with Worker(FUNCTION, **configured.reading_bounds(partners)) as worker:
        sealing = configured.sealing(setup.settings, setup.environment)
        memory = await _seen_messages(setup, stores)
        yield MessageSecurity(wanted, configured.SECURITY_SETTING, form, worker, principals, sealing, memory=memory)


async def _seen_messages(setup: Setup, stores: Stores) -> SqlSeenMessages | None:
    """What has been seen of signed messages by all front ends; None where there is one, which remembers it by itself."""
    wanted = configured.message_security(setup.settings)
    if setup.settings.hes.engine is None or wanted.mode is SecurityMode.OFF:
        return None
    seen = SqlSeenMessages(stores.database, wanted.remembered, timedelta(seconds=wanted.keep_s), utc_now)
    await seen.load()
    return seen


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
    measured = replace(
        status.measured(setup, stores, south, work.context, "front"),
        datagrams=lambda: south.meters.datagrams,
        front=FrontMeasured(stores.history, partial(south.taker.store.waiting, IMPORTANCE)),
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
        *push_routes(work.traces, zone, south.registry.name_of),
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
        *control_routes(work.intake.handle, south.registry.name_of, setup.schemas, setup.environment),
        *reading_routes(work.intake.handle, south.registry.name_of, setup.schemas, setup.environment, zone),
        *outage_routes(work.outages, south.registry, zone),
        *outgoing_routes(
            stores.history, work.delivering.redelivery, configured.subscriber_targets(setup.settings), zone
        ),
    ]
