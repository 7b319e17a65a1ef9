"""The narrow port to what guards against mass switching: what was used up of the limits, approvals, and the stop of all controls.

A `Gate` is handed to `Results.accept` with a request: what it says is checked and counted in the transaction that keeps the request, so
that two requests can't both pass what only one of them may.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, Protocol

from ami_hes.audit import MetersOf
from ami_hes.enums import ApprovalOf, ApprovalState


class Use(NamedTuple):
    """So many meters of a kind (`ami_hes.guard.Guarded`) in a scope: of a principal, of a group, or in all."""

    guarded: str
    scope: str
    meters: int
    limit: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredApproval:
    """A request or a campaign that a second person has to approve; it holds for these meters and no others."""

    request_id: str
    kind: ApprovalOf
    guarded: str
    principal: str
    """Who asked: nobody approves what was asked by the same name."""
    summary: str
    meters: MetersOf
    why: str
    asked_at: datetime
    expires_at: datetime
    state: ApprovalState = ApprovalState.WAITING
    decided_by: str | None = None
    decided_at: datetime | None = None
    note: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """What a request that changes meters has to pass when it is kept."""

    uses: tuple[Use, ...] = ()
    """None where it was approved."""
    since: datetime
    """From when on what was used counts."""
    approval: StoredApproval | None = None
    """Which it waits for from now on."""
    approved_by: str = ""


class Stop(NamedTuple):
    """Whether controls are stopped, and who has said so when and why."""

    stopped: bool
    by: str
    at: datetime
    reason: str

    @property
    def said(self) -> str:
        """For a person."""
        why = f": {self.reason}" if self.reason else ""
        return f"by {self.by} since {self.at.isoformat(timespec='seconds')}{why}"


class GuardMarks(NamedTuple):
    """What changes whenever an approval is asked for or decided: how many wait, and when that was last so."""

    waiting: int
    asked_at: datetime | None
    decided_at: datetime | None


class LimitReached(Exception):
    """A request would go beyond a limit; nothing of it is kept."""

    def __init__(self, use: Use, used: int) -> None:
        super().__init__(f"{use.meters} more beside {used} are more than {use.limit}")
        self.use = use
        self.used = used


class ControlsStopped(Exception):
    """Nothing that changes a meter may leave; nothing was kept of what was to."""

    def __init__(self, stop: Stop) -> None:
        super().__init__(stop.said)
        self.stop = stop


class GuardStore(Protocol):
    """Every method has committed when it returns, or raises StoreUnavailable. What changes is audited in the same transaction."""

    async def used(self, since: datetime) -> Mapping[tuple[str, str], int]:
        """Meters by kind and scope."""

    async def stopped(self) -> Stop | None:
        """As it was said last; None: never."""

    async def say_stop(self, stop: Stop, principal_by: str) -> bool:
        """Stop controls or resume them; False where it is so already."""

    async def want_approval(self, approval: StoredApproval, principal_by: str) -> None:
        """Of a request that is kept already; the same one again changes nothing."""

    async def approval(self, request_id: str) -> StoredApproval | None: ...

    async def asked_by(self, request_id: str) -> str | None:
        """How it is known who has sent this request; None for what is no request, as a campaign."""

    async def approvals(self, states: Collection[ApprovalState], limit: int) -> Sequence[StoredApproval]:
        """The latest first."""

    async def marks(self) -> GuardMarks: ...

    async def decide(
        self, request_id: str, state: ApprovalState, by: str, at: datetime, note: str = "", principal_by: str = ""
    ) -> bool:
        """Of one that waits; False for any other."""

    async def overdue(self, now: datetime) -> Sequence[StoredApproval]:
        """Those that wait although their time is over."""

    async def forget(self, before: datetime) -> None:
        """Drop uses and decided approvals that are older."""
