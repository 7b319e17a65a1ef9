"""Event logs of all meters read every so many hours (`hes.event_log_hours`): campaigns that nobody has ordered but the clock.

When it was done last is known by the campaigns that are kept, so a process that starts again neither forgets a turn nor takes one twice. A
turn is not begun while the one before it is under way.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice

from ami_hes.campaigns.book import MOST_METERS, CampaignBook
from ami_hes.end_device_events import log_reading
from ami_hes.meters.registry import Meter, Registry
from ami_hes.store import CampaignLine, StoreUnavailable
from ami_process.environment import Environment, real_sleep

SUMMARY = "read event logs of all meters"
LOOKED_AT = 1_000
"""Campaigns among which the latest turn is looked for."""
AGAIN_S = 5.0
"""When the store is asked again that was away."""
UNDER_WAY_S = 60.0
"""When a turn is looked at again that is under way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EventLogSchedule:
    """Orders turns."""

    book: CampaignBook
    registry: Registry
    environment: Environment
    every: timedelta

    async def work(self) -> None:
        """Until cancelled; nothing where the time is 0."""
        while self.every:
            try:
                wait_s = await self.turn()
            except StoreUnavailable:
                await real_sleep(AGAIN_S)
                continue
            await self.environment.sleep(wait_s)

    async def turn(self) -> float:
        """Order what is due; after how many seconds to look again. Raises StoreUnavailable."""
        now = self.environment.now()
        latest = _latest(await self.book.store.lines(LOOKED_AT))
        if latest:
            due_at = latest[0].campaign.created_at + self.every
            if now < due_at:
                return (due_at - now).total_seconds()
            if any(one.done < one.meters for one in latest):
                return UNDER_WAY_S
        await self._order()
        return self.every.total_seconds()

    async def _order(self) -> None:
        """As many campaigns as the meters need."""
        meters = (one for one in self.registry if not one.behind)
        while some := list(islice(meters, MOST_METERS)):
            await self._campaign(some)

    async def _campaign(self, meters: Sequence[Meter]) -> None:
        await self.book.order(log_reading.NAME, "", SUMMARY, meters, self.every)


def _latest(lines: Sequence[CampaignLine]) -> list[CampaignLine]:
    """The turns of the clock, the latest first."""
    return [one for one in lines if (one.campaign.kind, one.campaign.summary) == (log_reading.NAME, SUMMARY)]
