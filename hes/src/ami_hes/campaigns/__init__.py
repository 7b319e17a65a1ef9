"""Campaigns: one operation on many meters, over hours or days, that can be paused, gone on with and cancelled (docs/adr/0026)."""

from ami_hes.campaigns.book import MOST_METERS, CampaignBook, CampaignOrder, NotPossible
from ami_hes.campaigns.event_logs import EventLogSchedule

__all__ = ["MOST_METERS", "CampaignBook", "CampaignOrder", "EventLogSchedule", "NotPossible"]
