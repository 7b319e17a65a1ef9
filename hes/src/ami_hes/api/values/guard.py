"""The limits of switching, approvals and the stop of all controls, as `/api/v1/guard` and `/api/v1/approvals` take and give them."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from ami_hes.api.values.campaigns import Chosen
from ami_hes.api.values.moments import Moment

if TYPE_CHECKING:
    from ami_hes.guard import Outlook
    from ami_hes.store import Stop, StoredApproval


MOST_LISTED = 1_000
MOST_TEXT = 200


class Approval(BaseModel):
    """A request or a campaign that a second person has to approve, for these meters and no others. `id`: the MessageID, or that of the campaign."""

    model_config = ConfigDict(frozen=True)

    id: str
    of: str
    kinds: tuple[str, ...]
    asked_by: str
    summary: str
    meters: int
    meters_sha256: str
    meters_listed: tuple[str, ...]
    why: str
    asked_at: Moment
    expires_at: Moment
    state: str
    decided_by: str | None
    decided_at: Moment | None
    note: str | None
    begun_as: str | None
    """MessageID of the request as which an approved one was begun."""

    @classmethod
    def of_stored(cls, one: StoredApproval, begun_as: str | None) -> Self:
        return cls(
            id=one.request_id,
            of=one.kind,
            kinds=tuple(one.guarded.split()),
            asked_by=one.principal,
            summary=one.summary,
            meters=one.meters.number,
            meters_sha256=one.meters.digest,
            meters_listed=one.meters.listed,
            why=one.why,
            asked_at=one.asked_at,
            expires_at=one.expires_at,
            state=one.state,
            decided_by=one.decided_by,
            decided_at=one.decided_at,
            note=one.note,
            begun_as=begun_as,
        )


class ApprovalList(BaseModel):
    """The latest first."""

    model_config = ConfigDict(frozen=True)

    approvals: tuple[Approval, ...]


class Decision(BaseModel):
    """Why, for who asked and for the audit log."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    note: Annotated[str, Field(max_length=MOST_TEXT)] = ""


class StopOrder(BaseModel):
    """Why, for everybody who is refused meanwhile."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    reason: Annotated[str, Field(max_length=MOST_TEXT)] = ""


class StopState(BaseModel):
    """Whether controls are stopped, and what was said last."""

    model_config = ConfigDict(frozen=True)

    stopped: bool
    by: str | None = None
    at: Moment | None = None
    reason: str | None = None
    changed: bool = False
    """Whether this request has changed it."""

    @classmethod
    def of_stop(cls, stop: Stop | None, *, changed: bool = False) -> Self:
        if stop is None:
            return cls(stopped=False, changed=changed)
        return cls(stopped=stop.stopped, by=stop.by, at=stop.at, reason=stop.reason, changed=changed)


class LimitUse(BaseModel):
    """A limit in a sliding hour, and what is used of it; `would_be`: with the meters that were asked about."""

    model_config = ConfigDict(frozen=True)

    kind: str
    scope: str
    limit: int
    used: int
    would_be: int
    beyond: bool


class Verdict(StrEnum):
    """What would become of an order."""

    PASSES = "passes"
    NEEDS_APPROVAL = "needs-approval"
    STOPPED = "stopped"


class GuardState(BaseModel):
    """What is used of the limits of one principal and of all, which tags protect, and the stop of all controls."""

    model_config = ConfigDict(frozen=True)

    principal: str
    limits: tuple[LimitUse, ...]
    protected: tuple[str, ...]
    stop: StopState


class ScopeUse(BaseModel):
    """What somebody, a group or all have used of a limit in the last hour; `limit` None: the settings have none any more."""

    model_config = ConfigDict(frozen=True)

    kind: str
    scope: str
    used: int
    limit: int | None


class UseList(BaseModel):
    """By how much was used, the most first; `more`: so many further ones are left out."""

    model_config = ConfigDict(frozen=True)

    uses: tuple[ScopeUse, ...]
    more: int


class CheckOrder(Chosen):
    """What would be done to which meters, and who would ask; unset: who asks here."""

    kind: Literal["disconnects", "load_limits", "keys", "firmware"]
    principal: Annotated[str | None, Field(max_length=MOST_TEXT)] = None


class Forecast(BaseModel):
    """What would become of it now. Nothing was done or counted."""

    model_config = ConfigDict(frozen=True)

    verdict: Verdict
    kind: str
    meters: int
    protected: tuple[str, ...]
    limits: tuple[LimitUse, ...]
    stop: StopState

    @classmethod
    def of_outlook(cls, kind: str, meters: int, outlook: Outlook, limits: tuple[LimitUse, ...]) -> Self:
        needed = outlook.beyond or outlook.protected
        verdict = Verdict.STOPPED if outlook.stop else Verdict.NEEDS_APPROVAL if needed else Verdict.PASSES
        return cls(
            verdict=verdict,
            kind=kind,
            meters=meters,
            protected=outlook.protected[:MOST_LISTED],
            limits=limits,
            stop=StopState.of_stop(outlook.stop),
        )
