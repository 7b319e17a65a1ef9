"""`/api/v1/guard` and `/api/v1/approvals`: limits and what is used of them, what would become of an order, the stop of all controls, and what a second person has to approve."""

from collections.abc import Sequence
from datetime import tzinfo
from enum import StrEnum
from http import HTTPStatus
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ami_hes.api import audited, paths, query
from ami_hes.api.campaigns import Chosen, chosen_meters
from ami_hes.api.moments import Moment, given
from ami_hes.commands import MeterId
from ami_hes.guard import Approvals, ControlStop, Guard, Guarded, NotDecided, Outlook, Scope
from ami_hes.jobs.asked_requests import begun_id
from ami_hes.meters.registry import Registry
from ami_hes.store import ApprovalOf, ApprovalState, Stop, StoredApproval
from ami_process.api import ApiRefused, read_body
from ami_process.query_parameters import check_known

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
    def of_stored(cls, one: StoredApproval) -> Self:
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
            begun_as=begun_id(one.request_id) if _is_begun(one) else None,
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
    def of_outlook(cls, kind: str, meters: int, outlook: Outlook) -> Self:
        needed = outlook.beyond or outlook.protected
        verdict = Verdict.STOPPED if outlook.stop else Verdict.NEEDS_APPROVAL if needed else Verdict.PASSES
        return cls(
            verdict=verdict,
            kind=kind,
            meters=meters,
            protected=outlook.protected[:MOST_LISTED],
            limits=_uses(outlook),
            stop=StopState.of_stop(outlook.stop),
        )


def guard_routes(guard: Guard, approvals: Approvals, registry: Registry, zone: tzinfo) -> list[Route]:
    """GET lists and shows; POST decides, stops, resumes and looks ahead."""
    served = _Guard(guard, guard.stop, approvals, registry, zone)
    return [
        Route(paths.GUARD, served.show, methods=["GET"]),
        Route(paths.GUARD_CHECK, served.check, methods=["POST"]),
        Route(paths.GUARD_USES, served.uses, methods=["GET"]),
        Route(paths.CONTROLS_STOP, served.show_stop, methods=["GET"]),
        Route(paths.CONTROLS_STOP, served.stop, methods=["POST"]),
        Route(paths.CONTROLS_RESUME, served.resume, methods=["POST"]),
        Route(paths.APPROVALS, served.list, methods=["GET"]),
        Route(paths.APPROVAL, served.show_approval, methods=["GET"]),
        Route(paths.APPROVE, served.approve, methods=["POST"]),
        Route(paths.REJECT, served.reject, methods=["POST"]),
    ]


class _Guard:
    """What each route answers."""

    def __init__(self, guard: Guard, stop: ControlStop, approvals: Approvals, registry: Registry, zone: tzinfo) -> None:
        self._guard = guard
        self._stop = stop
        self._approvals = approvals
        self._registry = registry
        self._zone = zone

    async def show(self, request: Request) -> Response:
        check_known(request, ("principal",))
        principal = request.query_params.get("principal", audited.asker_of(request).name)
        with query.looking():
            looks = [await self._guard.look(kind, (), principal) for kind in Guarded]
            stop = await self._guard.store.stopped()
        protected = tuple(f"{tag}={value}" for tag, value in self._guard.rules.protected)
        state = GuardState(
            principal=principal[:MOST_TEXT],
            limits=tuple(use for look in looks for use in _uses(look)),
            protected=protected,
            stop=StopState.of_stop(stop),
        )
        return given(state, self._zone)

    async def check(self, request: Request) -> Response:
        order = await read_body(request, CheckOrder)
        meters = [MeterId(one.name, one.mrid) for one in chosen_meters(order, self._registry)]
        principal = order.principal or audited.asker_of(request).name
        with query.looking():
            outlook = await self._guard.look(Guarded(order.kind), meters, principal)
        return given(Forecast.of_outlook(order.kind, len(meters), outlook), self._zone)

    async def uses(self, request: Request) -> Response:
        check_known(request, ())
        with query.looking():
            found = await self._guard.uses()
        listed = tuple(
            ScopeUse(kind=one.guarded, scope=Scope.words(one.scope), used=one.meters, limit=one.limit)
            for one in found[:MOST_LISTED]
        )
        return given(UseList(uses=listed, more=max(0, len(found) - MOST_LISTED)), self._zone)

    async def show_stop(self, request: Request) -> Response:
        check_known(request, ())
        with query.looking():
            return given(StopState.of_stop(await self._guard.store.stopped()), self._zone)

    async def stop(self, request: Request) -> Response:
        return await self._say(request, await read_body(request, StopOrder), stopped=True)

    async def resume(self, request: Request) -> Response:
        return await self._say(request, await read_body(request, StopOrder), stopped=False)

    async def _say(self, request: Request, order: StopOrder, *, stopped: bool) -> Response:
        with query.looking():
            changed = await self._stop.say(audited.asker_of(request), order.reason, stopped=stopped)
            stop = await self._guard.store.stopped()
        return given(StopState.of_stop(stop, changed=changed), self._zone)

    async def list(self, request: Request) -> Response:
        check_known(request, ("state", "limit"))
        limit = query.number(request, "limit", 100, MOST_LISTED)
        state = query.word(request, "state", ApprovalState)
        with query.looking():
            found = await self._guard.store.approvals(tuple(ApprovalState) if state is None else (state,), limit)
        return given(ApprovalList(approvals=tuple(map(Approval.of_stored, found))), self._zone)

    async def show_approval(self, request: Request) -> Response:
        check_known(request, ())
        with query.looking():
            found = await self._guard.store.approval(request.path_params["message_id"])
        if found is None:
            raise _unknown(request)
        return given(Approval.of_stored(found), self._zone)

    async def approve(self, request: Request) -> Response:
        return await self._decide(request, approved=True)

    async def reject(self, request: Request) -> Response:
        return await self._decide(request, approved=False)

    async def _decide(self, request: Request, *, approved: bool) -> Response:
        decision, request_id = await read_body(request, Decision), request.path_params["message_id"]
        audited.note(request, request_id=request_id[:MOST_TEXT])
        try:
            with query.looking():
                found = await self._approvals.decide(
                    request_id, audited.asker_of(request), decision.note, approved=approved
                )
        except LookupError:
            raise _unknown(request) from None
        except NotDecided as problem:
            raise ApiRefused(HTTPStatus.CONFLICT, str(problem)) from None
        return given(Approval.of_stored(found), self._zone)


def _is_begun(one: StoredApproval) -> bool:
    return one.kind is ApprovalOf.REQUEST and one.state is ApprovalState.APPROVED


def _uses(outlook: Outlook) -> tuple[LimitUse, ...]:
    beyond: Sequence[object] = outlook.beyond
    return tuple(
        LimitUse(
            kind=use.guarded,
            scope=Scope.words(use.scope),
            limit=use.limit,
            used=used,
            would_be=used + use.meters,
            beyond=(use, used) in beyond,
        )
        for use, used in outlook.uses
    )


def _unknown(request: Request) -> ApiRefused:
    name = request.path_params["message_id"][:100]
    return ApiRefused(HTTPStatus.NOT_FOUND, f"nothing that waits for approval has the id {name}")
