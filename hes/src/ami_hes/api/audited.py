"""Every request that is to change something by the REST API, as an entry of the audit log: who, what, and with which HTTP status it ended.

An ASGI middleware around the whole API, so that a route that is added later is audited as well, and so are requests that come no further
than its door. A handler can say more of what it did (`note`). Bodies are not in the log: they may hold keys.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ami_hes.askers import Asker, asker_of_api
from ami_hes.audit import AuditEntry, MetersOf, What
from ami_hes.auditing import Auditor

READING = frozenset({"GET", "HEAD", "OPTIONS"})
DENIED = frozenset({401, 403})
"""Of these a look is written down too."""
_NOTE = "audit"


class Note(NamedTuple):
    """What a handler says of what it did."""

    asked: str = ""
    meters: MetersOf | None = None
    request: str = ""


def note(request: Request, asked: str = "", meters: Iterable[tuple[str, str]] = (), request_id: str = "") -> None:
    """Say more of this request in its entry; `meters` by name and mRID."""
    request.scope["state"][_NOTE] = Note(asked, MetersOf.of(meters), request_id)


def asker_of(request: Request) -> Asker:
    """Who has sent a request that was let in."""
    return _asker(request.scope)


class Audited:
    """The middleware."""

    def __init__(self, application: ASGIApp, auditor: Auditor) -> None:
        self._application = application
        self._auditor = auditor

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._application(scope, receive, send)
            return
        scope = dict(scope)
        state = scope.setdefault("state", {})

        async def audited(message: Message) -> None:
            if message["type"] == "http.response.start":
                await self._audit(scope, state.get(_NOTE, Note()), int(message["status"]))
            await send(message)

        await self._application(scope, receive, audited)

    async def _audit(self, scope: Scope, said: Note, status: int) -> None:
        if scope["method"] in READING and status not in DENIED:
            return
        entry = _entry(scope, said, status, self._auditor.environment.now())
        if status < 400:
            await self._auditor.write(entry)
        else:
            self._auditor.refused(entry)


def _asker(scope: Scope) -> Asker:
    """By what was shown with the request or begins its session; unknown where it was refused before that was looked at."""
    return asker_of_api(scope["state"].get("principal"))


def _entry(scope: Scope, said: Note, status: int, at: datetime) -> AuditEntry:
    asker = _asker(scope)
    return AuditEntry(
        what=What.WRITTEN if status < 400 else What.REFUSED,
        at=at,
        principal=asker.name,
        by=asker.by,
        verb=scope["method"],
        noun=scope["path"],
        asked=said.asked,
        meters=said.meters,
        request=said.request,
        outcome=str(status),
    )
