"""What subscribers are told: collected values, events of meters, changes of master data."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from ami_hes import configured
from ami_hes.app.setup import Setup
from ami_hes.app.southbound import South
from ami_hes.app.storage import Stores
from ami_hes.app.telling import SCHEDULES
from ami_hes.app.works import Task
from ami_hes.end_device_events import EventPublisher
from ami_hes.engine import Hints
from ami_hes.jobs import Context
from ami_hes.master_data import TOLD, MakeChange, MasterDataPublisher, describing, making, no_change
from ami_hes.schedules import Collector, EventWriter, Publisher, ScheduleBook
from ami_hes.store import SqlMasterDataChanges, SqlSchedules


@dataclass(frozen=True, slots=True, kw_only=True)
class Publishing:
    """`change` notes what is changed of master data from now on."""

    collector: Collector
    book: ScheduleBook
    change: MakeChange
    device_events: EventPublisher
    master_data: MasterDataPublisher | None

    @property
    def works(self) -> list[Task]:
        """What goes on."""
        master_data = [] if self.master_data is None else [self.master_data.work]
        return [self.collector.work, self.device_events.work, *master_data]


@asynccontextmanager
async def opened(
    setup: Setup, stores: Stores, south: South, context: Context, hints: Hints
) -> AsyncIterator[Publishing]:
    """Nothing is told before its work goes on."""
    async with EventWriter.opened(context.source, setup.schemas) as writer:
        collector = _collector(setup, stores, south, context, writer)
        change, master_data = _master_data(setup, stores, south, context)

        def changed() -> None:
            collector.look()
            hints.give(SCHEDULES)

        yield Publishing(
            collector=collector,
            book=ScheduleBook(collector.store, south.registry, setup.environment, changed),
            change=change,
            device_events=_event_publisher(setup, south, context),
            master_data=master_data,
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
