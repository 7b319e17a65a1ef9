"""`/api/v1/guard` and `/api/v1/approvals`: limits and what is used of them, what would become of an order, the stop of all controls, and what a second person has to approve."""

from collections.abc import Sequence
from datetime import tzinfo
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ami_hes.api import audited, paths, query
from ami_hes.api.campaigns import chosen_meters
from ami_hes.api.moments import given
from ami_hes.api.values.guard import (
    MOST_LISTED,
    MOST_TEXT,
    Approval,
    ApprovalList,
    CheckOrder,
    Decision,
    Forecast,
    GuardState,
    LimitUse,
    ScopeUse,
    StopOrder,
    StopState,
    UseList,
)
from ami_hes.commands import MeterId
from ami_hes.enums import ApprovalOf, ApprovalState, Guarded
from ami_hes.guard import Approvals, ControlStop, Guard, NotDecided, Outlook, Scope
from ami_hes.jobs.asked_requests import begun_id
from ami_hes.meters.registry import Registry
from ami_hes.store import StoredApproval
from ami_process.api import ApiRefused, read_body
from ami_process.query_parameters import check_known


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
        return given(Forecast.of_outlook(order.kind, len(meters), outlook, _uses(outlook)), self._zone)

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
        return given(ApprovalList(approvals=tuple(map(_approval, found))), self._zone)

    async def show_approval(self, request: Request) -> Response:
        check_known(request, ())
        with query.looking():
            found = await self._guard.store.approval(request.path_params["message_id"])
        if found is None:
            raise _unknown(request)
        return given(_approval(found), self._zone)

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
        return given(_approval(found), self._zone)


def _approval(one: StoredApproval) -> Approval:
    begun = one.kind is ApprovalOf.REQUEST and one.state is ApprovalState.APPROVED
    return Approval.of_stored(one, begun_id(one.request_id) if begun else None)


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
