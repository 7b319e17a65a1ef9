"""The store of the HES as a database that reports when it goes and when it is back."""

from bisect import bisect_left
from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import Self, TypeVar

from sqlalchemy import Connection

from ami_hes import events
from ami_hes.store.tables import SCHEMA
from ami_process.environment import real_time
from ami_process.events import Emit, Event
from ami_process.store import database
from ami_process.store.places import Place

T = TypeVar("T")
OF_TRANSACTIONS_S = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0)


class Latency:
    """How long something has taken, waiting for its turn included: the number up to each bound, and the sum."""

    def __init__(self, bounds_s: Sequence[float] = OF_TRANSACTIONS_S) -> None:
        self.bounds_s = bounds_s
        self.sum_s = 0.0
        self._each = [0] * (len(bounds_s) + 1)

    def note(self, seconds: float) -> None:
        """One more."""
        self.sum_s += seconds
        self._each[bisect_left(self.bounds_s, seconds)] += 1

    def cumulative(self) -> list[int]:
        """By bound, and at last all of them."""
        return list(accumulate(self._each))


def _unreported(_: Event) -> None:
    pass


class Database(database.Database):
    """Opened with `async with`; reports an upgrade, and once when the store goes, and once when it is back."""

    def __init__(self, place: Place, emit: Emit = _unreported) -> None:
        super().__init__(place, SCHEMA, changed=self._report)
        self._emit = emit
        self.latency = Latency()

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        if self.migrated:
            self._emit(self.migrated)
        return self

    async def transaction(self, work: Callable[[Connection], T]) -> T:
        """As of every database, and timed."""
        began = real_time()
        try:
            return await super().transaction(work)
        finally:
            self.latency.note(real_time() - began)

    def _report(self, reason: str | None) -> None:
        store = str(self.place)
        self._emit(
            events.StoreOutageEnded(store=store) if reason is None else events.StoreOutage(store=store, reason=reason)
        )
