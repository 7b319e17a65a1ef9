"""Sign-in at a console by an issuer of OpenID Connect: to the issuer and back, as a session like any other at the end.

The browser carries the sign-in in a cookie of its own, so nothing is kept here for who only begins. That cookie is SameSite=Lax, since the issuer sends the browser back
from another site; it is good for the callback alone, for ten minutes, and its deletion ends it. The session's cookie stays SameSite=Strict: the callback leads
to the sign-in page, which asks for the session from our own origin and goes on (docs/adr/0043).
"""

from collections.abc import Callable
from http import HTTPStatus
from typing import Self
from urllib.parse import urlencode, urlsplit

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from ami_console.sessions import Sessions, cookie_of
from ami_process.oidc import TokenIssuer
from ami_process.oidc_documents import IssuerAway
from ami_process.oidc_sign_in import Flow, OidcSignIn
from ami_process.principals import Principal

PATH = "/session/oidc"
CALLBACK = f"{PATH}/callback"
LIFE_S = 600
MOST_NEXT = 1_500
"""Octets of an address to go on to: browsers keep no cookie of more than 4,096, which has them in hex."""
LOGIN = "/login"
AGAIN, ISSUER, ROLES = "again", "issuer", "roles"
"""What the sign-in page is told; its words are in its script."""
_HEADERS = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}


class IssuerSignIn:
    """Its routes, in front of the sessions of a process."""

    def __init__(
        self,
        sessions: Sessions,
        sign_in: OidcSignIn,
        random_bytes: Callable[[int], bytes],
        public_url: str | None = None,
    ) -> None:
        """`public_url`: where browsers find the process; None: where they ask, which has been found to be ours."""
        self._sessions, self._sign_in, self._random_bytes = sessions, sign_in, random_bytes
        self._public_url = public_url

    @classmethod
    def of(
        cls,
        sessions: Sessions,
        issuer: TokenIssuer | None,
        setting: str,
        random_bytes: Callable[[int], bytes],
        public_url: str | None,
    ) -> Self | None:
        """None where the settings name no client. Raises SettingsError for a secret that can't be read."""
        if issuer is None or issuer.settings.client_id is None:
            return None
        sign_in = OidcSignIn(issuer, issuer.settings, setting, issuer.trusted)
        return cls(sessions, sign_in, random_bytes, public_url)

    @property
    def host(self) -> str:
        """Of the issuer."""
        return self._sign_in.host

    def routes(self) -> list[Route]:
        """Both are opened by the browser itself."""
        return [Route(PATH, self._begin, methods=["GET"]), Route(CALLBACK, self._end, methods=["GET"])]

    async def _begin(self, request: Request) -> Response:
        asked = request.query_params.get("next", "/")
        following = asked if len(asked.encode()) <= MOST_NEXT else "/"
        flow = Flow.begun(self._random_bytes)
        try:
            address = await self._sign_in.address(flow, self._redirect_uri(request))
        except IssuerAway as problem:
            await self._sessions.refused(request, str(problem))
            return _to_login(following, ISSUER)
        response = RedirectResponse(address, HTTPStatus.SEE_OTHER, _HEADERS)
        response.set_cookie(
            self._cookie(request),
            f"{flow.format()}.{following.encode().hex()}",
            max_age=LIFE_S,
            path=PATH,
            httponly=True,
            samesite="lax",
            secure=request.url.scheme == "https",
        )
        return response

    async def _end(self, request: Request) -> Response:
        response = await self._ended(request)
        response.delete_cookie(self._cookie(request), path=PATH, httponly=True, samesite="lax")
        return response

    async def _ended(self, request: Request) -> Response:
        text, _, packed = (cookie_of(request.headers, self._cookie(request)) or "").rpartition(".")
        flow, following = Flow.parse(text), _unpacked(packed)
        if flow is None:
            await self._sessions.refused(request, "a sign-in by the issuer was not begun in this browser")
            return _to_login(following, AGAIN)
        found = await self._sign_in.principal(dict(request.query_params), flow, self._redirect_uri(request))
        if not isinstance(found, Principal):
            await self._sessions.refused(request, found.reason)
            return _to_login(following, ISSUER)
        if not found.roles:
            await self._sessions.refused(request, f"{found.name} signed in by the issuer and has no role here")
            return _to_login(following, ROLES)
        return await self._sessions.begun(request, found, _to_login(following))

    def _redirect_uri(self, request: Request) -> str:
        parts = urlsplit(self._public_url or str(request.url))
        return f"{parts.scheme}://{parts.netloc}{CALLBACK}"

    def _cookie(self, request: Request) -> str:
        return f"{self._sessions.cookie(request.headers)}_oidc"


def _unpacked(packed: str) -> str:
    try:
        return bytes.fromhex(packed).decode()[:MOST_NEXT] or "/"
    except ValueError:
        return "/"


def _to_login(following: str, refused: str | None = None) -> Response:
    """The sign-in page goes on to where the session was wanted, if that is ours, which it asks the browser."""
    asked = {"next": following} | ({} if refused is None else {"refused": refused})
    return RedirectResponse(f"{LOGIN}?{urlencode(asked)}", HTTPStatus.SEE_OTHER, _HEADERS)
