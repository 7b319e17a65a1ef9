"""What was ordered of campaigns by another process, as far as it matters to who carries their commands out.

The state is asked of the store before each command of a campaign, and every few seconds while one goes on.
"""

from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace

from ami_hes.campaigns.not_approved import not_begun, why_not_approved
from ami_hes.commands import Lane, Outcome
from ami_hes.operations import Assignment, HeldBack
from ami_hes.served import OPERATIONS
from ami_hes.store import Campaigns, CampaignState, GuardStore, StoreUnavailable
from ami_process.environment import real_sleep

LOOK_EVERY_S = 2.0

Run = Callable[[Assignment], Awaitable[Outcome]]


@dataclass(slots=True)
class CampaignStates:
    """Those of the campaigns that are in hand here."""

    store: Campaigns
    approvals: GuardStore
    """By which one that was cancelled was not approved."""
    _in_hand: Counter[str] = field(default_factory=Counter)
    _cancelled: set[str] = field(default_factory=set)

    def guarded(self, run: Run) -> Run:
        """The same, but a command of a cancelled campaign is not begun, and one of a paused campaign is held back."""

        async def guarded(assignment: Assignment) -> Outcome:
            operation = OPERATIONS.get(assignment.command.operation)
            if operation is None or operation.lane is not Lane.CAMPAIGN:
                return await run(assignment)
            return await self._as_ordered(run, assignment)

        return guarded

    async def _as_ordered(self, run: Run, assignment: Assignment) -> Outcome:
        """Raises StoreUnavailable."""
        command, attempt = assignment.command, assignment.attempt
        campaign_id = command.request_id
        state = await self.store.state_of(campaign_id)
        if state is CampaignState.CANCELLED and not attempt.begun:
            why = why_not_approved(await self.approvals.approval(campaign_id))
            return not_begun(command, attempt, why)
        if state in (CampaignState.PAUSED, CampaignState.WAITING):
            raise HeldBack
        self._note(campaign_id, state)
        self._in_hand[campaign_id] += 1
        try:
            return await run(replace(assignment, is_cancelled=lambda: campaign_id in self._cancelled))
        finally:
            self._in_hand[campaign_id] -= 1
            if not self._in_hand[campaign_id]:
                del self._in_hand[campaign_id]
                self._cancelled.discard(campaign_id)

    async def work(self) -> None:
        """Until cancelled: what is ordered meanwhile is known here soon."""
        while True:
            await real_sleep(LOOK_EVERY_S)
            for campaign_id in list(self._in_hand):
                with suppress(StoreUnavailable):
                    self._note(campaign_id, await self.store.state_of(campaign_id))

    def _note(self, campaign_id: str, state: CampaignState | None) -> None:
        if state is CampaignState.CANCELLED:
            self._cancelled.add(campaign_id)
