"""Which engine dispatches the work: that of a single process, or a part in one that several processes share."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from functools import partial

from ami_hes import configured, served
from ami_hes.app import southbound
from ami_hes.app.setup import Setup
from ami_hes.app.southbound import South
from ami_hes.app.storage import Stores
from ami_hes.app.telling import EVENTS_OF_METERS, METER
from ami_hes.commands import CommandJob
from ami_hes.engine import EmbeddedEngine, MakeEngine
from ami_hes.engine.dialled_in_commands import DialledInMeters
from ami_hes.engine.nats_commands import nothing_needed
from ami_hes.engine.nats_engine import Everything, Front, FrontAlone, Listener, NatsEngine, Sharing, Worker
from ami_hes.engine.nats_link import NatsLink
from ami_hes.engine.partitions import DIALLED_IN, LINES, partition_of
from ami_hes.jobs import Context, Groups
from ami_hes.registry import CannotOpen
from ami_hes.store import SqlDialledIn, SqlOwnership, StoreUnavailable
from ami_process.tls import client_context

LONGEST_MRID = 200


@asynccontextmanager
async def engine_of_front(setup: Setup, stores: Stores, south: South) -> AsyncIterator[MakeEngine]:
    """What the settings say. Raises StoreUnavailable where NATS can't be reached, and StoreUnusable without its client."""
    if setup.settings.hes.engine is None:
        yield EmbeddedEngine
        return
    async with connected(setup) as link:
        await _listen(link, south)
        yield engine_of(setup, link, stores, south, Front if setup.settings.hes.listen else FrontAlone)


@asynccontextmanager
async def connected(setup: Setup) -> AsyncIterator[NatsLink]:
    """To NATS. Raises SettingsError, StoreUnavailable and StoreUnusable."""
    address = configured.engine(
        setup.settings, partial(client_context, setup.settings.hes.tls, "hes.tls", setup.environment.emit)
    )
    async with NatsLink.opened(address, setup.environment.emit) as link:
        yield link


def engine_of(setup: Setup, link: NatsLink, stores: Stores, south: South, role: type[Everything]) -> MakeEngine:
    """For a process of this role."""
    groups, registry, meters = configured.groups(setup.settings, south.registry), south.registry, south.meters

    def place(job: CommandJob) -> int:
        """That of the meter that is spoken with: sub-meters are where the one is that they are behind."""
        mrid = job.command.meter.mrid
        meter = registry.spoken_with(mrid)
        if meter is None or isinstance(meter.address, tuple):
            return partition_of(mrid if meter is None else meter.mrid, groups.of(job))
        return DIALLED_IN if meter.address is None else LINES

    dialled_in = DialledInMeters(
        SqlDialledIn(stores.database),
        lambda job: registry.dials_in(job.command.meter.mrid),
        lambda job: setup.environment.real_seconds_until(job.deadline_at),
        meters,
    )
    sharing = Sharing(
        link,
        SqlOwnership(stores.database),
        role,
        place,
        meters.taken_over,
        meters.leave,
        dialled_in,
        needs=nothing_needed if south.needed is None else south.needed.need,
        has_lines=southbound.has_lines(setup),
    )
    return partial(NatsEngine, sharing)


def engine_of_listener(setup: Setup, link: NatsLink, stores: Stores, south: South) -> MakeEngine:
    """For a process that listens to meters and works those that dial in."""
    return engine_of(setup, link, stores, south, Listener)


def engine_of_worker(setup: Setup, link: NatsLink, stores: Stores, south: South) -> MakeEngine:
    """For a process that works and nothing else."""
    return engine_of(setup, link, stores, south, Worker)


async def hear_of_meters(link: NatsLink, south: South) -> None:
    """Take over what other processes have changed of meters."""

    async def meter(said: bytes) -> None:
        mrid = said[:LONGEST_MRID].decode("utf-8", "replace")
        with suppress(StoreUnavailable, CannotOpen):
            await south.kept.look(mrid)
            await south.commissioning.look(mrid)

    await link.listen(METER, meter)


async def _listen(link: NatsLink, south: South) -> None:
    """To what others tell."""

    async def events(_: bytes) -> None:
        south.taker.tell()

    await hear_of_meters(link, south)
    await link.listen(EVENTS_OF_METERS, events)


def context_of(setup: Setup, stores: Stores, groups: Groups, make_engine: MakeEngine) -> Context:
    """What works on requests is given."""
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
        telemetry=setup.telemetry,
    )
