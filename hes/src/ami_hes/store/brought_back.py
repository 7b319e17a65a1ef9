"""Whether the store is where its last process left it, or an older copy, or a copy elsewhere: by a mark outside of it (ADR 39).

Each reservation of invocation counters is a step, which the store counts and the mark notes before a value of it is used. A
store with fewer steps than its mark has was brought back. No key has come further than `Mark.highest`, so beyond that nothing
was used, whatever is missing in the store.
"""

import asyncio
import threading
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Connection, Row, case, delete, insert, literal, select, update

from ami_hes.store.database import Database
from ami_hes.store.restored import COUNTERS_SKIPPED, assume_the_worst
from ami_hes.store.tables import counter_mark, key_counters
from ami_process.store.errors import problems_of
from ami_process.store.mark import Mark, MarkFile
from ami_process.store.places import Place, engine_of

FOLLOWED = 2**31
"""A key that has gone beyond is not followed by others, whose values would be halved."""
AHEAD = 2**16
"""How far ahead a process without a mark says that keys may have come: so many values are skipped at most when a store is brought back."""


@dataclass(frozen=True, slots=True)
class BroughtBack:
    """Why the store is taken for a copy, and what was assumed of it, in words."""

    why: str
    assumed: str


class KeptMark:
    """Notes in the mark how far the store has come, one write for all that wait at once."""

    def __init__(self, file: MarkFile) -> None:
        self._file = file
        self._lock = asyncio.Lock()
        self._writing = threading.Lock()
        self._written = -1
        self._latest: Mark | None = None

    async def reach(self, mark: Mark) -> None:
        """The file says at least this when it returns. Raises StoreUnavailable."""
        if self._latest is None or self._latest.steps < mark.steps:
            self._latest = mark
        async with self._lock:
            if self._written >= mark.steps:
                return
            await asyncio.to_thread(self._write, self._latest)

    def _write(self, mark: Mark) -> None:
        """In a thread, which goes on when who waits for it is cancelled: a later mark must not be overtaken by it."""
        with self._writing:
            if self._written < mark.steps:
                self._file.note(mark)
                self._written = mark.steps


def step(connection: Connection, reached: int) -> Mark | None:
    """One more reservation, up to `reached`; None in a store that no process has marked."""
    highest = counter_mark.c.highest
    raised = case((highest < reached, literal(reached)), else_=highest)
    row = connection.execute(
        update(counter_mark)
        .values(steps=counter_mark.c.steps + 1, highest=raised)
        .returning(counter_mark.c.store_id, counter_mark.c.steps, highest)
    ).one_or_none()
    return None if row is None else Mark(*row)


def raise_highest(connection: Connection, reached: int) -> None:
    """A reservation, up to `reached`, of a process that has no mark: it is no step, and the row is changed once in many.

    What processes change for each of their reservations they wait for each other at; so it is raised ahead, to the next multiple of `AHEAD`.
    """
    highest = connection.execute(select(counter_mark.c.highest)).scalar()
    if highest is not None and highest < reached:
        ahead = -(-reached // AHEAD) * AHEAD
        below = counter_mark.c.highest < ahead
        connection.execute(update(counter_mark).values(highest=ahead).where(below)).close()


def first_value(connection: Connection) -> int:
    """Where a key begins that the store has no row of: it may have been used in what is missing."""
    return connection.execute(select(counter_mark.c.floor)).scalar() or 0


async def recognise(database: Database, file: MarkFile, random_bytes: Callable[[int], bytes]) -> BroughtBack | None:
    """At each start, before any counter is used: compare, assume the worst of a copy, and mark. Raises as `Database` and MarkFile."""
    await asyncio.to_thread(file.make)
    mark, identity = await asyncio.to_thread(lambda: (file.read(), file.identity()))
    store_id = random_bytes(8).hex()
    found, reached = await database.transaction(lambda c: _compared(c, file, mark, identity, store_id))
    await KeptMark(file).reach(reached)
    return found


def go_on(store: Place, file: MarkFile, random_bytes: Callable[[int], bytes]) -> None:
    """A person has said that the store was brought back, and the worst is assumed: the next start finds it as it should be.

    The caller holds the store. Raises StoreUnusable, StoreUnavailable.
    """
    file.make()
    engine = engine_of(store)
    try:
        with problems_of(store), engine.begin() as connection:
            reached = _begin(connection, file.read(), file.identity(), random_bytes(8).hex())
    finally:
        engine.dispose()
    file.note(reached)


def _compared(
    connection: Connection, file: MarkFile, mark: Mark | None, identity: str, store_id: str
) -> tuple[BroughtBack | None, Mark]:
    row = connection.execute(select(counter_mark)).one_or_none()
    why = _why(row, mark, file, identity)
    if row is not None and why is None:
        return None, Mark(row.store_id, row.steps, row.highest)
    if why is None:  # the first process that marks this store
        return None, _begin(connection, None, identity, store_id)
    assumed = assume_the_worst(connection, by="start", why=why)
    return BroughtBack(why, assumed), _begin(connection, mark, identity, store_id)


def _why(row: Row[tuple[object, ...]] | None, mark: Mark | None, file: MarkFile, identity: str) -> str | None:
    """In words, why it is no store that goes on where it ended."""
    if row is None:
        return None if mark is None else f"the mark {file.path} is that of a newer store than this"
    if mark is None:
        return f"its mark {file.path} is missing or empty: the store was copied to here without it, or the mark was removed"
    if mark.store_id != row.store_id:
        return f"the mark {file.path} is that of another store, or of another life of this one"
    if mark.steps > row.steps:
        return f"{mark.steps - row.steps} reservations of invocation counters that the mark {file.path} knows are missing in it: it is an older copy"
    if identity != row.identity:
        return f"its mark {file.path} is a copy itself: the store was copied together with it, or is on another machine"
    return None


def _begin(connection: Connection, mark: Mark | None, identity: str, store_id: str) -> Mark:
    """A new life, in which no key goes on below what any key had reached."""
    row = connection.execute(select(counter_mark)).one_or_none()
    known = 0 if mark is None else mark.highest
    copied = 0 if row is None else row.highest + COUNTERS_SKIPPED
    floor = min(max(known, copied), FOLLOWED)
    below = (key_counters.c.next_value < floor) & (key_counters.c.tried_to <= floor)
    connection.execute(update(key_counters).where(below).values(next_value=floor, tried_from=0, tried_to=0))
    tops = connection.execute(select(key_counters.c.next_value, key_counters.c.tried_to)).all()
    highest = max([known, floor, *(max(top) for top in tops)])
    steps = 1 + max(0 if row is None else row.steps, 0 if mark is None else mark.steps)
    connection.execute(delete(counter_mark))
    values = {"number": 1, "steps": steps, "highest": highest, "floor": floor, "identity": identity}
    connection.execute(insert(counter_mark).values(store_id=store_id, **values))
    return Mark(store_id, steps, highest)
