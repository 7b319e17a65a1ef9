"""The narrow port to the store of campaigns, and the plain values that pass through it.

A campaign is the request of the same id (`ami_hes.store.ports`): its commands are its meters, their results what came of each.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple, Protocol


class CampaignState(StrEnum):
    """What was ordered last. The store keeps the word."""

    RUNNING = "running"
    PAUSED = "paused"
    CANCELLED = "cancelled"
    WAITING = "waiting for approval"
    """Nothing of it is begun before a second person has approved it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredCampaign:
    """What a request has no column for."""

    campaign_id: str
    kind: str
    """What is done, in a word of its owner."""
    summary: str
    """The same for a person."""
    state: CampaignState
    created_at: datetime
    at_once: int | None = None
    """Meters of it that are under way at once; None: as many as the lane has room for."""


class CampaignLine(NamedTuple):
    """A campaign and the counts of its meters."""

    campaign: StoredCampaign
    meters: int
    done: int
    """With whatever end."""
    ok: int


class Campaigns(Protocol):
    """Campaigns. Every method has committed when it returns, or raises StoreUnavailable."""

    async def put(self, campaign: StoredCampaign) -> None:
        """Keep a new one. Its request is kept next, and one without a request counts for nothing."""

    async def move(self, campaign_id: str, state: CampaignState, among: Sequence[CampaignState]) -> bool:
        """It has another state, if it has one of these now and any meter of it has no end; False if not."""

    async def state_of(self, campaign_id: str) -> CampaignState | None:
        """Of one campaign, without a look at its meters."""

    async def find(self, campaign_id: str) -> CampaignLine | None: ...

    async def lines(self, limit: int, *, under_way: bool = False) -> list[CampaignLine]:
        """The latest first; `under_way`: with meters that have no end."""

    async def of_kind(self, kind: str, summary: str, limit: int) -> list[StoredCampaign]:
        """Those that are called so and have a request, the latest first; nothing of their meters is counted."""

    async def has_open(self, kind: str, summary: str) -> bool:
        """Whether any meter of those that are called so has no end."""

    async def mrids(self, campaign_ids: Sequence[str]) -> frozenset[str]:
        """The meters of some campaigns."""

    async def forget(self) -> None:
        """Drop those whose request is forgotten, or was never kept."""
