"""Event logs of all meters read every so many hours (`hes.event_log_hours`): campaigns that nobody has ordered but the clock.

When it was done last is known by the campaigns that are kept, so a process that starts again neither forgets a turn nor takes one twice. A
turn is as many campaigns as its meters need: one that was interrupted between two of them goes on with the meters that none of them has, and
with those that came since. A turn is not begun while the one before it is under way.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice

from ami_hes.campaign_size import MOST_METERS
from ami_hes.campaigns.book import CampaignBook, CampaignOrder
from ami_hes.end_device_events import log_reading
from ami_hes.meters.registry import Meter, Registry
from ami_hes.store import StoredCampaign, StoreUnavailable
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
        store, now = self.book.store, self.environment.now()
        turn = self._latest_turn(await store.of_kind(log_reading.NAME, SUMMARY, LOOKED_AT))
        if turn and now < (due_at := turn[0].created_at + self.every):
            await self._order(await store.mrids([one.campaign_id for one in turn]))
            return (due_at - now).total_seconds()
        if await store.has_open(log_reading.NAME, SUMMARY):
            return UNDER_WAY_S
        await self._order(frozenset())
        return self.every.total_seconds()

    def _latest_turn(self, latest_first: Sequence[StoredCampaign]) -> list[StoredCampaign]:
        """The campaigns of the latest turn, the first one first: no turn begins before the one before it is as old as turns are long."""
        turn: list[StoredCampaign] = []
        for one in reversed(latest_first):
            if turn and one.created_at >= turn[0].created_at + self.every:
                turn = []
            turn.append(one)
        return turn

    async def _order(self, ordered: Collection[str]) -> None:
        """As many campaigns as the meters need that the turn has not yet, by their mRIDs."""
        meters = (one for one in self.registry if not one.behind and one.mrid not in ordered)
        while some := list(islice(meters, MOST_METERS)):
            await self._campaign(some)

    async def _campaign(self, meters: Sequence[Meter]) -> None:
        turn = CampaignOrder(operation=log_reading.NAME, body="", summary=SUMMARY, meters=meters, within=self.every)
        await self.book.order(turn)
