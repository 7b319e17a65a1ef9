"""The store of the HES as a database that reports when it goes and when it is back."""

from typing import Self

from ami_hes import events
from ami_hes.store.tables import SCHEMA
from ami_process.events import Emit, Event
from ami_process.store import database
from ami_process.store.places import Place


def _unreported(_: Event) -> None:
    pass


class Database(database.Database):
    """Opened with `async with`; reports an upgrade, and once when the store goes, and once when it is back."""

    def __init__(self, place: Place, emit: Emit = _unreported) -> None:
        super().__init__(place, SCHEMA, changed=self._report)
        self._emit = emit

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        if self.migrated:
            self._emit(self.migrated)
        return self

    def _report(self, reason: str | None) -> None:
        store = str(self.place)
        self._emit(
            events.StoreAvailable(store=store)
            if reason is None
            else events.StoreUnavailable(store=store, reason=reason)
        )
