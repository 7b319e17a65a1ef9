"""Requests that wait for a second person, between their acknowledgement and their beginning (`ami_hes.guard`)."""

import asyncio
from dataclasses import dataclass

from ami_cim.errors import CimError
from ami_cim.message import ReplyError, RequestMessage
from ami_hes.enums import ApprovalState
from ami_hes.guard import Approvals
from ami_hes.jobs.acceptance import Acceptance
from ami_hes.jobs.context import Context
from ami_hes.nouns import Refused, error
from ami_hes.served import timed_of
from ami_hes.store import StoredApproval, StoredRequest


@dataclass(frozen=True, slots=True)
class AwaitedApprovals:
    """Waits for them."""

    context: Context
    acceptance: Acceptance
    approvals: Approvals

    async def refusal(self, request_id: str, cancelled: asyncio.Event) -> ReplyError | None:
        """Why a request may not be begun, once that is known; None: it may, or was cancelled meanwhile. Raises StoreUnavailable."""
        found = await self.approvals.store.approval(request_id)
        if found is None or cancelled.is_set():
            return None
        if found.state is ApprovalState.WAITING and (found := await self._decided(request_id, cancelled)) is None:
            await self.approvals.withdraw(request_id)
            return None
        return None if found.state is ApprovalState.APPROVED else error("5.2", _not_approved(found))

    async def want(self, request: StoredRequest, message: RequestMessage, why: str) -> None:
        """Have one wait that was to begin now and is beyond a limit. Raises StoreUnavailable, Refused and CimError."""
        timed = timed_of(request.noun)
        if timed is None:
            raise CimError("5.2", f"Nothing was done: {why}.")
        _, plan = self.acceptance.planned(timed.begun(message))
        wanted = self.acceptance.wanted(message.header, plan, why)
        if not plan.commands:
            raise Refused(*plan.errors)
        await self.approvals.store.want_approval(wanted, request.principal_by or "")

    async def _decided(self, request_id: str, cancelled: asyncio.Event) -> StoredApproval | None:
        """None: it was cancelled before."""
        decision = asyncio.ensure_future(self.approvals.decision(request_id))
        end = asyncio.ensure_future(cancelled.wait())
        try:
            await asyncio.wait([decision, end], return_when=asyncio.FIRST_COMPLETED)
            return decision.result() if decision.done() else None
        finally:
            decision.cancel()
            end.cancel()


def _not_approved(found: StoredApproval) -> str:
    why = f": {found.note}" if found.note else ""
    what = {ApprovalState.REJECTED: f"rejected by {found.decided_by}"}.get(found.state, str(found.state))
    return f"Nothing was done: a second person had to approve it ({found.why}), and it was {what}{why}."
