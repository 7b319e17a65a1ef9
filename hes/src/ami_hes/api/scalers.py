"""`/api/v1/scalers`: the scaler_units that meters gave first, which somebody may have forgotten (docs/mapping.md, M-133)."""

from collections.abc import Awaitable, Callable
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ami_hes.api import paths, query
from ami_hes.api.values.scalers import ForgottenScalers
from ami_hes.meters.registry import Meter, Registry
from ami_process.api import ApiRefused, answer_of

Forget = Callable[[Meter], Awaitable[int]]
"""Forgets those of a meter; how many. Raises StoreUnavailable."""


def scaler_routes(registry: Registry, forget: Forget) -> list[Route]:
    """DELETE forgets those of a meter."""

    async def forget_scalers(request: Request) -> Response:
        name = request.path_params["name"]
        meter = registry.find_by_name(name) or registry.find_by_mrid(name)
        if meter is None:
            raise ApiRefused(HTTPStatus.NOT_FOUND, f"there is no meter with the name or mRID {name[:100]}")
        if meter.behind:
            reason = (
                f"{meter.name} is on {meter.place}, which gives its scalers: have those of {meter.behind} forgotten"
            )
            raise ApiRefused(HTTPStatus.CONFLICT, reason)
        with query.looking():
            return answer_of(ForgottenScalers(name=meter.name, scaler_units=await forget(meter)))

    return [Route(paths.SCALERS_OF, forget_scalers, methods=["DELETE"])]
