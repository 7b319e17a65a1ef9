"""What one front end at a time does for all of them: schedules, campaigns, what waits for its time, replies and events for subscribers, and what is dropped."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial

from ami_hes.app import campaigning, forgetting, verifying
from ami_hes.app.delivering import Delivering
from ami_hes.app.publishing import Publishing
from ami_hes.app.setup import Setup
from ami_hes.app.southbound import South
from ami_hes.app.storage import Stores
from ami_hes.app.works import Task, at_work
from ami_hes.campaigns import CampaignBook
from ami_hes.jobs import Context, Intake
from ami_hes.outages import OutageBook
from ami_hes.traces import TraceKeeper


@dataclass(slots=True, kw_only=True)
class Leading:
    """Begins anew, with what the store says, whenever it becomes this process's (`ami_hes.engine.Charge`)."""

    setup: Setup
    stores: Stores
    south: South
    context: Context
    delivery: Delivering
    campaigns: CampaignBook
    told: Publishing
    intake: Intake
    outages: OutageBook
    traces: TraceKeeper
    _recovered: bool = False

    async def recover(self) -> None:
        """Take up what an earlier life has left open, or the process that was in charge. Raises StoreUnavailable."""
        paced = await self.told.collector.under_way() | await self.campaigns.under_way()
        await self.context.engine.recover(paced)
        await self.intake.late.open()
        self._recovered = True

    @asynccontextmanager
    async def term(self) -> AsyncIterator[None]:
        """At work as long as this is entered. Raises StoreUnavailable."""
        if not self._recovered:
            await self.recover()
        self._recovered = False
        async with at_work(*self._works()):
            yield

    def _works(self) -> list[Task]:
        return [
            self.campaigns.work,
            campaigning.event_logs(self.setup, self.south, self.campaigns).work,
            verifying.restorations(self.setup, self.outages).work,
            self.intake.late.work,
            *self.delivery.works,
            *self.told.works,
            *forgetting.works(self.setup, self.stores, self.context, self.south, self.traces),
            partial(self.delivery.report_unusable, self.context),
        ]
