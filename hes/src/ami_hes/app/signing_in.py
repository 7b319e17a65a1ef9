"""Sessions of the console that several front ends have in common: the SessionKeeper port, over the store."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from ami_console import KeptSession, Sessions
from ami_console.sessions import MOST
from ami_hes.app.setup import Setup
from ami_hes.app.storage import Stores
from ami_hes.app.telling import SESSIONS
from ami_hes.engine import Hints
from ami_hes.store import SqlConsoleSessions, StoredSession, StoreUnavailable
from ami_process.events import utc_now
from ami_process.principals import Principal, Role


@dataclass(frozen=True, slots=True)
class StoredSessions:
    """The SessionKeeper port; `ended` tells the other front ends of one that is over."""

    store: SqlConsoleSessions
    now: Callable[[], datetime]
    ended: Callable[[str], None]

    async def begin(self, digest: str, session: KeptSession) -> None:
        one, ends_at = session.principal, self.now() + timedelta(seconds=session.ends_in_s)
        stored = StoredSession(digest, one.name, tuple(sorted(one.roles)), one.how, ends_at)
        with _away():
            await self.store.begin(stored, self.now(), MOST)

    async def find(self, digest: str) -> KeptSession | None:
        with _away():
            found = await self.store.find(digest, self.now())
        if found is None:
            return None
        roles = frozenset(Role(one) for one in found.roles if one in _ROLES)
        left = found.ends_at - self.now()
        return KeptSession(Principal(found.principal, roles, found.how), left.total_seconds())

    async def end(self, digest: str) -> None:
        with _away():
            await self.store.end(digest)
        self.ended(digest)


_ROLES = frozenset(map(str, Role))


@contextmanager
def _away() -> Iterator[None]:
    try:
        yield
    except StoreUnavailable as problem:
        raise OSError(str(problem)) from None


def looking(sessions: Sessions, application: ASGIApp) -> ASGIApp:
    """The same, but what other front ends know of the session that a request shows is looked up first."""

    async def looked(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await sessions.look(Headers(scope=scope))
        await application(scope, receive, send)

    return looked


def keeper(setup: Setup, stores: Stores, hints: Hints) -> StoredSessions | None:
    """Where other front ends have part in them; None where the process remembers them by itself."""
    if setup.settings.hes.engine is None:
        return None
    store = SqlConsoleSessions(stores.database)
    return StoredSessions(store, utc_now, lambda digest: hints.give(SESSIONS, digest.encode()))


def heed(hints: Hints, sessions: Sessions) -> None:
    """What ends at another front end ends here."""

    async def ended(about: bytes) -> None:
        sessions.forget(about.decode("ascii", "replace"))

    async def any_may_have() -> None:
        sessions.forget()

    hints.heed(SESSIONS, ended, any_may_have)
