"""What has been seen of signed messages, in the database, so that what has come to one front end is refused by all of them: the Remembers port.

A key is claimed by its row, so of two processes that are sent the same message at the same moment one has it. What could not come again any more is dropped now and then.
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from sqlalchemy import Connection, bindparam, delete, func, select, text

from ami_hes.store.database import Database
from ami_hes.store.tables import seen_messages
from ami_process.environment import real_time
from ami_process.replay_memory import MemoryFull
from ami_process.store.columns import UtcDateTime

LOOK_EVERY_S = 10.0
"""At how many there are: that costs a walk through all of them, and a process knows what it adds."""
_CLAIM = text("INSERT INTO seen_messages (key, until) VALUES (:key, :until) ON CONFLICT DO NOTHING").bindparams(
    bindparam("until", type_=UtcDateTime())
)
"""The same in SQLite and in PostgreSQL."""
RESTORED = "restored"
"""The key of the row that says since when the store has what was seen: from before its copy was brought back it has not all."""


class _Seen(Exception):
    """Of a claim, which so leaves nothing."""


class SqlSeenMessages:
    """The Remembers port. `load` before the first use."""

    def __init__(self, database: Database, most: int, keep: timedelta, now: Callable[[], datetime]) -> None:
        self._database = database
        self._most = most
        self._keep = keep
        self._now = now
        self._known = 0
        self._looked_at = 0.0
        self.complete_since: datetime | None = None

    async def load(self) -> None:
        """Raises StoreUnavailable."""
        query = select(seen_messages.c.until).where(seen_messages.c.key == RESTORED)
        self.complete_since = await self._database.transaction(lambda c: c.execute(query).scalar())

    async def claim(self, *keys: bytes) -> bool:
        if self._looked_at + LOOK_EVERY_S < real_time() or not self._looked_at:
            await self._look()
        if self._known + len(keys) > self._most:
            raise MemoryFull
        until = self._now() + self._keep
        try:
            await self._database.transaction(lambda c: _claim(c, keys, until))
        except _Seen:
            return False
        self._known += len(keys)
        return True

    async def _look(self) -> None:
        """Drop what is over, and see how many are left. Apart from claims, which would have to be done again for it."""
        over = delete(seen_messages).where(seen_messages.c.until <= self._now(), seen_messages.c.key != RESTORED)
        await self._database.transaction(lambda c: c.execute(over).close())
        query = select(func.count()).select_from(seen_messages)
        self._known = await self._database.transaction(lambda c: c.execute(query).scalar_one())
        self._looked_at = real_time()


def _claim(connection: Connection, keys: Sequence[bytes], until: datetime) -> None:
    for key in sorted(keys):  # in one order, so that two claims never wait for each other
        if connection.execute(_CLAIM, {"key": key.hex(), "until": until}).rowcount == 0:
            raise _Seen


def note_restored(connection: Connection, at: datetime) -> None:
    """What was seen before is not all known any more."""
    connection.execute(delete(seen_messages).where(seen_messages.c.key == RESTORED))
    connection.execute(_CLAIM, {"key": RESTORED, "until": at})
