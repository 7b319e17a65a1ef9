"""The composition root: every part of the HES is made and joined here, and nowhere else.

A role (`front_end`, `listener`, `worker`) opens the parts that it needs one after the other and closes them in the opposite order. A part is a module with `opened`, which has its
start and its stop, and with a value that the parts behind it are given: the store, what faces the meters, what works on requests, what faces clients.
Time, randomness and identifiers come in as arguments (`Environment`), so that a run can be made to repeat itself.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from ami_hes import events
from ami_hes.app import front_end, listener, worker
from ami_hes.engine import MakeEngine
from ami_hes.jobs import Run
from ami_hes.settings import Settings
from ami_process.environment import Environment
from ami_process.events import cannot_listen
from ami_process.garbage import collect_seldom
from ami_process.heap import give_large_pieces_back
from ami_process.sockets import EXIT_CANNOT_LISTEN, ListenFailed


@asynccontextmanager
async def running(
    settings: Settings, environment: Environment, run: Run | None = None, make_engine: MakeEngine | None = None
) -> AsyncIterator[list[str]]:
    """The whole HES at work; gives the addresses that it listens on. Raises ListenFailed, RegistryError, StoreUnusable.

    `run` replaces the sessions with meters, in tests without meters; `make_engine` the engine that the settings name.
    """
    async with front_end.opened(settings, environment, run, make_engine) as ready:
        yield ready.listen


async def serve(settings: Settings, stop: asyncio.Event, environment: Environment) -> int:
    """Be the HES until `stop` is set; the exit code."""
    give_large_pieces_back()
    return await _be(front_end.opened(settings, environment), stop, environment)


async def work(settings: Settings, stop: asyncio.Event, environment: Environment) -> int:
    """Be a worker beside a front end until `stop` is set; the exit code. Raises SettingsError where no engine for several processes is set."""
    return await _be(worker.opened(settings, environment), stop, environment)


async def listen(settings: Settings, stop: asyncio.Event, environment: Environment) -> int:
    """Be a listener beside a front end until `stop` is set; the exit code. Raises SettingsError where no engine for several processes is set."""
    give_large_pieces_back()
    return await _be(listener.opened(settings, environment), stop, environment)


async def _be(role: AbstractAsyncContextManager[events.Ready], stop: asyncio.Event, environment: Environment) -> int:
    try:
        async with role as ready:
            collect_seldom()
            environment.emit(ready)
            await stop.wait()
    except ListenFailed as problem:
        environment.emit(cannot_listen(problem))
        return EXIT_CANNOT_LISTEN
    return 0
