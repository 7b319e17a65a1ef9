"""Sessions of browsers: who has shown a token once is let in with a cookie that no script can read.

Only a process that asks for tokens has them (`ami_process.tokens`). The cookie is a random identifier and nothing else; what it
stands for, a principal with its roles, is in memory, so a restart ends all sessions. It goes to no page of another site (SameSite=Strict), and to
the API with requests of our own pages alone: whoever uses it for more than looking has to be of the same origin (`ami_process.http_entrance`).
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus
from http.cookies import CookieError, SimpleCookie
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ami_console.sign_in_events import SignedIn, SignedOut, SignInRefused
from ami_process.api import ApiRefused, read_body
from ami_process.doors import Attempts, too_many
from ami_process.environment import real_time
from ami_process.events import Emit
from ami_process.principals import LOCAL, Principal
from ami_process.sockets import counted_address
from ami_process.tokens import Tokens

PATH = "/session"
LIFE_S = 12 * 3600
MOST = 1_000
"""Sessions at once; the oldest ends when there is one more."""
RANDOM_OCTETS = 32
PORT_DIGITS = 5
MOST_COOKIES = 4_096
"""Characters that are looked at."""


class SignIn(BaseModel):
    """What is shown to begin a session."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    token: Annotated[str, Field(min_length=1, max_length=300, repr=False)]


Happened = SignedIn | SignedOut | SignInRefused
Told = Callable[[Happened, Principal | None], Awaitable[None]]
"""Takes what has happened, and who it was about, where that is known."""


def reporting(emit: Emit) -> Told:
    """Reports it as an event of the process."""

    async def tell(happened: Happened, _: Principal | None) -> None:
        emit(happened)

    return tell


async def _nobody(_: Happened, __: Principal | None) -> None:
    """Nobody is told."""


@dataclass(frozen=True, slots=True)
class _Session:
    ends_at: float
    principal: Principal


class Sessions:
    """Those of one process. All ports of a host share its cookies, so `process` is a part of the cookie's name, and so is the port that the browser asks."""

    def __init__(
        self,
        tokens: Tokens,
        process: str,
        random_bytes: Callable[[int], bytes],
        now: Callable[[], float] = real_time,
        *,
        closed: bool = False,
        owner: Callable[[str], Principal | None] | None = None,
        told: Told = _nobody,
    ) -> None:
        """`now`: seconds that only grow. `closed`: nobody is let in without a proof, also where there are no tokens.

        `owner`: whose token it is, where others than the owners of `tokens` may sign in. `told` is called with each sign-in and each refusal.
        """
        self._closed = closed
        self._tokens = tokens
        self._process = process
        self._random_bytes = random_bytes
        self._now = now
        self._owner = owner or tokens.owner
        self._told = told
        self._sessions: dict[str, _Session] = {}
        self._attempts = Attempts(now)

    @property
    def needed(self) -> bool:
        """Whether nobody is let in without a token."""
        return self._closed or self._tokens.refusal(None) is not None

    def admits(self, headers: Headers) -> bool:
        """Whether a request with these headers may go on."""
        return not self.needed or self.principal_of(headers) is not None

    def principal_of(self, headers: Headers) -> Principal | None:
        """Whose session it is that a request has the cookie of."""
        found = self._sessions.get(self._identifier(headers) or "")
        return found.principal if found is not None and found.ends_at > self._now() else None

    def routes(self) -> list[Route]:
        """GET says whether there is a session, POST begins one, DELETE ends it."""
        return [
            Route(PATH, self._show, methods=["GET"]),
            Route(PATH, self._begin, methods=["POST"]),
            Route(PATH, self._end, methods=["DELETE"]),
        ]

    async def _show(self, request: Request) -> Response:
        return JSONResponse({"signed_in": self.admits(request.headers)})

    async def _begin(self, request: Request) -> Response:
        given = await read_body(request, SignIn)
        principal = await self._check(given.token.strip(), _address(request))
        response = Response(status_code=HTTPStatus.NO_CONTENT)
        secure = request.url.scheme == "https"
        response.set_cookie(
            self._cookie(request.headers),
            self._new(principal),
            max_age=LIFE_S,
            httponly=True,
            samesite="strict",
            secure=secure,
        )
        return response

    async def _check(self, token: str, address: str) -> Principal:
        """Whose token it is. Raises ApiRefused for a wrong token, and where too many of them came from there, which takes longer and longer."""
        found = self._owner(token) if self.needed else LOCAL
        if found is None:
            if wait_s := self._attempts.waits_s(address):
                raise ApiRefused(*too_many(wait_s))
            self._attempts.failed(address)
            status, reason = HTTPStatus.UNAUTHORIZED, "this is no token that is known here"
            await self._told(SignInRefused(address=address, reason=reason), None)
            raise ApiRefused(status, reason)
        await self._told(SignedIn(principal=found.name, address=address), found)
        return found

    async def _end(self, request: Request) -> Response:
        principal = self.principal_of(request.headers)
        self._sessions.pop(self._identifier(request.headers) or "", None)
        if principal is not None:
            await self._told(SignedOut(principal=principal.name, address=_address(request)), principal)
        response = Response(status_code=HTTPStatus.NO_CONTENT)
        response.delete_cookie(self._cookie(request.headers), httponly=True, samesite="strict")
        return response

    def _new(self, principal: Principal) -> str:
        now = self._now()
        for identifier in [one for one, session in self._sessions.items() if session.ends_at <= now]:
            del self._sessions[identifier]
        while len(self._sessions) >= MOST:
            del self._sessions[next(iter(self._sessions))]
        identifier = self._random_bytes(RANDOM_OCTETS).hex()
        self._sessions[identifier] = _Session(now + LIFE_S, principal)
        return identifier

    def _cookie(self, headers: Headers) -> str:
        """Its name; the port is that of the browser's address, since a container is published at another one than it serves."""
        port = headers.get("host", "").rpartition(":")[2]
        known = port.isascii() and port.isdecimal() and len(port) <= PORT_DIGITS
        return f"ami_{self._process}_{port}" if known else f"ami_{self._process}"

    def _identifier(self, headers: Headers) -> str | None:
        cookies = SimpleCookie()
        try:
            cookies.load(headers.get("cookie", "")[:MOST_COOKIES])
        except CookieError:
            return None
        found = cookies.get(self._cookie(headers))
        return None if found is None else found.value


def _address(request: Request) -> str:
    return counted_address((request.scope.get("client") or ("", 0))[0])
