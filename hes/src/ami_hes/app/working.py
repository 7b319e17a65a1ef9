"""What works on requests: the engine, the workers of its lanes, schedules, the intake, and what is dropped when it is too old."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager, closing, suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from ami_hes import configured, events, served
from ami_hes.api.on_demand import answered
from ami_hes.app.setup import Setup
from ami_hes.app.southbound import South
from ami_hes.app.storage import Stores
from ami_hes.auditing import Auditor
from ami_hes.campaigns import CampaignBook, EventLogSchedule
from ami_hes.end_device_events import EventPublisher
from ami_hes.engine import MakeEngine
from ami_hes.file_drop import FileDrop
from ami_hes.guard import HOUR, Approvals, ControlStop, Guard
from ami_hes.jobs import (
    Acceptance,
    AnswerMaker,
    Backoff,
    CommandWorker,
    Context,
    Groups,
    Intake,
    IntakeLimits,
    Lanes,
    Redelivery,
    ReplySender,
    Run,
    WorkerLimits,
    Writing,
)
from ami_hes.master_data import TOLD, MakeChange, MasterDataPublisher, describing, making, no_change
from ami_hes.nouns import Ask
from ami_hes.outages import OutageBook, Verifying
from ami_hes.outbox import Outbox
from ami_hes.schedules import Collector, EventWriter, Publisher, ScheduleBook
from ami_hes.store import (
    SqlCampaigns,
    SqlMasterDataChanges,
    SqlSchedules,
    SqlTraces,
    SqlUsagePoints,
    StoreUnavailable,
)
from ami_hes.traces import TraceBook, TraceKeeper
from ami_process.environment import Environment
from ami_process.tls import client_context

FORGET_EVERY_S = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What is asked of it by clients."""

    context: Context
    lanes: Lanes
    commands: CommandWorker
    book: ScheduleBook
    campaigns: CampaignBook
    intake: Intake
    redelivery: Redelivery
    outages: OutageBook
    traces: TraceBook
    auditor: Auditor
    guard: Guard
    approvals: Approvals

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
    settings, hes = setup.settings, setup.settings.hes
    lanes, groups = configured.lanes(settings), configured.groups(settings, south.registry)
    async with AsyncExitStack() as stack:
        auditor = Auditor(stores.audit, setup.environment)
        context = _context(setup, stores, groups, make_engine)
        hosts = configured.reply_hosts(settings)
        trusted = partial(client_context, hes.tls, "hes.tls", setup.environment.emit)
        outbox = await stack.enter_async_context(
            Outbox.opened(hosts, setup.schemas, timeout_s=hes.reply_timeout_s, trusted=trusted)
        )
        answers = AnswerMaker(context, await stack.enter_async_context(Writing.opened(hes.max_answer_octets)))
        stop = ControlStop(stores.guard, setup.environment)
        await stop.look()
        approvals = Approvals(stores.guard, setup.environment)
        guard = Guard(stores.guard, configured.guard(settings), south.registry, setup.environment, stop)
        campaigns = _campaigns(setup, stores, context, guard)
        approvals.tell(campaigns.decided)
        recipes = campaigns.guarded(stop.guarded(partial(served.run, south.meters) if run is None else run))
        limits_of_work = WorkerLimits(lanes, groups)
        keeper = TraceKeeper(SqlTraces(stores.database), setup.environment, configured.traces(settings))
        commands = CommandWorker(
            context,
            answers,
            south.registry,
            recipes,
            limits_of_work,
            check=stop.check,
            told=south.taker.tell,
            traces=keeper,
        )
        backoff = Backoff(hes.reply_retry_first_s, hes.reply_retry_most_s, hes.reply_attempts_max)
        drop = stack.enter_context(closing(FileDrop(configured.directories(settings), hes.reply_timeout_s)))
        replies = ReplySender(context, outbox, drop, backoff)
        writer = await stack.enter_async_context(EventWriter.opened(context.source, setup.schemas))
        collector = _collector(setup, stores, south, context, writer)
        book = ScheduleBook(collector.store, south.registry, setup.environment, collector.look)
        limits = IntakeLimits(lanes, hes.max_meters_per_request)
        acceptance = Acceptance(context, south.registry, hosts, limits, guard, auditor, setup.partners.partners, keeper)
        change, master_data = _master_data(setup, stores, south, context)
        parts = _parts(setup, book, south, stores, change)
        intake = Intake(context, answers, acceptance, parts, approvals, cancel=commands.cancel)
        await context.engine.open(await collector.under_way() | await campaigns.under_way())
        await intake.late.open()
        outages = _outage_book(setup, south, intake)
        verifying = Verifying(book=outages, every_s=hes.outages.verify_every_s)
        event_publisher = _event_publisher(setup, south, context)
        drops, looked = _what_gets_too_old(setup, stores, context, south), partial(_report_unusable, drop, context)
        works: list[Task] = [
            commands.work,
            replies.work,
            collector.work,
            campaigns.work,
            _event_logs(setup, south, campaigns).work,
            event_publisher.work,
            *([] if master_data is None else [master_data.work]),
            verifying.work,
            intake.late.work,
            keeper.work,
            partial(_every_hour, keeper.forget, setup.environment),
            auditor.work,
            stop.work,
            approvals.work,
            looked,
        ]
        await stack.enter_async_context(_at_work(*works, *drops))
        addresses = {one.name: one.address for one in configured.subscribers(settings, setup.partners.partners)}
        redelivery = Redelivery(context, addresses, hes.keep_message_ids)
        yield Work(
            context=context,
            lanes=lanes,
            commands=commands,
            book=book,
            campaigns=campaigns,
            intake=intake,
            redelivery=redelivery,
            outages=outages,
            traces=TraceBook(keeper, stores.history, stores.results),
            auditor=auditor,
            guard=guard,
            approvals=approvals,
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


def _parts(
    setup: Setup, book: ScheduleBook, south: South, stores: Stores, change: MakeChange
) -> Callable[[Ask], served.Parts]:
    return lambda ask: served.Parts(
        schedules=book,
        kept=south.kept,
        usage_points=SqlUsagePoints(stores.database),
        change=change,
        results=stores.results,
        open_commands=stores.history.open_commands_of,
        protected=configured.guard(setup.settings).protected,
        device_events=south.taker.store,
        time_zone=setup.settings.hes.time_zone,
        ask=ask,
    )


def _collector(setup: Setup, stores: Stores, south: South, context: Context, writer: EventWriter) -> Collector:
    """With its subscribers."""
    publisher = Publisher(
        subscribers=configured.subscribers(setup.settings, setup.partners.partners),
        writer=writer,
        outgoing=context.outgoing,
        engine=context.engine,
        registry=south.registry,
        environment=context.environment,
        reply_age=context.reply_age,
    )
    return Collector(
        store=SqlSchedules(stores.database),
        results=context.results,
        engine=context.engine,
        registry=south.registry,
        publisher=publisher,
        environment=context.environment,
        pending=setup.settings.hes.lanes.campaign.max_pending,
    )


def _campaigns(setup: Setup, stores: Stores, context: Context, guard: Guard) -> CampaignBook:
    return CampaignBook(
        store=SqlCampaigns(stores.database),
        results=context.results,
        engine=context.engine,
        environment=context.environment,
        guard=guard,
        pending=setup.settings.hes.lanes.campaign.max_pending,
    )


def _event_logs(setup: Setup, south: South, campaigns: CampaignBook) -> EventLogSchedule:
    every = timedelta(hours=setup.settings.hes.event_log_hours)
    return EventLogSchedule(book=campaigns, registry=south.registry, environment=setup.environment, every=every)


def _event_publisher(setup: Setup, south: South, context: Context) -> EventPublisher:
    return EventPublisher(
        taker=south.taker,
        subscribers=configured.subscribers(setup.settings, setup.partners.partners),
        outgoing=context.outgoing,
        engine=context.engine,
        registry=south.registry,
        schemas=context.schemas,
        source=context.source,
        environment=context.environment,
        reply_age=context.reply_age,
    )


def _master_data(
    setup: Setup, stores: Stores, south: South, context: Context
) -> tuple[MakeChange, MasterDataPublisher | None]:
    """How changes of master data are noted from now on, and who hands them on; nothing is noted where nobody is told."""
    subscribers = configured.subscribers(setup.settings, setup.partners.partners)
    if not any(one.nouns & TOLD.keys() for one in subscribers):
        return no_change, None
    noting = south.kept.noting
    make = making(context.environment.new_uuid)
    noting.describe = describing(make)
    publisher = MasterDataPublisher(
        changes=SqlMasterDataChanges(stores.database),
        kept=noting.kept,
        subscribers=subscribers,
        outgoing=context.outgoing,
        engine=context.engine,
        schemas=context.schemas,
        source=context.source,
        environment=context.environment,
        reply_age=context.reply_age,
    )
    return make, publisher


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


Task = Callable[[], Coroutine[None, None, None]]


@asynccontextmanager
async def _at_work(*work: Task) -> AsyncIterator[None]:
    """Let work go on; if any of it ends by itself, that is a fault, and everything ends."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one()) for one in work]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()


async def _report_unusable(drop: FileDrop, context: Context) -> None:
    """Once, at the start; a directory that goes away later is reported with each event that it does not take."""
    async for one in drop.unusable():
        context.emit(
            events.DirectoryUnusable(subscriber=one.subscriber, directory=str(one.directory), reason=one.reason)
        )


def _what_gets_too_old(setup: Setup, stores: Stores, context: Context, south: South) -> list[Task]:
    """Drop answers that can't be asked for again, and readings, events of meters and entries of the audit log that are older than they are kept."""
    hes, readings, now = setup.settings.hes, south.meters.readings, setup.environment.now

    async def answers() -> None:
        too_old = now() - timedelta(days=hes.keep_answers_days)
        forgotten = await context.results.forget(too_old, ids_kept=hes.keep_message_ids)
        if forgotten:
            context.emit(events.Forgotten(requests=forgotten))

    async def values() -> None:
        if readings is not None:
            await readings.forget(int((now() - timedelta(days=hes.keep_readings_days)).timestamp() * 1000))

    async def device_events() -> None:
        await south.taker.store.forget(now() - timedelta(days=hes.keep_device_events_days))

    async def audit() -> None:
        await stores.audit.forget(now() - timedelta(days=hes.keep_audit_days), now())
        await stores.guard.forget(now() - max(timedelta(days=hes.keep_answers_days), HOUR))  # in which is counted

    return [partial(_every_hour, drop, setup.environment) for drop in (answers, values, device_events, audit)]


async def _every_hour(drop: Callable[[], Awaitable[object]], environment: Environment) -> None:
    while True:
        with suppress(StoreUnavailable):  # the store says so itself, and the next time will do
            await drop()
        await environment.sleep(FORGET_EVERY_S)
