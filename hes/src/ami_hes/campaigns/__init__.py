"""Campaigns: one operation on many meters, over hours or days, that can be paused, gone on with and cancelled (docs/adr/0026)."""

from ami_hes.campaigns.book import MOST_METERS, CampaignBook, NotPossible

__all__ = ["MOST_METERS", "CampaignBook", "NotPossible"]
