"""The engine over NATS for the contract suites: one process that is front end and worker, on a real server.

Whatever is put is kept in the store before, since that is the contract of `Commands.put`; suites that have no requests of their own
get them here.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict
from datetime import timedelta

from engines import Opened
from reported import ignore
from sqlalchemy import Connection, insert, select
from stored_values import a_request

from ami_cim.identity import mrid_key
from ami_hes.commands import CommandJob
from ami_hes.engine import GroupOf, Meterless
from ami_hes.engine.dialled_in_commands import DialledInMeters
from ami_hes.engine.dialled_in_port import Connections, NoConnections
from ami_hes.engine.nats_engine import Everything, NatsEngine, Sharing
from ami_hes.engine.nats_link import NatsAddress, NatsLink
from ami_hes.engine.partitions import DIALLED_IN, partition_of
from ami_hes.engine.ports import never_meterless, no_group
from ami_hes.store import Database, SqlDeliveries, SqlDialledIn, SqlOwnership, SqlResults
from ami_hes.store.tables import commands, requests
from ami_process.environment import Environment
from ami_process.events import Emit
from ami_process.store.places import Place


@asynccontextmanager
async def by_nats(
    store: Place,
    address: NatsAddress,
    emit: Emit = ignore,
    look_every_s: float = 3600.0,
    group_of: GroupOf = no_group,
    meterless: Meterless = never_meterless,
    role: type[Everything] = Everything,
    connections: Connections | None = None,
) -> AsyncIterator[Opened]:
    """`connections`: those of meters that dial in, as all of them do then."""
    async with Database(store) as database, NatsLink.opened(address, emit) as link:
        results = SqlResults(database, shared=True)
        environment = Environment(emit=emit)
        dialled_in = DialledInMeters(
            SqlDialledIn(database),
            lambda job: mrid_key(job.command.meter.mrid),
            lambda job: environment.real_seconds_until(job.deadline_at),
            connections or NoConnections(),
        )
        engine = NatsEngine(
            Sharing(
                link,
                SqlOwnership(database),
                role,
                lambda job: partition_of(job.command.meter.mrid) if connections is None else DIALLED_IN,
                _nothing,
                _nothing,
                dialled_in,
            ),
            results,
            SqlDeliveries(database),
            environment,
            reply_age=timedelta(days=7),
            look_every_s=look_every_s,
            group_of=group_of,
            meterless=meterless,
        )
        await engine.open()
        if engine.charge.is_mine:
            await engine.recover()
        put = engine.commands.put

        async def keep_and_put(jobs: Sequence[CommandJob], *, again: bool = False) -> None:
            await database.transaction(lambda c: _keep(c, jobs))
            await put(jobs, again=again)

        engine.commands.put = keep_and_put  # type: ignore[method-assign]
        yield Opened(engine, results, engine.events.listen)


class AllHere(NoConnections):
    """Every meter has dialled into this process."""

    def has(self, mrid: str) -> bool:
        return True


async def _nothing() -> None:
    pass


def _keep(connection: Connection, jobs: Sequence[CommandJob]) -> None:
    for position, job in enumerate(jobs):
        command = job.command
        if connection.execute(select(requests).where(requests.c.request_id == job.request_id)).first() is None:
            connection.execute(insert(requests).values(asdict(a_request(job.request_id))))
        this = (commands.c.request_id == job.request_id, commands.c.meter_name == job.subject)
        if connection.execute(select(commands).where(*this)).first() is None:
            row = {
                "request_id": job.request_id,
                "meter_name": job.subject,
                "position": position,
                "mrid": command.meter.mrid,
                "operation": command.operation,
                "body": command.body,
                "lane": job.lane,
                "deadline_at": job.deadline_at,
            }
            connection.execute(insert(commands).values(row))
