"""The composition root: every part of the HES is made and joined here, and nowhere else.

`running` opens the parts one after the other and closes them in the opposite order. A part is a module with `opened`, which has its start
and its stop, and with a value that the parts behind it are given: the store, what faces the meters, what works on requests, what faces clients.
Time, randomness and identifiers come in as arguments (`Environment`), so that a run can be made to repeat itself.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from ami_hes import configured, events
from ami_hes.app import northbound, southbound, storage, working
from ami_hes.app.setup import Setup
from ami_hes.engine import EmbeddedEngine, MakeEngine
from ami_hes.jobs import Run
from ami_hes.settings import Settings
from ami_process.environment import Environment
from ami_process.events import cannot_listen
from ami_process.garbage import collect_seldom
from ami_process.open_files import allow_open_files
from ami_process.sockets import EXIT_CANNOT_LISTEN, ListenFailed, address_of, format_address, listening


@asynccontextmanager
async def running(
    settings: Settings, environment: Environment, run: Run | None = None, make_engine: MakeEngine = EmbeddedEngine
) -> AsyncIterator[list[str]]:
    """The whole HES at work; gives the addresses that it listens on. Raises ListenFailed, RegistryError, StoreUnusable.

    `run` replaces the sessions with meters, in tests without meters.
    """
    async with _running(settings, environment, run, make_engine) as ready:
        yield ready.listen


@asynccontextmanager
async def _running(
    settings: Settings, environment: Environment, run: Run | None, make_engine: MakeEngine
) -> AsyncIterator[events.Ready]:
    hes, setup = settings.hes, Setup.of(settings, environment)
    allow_open_files(configured.open_files(settings))
    known = southbound.known(setup)
    async with AsyncExitStack() as stack:
        listener = stack.enter_context(listening(hes.host, hes.port, "hes."))
        stores = await stack.enter_async_context(storage.opened(setup))
        south = await stack.enter_async_context(southbound.opened(setup, stores, known))
        work = await stack.enter_async_context(working.opened(setup, stores, south, run, make_engine))
        await stack.enter_async_context(northbound.opened(setup, stores, south, work, listener))
        meters, addresses = south.meters, [address_of(listener)]
        yield events.Ready(
            role="hes",
            listen=addresses + ([format_address(*meters.listening)] if meters.listening else []),
            datagram_buffer_octets=meters.datagrams.granted_octets,
            datagram_buffer_limited_by=meters.buffer_limited_by,
        )


async def serve(settings: Settings, stop: asyncio.Event, environment: Environment) -> int:
    """Be the HES until `stop` is set; the exit code."""
    try:
        async with _running(settings, environment, None, EmbeddedEngine) as ready:
            collect_seldom()
            environment.emit(ready)
            await stop.wait()
    except ListenFailed as problem:
        environment.emit(cannot_listen(problem))
        return EXIT_CANNOT_LISTEN
    return 0
