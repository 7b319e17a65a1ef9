"""The pages of one console, as an ASGI application in front of whatever else the process serves at its address.

A page is rendered once, when the console is made: nothing of a request and no value of the process is in it, so a GET costs the
event loop a look into a table, and no secret can be in a page. `Content-Security-Policy` lets a page load what this process serves and
nothing else, and run no script and no style that is written into a page.
"""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from importlib.resources import files
from importlib.resources.abc import Traversable
from urllib.parse import quote

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Match, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from ami_console.assets import Assets
from ami_console.issuer_sign_in import PATH as ISSUER_PATH
from ami_console.issuer_sign_in import IssuerSignIn
from ami_console.page import Page
from ami_console.sessions import Sessions
from ami_process.api import JSON, MAX_BODY, exception_handlers, refuse
from ami_process.http_entrance import Entrance, Rules

POLICY = "; ".join(
    (
        "default-src 'self'",
        "img-src 'self' data:",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-cache",
}
LOGIN = "/login"
Handler = Callable[[Request], Awaitable[Response]]
OWN = "ami_console"


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """What a process brings: its name as people read it, its pages (the first is that of `/`), and its package.

    The package may have folders `console/templates` and `console/static`; the latter is the room that is called as the package.
    `routes`: what else is served to browsers, such as a page that is made when it is asked for. `api`: where the API is described.
    """

    process: str
    package: str
    pages: Sequence[Page]
    api: str
    live: str | None = None
    """Where the stream of changes is."""
    routes: Sequence[BaseRoute] = ()
    scripts: Sequence[str] = ()
    """Of every page but that of the sign-in, as ROOM/FILE."""


class Console:
    """The pages and files of a site."""

    def __init__(
        self,
        site: Site,
        sessions: Sessions,
        *,
        names: Collection[str] = (),
        names_setting: str,
        issuer: IssuerSignIn | None = None,
    ) -> None:
        """`issuer`: by which people sign in beside tokens."""
        self.site = site
        self.sessions = sessions
        self._issuer = issuer
        own = files(site.package).joinpath("console")
        rooms = {"console": files(OWN).joinpath("static", "console")} | _room(site.package, own)
        self.assets = Assets(rooms)
        self._templates = _templates(site.package, own)
        guarded = [*self._page_routes(), *site.routes]
        login = self._render(Page(path=LOGIN, title="Sign in", script="console/login.js", template="login.html"))
        open_to_all = [
            self.assets.route(),
            *sessions.routes(),
            *(issuer.routes() if issuer else ()),
            Route(LOGIN, _giving(login), methods=["GET"]),
        ]
        self._routes = [*guarded, *open_to_all]
        self._open = tuple(open_to_all)
        application = Starlette(routes=self._routes, exception_handlers=exception_handlers())
        application.router.redirect_slashes = False
        rules = Rules(names=names, names_setting=names_setting, media_types=(JSON,), max_octets=MAX_BODY)
        self._application: ASGIApp = Entrance(application, rules, refuse)

    def before(self, elsewhere: ASGIApp) -> ASGIApp:
        """The console where it has something at a path, and the other application everywhere else."""
        return _Before(self, elsewhere)

    def render(self, template: str, page: Page, values: Mapping[str, object]) -> str:
        """A page that is made when it is asked for."""
        return self._render(page, template, values).decode()

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or ask who is there for a token first."""
        if self._has(self._open, scope) or self.sessions.admits(Headers(scope=scope)):
            await self._application(scope, receive, send)
            return
        wanted = Request(scope).url
        where = wanted.path + (f"?{wanted.query}" if wanted.query else "")
        response = RedirectResponse(f"{LOGIN}?next={quote(where)}", HTTPStatus.SEE_OTHER, HEADERS)
        await response(scope, receive, send)

    def has(self, scope: Scope) -> bool:
        """Whether something of it is at this path."""
        return self._has(self._routes, scope)

    @staticmethod
    def _has(routes: Sequence[BaseRoute], scope: Scope) -> bool:
        return any(one.matches(scope)[0] is not Match.NONE for one in routes)

    def _page_routes(self) -> list[Route]:
        first = self.site.pages[0]
        routes = [Route("/", _leading(first.path), methods=["GET"])]
        return routes + [Route(one.path, _giving(self._render(one)), methods=["GET"]) for one in self.site.pages]

    def _render(self, page: Page, template: str | None = None, values: Mapping[str, object] | None = None) -> bytes:
        nav = [(one.path, one.nav) for one in self.site.pages if one.nav]
        text = self._templates.get_template(template or page.template).render(
            site=self.site,
            page=page,
            nav=nav,
            url=self.assets.url,
            sign_out=self.sessions.needed,
            issuer=None if self._issuer is None else self._issuer.host,
            issuer_path=ISSUER_PATH,
            **(page.values if values is None else values),
        )
        return text.encode()


class _Before:
    def __init__(self, console: Console, elsewhere: ASGIApp) -> None:
        self._console = console
        self._elsewhere = elsewhere

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and self._console.has(scope):
            await self._console.serve(scope, receive, send)
        else:
            await self._elsewhere(scope, receive, send)


def _giving(octets: bytes) -> Handler:
    async def give(_: Request) -> Response:
        return Response(octets, headers=HEADERS, media_type="text/html")

    return give


def _leading(path: str) -> Handler:
    async def lead(_: Request) -> Response:
        return RedirectResponse(path, HTTPStatus.SEE_OTHER, HEADERS)

    return lead


def _room(package: str, own: Traversable) -> dict[str, Traversable]:
    static = own.joinpath("static")
    return {package: static} if static.is_dir() else {}


def _templates(package: str, own: Traversable) -> Environment:
    loaders = [PackageLoader(OWN, "templates")]
    if own.joinpath("templates").is_dir():
        loaders.insert(0, PackageLoader(package, "console/templates"))
    return Environment(
        loader=ChoiceLoader(loaders), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
