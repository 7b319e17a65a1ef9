"""Sessions of browsers: who has shown a token once is let in with a cookie that no script can read.

Only a process that asks for tokens has them (`ami_process.tokens`). The cookie is a random identifier and nothing else; what it
stands for is in memory, so a restart ends all sessions. It goes to no page of another site (SameSite=Strict), and to
the API with requests of our own pages alone: whoever uses it for more than looking has to be of the same origin (`ami_process.http_entrance`).
"""

from collections.abc import Callable
from hashlib import sha256
from http import HTTPStatus
from http.cookies import CookieError, SimpleCookie
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ami_process.api import ApiRefused, read_body
from ami_process.doors import Attempts, too_many
from ami_process.environment import real_time
from ami_process.sockets import counted_address
from ami_process.tokens import Tokens

PATH = "/session"
LIFE_S = 12 * 3600
MOST = 1_000
"""Sessions at once; the oldest ends when there is one more."""
RANDOM_OCTETS = 32
MOST_COOKIES = 4_096
"""Characters that are looked at."""


class SignIn(BaseModel):
    """What is shown to begin a session."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    token: Annotated[str, Field(min_length=1, max_length=300, repr=False)]


class Sessions:
    """Those of one process. `process` is a part of the cookie's name: all ports of a host share its cookies."""

    def __init__(
        self,
        tokens: Tokens,
        process: str,
        random_bytes: Callable[[int], bytes],
        now: Callable[[], float] = real_time,
        *,
        closed: bool = False,
    ) -> None:
        """`now`: seconds that only grow. `closed`: nobody is let in without a proof, also where there are no tokens."""
        self._closed = closed
        self._tokens = tokens
        self._cookie = f"ami_{process}"
        self._random_bytes = random_bytes
        self._now = now
        self._ends_at: dict[str, float] = {}
        self._digests: dict[str, str] = {}
        self._attempts = Attempts(now)

    @property
    def needed(self) -> bool:
        """Whether nobody is let in without a token."""
        return self._closed or self._tokens.refusal(None) is not None

    def admits(self, headers: Headers) -> bool:
        """Whether a request with these headers may go on."""
        return not self.needed or self.knows(headers)

    def knows(self, headers: Headers) -> bool:
        """Whether it has the cookie of a session."""
        identifier = self._identifier(headers)
        return identifier is not None and self._ends_at.get(identifier, 0.0) > self._now()

    def token_digest(self, headers: Headers) -> str | None:
        """SHA-256 (hex) of the token that a request shows, or that its session was begun with: who asks. None where no token is asked for."""
        if not self.needed:
            return None
        given = headers.get("authorization")
        if given is not None:
            return _digest(given.partition(" ")[2].strip())
        return self._digests.get(self._identifier(headers) or "") if self.knows(headers) else None

    def routes(self) -> list[Route]:
        """GET says whether there is a session, POST begins one, DELETE ends it."""
        return [
            Route(PATH, self._show, methods=["GET"]),
            Route(PATH, self._begin, methods=["POST"]),
            Route(PATH, self._end, methods=["DELETE"]),
        ]

    async def _show(self, request: Request) -> Response:
        if not self.admits(request.headers):
            raise ApiRefused(HTTPStatus.UNAUTHORIZED, "there is no session")
        return Response(status_code=HTTPStatus.NO_CONTENT)

    async def _begin(self, request: Request) -> Response:
        given = await read_body(request, SignIn)
        self._check(given.token, counted_address((request.scope.get("client") or ("", 0))[0]))
        response = Response(status_code=HTTPStatus.NO_CONTENT)
        secure = request.url.scheme == "https"
        response.set_cookie(
            self._cookie,
            self._new(_digest(given.token.strip())),
            max_age=LIFE_S,
            httponly=True,
            samesite="strict",
            secure=secure,
        )
        return response

    def _check(self, token: str, address: str) -> None:
        """Raises ApiRefused for a wrong token, and where too many of them came from there, which takes longer and longer."""
        if wait_s := self._attempts.waits_s(address):
            raise ApiRefused(*too_many(wait_s))
        if self.needed and self._tokens.owner(token.strip()) is None:
            self._attempts.failed(address)
            refused = self._tokens.refusal(f"Bearer {token}")
            raise ApiRefused(
                *(refused or (HTTPStatus.FORBIDDEN, "no token of this process is known, and only one begins a session"))
            )
        self._attempts.succeeded(address)

    async def _end(self, request: Request) -> Response:
        identifier = self._identifier(request.headers)
        if identifier is not None:
            self._forget(identifier)
        response = Response(status_code=HTTPStatus.NO_CONTENT)
        response.delete_cookie(self._cookie, httponly=True, samesite="strict")
        return response

    def _new(self, digest: str) -> str:
        now = self._now()
        for identifier in [one for one, until in self._ends_at.items() if until <= now]:
            self._forget(identifier)
        while len(self._ends_at) >= MOST:
            self._forget(next(iter(self._ends_at)))
        identifier = self._random_bytes(RANDOM_OCTETS).hex()
        self._ends_at[identifier] = now + LIFE_S
        self._digests[identifier] = digest
        return identifier

    def _forget(self, identifier: str) -> None:
        self._ends_at.pop(identifier, None)
        self._digests.pop(identifier, None)

    def _identifier(self, headers: Headers) -> str | None:
        cookies = SimpleCookie()
        try:
            cookies.load(headers.get("cookie", "")[:MOST_COOKIES])
        except CookieError:
            return None
        found = cookies.get(self._cookie)
        return None if found is None else found.value


def _digest(token: str) -> str:
    return sha256(token.encode()).hexdigest()
