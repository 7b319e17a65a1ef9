"""What waits for a second person: listed, approved, rejected, expired, and waited for by who carries it out.

The store has the truth. Who waits is woken by a decision of this process at once, and looks into the store now and then for one of another process.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field

from ami_hes.askers import Asker, has_name
from ami_hes.enums import ApprovalState
from ami_hes.store import GuardStore, StoredApproval, StoreUnavailable
from ami_process.environment import Environment, real_sleep
from ami_process.principals import ITSELF

LOOK_EVERY_S = 2.0
MOST_NOTE = 200


class NotDecided(Exception):
    """It can't be decided so; the text says why."""


@dataclass(slots=True)
class Approvals:
    """All of them."""

    store: GuardStore
    environment: Environment
    nameless: tuple[str, ...] = ()
    """Where principals have names, by which two people can be told apart: how the names of others begin, as of who has a token of the process."""
    _decided: asyncio.Event = field(default_factory=asyncio.Event)
    _told: list[Callable[[StoredApproval], Awaitable[None]]] = field(default_factory=list)
    _untold: dict[str, None] = field(default_factory=dict)
    """Decided here, but the store went away before everybody was told."""

    def tell(self, listener: Callable[[StoredApproval], Awaitable[None]]) -> None:
        """Have it called with each approval that is decided here."""
        self._told.append(listener)

    async def decide(self, request_id: str, asker: Asker, note: str, *, approved: bool) -> StoredApproval:
        """Approve or reject it. Raises LookupError, NotDecided and StoreUnavailable."""
        found = await self.store.approval(request_id)
        if found is None:
            raise LookupError(request_id)
        if approved and found.principal == asker.name:
            raise NotDecided(f"{asker.name} has asked for it: somebody else has to approve it")
        if approved and self.nameless:
            await self._demand_names(found, asker)
        if found.state is ApprovalState.WAITING and found.expires_at <= self.environment.now():
            await self._expire(found)
        state = ApprovalState.APPROVED if approved else ApprovalState.REJECTED
        return await self._decide(request_id, state, asker, note)

    async def _demand_names(self, found: StoredApproval, asker: Asker) -> None:
        if not has_name(asker.name, asker.by, self.nameless):
            raise NotDecided(
                f"{asker.name} may be the same person: somebody of the file of principals has to approve it"
            )
        if not has_name(found.principal, await self.store.asked_by(found.request_id), self.nameless):
            reason = "nothing says that it was somebody else: ask again as one of the principals, or reject it"
            raise NotDecided(f"{found.principal} has asked for it, who is not in the file of principals; {reason}")

    async def withdraw(self, request_id: str) -> None:
        """The request was cancelled; one that is decided stays so. Raises StoreUnavailable."""
        hes = Asker(ITSELF, "")
        now = self.environment.now()
        await self.store.decide(request_id, ApprovalState.WITHDRAWN, hes.name, now, "the request was cancelled")

    def look(self) -> None:
        """Another process may have decided something: who waits for a decision looks."""
        self._decided.set()

    async def decision(self, request_id: str) -> StoredApproval:
        """Once it is decided, or its time is over. Raises StoreUnavailable, and LookupError where it is not kept."""
        while True:
            self._decided.clear()
            found = await self._patiently(request_id)
            if found is not None and found.state is ApprovalState.WAITING:
                if found.expires_at > self.environment.now():
                    await self._next_look()
                    continue
                await self._expire(found)
                found = await self._patiently(request_id)
            if found is None:
                raise LookupError(f"the approval of {request_id} is not kept")
            return found

    async def work(self) -> None:
        """Until cancelled: what nobody has approved in time expires, and who was not told of a decision is told."""
        while True:
            with suppress(StoreUnavailable):
                for request_id in tuple(self._untold):
                    with suppress(LookupError):
                        await self._announce(request_id)
                for one in await self.store.overdue(self.environment.now()):
                    await self._expire(one)
            await real_sleep(LOOK_EVERY_S)

    async def _next_look(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(LOOK_EVERY_S):
                await self._decided.wait()

    async def _patiently(self, request_id: str) -> StoredApproval | None:
        while True:
            try:
                return await self.store.approval(request_id)
            except StoreUnavailable:
                await real_sleep(LOOK_EVERY_S)

    async def _expire(self, approval: StoredApproval) -> None:
        now = self.environment.now()
        note = f"nobody has approved it by {approval.expires_at.isoformat(timespec='seconds')}"
        if await self.store.decide(approval.request_id, ApprovalState.EXPIRED, ITSELF, now, note):
            await self._announce(approval.request_id)

    async def _decide(self, request_id: str, state: ApprovalState, asker: Asker, note: str) -> StoredApproval:
        now = self.environment.now()
        if not await self.store.decide(request_id, state, asker.name, now, note[:MOST_NOTE], asker.by):
            found = await self.store.approval(request_id)
            raise NotDecided(f"it is {found.state} already" if found is not None else "it is not kept any more")
        return await self._announce(request_id)

    async def _announce(self, request_id: str) -> StoredApproval:
        self._decided.set()
        self._untold[request_id] = None
        found = await self.store.approval(request_id)
        if found is not None:
            for listener in self._told:
                await listener(found)
        self._untold.pop(request_id, None)
        if found is None:
            raise LookupError(request_id)
        return found
