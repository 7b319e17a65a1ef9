"""The store of the HES, which no other process may open meanwhile."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from ami_hes import configured, events
from ami_hes.app.setup import Setup
from ami_hes.store import (
    SCHEMA,
    Database,
    KeptMark,
    SqlAudit,
    SqlDeliveries,
    SqlFirmware,
    SqlGuard,
    SqlHistory,
    SqlKeptMessages,
    SqlOutgoing,
    SqlResults,
    recognise,
)
from ami_process.health import Check, room_beside
from ami_process.store.holding import hold_store
from ami_process.store.places import place_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Stores:
    """The database, and what several parts keep in it."""

    database: Database
    mark: KeptMark
    results: SqlResults
    deliveries: SqlDeliveries
    outgoing: SqlOutgoing
    messages: SqlKeptMessages
    history: SqlHistory
    firmware: SqlFirmware
    audit: SqlAudit
    guard: SqlGuard
    checks: dict[str, Check]
    """Of its health, by name."""


@asynccontextmanager
async def opened(setup: Setup) -> AsyncIterator[Stores]:
    """Hold the store, upgrade it if need be, and watch it. Raises StoreUnusable and StoreUnavailable."""
    hes = setup.settings.hes
    async with AsyncExitStack() as stack:
        store = stack.enter_context(hold_store(place_of(hes.store, hes.store_password, "hes.store"), SCHEMA))
        database = await stack.enter_async_context(Database(store, setup.environment.emit))
        await stack.enter_async_context(database.watched())
        mark = configured.store_mark(setup.settings)
        if copy := await recognise(database, mark, setup.environment.random_bytes):
            setup.environment.emit(events.StoreBroughtBack(store=str(store), why=copy.why, assumed=copy.assumed))
        yield Stores(
            database=database,
            mark=KeptMark(mark),
            results=SqlResults(database),
            deliveries=SqlDeliveries(database),
            outgoing=SqlOutgoing(database),
            messages=SqlKeptMessages(database),
            history=SqlHistory(database),
            firmware=SqlFirmware(database),
            audit=SqlAudit(database),
            guard=SqlGuard(database),
            checks={"store": database.check} | ({"disk": room_beside(store)} if isinstance(store, Path) else {}),
        )
