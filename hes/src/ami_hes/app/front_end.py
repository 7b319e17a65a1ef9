"""The role of `hes serve`: it takes messages, serves the API and the console, and has everything that is worked by no other process."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from ami_hes import configured, events
from ami_hes.app import dispatching, northbound, southbound, storage, working
from ami_hes.app.setup import Setup
from ami_hes.engine import MakeEngine
from ami_hes.jobs import Run
from ami_hes.settings import Settings
from ami_process.environment import Environment
from ami_process.open_files import allow_open_files
from ami_process.sockets import address_of, format_address, listening


@asynccontextmanager
async def opened(
    settings: Settings, environment: Environment, run: Run | None = None, make_engine: MakeEngine | None = None
) -> AsyncIterator[events.Ready]:
    """At work as long as this is entered. Raises ListenFailed, RegistryError, SettingsError, StoreUnavailable, StoreUnusable.

    `run` replaces the sessions with meters, `make_engine` the engine that the settings name.
    """
    hes, setup = settings.hes, Setup.of(settings, environment)
    allow_open_files(configured.open_files(settings))
    known = southbound.known(setup)
    async with AsyncExitStack() as stack:
        listener = stack.enter_context(listening(hes.host, hes.port, "hes."))
        stores = await stack.enter_async_context(storage.opened(setup))
        south = await stack.enter_async_context(southbound.opened(setup, stores, known))
        if make_engine is None:
            make_engine = await stack.enter_async_context(dispatching.engine_of_front(setup, stores, south))
        work = await stack.enter_async_context(working.opened(setup, stores, south, run, make_engine))
        if hes.engine is not None and hes.listen:
            await southbound.listen(setup, south, work.context.engine.claims)
        await stack.enter_async_context(northbound.opened(setup, stores, south, work, listener))
        meters, addresses = south.meters, [address_of(listener)]
        yield events.Ready(
            role="hes",
            listen=addresses + ([format_address(*meters.listening)] if meters.listening else []),
            datagram_buffer_octets=meters.datagrams.granted_octets,
            datagram_buffer_limited_by=meters.buffer_limited_by,
        )
