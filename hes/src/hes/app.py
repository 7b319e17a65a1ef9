"""The composition root: every part of the HES is made and joined here, and nowhere else.

Time, randomness and identifiers come in as arguments (`Chance`), so that a run can be made to repeat itself.
"""

import asyncio
import errno
import logging
import socket
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from os import urandom
from uuid import UUID, uuid4

import httpx
import structlog
import uvicorn
from fastapi import FastAPI
from structlog.typing import EventDict, WrappedLogger

from cim.schema import Schemas
from hes import operations
from hes.inbox import create_inbox
from hes.jobs import Answers, Intake, Limits, Means, Replies, Run, Workshop, recover
from hes.meters import Meters, MetersSettings, Registry
from hes.outbox import Outbox
from hes.reply_hosts import ReplyHosts
from hes.settings import Settings
from hes.store import Database, MemoryJobs, SqlCounters, SqlResults, StoreUnavailable

PORT_TAKEN = 98
GRACE_S = 1
CONNECTIONS = 1_000
"""HTTP connections at once; more are told to come later (503)."""
FORGET_EVERY_S = 3600.0

log = structlog.get_logger()


class PortTaken(Exception):
    """Somebody else listens where we should."""

    def __init__(self, address: str, setting: str) -> None:
        super().__init__(f"{address} is taken; choose another {setting}")
        self.address = address
        self.setting = setting


@dataclass(frozen=True, slots=True)
class Chance:
    """What differs from run to run: the clock, random octets, identifiers."""

    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    random_bytes: Callable[[int], bytes] = urandom
    new_uuid: Callable[[], UUID] = uuid4


def configure_events(now: Callable[[], datetime]) -> None:
    """Events go to standard output, one JSON object a line; so does what libraries warn of."""

    def stamp(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
        return {"event": event.pop("event"), "at": now().isoformat(), **event}

    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.format_exc_info,
            stamp,
            structlog.processors.JSONRenderer(default=str),
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stdout),
    )
    logging.basicConfig(handlers=[_LibraryEvents()], level=logging.WARNING, force=True)


class _LibraryEvents(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        log.warning("log", logger=record.name, message=self.format(record))


@asynccontextmanager
async def running(settings: Settings, chance: Chance, run: Run | None = None) -> AsyncIterator[list[str]]:
    """The whole HES at work; gives the addresses that it listens on. Raises PortTaken, RegistryError.

    `run` stands in for the work on meters where a test has none.
    """
    hes = settings.hes
    registry = Registry(settings.active_meters)
    async with AsyncExitStack() as stack:
        listener = stack.enter_context(_listening(hes.host, hes.port))
        database = await stack.enter_async_context(Database(hes.store))
        meters = await stack.enter_async_context(
            _listening_to_meters(settings, registry, SqlCounters(database), chance)
        )
        schemas = Schemas()
        means = Means(SqlResults(database), MemoryJobs(), schemas, hes.source, chance.now, chance.new_uuid)
        client = await stack.enter_async_context(httpx.AsyncClient(trust_env=False, timeout=hes.reply_timeout_s))
        hosts = _reply_hosts(settings)
        outbox = Outbox(client, hosts, schemas, timeout_s=hes.reply_timeout_s)
        answers = Answers(means)
        recipes = partial(operations.run, meters) if run is None else run
        workshop = Workshop(means, answers, registry, recipes, room=hes.max_sessions)
        replies = Replies(means, outbox, first_s=hes.reply_retry_first_s, most_s=hes.reply_retry_most_s)
        limits = Limits(timedelta(seconds=hes.deadline_s), hes.max_meters_per_request, hes.max_pending)
        intake = Intake(means, answers, registry, hosts, limits)
        await recover(means, answers)
        kept_for = timedelta(days=hes.keep_answers_days)
        await stack.enter_async_context(_at_work(workshop.work, replies.work, partial(_forget, means, kept_for)))
        inbox = create_inbox(intake, schemas, max_octets=hes.max_request_octets)
        await stack.enter_async_context(_serving(inbox, listener))
        stack.callback(answers.close)
        listening = [_address(*listener.getsockname()[:2])]
        yield listening + ([_address(*meters.listening)] if meters.listening else [])


async def serve(settings: Settings, stop: asyncio.Event, chance: Chance) -> int:
    """Be the HES until `stop` is set; the exit code."""
    try:
        async with running(settings, chance) as listening:
            log.info("ready", role="hes", listen=listening)
            await stop.wait()
    except PortTaken as problem:
        log.error("port_taken", address=problem.address, setting=problem.setting)
        return PORT_TAKEN
    return 0


@asynccontextmanager
async def _listening_to_meters(
    settings: Settings, registry: Registry, counters: SqlCounters, chance: Chance
) -> AsyncIterator[Meters]:
    hes = settings.hes
    values = MetersSettings(
        host=hes.dlms_host,
        port=hes.dlms_port,
        system_title=hes.system_title,
        apdu_timeout_s=hes.apdu_timeout_s,
        max_sessions=hes.max_sessions,
        log_apdus=hes.log_apdus,
    )
    meters = Meters(registry, counters, values, now=chance.now, random_bytes=chance.random_bytes)
    with _saying_if_taken(hes.dlms_host, hes.dlms_port, "hes.dlms_port"):
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


async def _forget(means: Means, kept_for: timedelta) -> None:
    """Drop answers that nobody will ask for again, now and then."""
    while True:
        with suppress(StoreUnavailable):  # the store says so itself, and the next time will do
            forgotten = await means.results.forget(means.now() - kept_for)
            if forgotten:
                log.info("forgotten", requests=forgotten)
        await asyncio.sleep(FORGET_EVERY_S)


def _reply_hosts(settings: Settings) -> ReplyHosts:
    """The CIS of the configuration may always be replied to."""
    named = [*settings.hes.reply_hosts, settings.cis.host]
    if settings.cis.reply_address is not None:
        named.append(httpx.URL(settings.cis.reply_address).host)
    return ReplyHosts(settings.hes.reply_networks, frozenset(host.lower() for host in named if host))


class _Server(uvicorn.Server):
    """uvicorn that leaves signals to the process and says when it serves."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.serving = asyncio.Event()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.serving.set()


@asynccontextmanager
async def _serving(inbox: FastAPI, listener: socket.socket) -> AsyncIterator[None]:
    config = uvicorn.Config(
        inbox,
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="off",
        limit_concurrency=CONNECTIONS,
        timeout_graceful_shutdown=GRACE_S,
    )
    server = _Server(config)
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        await server.serving.wait()
        yield
    finally:
        server.should_exit = True
        await task


@contextmanager
def _listening(host: str, port: int) -> Iterator[socket.socket]:
    """A listening socket; its port is taken before anything else is touched."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(
        family, socket.SOCK_STREAM, socket.IPPROTO_TCP
    ) as listener:  # only then asyncio sets TCP_NODELAY
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with _saying_if_taken(host, port, "hes.port"):
            listener.bind((host, port))
            listener.listen(CONNECTIONS)
        listener.setblocking(False)
        yield listener


@contextmanager
def _saying_if_taken(host: str, port: int, setting: str) -> Iterator[None]:
    try:
        yield
    except OSError as problem:
        if problem.errno == errno.EADDRINUSE:
            raise PortTaken(_address(host, port), setting) from None
        raise


def _address(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
