"""What works on requests: the engine, the workers of its lanes, campaigns, the intake, and outages that are verified by requests of our own."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from ami_hes import configured, served
from ami_hes.api.on_demand import answered
from ami_hes.app import delivering, forgetting, publishing
from ami_hes.app.delivering import Delivering
from ami_hes.app.guarding import Guarding
from ami_hes.app.publishing import Publishing
from ami_hes.app.setup import Setup
from ami_hes.app.southbound import South
from ami_hes.app.storage import Stores
from ami_hes.app.works import Task, at_work
from ami_hes.campaigns import CampaignBook, EventLogSchedule
from ami_hes.engine import MakeEngine
from ami_hes.jobs import (
    Acceptance,
    AnswerMaker,
    CommandWorker,
    Context,
    Groups,
    Intake,
    IntakeLimits,
    Lanes,
    Run,
    WorkerLimits,
    Writing,
)
from ami_hes.nouns import Ask
from ami_hes.outages import OutageBook, Verifying
from ami_hes.store import SqlCampaigns, SqlTraces, SqlUsagePoints
from ami_hes.traces import Refusal, TraceBook, TraceKeeper


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


@asynccontextmanager
async def opened(
    setup: Setup, stores: Stores, south: South, run: Run | None, make_engine: MakeEngine
) -> AsyncIterator[Work]:
    """Take up what an earlier life left open, and work. `run` replaces the recipes."""
    lanes, groups = configured.lanes(setup.settings), configured.groups(setup.settings, south.registry)
    context = _context(setup, stores, groups, make_engine)
    guarding = await Guarding.of(setup, stores, south)
    keeper = TraceKeeper(SqlTraces(stores.database), setup.environment, configured.traces(setup.settings))
    async with AsyncExitStack() as stack:
        delivery = await stack.enter_async_context(delivering.opened(setup, context))
        writing = await stack.enter_async_context(Writing.opened(setup.settings.hes.max_answer_octets))
        answers = AnswerMaker(context, writing)
        campaigns = _campaigns(setup, stores, context, guarding)
        south.meters.note_pushes(keeper)
        commands = CommandWorker(
            context,
            answers,
            south.registry,
            campaigns.guarded(guarding.stop.guarded(partial(served.run, south.meters) if run is None else run)),
            WorkerLimits(lanes, groups),
            check=guarding.stop.check,
            told=south.taker.tell,
            traces=keeper,
        )
        told = await stack.enter_async_context(publishing.opened(setup, stores, south, context))
        acceptance = Acceptance(
            context,
            south.registry,
            delivery.hosts,
            IntakeLimits(lanes, setup.settings.hes.max_meters_per_request),
            guarding.guard,
            guarding.auditor,
            setup.partners.partners,
            keeper,
        )
        parts = _parts(setup, stores, south, told)
        intake = Intake(context, answers, acceptance, parts, guarding.approvals, cancel=commands.cancel)
        await context.engine.open(await told.collector.under_way() | await campaigns.under_way())
        await intake.late.open()
        outages = _outage_book(setup, south, intake)
        works: list[Task] = [
            commands.work,
            campaigns.work,
            _event_logs(setup, south, campaigns).work,
            Verifying(book=outages, every_s=setup.settings.hes.outages.verify_every_s).work,
            intake.late.work,
            keeper.work,
            *guarding.works,
            *delivery.works,
            *told.works,
            *forgetting.works(setup, stores, context, south, keeper),
            partial(delivery.report_unusable, context),
        ]
        await stack.enter_async_context(at_work(*works))
        yield Work(
            context=context,
            lanes=lanes,
            guarding=guarding,
            delivering=delivery,
            publishing=told,
            commands=commands,
            campaigns=campaigns,
            intake=intake,
            outages=outages,
            traces=TraceBook(keeper, stores.history, stores.results),
            refused=keeper.refused,
        )


def _context(setup: Setup, stores: Stores, groups: Groups, make_engine: MakeEngine) -> Context:
    hes = setup.settings.hes
    reply_age = timedelta(seconds=hes.reply_max_age_s)
    engine = make_engine(
        stores.results,
        stores.deliveries,
        setup.environment,
        reply_age=reply_age,
        look_every_s=hes.look_for_answers_s,
        group_of=groups.of,
        meterless=served.is_meterless,
    )
    return Context(
        stores.results,
        stores.deliveries,
        engine,
        setup.schemas,
        hes.source,
        setup.environment,
        reply_age,
        stores.outgoing,
        stores.messages,
    )


def _parts(setup: Setup, stores: Stores, south: South, told: Publishing) -> Callable[[Ask], served.Parts]:
    return lambda ask: served.Parts(
        schedules=told.book,
        kept=south.kept,
        usage_points=SqlUsagePoints(stores.database),
        change=told.change,
        results=stores.results,
        open_commands=stores.history.open_commands_of,
        protected=configured.guard(setup.settings).protected,
        device_events=south.taker.store,
        time_zone=setup.settings.hes.time_zone,
        ask=ask,
    )


def _campaigns(setup: Setup, stores: Stores, context: Context, guarding: Guarding) -> CampaignBook:
    campaigns = CampaignBook(
        store=SqlCampaigns(stores.database),
        results=context.results,
        engine=context.engine,
        environment=context.environment,
        guard=guarding.guard,
        pending=setup.settings.hes.lanes.campaign.max_pending,
    )
    guarding.approvals.tell(campaigns.decided)
    return campaigns


def _event_logs(setup: Setup, south: South, campaigns: CampaignBook) -> EventLogSchedule:
    every = timedelta(hours=setup.settings.hes.event_log_hours)
    return EventLogSchedule(book=campaigns, registry=south.registry, environment=setup.environment, every=every)


def _outage_book(setup: Setup, south: South, intake: Intake) -> OutageBook:
    outages = setup.settings.hes.outages
    return OutageBook(
        taker=south.taker,
        registry=south.registry,
        environment=setup.environment,
        ask=lambda message: answered(intake.handle, message, setup.schemas),
        levels=outages.levels,
        share=outages.share,
        momentary=timedelta(seconds=outages.momentary_s),
        look_back=timedelta(days=outages.look_back_days),
    )
