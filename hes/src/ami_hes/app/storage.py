"""The store of the HES, which no other process may open meanwhile but those that share it by an engine for several."""

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
    mark: KeptMark | None
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
async def opened(setup: Setup, *, marked: bool = True) -> AsyncIterator[Stores]:
    """Hold the store, upgrade it if need be, and watch it. Raises StoreUnusable and StoreUnavailable.

    `marked`: this is the process that compares the store with the mark outside of it.
    """
    hes = setup.settings.hes
    async with AsyncExitStack() as stack:
        shared = hes.engine is not None
        place = place_of(hes.store, hes.store_password, "hes.store")
        store = stack.enter_context(hold_store(place, SCHEMA, shared=shared))
        database = await stack.enter_async_context(Database(store, setup.environment.emit))
        await stack.enter_async_context(database.watched())
        mark = configured.store_mark(setup.settings) if marked else None
        if mark is not None and (copy := await recognise(database, mark, setup.environment.random_bytes)):
            setup.environment.emit(events.StoreBroughtBack(store=str(store), why=copy.why, assumed=copy.assumed))
        yield Stores(
            database=database,
            mark=None if mark is None else KeptMark(mark),
            results=SqlResults(database, shared=shared),
            deliveries=SqlDeliveries(database),
            outgoing=SqlOutgoing(database),
            messages=SqlKeptMessages(database),
            history=SqlHistory(database),
            firmware=SqlFirmware(database),
            audit=SqlAudit(database),
            guard=SqlGuard(database),
            checks={"store": database.check} | ({"disk": room_beside(store)} if isinstance(store, Path) else {}),
        )
