"""The composition root: every part of the HES is made and joined here, and nowhere else.

Time, randomness and identifiers come in as arguments (`Environment`), so that a run can be made to repeat itself.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

import httpx
from starlette.routing import Route

from ami_cim import reading
from ami_cim.limits import Limits as CimLimits
from ami_cim.schema import Schemas
from ami_hes import events, schedules, served
from ami_hes.api import (
    Cancel,
    Measured,
    Metrics,
    meter_routes,
    metrics_routes,
    openapi_routes,
    paths,
    request_routes,
    schedule_routes,
)
from ami_hes.commands import Lane
from ami_hes.engine import EmbeddedEngine, Engine, MakeEngine
from ami_hes.inbox import InboxSettings, create_inbox
from ami_hes.jobs import (
    AnswerMaker,
    Backoff,
    CommandWorker,
    Context,
    Group,
    Groups,
    Intake,
    LaneLimits,
    Lanes,
    Limits,
    ReplySender,
    Run,
    WorkerLimits,
    Writing,
)
from ami_hes.meters import Meters, MetersSettings, Registry
from ami_hes.meters.shipments import transport_key_of
from ami_hes.nouns import Partner
from ami_hes.outbox import Outbox
from ami_hes.registry import KeptRegistry, Sealer, configured_meters, master_keys_of, open_registry, rotate
from ami_hes.reply_hosts import LOOPBACK, PORTS, ReplyHosts, format_host, is_loopback
from ami_hes.schedules import Collector, EventWriter, Publisher, ScheduleBook, ScheduleOrders, Subscriber
from ami_hes.settings import Settings
from ami_hes.store import (
    SCHEMA,
    Database,
    SqlCounters,
    SqlDeliveries,
    SqlHistory,
    SqlReadings,
    SqlReceivedCounters,
    SqlRegistry,
    SqlResults,
    SqlSchedules,
    StoreUnavailable,
    write_csv,
)
from ami_process.api import Branch, create_api
from ami_process.clock_api import clock_routes
from ami_process.environment import Environment
from ami_process.events import cannot_listen
from ami_process.health import Check, Health, room_beside
from ami_process.http_connections import HttpLimits
from ami_process.http_server import serving
from ami_process.open_files import allow_open_files
from ami_process.sockets import (
    EXIT_CANNOT_LISTEN,
    CannotListen,
    address_of,
    format_address,
    listening,
    naming,
)
from ami_process.store.holding import hold_store
from ami_process.store.places import place_of
from ami_process.tokens import Tokens
from ami_process.worker import Worker

FORGET_EVERY_S = 3600.0
EVER = -(2**62), 2**62
"""Milliseconds since 1970 that no reading is before or after."""


@asynccontextmanager
async def running(
    settings: Settings, environment: Environment, run: Run | None = None, make_engine: MakeEngine = EmbeddedEngine
) -> AsyncIterator[list[str]]:
    """The whole HES at work; gives the addresses that it listens on. Raises CannotListen, RegistryError, StoreUnusable.

    `run` replaces the sessions with meters, in tests without meters.
    """
    hes = settings.hes
    metrics = Metrics()
    environment = replace(environment, emit=metrics.counting(environment.emit))
    http_limits = _http_limits(settings)
    kept_open = hes.max_kept_open if hes.keep_open_s else 0
    allow_open_files(http_limits.at_most + hes.max_callers + 2 * hes.max_sessions + kept_open)
    transport_key = transport_key_of(hes.transport_key)
    configured = configured_meters(settings.meters, hes.shipments, transport_key)
    sealer = _sealer(settings, environment)
    async with AsyncExitStack() as stack:
        listener = stack.enter_context(listening(hes.host, hes.port, "hes."))
        store = stack.enter_context(hold_store(place_of(hes.store, hes.store_password, "hes.store"), SCHEMA))
        database = await stack.enter_async_context(Database(store, environment.emit))
        await stack.enter_async_context(database.watched())
        kept = await open_registry(SqlRegistry(database), sealer, configured, environment.emit, transport_key)
        registry = kept.registry
        meters = await stack.enter_async_context(_listening_to_meters(settings, registry, database, environment))
        schemas = Schemas()
        results, deliveries = SqlResults(database), SqlDeliveries(database)
        reply_age = timedelta(seconds=hes.reply_max_age_s)
        lanes, groups = _lanes(settings), _groups(settings, registry)
        engine = make_engine(
            results,
            deliveries,
            environment,
            reply_age=reply_age,
            look_every_s=hes.look_for_answers_s,
            group_of=groups.of,
        )
        context = Context(results, deliveries, engine, schemas, hes.source, environment, reply_age)
        hosts = _reply_hosts(settings)
        outbox = await stack.enter_async_context(Outbox.opened(hosts, schemas, timeout_s=hes.reply_timeout_s))
        recipes = partial(served.run, meters) if run is None else run
        answers = AnswerMaker(context, await stack.enter_async_context(Writing.opened(hes.max_answer_octets)))
        commands = CommandWorker(context, answers, registry, recipes, WorkerLimits(lanes, groups))
        backoff = Backoff(hes.reply_retry_first_s, hes.reply_retry_most_s, hes.reply_attempts_max)
        replies = ReplySender(context, outbox, backoff)
        limits = Limits(lanes, hes.max_meters_per_request)
        collector = _collector(settings, context, registry, database)
        book = ScheduleBook(collector.store, registry, environment, collector.look)
        orders = {schedules.NOUN: ScheduleOrders(book, hes.time_zone)}
        intake = Intake(context, answers, registry, hosts, limits, _partners(settings), orders)
        await engine.open()
        kept_for = timedelta(days=hes.keep_answers_days)
        forget = partial(_forget, context, environment, kept_for, hes.keep_message_ids)
        forget_readings = partial(_forget_readings, meters, timedelta(days=hes.keep_readings_days))
        at_work = (commands.work, replies.work, collector.work, forget, forget_readings)
        await stack.enter_async_context(_at_work(*at_work))
        worker = await stack.enter_async_context(Worker(reading.FUNCTION))
        disk = {"disk": room_beside(store)} if isinstance(store, Path) else {}
        checks = {"store": database.check} | disk
        ready = Health(checks | {"commands": _room_for_commands(engine, lanes)})
        inbox_settings = replace(_inbox_settings(settings, environment), ready=ready)
        inbox = create_inbox(intake, schemas, worker, Health(checks), inbox_settings)
        api = create_api(
            [
                *clock_routes(environment.clock),
                *_routes(kept, meters, database, metrics, commands.cancel),
                *schedule_routes(book, registry),
            ],
            Tokens.of(hes.token_file, "hes.token_file", bound_to=listener.getsockname()[0]),
            names=_names(settings),
            names_setting="hes.host_names",
        )
        served_at = Branch(paths.PREFIX, api, Branch(paths.METRICS, api, inbox))
        await stack.enter_async_context(serving(served_at, listener, http_limits))
        stack.callback(engine.answers.stop)
        stack.callback(intake.stop)
        addresses = [address_of(listener)]
        yield addresses + ([format_address(*meters.listening)] if meters.listening else [])


async def serve(settings: Settings, stop: asyncio.Event, environment: Environment) -> int:
    """Be the HES until `stop` is set; the exit code."""
    try:
        async with running(settings, environment) as addresses:
            environment.emit(events.Ready(role="hes", listen=addresses))
            await stop.wait()
    except CannotListen as problem:
        environment.emit(cannot_listen(problem))
        return EXIT_CANNOT_LISTEN
    return 0


async def rotate_in(settings: Settings) -> str:
    """Seal what the store of these settings holds by a new master key; what was done, for a person."""
    hes = settings.hes
    masters = master_keys_of(hes.master_key, hes.store, os.environ, os.urandom)
    with hold_store(place_of(hes.store, hes.store_password, "hes.store"), SCHEMA) as store:
        async with Database(store) as database:
            sealed = await rotate(SqlRegistry(database), masters, os.urandom)
    return f"{sealed} keys of meters are sealed by the master key {masters.current().id} of {masters.place}"


async def export_readings(settings: Settings, path: Path, since: datetime | None, until: datetime | None) -> int:
    """Write the readings of the store of these settings to a new CSV file; how many. OSError when there is such a file."""
    hes = settings.hes
    after = EVER[0] if since is None else int(since.timestamp() * 1000)
    last = EVER[1] if until is None else int(until.timestamp() * 1000)
    with hold_store(place_of(hes.store, hes.store_password, "hes.store"), SCHEMA) as store:
        async with Database(store) as database:
            with path.open("x", encoding="utf-8", newline="") as file:
                return await write_csv(SqlReadings(database), file, after=after, until=last)


@asynccontextmanager
async def _listening_to_meters(
    settings: Settings, registry: Registry, database: Database, environment: Environment
) -> AsyncIterator[Meters]:
    hes = settings.hes
    values = MetersSettings(
        host=hes.dlms_host,
        port=hes.dlms_port,
        system_title=hes.system_title,
        apdu_timeout_s=hes.apdu_timeout_s,
        max_sessions=hes.max_sessions,
        keep_open_s=hes.keep_open_s,
        max_kept_open=hes.max_kept_open,
        max_callers=hes.max_callers,
        max_callers_per_address=hes.max_callers_per_address,
        max_counter_jump=hes.max_counter_jump,
        log_apdus=hes.log_apdus,
        fast_path=hes.fast_path,
    )
    counters, received = SqlCounters(database), SqlReceivedCounters(database)
    kept = SqlReadings(database) if hes.keep_readings_days else None
    meters = Meters(registry, counters, received, values, environment, kept)
    with naming(hes.dlms_host, hes.dlms_port, "hes.dlms_"):
        await meters.start()
    try:
        yield meters
    finally:
        await meters.stop()


@asynccontextmanager
async def _at_work(*work: Callable[[], Coroutine[None, None, None]]) -> AsyncIterator[None]:
    """Let work go on; if any of it ends by itself, that is a fault, and everything ends."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one()) for one in work]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()


async def _forget(context: Context, environment: Environment, kept_for: timedelta, ids_kept: int) -> None:
    """Drop answers that are too old to be asked for again, every hour."""
    while True:
        with suppress(StoreUnavailable):  # the store says so itself, and the next time will do
            forgotten = await context.results.forget(context.now() - kept_for, ids_kept=ids_kept)
            if forgotten:
                environment.emit(events.Forgotten(requests=forgotten))
        await environment.sleep(FORGET_EVERY_S)


def _collector(settings: Settings, context: Context, registry: Registry, database: Database) -> Collector:
    """With its subscribers."""
    publisher = Publisher(
        subscribers=_subscribers(settings),
        writer=EventWriter(context.source, context.schemas),
        results=context.results,
        engine=context.engine,
        registry=registry,
        environment=context.environment,
        reply_age=context.reply_age,
    )
    return Collector(SqlSchedules(database), context.results, context.engine, registry, publisher, context.environment)


def _subscribers(settings: Settings) -> tuple[Subscriber, ...]:
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


def _sealer(settings: Settings, environment: Environment) -> Sealer:
    masters = master_keys_of(settings.hes.master_key, settings.hes.store, os.environ, environment.random_bytes)
    return Sealer(masters, environment.random_bytes)


async def _forget_readings(meters: Meters, kept_for: timedelta) -> None:
    """Drop readings that are older than they are kept, every hour."""
    while True:
        if meters.readings is not None:
            with suppress(StoreUnavailable):
                await meters.readings.forget(int((meters.environment.now() - kept_for).timestamp() * 1000))
        await meters.environment.sleep(FORGET_EVERY_S)


def _routes(kept: KeptRegistry, meters: Meters, database: Database, metrics: Metrics, cancel: Cancel) -> list[Route]:
    """Of the API, without its clock."""
    history = SqlHistory(database)
    measured = Measured(
        meters=lambda: len(kept.registry),
        sessions=meters.sessions,
        at_work=lambda: meters.at_work,
        traffic=meters.traffic,
        latency=database.latency,
        history=history,
    )
    return [
        *meter_routes(kept),
        *request_routes(history, cancel),
        *metrics_routes(metrics, measured),
        *openapi_routes(),
    ]


def _room_for_commands(engine: Engine, lanes: Lanes) -> Check:
    """A check that one more command would be accepted, in whatever lane."""

    async def check() -> None:
        full = [lane for lane, limits in lanes.items() if await engine.commands.pending(lane) >= limits.pending]
        if full:
            raise OSError(f"no more commands are accepted in the lane {' and '.join(full)}: max_pending wait or run")

    return check


def _inbox_settings(settings: Settings, environment: Environment) -> InboxSettings:
    hes = settings.hes
    limits = CimLimits(octets=hes.max_request_octets)
    return InboxSettings(limits=limits, emit=environment.emit, names=_names(settings), public_url=hes.public_url)


def _names(settings: Settings) -> tuple[str, ...]:
    """By which clients reach us, whatever they want."""
    hes = settings.hes
    urls = (url for url in (hes.public_url, settings.cis.hes_url) if url is not None)
    return (hes.host, *hes.host_names, *(httpx.URL(url).host for url in urls))


def _http_limits(settings: Settings) -> HttpLimits:
    hes = settings.hes
    return HttpLimits(
        connections=hes.http_connections,
        connections_per_address=hes.http_connections_per_address,
        head_s=hes.http_head_s,
    )


def _lanes(settings: Settings) -> Lanes:
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


def _groups(settings: Settings, registry: Registry) -> Groups:
    groups = [Group(one.tag, one.value, one.sessions, one.sessions_per_second) for one in settings.hes.groups]
    return Groups(registry, groups, settings.hes.sessions_per_second)


def _partners(settings: Settings) -> tuple[Partner, ...]:
    return tuple(
        Partner(
            source=one.source,
            reply_address=one.reply_address,
            several_names=one.several_names == "several-meters",
            typed_reply=one.late_reply == "typed",
        )
        for one in settings.partners
    )


def _reply_hosts(settings: Settings) -> ReplyHosts:
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
