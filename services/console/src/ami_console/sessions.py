"""Sessions of browsers: who has shown a token once is let in with a cookie that no script can read.

Only a process that asks for tokens has them (`ami_process.tokens`). The cookie is a random identifier and nothing else; what it
stands for, a principal with its roles, is in memory, so a restart ends all sessions; where several processes stand for one it is kept for all of them
(`SessionKeeper`), by a digest of the cookie. It goes to no page of another site (SameSite=Strict), and to
the API with requests of our own pages alone: whoever uses it for more than looking has to be of the same origin (`ami_process.http_entrance`).
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from http import HTTPStatus
from typing import Annotated, NamedTuple, Protocol

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
"""Sessions at once; when there is one more, the oldest of who has the most of them ends."""
RANDOM_OCTETS = 32
PORT_DIGITS = 5
FRESH_S = 5.0
"""How long it is taken for true what a keeper has said of a session."""
LOOKS_AT_ONCE = 4
"""For sessions that are not known here: whoever shows many costs no more."""


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


class KeptSession(NamedTuple):
    """A session that several processes know."""

    principal: Principal
    ends_in_s: float


class SessionKeeper(Protocol):
    """Sessions of several processes that stand for one. Each method raises OSError where it can't do so now."""

    async def begin(self, digest: str, session: KeptSession) -> None:
        """Keep one."""

    async def find(self, digest: str) -> KeptSession | None:
        """One that has not ended."""

    async def end(self, digest: str) -> None:
        """It is over, in all of them."""


@dataclass(slots=True)
class _Session:
    ends_at: float
    principal: Principal
    looked_at: float


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
        keeper: SessionKeeper | None = None,
    ) -> None:
        """`now`: seconds that only grow. `closed`: nobody is let in without a proof, also where there are no tokens.

        `keeper` keeps them for several processes. `owner`: whose token it is, where others than the owners of `tokens` may sign in. `told` is called with each sign-in and each refusal.
        """
        self._closed = closed
        self._tokens = tokens
        self._process = process
        self._random_bytes = random_bytes
        self._now = now
        self._owner = owner or tokens.owner
        self._told = told
        self._keeper = keeper
        self._looking = asyncio.Semaphore(LOOKS_AT_ONCE)
        self._sessions: dict[str, _Session] = {}
        """By the digest of what the browser shows."""
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
        found = self._sessions.get(self._digest(headers) or "")
        return found.principal if found is not None and found.ends_at > self._now() else None

    async def look(self, headers: Headers) -> None:
        """Take over what other processes know of the session that a request shows, before it is asked for here. Nobody waits for more than a few of these."""
        digest = self._digest(headers)
        if self._keeper is None or digest is None:
            return
        known = self._sessions.get(digest)
        if known is not None and known.looked_at + FRESH_S > self._now():
            return
        if (
            known is None and self._looking.locked()
        ):  # somebody tries out many: who is here already is let in all the same
            return
        async with self._looking:
            with suppress(OSError):  # one that is known stays, until it ends
                self._take_over(digest, await self._keeper.find(digest))

    def _take_over(self, digest: str, found: KeptSession | None) -> None:
        if found is None:
            self._sessions.pop(digest, None)
            return
        now = self._now()
        if digest not in self._sessions:
            self._make_room()
        self._sessions[digest] = _Session(now + found.ends_in_s, found.principal, now)

    def forget(self, digest: str | None = None) -> None:
        """It has ended, or any of them may have, in another process: it is looked for again."""
        if digest is not None:
            self._sessions.pop(digest, None)
        elif self._keeper is not None:
            self._sessions.clear()

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
        return await self._let_in(request, principal, Response(status_code=HTTPStatus.NO_CONTENT))

    async def begun(self, request: Request, principal: Principal, response: Response) -> Response:
        """The response to who has signed in elsewhere, with the cookie of a new session."""
        await self._told(SignedIn(principal=principal.name, address=_address(request)), principal)
        return await self._let_in(request, principal, response)

    async def refused(self, request: Request, reason: str) -> None:
        """Somebody has not signed in elsewhere. Nobody waits for it: what is shown there can't be guessed."""
        await self._told(SignInRefused(address=_address(request), reason=reason), None)

    async def _let_in(self, request: Request, principal: Principal, response: Response) -> Response:
        """Raises ApiRefused where the session can't be kept now."""
        secure = request.url.scheme == "https"
        response.set_cookie(
            self.cookie(request.headers),
            await self._new(principal),
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
        await self._over(self._digest(request.headers))
        if principal is not None:
            await self._told(SignedOut(principal=principal.name, address=_address(request)), principal)
        response = Response(status_code=HTTPStatus.NO_CONTENT)
        response.delete_cookie(self.cookie(request.headers), httponly=True, samesite="strict")
        return response

    async def _over(self, digest: str | None) -> None:
        """Raises ApiRefused where others could not be told: then it goes on everywhere."""
        if digest is None:
            return
        if self._keeper is not None:
            try:
                await self._keeper.end(digest)
            except OSError as problem:
                raise ApiRefused(HTTPStatus.SERVICE_UNAVAILABLE, f"the session has not ended: {problem}") from None
        self._sessions.pop(digest, None)

    async def _new(self, principal: Principal) -> str:
        self._make_room()
        identifier = self._random_bytes(RANDOM_OCTETS).hex()
        digest = _digest_of(identifier)
        if self._keeper is not None:
            try:
                await self._keeper.begin(digest, KeptSession(principal, LIFE_S))
            except OSError as problem:
                raise ApiRefused(HTTPStatus.SERVICE_UNAVAILABLE, f"nobody can sign in now: {problem}") from None
        self._sessions[digest] = _Session(self._now() + LIFE_S, principal, self._now())
        return identifier

    def _make_room(self) -> None:
        now = self._now()
        for digest in [one for one, session in self._sessions.items() if session.ends_at <= now]:
            del self._sessions[digest]
        while len(self._sessions) >= MOST:
            del self._sessions[self._first_to_go()]

    def _first_to_go(self) -> str:
        """The oldest of whoever has the most: nobody ends those of others by beginning many."""
        of = Counter(session.principal.name for session in self._sessions.values())
        most = of.most_common(1)[0][0]
        return next(one for one, session in self._sessions.items() if session.principal.name == most)

    def cookie(self, headers: Headers) -> str:
        """Its name; the port is that of the browser's address, since a container is published at another one than it serves."""
        port = headers.get("host", "").rpartition(":")[2]
        known = port.isascii() and port.isdecimal() and len(port) <= PORT_DIGITS
        return f"ami_{self._process}_{port}" if known else f"ami_{self._process}"

    def _digest(self, headers: Headers) -> str | None:
        """Of what a browser shows, where that may be one of ours."""
        shown = cookie_of(headers, self.cookie(headers))
        return _digest_of(shown) if shown is not None and len(shown) == 2 * RANDOM_OCTETS else None


def _digest_of(identifier: str) -> str:
    return sha256(identifier.encode()).hexdigest()


def cookie_of(headers: Headers, name: str) -> str | None:
    """The value of a cookie of ours that came along, as it was set. Beside it may be those of whatever else this host serves, of any form (RFC 6265, 5.2)."""
    pairs = (one.strip().partition("=") for header in headers.getlist("cookie") for one in header.split(";"))
    return {key: value for key, _, value in pairs}.get(name)


def _address(request: Request) -> str:
    return counted_address((request.scope.get("client") or ("", 0))[0])
