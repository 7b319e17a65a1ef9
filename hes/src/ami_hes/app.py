"""The composition root: every part of the HES is made and joined here, and nowhere else.

Time, randomness and identifiers come in as arguments (`Environment`), so that a run can be made to repeat itself.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path

from starlette.routing import Route

from ami_cim import reading
from ami_cim.schema import Schemas
from ami_hes import configured, events, served
from ami_hes.api import (
    Cancel,
    Measured,
    Metrics,
    meter_routes,
    metrics_routes,
    openapi_routes,
    paths,
    request_routes,
    scaler_routes,
    schedule_routes,
)
from ami_hes.engine import EmbeddedEngine, Engine, MakeEngine
from ami_hes.inbox import create_inbox
from ami_hes.jobs import (
    AnswerMaker,
    Backoff,
    CommandWorker,
    Context,
    Intake,
    IntakeLimits,
    Lanes,
    ReplySender,
    Run,
    WorkerLimits,
    Writing,
)
from ami_hes.meters import Meters, MetersSettings, Registry
from ami_hes.meters.shipments import transport_key_of
from ami_hes.outbox import Outbox
from ami_hes.registry import KeptRegistry, Sealer, configured_meters, master_keys_of, open_registry
from ami_hes.schedules import Collector, EventWriter, Publisher, ScheduleBook
from ami_hes.settings import Settings
from ami_hes.store import (
    SCHEMA,
    Database,
    SqlCounters,
    SqlDeliveries,
    SqlHistory,
    SqlOutgoing,
    SqlReadings,
    SqlReceivedCounters,
    SqlRegistry,
    SqlResults,
    SqlScalerUnits,
    SqlSchedules,
    StoreUnavailable,
)
from ami_mapping.lookup import ReadingTable
from ami_process.api import Branch, create_api
from ami_process.clock_api import clock_routes
from ami_process.environment import Environment
from ami_process.events import cannot_listen
from ami_process.health import Check, Health, room_beside
from ami_process.http_server import serving
from ami_process.open_files import allow_open_files
from ami_process.sockets import (
    EXIT_CANNOT_LISTEN,
    ListenFailed,
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


@asynccontextmanager
async def running(
    settings: Settings, environment: Environment, run: Run | None = None, make_engine: MakeEngine = EmbeddedEngine
) -> AsyncIterator[list[str]]:
    """The whole HES at work; gives the addresses that it listens on. Raises ListenFailed, RegistryError, StoreUnusable.

    `run` replaces the sessions with meters, in tests without meters.
    """
    hes = settings.hes
    metrics = Metrics()
    environment = replace(environment, emit=metrics.counting(environment.emit))
    http_limits = configured.http_limits(settings)
    kept_open = hes.max_kept_open if hes.keep_open_s else 0
    allow_open_files(http_limits.at_most + hes.max_callers + 2 * hes.max_sessions + kept_open)
    transport_key = transport_key_of(hes.transport_key)
    meters_of_files = configured_meters(settings.meters, hes.shipments, transport_key)
    sealer, known = _sealer(settings, environment), configured.partners(settings)
    async with AsyncExitStack() as stack:
        listener = stack.enter_context(listening(hes.host, hes.port, "hes."))
        store = stack.enter_context(hold_store(place_of(hes.store, hes.store_password, "hes.store"), SCHEMA))
        database = await stack.enter_async_context(Database(store, environment.emit))
        await stack.enter_async_context(database.watched())
        kept = await open_registry(SqlRegistry(database), sealer, meters_of_files, environment.emit, transport_key)
        registry = kept.registry
        meters = await stack.enter_async_context(
            _listening_to_meters(settings, registry, database, environment, known.readings)
        )
        schemas = Schemas()
        results, deliveries = SqlResults(database), SqlDeliveries(database)
        reply_age = timedelta(seconds=hes.reply_max_age_s)
        lanes, groups = configured.lanes(settings), configured.groups(settings, registry)
        engine = make_engine(
            results,
            deliveries,
            environment,
            reply_age=reply_age,
            look_every_s=hes.look_for_answers_s,
            group_of=groups.of,
        )
        context = Context(
            results, deliveries, engine, schemas, hes.source, environment, reply_age, SqlOutgoing(database)
        )
        hosts = configured.reply_hosts(settings)
        outbox = await stack.enter_async_context(Outbox.opened(hosts, schemas, timeout_s=hes.reply_timeout_s))
        recipes = partial(served.run, meters) if run is None else run
        answers = AnswerMaker(context, await stack.enter_async_context(Writing.opened(hes.max_answer_octets)))
        commands = CommandWorker(context, answers, registry, recipes, WorkerLimits(lanes, groups))
        backoff = Backoff(hes.reply_retry_first_s, hes.reply_retry_most_s, hes.reply_attempts_max)
        replies = ReplySender(context, outbox, backoff)
        limits = IntakeLimits(lanes, hes.max_meters_per_request)
        writer = await stack.enter_async_context(EventWriter.opened(context.source, schemas))
        collector = _collector(settings, context, writer, registry, database)
        book = ScheduleBook(collector.store, registry, environment, collector.look)
        parts = served.Parts(schedules=book, time_zone=hes.time_zone)
        intake = Intake(context, answers, registry, hosts, limits, parts, known.partners)
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
        inbox_settings = replace(configured.inbox_settings(settings, environment, known.partners), ready=ready)
        inbox = create_inbox(intake, schemas, worker, Health(checks), inbox_settings)
        api = create_api(
            [
                *clock_routes(environment.clock),
                *_routes(kept, meters, database, metrics, commands.cancel),
                *schedule_routes(book, registry),
            ],
            Tokens.of(hes.token_file, "hes.token_file", bound_to=listener.getsockname()[0]),
            names=configured.names(settings),
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
    except ListenFailed as problem:
        environment.emit(cannot_listen(problem))
        return EXIT_CANNOT_LISTEN
    return 0


@asynccontextmanager
async def _listening_to_meters(
    settings: Settings,
    registry: Registry,
    database: Database,
    environment: Environment,
    mapping: ReadingTable | None = None,
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
        mapping=mapping,
    )
    counters, received = SqlCounters(database), SqlReceivedCounters(database)
    kept = SqlReadings(database) if hes.keep_readings_days else None
    meters = Meters(registry, counters, received, values, environment, kept, SqlScalerUnits(database))
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


def _collector(
    settings: Settings, context: Context, writer: EventWriter, registry: Registry, database: Database
) -> Collector:
    """With its subscribers."""
    publisher = Publisher(
        subscribers=configured.subscribers(settings),
        writer=writer,
        outgoing=context.outgoing,
        engine=context.engine,
        registry=registry,
        environment=context.environment,
        reply_age=context.reply_age,
    )
    return Collector(
        store=SqlSchedules(database),
        results=context.results,
        engine=context.engine,
        registry=registry,
        publisher=publisher,
        environment=context.environment,
        pending=settings.hes.lanes.campaign.max_pending,
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
        *scaler_routes(kept.registry, meters.scalers.forget),
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
