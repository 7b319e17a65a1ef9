"""Campaigns: those that are ordered, and those by which event logs are read in their time."""

from collections.abc import Callable
from datetime import timedelta

from ami_hes.app.guarding import Guarding
from ami_hes.app.setup import Setup
from ami_hes.app.southbound import South
from ami_hes.app.storage import Stores
from ami_hes.campaigns import CampaignBook, EventLogSchedule
from ami_hes.jobs import Context
from ami_hes.store import SqlCampaigns


def book(
    setup: Setup, stores: Stores, context: Context, guarding: Guarding, told: Callable[[str], None]
) -> CampaignBook:
    """Of all campaigns; it is told of approvals, and tells of what is changed of a campaign."""
    campaigns = CampaignBook(
        store=SqlCampaigns(stores.database),
        results=context.results,
        engine=context.engine,
        environment=context.environment,
        guard=guarding.guard,
        pending=setup.settings.hes.lanes.campaign.max_pending,
        told=told,
    )
    guarding.approvals.tell(campaigns.decided)
    return campaigns


def event_logs(setup: Setup, south: South, campaigns: CampaignBook) -> EventLogSchedule:
    """What orders them every `hes.event_log_hours`."""
    every = timedelta(hours=setup.settings.hes.event_log_hours)
    return EventLogSchedule(book=campaigns, registry=south.registry, environment=setup.environment, every=every)
