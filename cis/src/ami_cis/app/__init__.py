"""The composition root: builds the parts from the settings, serves the inbox, runs the loop, and stops cleanly.

Time, randomness and the place where events go come in as arguments (`Environment`), so that a run can be made deterministic.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from zoneinfo import ZoneInfo

from ami_cim import reading
from ami_cim.limits import HEAD_END
from ami_cim.reading_type_names import reading_type_of
from ami_cim.schema import Schemas
from ami_cim.wsse import FUNCTION, SecurityReading
from ami_cis import events
from ami_cis.app.served import Asked, Doors, Seen, routes_of
from ami_cis.inbox import Inbox
from ami_cis.outbox import Outbox, OutboxError, Proofs
from ami_cis.pending import Pending
from ami_cis.places_api import load_places
from ami_cis.requests_api import Changes
from ami_cis.settings import Cis, Settings
from ami_cis.standings import Standings
from ami_cis.store import SCHEMA, Retention, State, Store, StoreUnavailable
from ami_cis.taken_readings import Names
from ami_cis.under_way import Asking
from ami_cis.workflows import (
    Controls,
    DemoLoop,
    Exchanges,
    LoopPlan,
    Readings,
    Target,
)
from ami_console import Live
from ami_process.environment import Environment, real_sleep
from ami_process.events import Ready, cannot_listen
from ami_process.health import Health, room_beside
from ami_process.http_connections import HttpLimits
from ami_process.http_server import serving
from ami_process.message_security import MessageSecurity, Sealing
from ami_process.oidc_client import ClientCredentials
from ami_process.open_files import allow_open_files
from ami_process.principals import Principals
from ami_process.sockets import EXIT_CANNOT_LISTEN, ListenFailed, address_of, listening
from ami_process.store.holding import hold_store
from ami_process.store.places import place_of
from ami_process.tls import client_context, server_context
from ami_process.worker import Worker

ANSWERS_WAITING = 1_000
BACK_OFF_FIRST_S = 0.1
BACK_OFF_MOST_S = 2.0
FORGET_EVERY_S = 3600.0


@dataclass(frozen=True, slots=True)
class System:
    """The parts, wired."""

    controls: Controls
    readings: Readings
    outbox: Outbox
    store: Store
    listen: str


@asynccontextmanager
async def running(settings: Settings, environment: Environment, port: int) -> AsyncIterator[System]:
    """Store, outbox and a serving inbox; raises ListenFailed, StoreUnusable."""
    cis, schemas = settings.cis, Schemas()
    allow_open_files(_http_limits(cis).at_most)
    async with AsyncExitStack() as stack:
        listener = stack.enter_context(listening(cis.host, port, "cis."))
        store, health = await stack.enter_async_context(_stored(settings, environment))
        seen = await stack.enter_async_context(_seen(settings, store, environment))
        environment = seen.environment
        doors = Doors.of(cis, environment, bound_to=listener.getsockname()[0])
        secure = await stack.enter_async_context(_secured(cis, environment, doors.admissions.principals))
        outbox = await stack.enter_async_context(_outbox(cis, environment, schemas, secure))
        names = Names(settings.meters)
        pending = Pending(store, environment.now, names)
        exchanges = Exchanges(
            outbox, pending, environment, schemas, timeout_s=cis.request_timeout_s, ask_again_s=cis.ask_again_s
        )
        reply_address = cis.reply_address_at(listener.getsockname()[1])
        controls = Controls(exchanges, environment, reply_address=reply_address)
        readings = Readings(exchanges, store, environment, reply_address=reply_address)
        deliveries = await stack.enter_async_context(Worker(reading.FUNCTION))
        inbox = Inbox(pending, store, environment, schemas, deliveries, names=names)
        asking = Asking(
            settings.meters, ZoneInfo(cis.time_zone), reply_address is not None, lambda: str(environment.new_uuid())
        )
        routes = routes_of(Asked(exchanges, controls, readings, asking), seen, store, environment)
        application = doors.application(inbox, routes, health, secure.messages, reply_address)
        tls = server_context(cis.tls, "cis.tls", environment.emit)
        await stack.enter_async_context(serving(application, listener, _http_limits(cis), tls))
        stack.callback(asking.stopping.set)
        stack.callback(seen.live.close)
        yield System(controls, readings, outbox, store, address_of(listener))


@dataclass(frozen=True, slots=True)
class _Secured:
    """WS-Security of what is sent, of answers to it, and of what comes in; what was seen of each is remembered apart."""

    sealing: Sealing
    answers: MessageSecurity
    messages: MessageSecurity


@asynccontextmanager
async def _seen(settings: Settings, store: Store, environment: Environment) -> AsyncIterator[Seen]:
    """What is shown of the meters, as it was left and as it changes."""
    zone = ZoneInfo(settings.cis.time_zone)
    standings = Standings(settings.meters)
    changes = Changes(store, standings, zone)
    environment = replace(environment, emit=changes.noting(environment.emit))
    with suppress(StoreUnavailable):  # healthz says so
        await load_places(store, standings, settings.meters, environment.now())
    await _reported("standings", changes.load, environment)
    async with (
        _beside("standings", changes.work, environment),
        Live.opened(changes.take, standings.changed.clear) as live,
    ):
        yield Seen(standings, changes, live, zone, environment)


@asynccontextmanager
async def _outbox(cis: Cis, environment: Environment, schemas: Schemas, secure: _Secured) -> AsyncIterator[Outbox]:
    """The way to the HES, with a worker of its own: what strangers send does not keep an answer of our own HES waiting."""
    proofs = Proofs(
        sealing=secure.sealing,
        security=secure.answers if cis.hes_signs else None,
        hes_names=cis.hes_names,
        tokens=_tokens(cis, environment),
    )
    async with (
        Worker(reading.FUNCTION, waiting=ANSWERS_WAITING) as answers,
        Outbox.opened(
            cis.hes_url, cis.request_timeout_s, schemas, answers, _trusted(cis, environment), proofs
        ) as outbox,
    ):
        yield outbox


@asynccontextmanager
async def _stored(settings: Settings, environment: Environment) -> AsyncIterator[tuple[Store, Health]]:
    """The store, which no other process may open meanwhile, and its health checks."""
    cis = settings.cis
    with hold_store(place_of(cis.store, cis.store_password, "cis.store"), SCHEMA) as place:
        async with Store.opened(place, _retention(settings)) as store:
            if store.migrated:
                environment.emit(store.migrated)
            disk = {"disk": room_beside(place)} if isinstance(place, Path) else {}
            yield store, Health({"store": store.check} | disk, role="cis")


def _tokens(cis: Cis, environment: Environment) -> ClientCredentials | None:
    """Those with which the HES is asked."""
    if cis.oidc_client.issuer is None:
        return None
    trusted = client_context(cis.tls, "cis.tls", environment.emit)
    return ClientCredentials(cis.oidc_client, "cis.oidc_client", trusted, environment.monotonic)


@asynccontextmanager
async def _secured(cis: Cis, environment: Environment, principals: Principals) -> AsyncIterator[_Secured]:
    wanted, setting = cis.message_security.with_files_of(cis.tls), "cis.message_security"
    form = SecurityReading(HEAD_END)
    async with Worker(FUNCTION, waiting=ANSWERS_WAITING) as answers, Worker(FUNCTION) as messages:
        sealing = Sealing(wanted, setting, form, environment.random_bytes)
        of_answers = MessageSecurity(wanted, setting, form, answers, principals, sealing)
        yield _Secured(sealing, of_answers, MessageSecurity(wanted, setting, form, messages, principals, sealing))


def _trusted(cis: Cis, environment: Environment) -> ssl.SSLContext | None:
    """What a HES that is asked over https has to show."""
    return client_context(cis.tls, "cis.tls", environment.emit) if cis.hes_url.startswith("https:") else None


def _http_limits(cis: Cis) -> HttpLimits:
    return HttpLimits(
        connections=cis.http_connections,
        connections_per_address=cis.http_connections_per_address,
        head_s=cis.http_head_s,
    )


def _retention(settings: Settings) -> Retention:
    cis = settings.cis
    kept = timedelta(days=cis.keep_days), cis.max_events, cis.max_event_octets
    return Retention(*kept, timedelta(days=cis.keep_readings_days), cis.max_readings)


async def _forget(store: Store, environment: Environment) -> None:
    """Drop what is too old, now and then."""
    while True:
        with suppress(StoreUnavailable):  # healthz says so, and the next time will do
            if forgotten := await store.forget(environment.now()):
                environment.emit(events.Forgotten(rows=forgotten))
        await environment.sleep(FORGET_EVERY_S)


@asynccontextmanager
async def _beside(
    what: str, work: Callable[[], Coroutine[None, None, None]], environment: Environment
) -> AsyncIterator[None]:
    """Work that goes on while the body runs; a fault in it is reported, and ends nothing else."""
    task = asyncio.create_task(_reported(what, work, environment))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


async def _reported(what: str, work: Callable[[], Coroutine[None, None, None]], environment: Environment) -> None:
    """Work, and a fault in it as an event in place of an end."""
    try:
        await work()
    except Exception as fault:  # noqa: BLE001 (whatever it is, it must not vanish with its task)
        environment.emit(events.WorkFailed(work=what, reason=f"{type(fault).__name__}: {fault}"))


async def serve(settings: Settings, environment: Environment, stop: asyncio.Event, *, loop: bool) -> int:
    """Serve the inbox and, if wanted, run the demo loop, until the loop ends or `stop` is set; the exit code."""
    try:
        async with (
            running(settings, environment, settings.cis.port) as system,
            _beside("forget", partial(_forget, system.store, environment), environment),
        ):
            environment.emit(Ready(role="cis", listen=[system.listen]))
            if settings.gives_up_too_early:
                environment.emit(
                    events.TimeoutTooShort(
                        request_timeout_s=settings.cis.request_timeout_s,
                        deadline_s=settings.hes.longest_s,
                        reason="cis.request_timeout_s is not longer than hes.deadline_s and hes.lanes.read.deadline_s, "
                        "so late results will look like failures",
                    )
                )
            if waiting := await system.store.count(State.ACKNOWLEDGED):
                environment.emit(events.StillWaitingForReplies(requests=waiting))
            async with _beside("resume", system.controls.resume, environment):
                if not loop:
                    await stop.wait()
                    return 0
                return await _run_loop(settings, environment, stop, system)
    except ListenFailed as error:
        environment.emit(cannot_listen(error))
        return EXIT_CANNOT_LISTEN


async def _run_loop(settings: Settings, environment: Environment, stop: asyncio.Event, system: System) -> int:
    cis, demo = settings.cis, settings.demo
    targets = tuple(Target.meter(meter.name, meter.mrid) for meter in settings.meters)
    codes = tuple(map(reading_type_of, demo.read))
    plan = LoopPlan(demo.period_s, demo.connect_after_s, demo.cycles, targets, cis.asynchronous, codes)
    the_loop = DemoLoop(system.controls, system.readings, plan, environment)

    async def work() -> None:
        await wait_for_hes(system.outbox, cis.hes_url, environment)
        await the_loop.run()

    ended_by_itself = await _until_stopped(work, stop)
    summary = the_loop.summary()
    environment.emit(events.Done(**asdict(summary)))
    return 1 if ended_by_itself and summary.failed else 0


async def _until_stopped(work: Callable[[], Coroutine[None, None, None]], stop: asyncio.Event) -> bool:
    """Run the work until it ends (True, its exception is raised) or `stop` is set (False)."""
    working, stopping = asyncio.create_task(work()), asyncio.create_task(stop.wait())
    try:
        await asyncio.wait((working, stopping), return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            return False
        await working
        return True
    finally:
        for task in (working, stopping):
            task.cancel()
        await asyncio.gather(working, stopping, return_exceptions=True)


async def wait_for_hes(outbox: Outbox, url: str, environment: Environment) -> None:
    """Come back when the HES serves; the pauses grow."""
    pause = BACK_OFF_FIRST_S
    while True:
        try:
            await outbox.knock()
        except OutboxError as error:
            if pause == BACK_OFF_FIRST_S:
                environment.emit(events.WaitingFor(url=url, reason=str(error)))
        else:
            return
        await real_sleep(pause)
        pause = min(2 * pause, BACK_OFF_MOST_S)
