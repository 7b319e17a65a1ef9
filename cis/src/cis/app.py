"""The composition root: builds the parts from the settings, serves the inbox, runs the loop or one order, and stops cleanly.

Time, chance and the place where events go come in as arguments (`Surroundings`), so that a run can be made deterministic.
"""

import asyncio
import errno
import logging
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from uuid import UUID, uuid4

import structlog
import uvicorn
from fastapi import FastAPI
from structlog.typing import EventDict, WrappedLogger

from cim.schema import Schemas
from cis.inbox import Inbox
from cis.outbox import Outbox, OutboxError
from cis.pending import Pending
from cis.settings import Settings
from cis.store import State, Store
from cis.workflows import Controls, DemoLoop, Emit, Order, Outcome, Plan, Surroundings, Target

EXIT_PORT_TAKEN = 98
GRACE_S = 1
CONNECTIONS = 200
BACK_OFF_FIRST_S = 0.1
BACK_OFF_MOST_S = 2.0


class CannotListenError(Exception):
    """The inbox has no place to listen."""

    def __init__(self, address: str, taken: bool, reason: str) -> None:
        super().__init__(reason)
        self.address = address
        self.taken = taken


def utc_now() -> datetime:
    """The wall clock."""
    return datetime.now(UTC)


def surroundings(
    emit: Emit | None = None, now: Callable[[], datetime] = utc_now, new_uuid: Callable[[], UUID] = uuid4
) -> Surroundings:
    """The real ones, unless told otherwise."""
    return Surroundings(
        now=now, monotonic=time.monotonic, sleep=asyncio.sleep, new_uuid=new_uuid, emit=emit or json_lines(now)
    )


def json_lines(now: Callable[[], datetime] = utc_now) -> Emit:
    """Events on standard output, one JSON object a line; what libraries warn of comes out the same way."""

    def stamp(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
        return {"event": event.pop("event"), "at": now().isoformat(), **event}

    logger = structlog.wrap_logger(
        structlog.PrintLogger(sys.stdout), processors=[stamp, structlog.processors.JSONRenderer(default=str)]
    )
    emit: Emit = logger.msg
    logging.basicConfig(handlers=[_ToEvents(emit)], level=logging.WARNING, force=True)
    return emit


class _ToEvents(logging.Handler):
    def __init__(self, emit: Emit) -> None:
        super().__init__()
        self._emit = emit

    def emit(self, record: logging.LogRecord) -> None:
        self._emit("log", level=record.levelname.lower(), logger=record.name, message=self.format(record))


@dataclass(frozen=True, slots=True)
class System:
    """The parts, wired."""

    controls: Controls
    outbox: Outbox
    store: Store
    listen: str


@asynccontextmanager
async def running(settings: Settings, around: Surroundings, port: int) -> AsyncIterator[System]:
    """Store, outbox and a serving inbox; raises CannotListenError."""
    async with AsyncExitStack() as stack:
        listener = stack.enter_context(listening(settings.cis.host, port))
        store = await stack.enter_async_context(Store.opened(settings.cis.store))
        schemas = Schemas()
        outbox = await stack.enter_async_context(
            Outbox.opened(settings.cis.hes_url, settings.cis.request_timeout_s, schemas)
        )
        pending = Pending(store, around.now)
        inbox = Inbox(pending, store, around, schemas)
        await stack.enter_async_context(serving(inbox.application(), listener))
        controls = Controls(
            outbox,
            pending,
            around,
            reply_address=settings.cis.reply_address_at(listener.getsockname()[1]),
            timeout_s=settings.cis.request_timeout_s,
        )
        yield System(controls, outbox, store, _address(listener))


async def serve(settings: Settings, around: Surroundings, stop: asyncio.Event, *, loop: bool) -> int:
    """Serve the inbox and, if wanted, run the demo loop, until the loop ends or `stop` is set; the exit code."""
    try:
        async with running(settings, around, settings.cis.port) as system:
            around.emit("ready", role="cis", listen=[system.listen])
            if settings.gives_up_too_early:
                around.emit(
                    "timeout_too_short",
                    request_timeout_s=settings.cis.request_timeout_s,
                    deadline_s=settings.hes.deadline_s,
                    reason="cis.request_timeout_s is not longer than hes.deadline_s, so late results will look like failures",
                )
            if waiting := await system.store.count(State.ACKNOWLEDGED):
                around.emit("still_waiting_for_replies", requests=waiting)
            if not loop:
                await stop.wait()
                return 0
            return await _run_loop(settings, around, stop, system)
    except CannotListenError as error:
        event = "port_taken" if error.taken else "cannot_listen"
        around.emit(event, address=error.address, setting="cis.port" if error.taken else "cis.host", reason=str(error))
        return EXIT_PORT_TAKEN


async def _run_loop(settings: Settings, around: Surroundings, stop: asyncio.Event, system: System) -> int:
    cis, demo = settings.cis, settings.demo
    targets = tuple(Target.meter(meter.name, meter.mrid) for meter in settings.meters)
    plan = Plan(demo.period_s, demo.connect_after_s, demo.cycles, targets, cis.asynchronous)
    the_loop = DemoLoop(system.controls, plan, around)

    async def work() -> None:
        await wait_for_hes(system.outbox, cis.hes_url, around)
        await the_loop.run()

    ended_by_itself = await _until_stopped(work, stop)
    summary = the_loop.summary()
    around.emit("done", **asdict(summary))
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


async def wait_for_hes(outbox: Outbox, url: str, around: Surroundings) -> None:
    """Come back when the HES serves; the pauses grow."""
    pause = BACK_OFF_FIRST_S
    while True:
        try:
            await outbox.knock()
        except OutboxError as error:
            if pause == BACK_OFF_FIRST_S:
                around.emit("waiting_for", url=url, reason=str(error))
        else:
            return
        await around.sleep(pause)
        pause = min(2 * pause, BACK_OFF_MOST_S)


async def send(settings: Settings, around: Surroundings, order: Order) -> Outcome:
    """One order, seen through; an asynchronous reply comes to an inbox of its own on a free port."""
    async with running(settings, around, 0) as system:
        return await system.controls.run(order)


@contextmanager
def listening(host: str, port: int) -> Iterator[socket.socket]:
    """A listening socket, closed at the end; port 0 takes a free one; raises CannotListenError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
            listener.listen(CONNECTIONS)
        except OSError as error:
            taken = error.errno == errno.EADDRINUSE
            raise CannotListenError(f"{host}:{port}", taken, error.strerror or str(error)) from error
        yield listener


def _address(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


class _Server(uvicorn.Server):
    """uvicorn without signal handlers of its own (this process has them already), and with a mark when it serves."""

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
async def serving(application: FastAPI, listener: socket.socket) -> AsyncIterator[None]:
    """The application served on a socket, inside this event loop."""
    config = uvicorn.Config(
        application,
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
