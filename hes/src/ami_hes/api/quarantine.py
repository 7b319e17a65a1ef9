"""`/api/v1/quarantine`: callers that no entry of the registry names; looked at, taken in, forgotten."""

from datetime import tzinfo
from http import HTTPStatus
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ami_hes.api import paths, query
from ami_hes.api.moments import given
from ami_hes.api.values.meters import RowResult
from ami_hes.api.values.quarantine import Acceptance, Caller, CallerList
from ami_hes.meters.quarantine import Quarantine
from ami_hes.meters.registry import Registry
from ami_hes.registry import ImportRow, KeptRegistry, RowOutcome
from ami_hes.store import StoredCaller
from ami_process.api import ApiRefused, answer_of, read_body
from ami_process.query_parameters import check_known
from ami_registry import DIALS_IN


def quarantine_routes(quarantine: Quarantine, kept: KeptRegistry, zone: tzinfo) -> list[Route]:
    """GET lists and shows, POST takes in, DELETE forgets. `zone`: in which times are given."""
    callers = _Callers(quarantine, kept, zone)
    return [
        Route(paths.QUARANTINE, callers.list, methods=["GET"]),
        Route(paths.CALLER, callers.show, methods=["GET"]),
        Route(paths.CALLER, callers.accept, methods=["POST"]),
        Route(paths.CALLER, callers.forget, methods=["DELETE"]),
    ]


class _Callers:
    """What each route answers."""

    def __init__(self, quarantine: Quarantine, kept: KeptRegistry, zone: tzinfo) -> None:
        self._quarantine = quarantine
        self._kept = kept
        self._zone = zone

    async def list(self, request: Request) -> Response:
        check_known(request, ())
        with query.looking():
            await self._quarantine.look()
        found = self._quarantine.callers(but=lambda one: _is_registered(one, self._kept.registry))
        return given(CallerList(callers=tuple(map(Caller.of, found))), self._zone)

    async def show(self, request: Request) -> Response:
        check_known(request, ())
        return given(Caller.of(await self._found(request)), self._zone)

    async def accept(self, request: Request) -> Response:
        caller = await self._found(request)
        columns = _columns(caller, (await read_body(request, Acceptance)).columns)
        with query.looking():
            (row,) = await self._kept.import_rows([ImportRow("the caller", columns)])
        if row.outcome is RowOutcome.REFUSED:
            raise ApiRefused(HTTPStatus.UNPROCESSABLE_ENTITY, row.reason)
        self._quarantine.forget(caller.name)
        return answer_of(RowResult.of(row))

    async def forget(self, request: Request) -> Response:
        caller = await self._found(request)
        self._quarantine.forget(caller.name)
        return given(Caller.of(caller), self._zone)

    async def _found(self, request: Request) -> StoredCaller:
        with query.looking():
            await self._quarantine.look()
        name = request.path_params["name"]
        found = self._quarantine.find(name)
        if found is None:
            raise ApiRefused(HTTPStatus.NOT_FOUND, f"nobody called {name[:100]} is in quarantine")
        return found


def _is_registered(caller: StoredCaller, registry: Registry) -> bool:
    title = None if caller.system_title is None else bytes.fromhex(caller.system_title)
    by_title = None if title is None else registry.find_by_system_title(title)
    return by_title is not None or registry.find_by_logical_device_name(caller.name) is not None


def _columns(caller: StoredCaller, columns: dict[str, Any]) -> dict[str, Any]:
    """With what the caller says of itself; ApiRefused where they say something else."""
    by_title = caller.name == caller.system_title
    said = {"system_title": caller.system_title} if by_title else {"logical_device_name": caller.name}
    for column, value in said.items():
        if str(columns.get(column, value)).lower() != str(value).lower():
            reason = f"{column}: the caller says {value}, and the row {str(columns[column])[:100]}"
            raise ApiRefused(HTTPStatus.UNPROCESSABLE_ENTITY, reason)
    return {"address": DIALS_IN, **said, **columns}
