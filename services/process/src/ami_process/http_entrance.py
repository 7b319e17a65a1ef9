"""What is checked of every HTTP request before the application sees it: an ASGI middleware.

* `Host` has to be ours: an IP address, a name without a dot, or a configured name. A page whose own name is made to point at
  us (DNS rebinding) has a public name of its own, so addresses and local names need no list.
* `Origin`, which browsers send along, has to be ours as well: no page of somebody else posts here (CSRF).
* `Sec-Fetch-Site`, where a browser says it, has to be `same-origin` or `none` for all that changes something: another port of the
  same host shares our cookies, and no page of it is ours.
* What has a body has a content type of the allow list; the ones that a browser sends without asking are not among them.
* A body that is announced as larger than allowed is refused before it comes.

An absolute request target (RFC 9112, 3.2.2) and a slash at the end of the path are other spellings of the same address.
"""

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from http import HTTPStatus
from ipaddress import ip_address
from socket import gethostname
from urllib.parse import unquote

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

_ABSOLUTE = re.compile(rb"https?://([^/?#]+)(/.*)?", re.IGNORECASE)
_HOST = re.compile(r"(?:\[([0-9a-f:.]+)\]|([^:\[\]]+))(?::[0-9]*)?", re.IGNORECASE)

_WITHOUT_BODY = frozenset({"GET", "HEAD", "OPTIONS"})
"""Of these no route reads one; all but POST may do without."""

_OWN_PAGES = frozenset({"same-origin", "none"})

MAX_HOST = 300
"""Of a name (253), a port, and brackets."""

Refuse = Callable[[HTTPStatus, str], Response]
"""Makes the answer to a request that goes no further, from a status and a sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What may come in. `names_setting` is where further names can be configured, for the refusal."""

    names: Collection[str]
    names_setting: str
    media_types: Collection[str]
    max_octets: int


class Entrance:
    """The middleware."""

    def __init__(self, application: ASGIApp, rules: Rules, refuse: Refuse) -> None:
        self._application = application
        self._rules = rules
        self._refuse = refuse
        self._names = {name.lower().rstrip(".") for name in (*rules.names, gethostname())}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._application(scope, receive, send)
            return
        scope = _with_origin_form(scope)
        problem = self._problem(scope["method"], Headers(scope=scope))
        application = self._application if problem is None else self._refuse(*problem)
        await application(scope, receive, send)

    def _problem(self, method: str, headers: Headers) -> tuple[HTTPStatus, str] | None:
        host = headers.get("host")
        if host is not None and not self._is_ours(host):
            reason = f"no host {host[:80]!r} is served here; {self._rules.names_setting} names further ones"
            return HTTPStatus.MISDIRECTED_REQUEST, reason
        for origin in headers.getlist("origin"):
            if host is None or origin.lower().partition("://")[2] != host.lower():
                return HTTPStatus.FORBIDDEN, f"pages of {origin[:80]!r} may not ask here"
        if method not in _WITHOUT_BODY and headers.get("sec-fetch-site", "none").lower() not in _OWN_PAGES:
            return HTTPStatus.FORBIDDEN, "pages of other origins may not ask here"
        octets = int(headers.get("content-length", "0"))
        if method in _WITHOUT_BODY or (method != "POST" and not octets and "transfer-encoding" not in headers):
            return None
        if len(headers.getlist("content-type")) > 1:
            return HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "a message has one content type"
        media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
        if media_type not in self._rules.media_types:
            given = f"the content type {media_type[:80]!r}" if media_type else "a message without content type"
            return HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"{given} is not taken; {' or '.join(self._rules.media_types)} is"
        if octets > self._rules.max_octets:
            reason = f"the message is too large: at most {self._rules.max_octets} octets are read"
            return HTTPStatus.REQUEST_ENTITY_TOO_LARGE, reason
        return None

    def _is_ours(self, host: str) -> bool:
        found = _HOST.fullmatch(host)
        if found is None or len(host) > MAX_HOST:
            return False
        literal, name = found.groups()
        name = literal or name.lower().rstrip(".")
        return "." not in name or _is_address(name) or name in self._names


def own_url(request: Request, public_url: str | None) -> str:
    """The address of this request without its query, as a client can use it: below the public URL where one is configured.

    Otherwise it begins with the Host of the request, so that has to be checked before (`Entrance`).
    """
    if public_url is not None:
        return public_url.rstrip("/") + request.url.path
    return str(request.url.replace(query="", fragment=""))


def _with_origin_form(scope: Scope) -> Scope:
    raw: bytes = scope["raw_path"]
    found = _ABSOLUTE.fullmatch(raw)
    if found is None and (raw == b"/" or not raw.endswith(b"/")):
        return scope
    headers = MutableHeaders(raw=list(scope["headers"]))
    if found is not None:
        headers["host"] = found[1].decode("ascii")
        raw = found[2] or b"/"
    raw = raw.rstrip(b"/") or b"/"
    return dict(scope) | {"raw_path": raw, "path": unquote(raw.decode("ascii")), "headers": headers.raw}


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
