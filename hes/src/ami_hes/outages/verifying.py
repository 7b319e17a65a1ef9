"""Restorations that are verified by themselves: meters that have said that their power is back are pinged, some at a time."""

from dataclasses import dataclass, field
from datetime import datetime

from ami_cim.errors import CimError
from ami_hes.events import RestorationsAsked
from ami_hes.outages.book import NotAsked, OutageBook
from ami_hes.outages.power import Power
from ami_hes.store import StoreUnavailable
from ami_process.environment import real_sleep

AT_ONCE = 200
"""Meters of one round."""
ATTEMPTS = 3
"""For each restoration; who does not answer then is left as it is, unverified."""


@dataclass(slots=True, kw_only=True)
class Verifying:
    """Asks every so many seconds; 0: never. What was tried is known in this life alone."""

    book: OutageBook
    every_s: float
    _tried: dict[tuple[str, datetime | None], int] = field(default_factory=dict)

    async def work(self) -> None:
        """Until cancelled."""
        while self.every_s:
            await real_sleep(self.every_s)
            try:
                await self._ask_some()
            except (StoreUnavailable, CimError, NotAsked):  # full, or away: the next round asks again
                continue

    async def _ask_some(self) -> None:
        open_ones = {_key(one): one for one in (await self.book.report()).unverified}
        self._tried = {key: number for key, number in self._tried.items() if key in open_ones}
        some = [one for key, one in open_ones.items() if self._tried.get(key, 0) < ATTEMPTS][:AT_ONCE]
        if not some:
            return
        ping = await self.book.ping([one.mrid for one in some])
        for one in some:
            self._tried[_key(one)] = self._tried.get(_key(one), 0) + 1
        self.book.environment.emit(RestorationsAsked(asked=len(some), answered=len(ping.answered)))


def _key(one: Power) -> tuple[str, datetime | None]:
    return one.mrid, one.restored_at
