"""Sessions of the console in the database, so that who has signed in at one front end is let in by all of them.

Of what a browser shows there is a digest, which lets nobody in.
"""

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, delete, func, insert, select

from ami_hes.store.database import Database
from ami_hes.store.tables import console_sessions


class StoredSession(NamedTuple):
    """Whose it is, and until when."""

    digest: str
    principal: str
    roles: tuple[str, ...]
    how: str
    ends_at: datetime


class SqlConsoleSessions:
    """All methods raise StoreUnavailable."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def begin(self, session: StoredSession, now: datetime, most: int) -> None:
        """Keep it; where there are `most`, the oldest of who has the most of them ends for it."""
        await self._database.transaction(lambda c: _begin(c, session, now, most))

    async def find(self, digest: str, now: datetime) -> StoredSession | None:
        """One that has not ended."""
        these = (console_sessions.c.digest == digest, console_sessions.c.ends_at > now)
        query = select(console_sessions).where(*these)
        row = await self._database.transaction(lambda c: c.execute(query).one_or_none())
        return (
            None if row is None else StoredSession(row.digest, row.principal, _roles(row.roles), row.how, row.ends_at)
        )

    async def end(self, digest: str) -> None:
        """It lets nobody in any more."""
        this = delete(console_sessions).where(console_sessions.c.digest == digest)
        await self._database.transaction(lambda c: c.execute(this).close())


def _begin(connection: Connection, session: StoredSession, now: datetime, most: int) -> None:
    connection.execute(delete(console_sessions).where(console_sessions.c.ends_at <= now))
    counts = select(console_sessions.c.principal, func.count()).group_by(console_sessions.c.principal)
    found: dict[str, int] = {row[0]: row[1] for row in connection.execute(counts)}
    if sum(found.values()) >= most:
        of_who_has_most = console_sessions.c.principal == max(found, key=lambda principal: found[principal])
        oldest = select(console_sessions.c.digest).where(of_who_has_most)
        oldest = oldest.order_by(console_sessions.c.ends_at, console_sessions.c.digest).limit(1)
        connection.execute(delete(console_sessions).where(console_sessions.c.digest.in_(oldest.scalar_subquery())))
    values = session._asdict() | {"roles": " ".join(session.roles)}
    connection.execute(insert(console_sessions).values(values))


def _roles(text: str) -> tuple[str, ...]:
    return tuple(text.split())
