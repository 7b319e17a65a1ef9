"""What a process that works beside front ends is made of, whatever its role: the store and NATS, its meters, and who carries commands out at them."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial

from ami_hes import configured, served
from ami_hes.app import carrying_out, dispatching, southbound, storage
from ami_hes.app.setup import Setup
from ami_hes.app.southbound import South
from ami_hes.app.storage import Stores
from ami_hes.app.telling import EVENTS_OF_METERS
from ami_hes.app.works import Task
from ami_hes.campaigns import CampaignStates
from ami_hes.engine import MakeEngine
from ami_hes.engine.nats_link import NatsLink
from ami_hes.guard import ControlStop
from ami_hes.jobs import Context
from ami_hes.settings import Settings
from ami_hes.store import SqlCampaigns
from ami_hes.traces import TraceKeeper
from ami_process.environment import Environment
from ami_process.open_files import allow_open_files
from ami_process.settings import SettingsError

EngineOf = Callable[[Setup, NatsLink, Stores, South], MakeEngine]


@dataclass(frozen=True, slots=True)
class Beside:
    """Its parts, and what goes on as long as the process does."""

    setup: Setup
    stores: Stores
    link: NatsLink
    south: South
    context: Context
    keeper: TraceKeeper
    works: Sequence[Task]


@asynccontextmanager
async def opened(
    settings: Settings, environment: Environment, engine_of: EngineOf, *, what: str, callers: bool = False
) -> AsyncIterator[Beside]:
    """Nothing of it goes on yet. Raises RegistryError, StoreUnavailable, StoreUnusable, and SettingsError where no engine for several processes is set."""
    if settings.hes.engine is None:
        raise SettingsError(f"hes.engine: {what} needs an engine that it shares with others, as nats://HOST:4222/hes")
    setup = Setup.of(settings, environment, what.split()[-1])
    allow_open_files(configured.open_files(settings))
    sealer = southbound.known(setup).sealer
    async with AsyncExitStack() as stack:
        stores = await stack.enter_async_context(storage.opened(setup, marked=False))
        link = await stack.enter_async_context(dispatching.connected(setup))
        south = await stack.enter_async_context(
            southbound.beside_a_front_end(setup, stores, sealer, link, callers=callers)
        )
        groups = configured.groups(settings, south.registry)
        context = dispatching.context_of(setup, stores, groups, engine_of(setup, link, stores, south))
        stop, states = (
            ControlStop(stores.guard, setup.environment),
            CampaignStates(SqlCampaigns(stores.database), stores.guard),
        )
        await stop.look()
        keeper = carrying_out.trace_keeper(setup, stores)

        def told() -> None:
            link.begin(link.say(EVENTS_OF_METERS, b""))

        commands = carrying_out.command_worker(
            setup,
            south,
            context,
            await stack.enter_async_context(carrying_out.answering(setup, context)),
            states.guarded(stop.guarded(partial(served.run, south.meters))),
            check=stop.check,
            told=told,
            look=south.kept.look,
            traces=keeper,
        )
        tell_news = partial(setup.news.tell, context.engine.events, str(setup.environment.new_uuid()))
        works: list[Task] = [commands.work, stop.work, states.work, keeper.work, tell_news, *setup.works]
        yield Beside(setup, stores, link, south, context, keeper, works)
