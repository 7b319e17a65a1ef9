"""What works on requests in a front end: their intake, the guard, the lanes of commands, and what goes on beside them."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial

from ami_hes import configured, served
from ami_hes.app import accepting, campaigning, carrying_out, delivering, dispatching, heeding, publishing, verifying
from ami_hes.app.delivering import Delivering
from ami_hes.app.guarding import Guarding
from ami_hes.app.leading import Leading
from ami_hes.app.publishing import Publishing
from ami_hes.app.setup import Setup
from ami_hes.app.southbound import South
from ami_hes.app.storage import Stores
from ami_hes.app.telling import CAMPAIGNS, WAITING
from ami_hes.app.works import Task, at_work
from ami_hes.campaigns import CampaignBook
from ami_hes.engine import Hints, MakeEngine
from ami_hes.jobs import CommandWorker, Context, Intake, Lanes, Run
from ami_hes.outages import OutageBook
from ami_hes.traces import Refusal, TraceBook


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What is asked of it by clients."""

    context: Context
    lanes: Lanes
    guarding: Guarding
    delivering: Delivering
    publishing: Publishing
    commands: CommandWorker
    campaigns: CampaignBook
    intake: Intake
    outages: OutageBook
    hints: Hints
    """What is told to other front ends."""
    traces: TraceBook
    refused: Callable[[Refusal], None]
    """Told of messages of which nothing was kept, for their traces."""

    def stop_intake(self) -> None:
        """Accept nothing more, and let nothing wait for its answer any longer."""
        self.intake.stop()
        self.context.engine.answers.stop()

    async def check_room(self) -> None:
        """One more command would be accepted, in whatever lane; OSError says where not."""
        pending = self.context.engine.commands.pending
        full = [lane for lane, limits in self.lanes.items() if await pending(lane) >= limits.pending]
        if full:
            raise OSError(f"no more commands are accepted in the lane {' and '.join(full)}: max_pending wait or run")


def _news(setup: Setup, context: Context) -> list[Task]:
    """Telling what this process reports to other front ends, and hearing the others; a single process has none."""
    if setup.settings.hes.engine is None:
        return []
    origin = str(setup.environment.new_uuid())
    setup.news.hear(context.engine.events, origin)
    return [partial(setup.news.tell, context.engine.events, origin)]


@asynccontextmanager
async def opened(
    setup: Setup, stores: Stores, south: South, run: Run | None, make_engine: MakeEngine
) -> AsyncIterator[Work]:
    """Take up what an earlier life left open, where this process is in charge of it, and work. `run` replaces the recipes."""
    context = dispatching.context_of(setup, stores, configured.groups(setup.settings, south.registry), make_engine)
    guarding, keeper = await Guarding.of(setup, stores, south), carrying_out.trace_keeper(setup, stores)
    async with AsyncExitStack() as stack:
        delivery = await stack.enter_async_context(delivering.opened(setup, context))
        answers = await stack.enter_async_context(carrying_out.answering(setup, context))
        hints = Hints(context.engine.events, setup.environment.new_uuid, setup.environment.emit)
        campaigns = campaigning.book(
            setup, stores, context, guarding, lambda campaign_id: hints.give(CAMPAIGNS, campaign_id.encode())
        )
        south.meters.note_pushes(keeper)
        carry_out = guarding.stop.guarded(partial(served.run, south.meters) if run is None else run)
        commands = carrying_out.command_worker(
            setup,
            south,
            context,
            answers,
            campaigns.guarded(carry_out),
            check=guarding.stop.check,
            told=south.taker.tell,
            look=None if setup.settings.hes.engine is None else south.kept.look,
            traces=keeper,
        )
        told = await stack.enter_async_context(publishing.opened(setup, stores, south, context, hints))
        intake = accepting.intake(
            setup,
            stores,
            south,
            context,
            answers,
            keeper,
            guarding,
            delivery,
            told,
            commands.cancel,
            lambda: hints.give(WAITING),
        )
        outages = verifying.book(setup, south, intake)
        leading = Leading(
            setup=setup,
            stores=stores,
            south=south,
            context=context,
            delivery=delivery,
            campaigns=campaigns,
            told=told,
            intake=intake,
            outages=outages,
            traces=keeper,
        )
        heeding.heed(hints, south, told, guarding)
        heeding.heed_orders(hints, context.engine.charge, campaigns, intake)
        await context.engine.open()
        if context.engine.charge.is_mine:
            await leading.recover()
        works: list[Task] = [
            commands.work,
            keeper.work,
            *setup.works,
            *guarding.works,
            hints.work,
            *_news(setup, context),
            partial(context.engine.charge.work, leading.term),
        ]
        await stack.enter_async_context(at_work(*works))
        yield Work(
            context=context,
            lanes=configured.lanes(setup.settings),
            guarding=guarding,
            delivering=delivery,
            publishing=told,
            commands=commands,
            campaigns=campaigns,
            intake=intake,
            outages=outages,
            hints=hints,
            traces=TraceBook(keeper, stores.history, stores.results),
            refused=keeper.refused,
        )
