"""Campaigns: one operation on many meters, over hours or days, that can be paused, gone on with and cancelled (docs/adr/0026)."""

from ami_hes.campaigns.book import CampaignBook, CampaignOrder, NotPossible
from ami_hes.campaigns.event_logs import EventLogSchedule
from ami_hes.campaigns.states import CampaignStates

__all__ = ["CampaignBook", "CampaignOrder", "CampaignStates", "EventLogSchedule", "NotPossible"]
