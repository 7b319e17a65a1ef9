"""`/api/v1/principal`: who a request is taken for, and for each operation of the API which role it takes and whether they have it.

Pages ask it before they show a button, and programs before they begin.
"""

from typing import Self

from pydantic import BaseModel, ConfigDict
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ami_process.api import answer_of
from ami_process.principals import Principal, Role, Roles

PATH = "/api/v1/principal"


class Permission(BaseModel):
    """An operation, as the description of the API names it; `may`: whether who asks has the role that it takes."""

    model_config = ConfigDict(frozen=True)

    method: str
    path: str
    role: Role
    may: bool


class Asking(BaseModel):
    """Who asks. `how` it is known: `token`, `certificate`, `loopback`, `nobody`."""

    model_config = ConfigDict(frozen=True)

    name: str
    how: str
    roles: tuple[Role, ...]
    operations: tuple[Permission, ...]

    @classmethod
    def of(cls, principal: Principal, roles: Roles) -> Self:
        permissions = [
            Permission(method=method, path=path.replace(":path", ""), role=role, may=principal.may(role))
            for (path, method), role in roles.items()
        ]
        return cls(
            name=principal.name,
            how=principal.how,
            roles=tuple(role for role in Role if role in principal.roles),
            operations=tuple(permissions),
        )


def principal_routes(roles: Roles) -> list[Route]:
    """GET says it; `roles` are those of the API."""

    async def show(request: Request) -> Response:
        return answer_of(Asking.of(request.scope["principal"], roles))

    return [Route(PATH, show, methods=["GET"])]
