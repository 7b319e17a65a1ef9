"""Invocation counters in the database: ours reserved ahead in ranges, one row per key; the meters' as the lowest that is new."""

from typing import NamedTuple

from sqlalchemy import Connection, bindparam, insert, select, update

from ami_hes.store.brought_back import KeptMark, first_value, raise_highest, step
from ami_hes.store.database import Database
from ami_hes.store.ports import ClaimTooHigh, CounterRange, CountersExhausted, ReceivedKey
from ami_hes.store.tables import key_counters, received_counters
from ami_process.store.mark import Mark
from ami_process.store.shared_transaction import SharedTransaction

_VALUES = 2**32
"""An invocation counter has 32 bits; past them a key must not be used (NIST SP 800-38D: no nonce twice)."""
_HALF = _VALUES // 2
"""How far a key that was never used here may begin: whatever is claimed, half of its values stay."""


_SPENT = (
    select(key_counters.c.next_value, key_counters.c.tried_from, key_counters.c.tried_to)
    .where(key_counters.c.key_id == bindparam("of_key"))
    .with_for_update()
)
_MOVE = update(key_counters).where(key_counters.c.key_id == bindparam("of_key"))


class SqlCounters:
    """The Counters port. No value is handed out before the mark, if there is one, knows of its reservation."""

    def __init__(self, database: Database, mark: KeptMark | None = None) -> None:
        self._shared = SharedTransaction(database, (CountersExhausted, ClaimTooHigh))
        self._mark = mark

    async def reserve_counters(self, key_id: str, at_least: int, count: int) -> CounterRange:
        _check(at_least, count)
        reserved, reached = await self._shared.run(lambda c: self._marked(c, _reserve(c, key_id, at_least, count)))
        await self._noted(reached)
        return reserved

    async def try_counters(self, key_id: str, at_least: int, count: int, *, max_jump: int) -> CounterRange | None:
        _check(at_least, count)

        def tried(connection: Connection) -> tuple[CounterRange, Mark | None] | None:
            found = _try(connection, key_id, at_least, count, max_jump)
            return None if found is None else self._marked(connection, found)

        done = await self._shared.run(tried)
        if done is None:
            return None
        await self._noted(done[1])
        return done[0]

    def _marked(self, connection: Connection, reserved: CounterRange) -> tuple[CounterRange, Mark | None]:
        if self._mark is None:
            raise_highest(connection, reserved.limit)
            return reserved, None
        return reserved, step(connection, reserved.limit)

    async def _noted(self, reached: Mark | None) -> None:
        if self._mark is not None and reached is not None:
            await self._mark.reach(reached)


class SqlReceivedCounters:
    """The ReceivedCounters port."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._shared = SharedTransaction(database, ())

    async def load(self) -> dict[ReceivedKey, int]:
        return await self._database.transaction(_load)

    async def keep(self, key: ReceivedKey, lowest_acceptable: int) -> bool:
        return await self._shared.run(lambda connection: _keep(connection, key, lowest_acceptable))


def _check(at_least: int, count: int) -> None:
    if at_least < 0 or count < 1:
        raise ValueError("at_least is not negative, count is positive")


class _Spent(NamedTuple):
    """A key's row."""

    next_value: int = 0
    tried_from: int = 0
    tried_to: int = 0


def _row(connection: Connection, key_id: str) -> _Spent:
    """The key's row, made when there is none."""
    row = connection.execute(_SPENT, {"of_key": key_id}).one_or_none()
    if row is not None:
        return _Spent(*row)
    new = _Spent(next_value=first_value(connection))
    connection.execute(insert(key_counters).values(key_id=key_id, **new._asdict()))
    return new


def _reserve(connection: Connection, key_id: str, at_least: int, count: int) -> CounterRange:
    next_value, tried_from, tried_to = _row(connection, key_id)
    first = max(next_value, at_least)
    if first < tried_to and first + count > tried_from:
        first = tried_to
    limit = min(first + count, _VALUES)
    if first >= limit:
        raise CountersExhausted("the key has no invocation counter left")
    tried_from, tried_to = (tried_from, tried_to) if tried_to > limit else (0, 0)
    values = _Spent(limit, tried_from, tried_to)._asdict()
    connection.execute(_MOVE, {"of_key": key_id} | values)
    return CounterRange(first, limit)


def _try(connection: Connection, key_id: str, at_least: int, count: int, max_jump: int) -> CounterRange | None:
    next_value, tried_from, tried_to = _row(connection, key_id)
    if at_least <= next_value:
        return None
    was_used = next_value > first_value(connection)
    highest = next_value + max_jump if was_used else max(next_value + max_jump, _HALF)
    first = max(at_least, tried_to)
    if at_least > highest or first > highest + max_jump:  # what is tried in vain again and again ends as well
        raise ClaimTooHigh(at_least, next_value, highest)
    limit = first + count
    if limit > _VALUES:
        raise CountersExhausted("the key has no invocation counter left")
    values = _Spent(next_value, min(tried_from, first) if tried_to else first, limit)._asdict()
    connection.execute(_MOVE, {"of_key": key_id} | values)
    return CounterRange(first, limit)


def _load(connection: Connection) -> dict[ReceivedKey, int]:
    return {ReceivedKey(*row[:3]): row[3] for row in connection.execute(select(received_counters))}


def _keep(connection: Connection, key: ReceivedKey, lowest: int) -> bool:
    row = (
        (received_counters.c.device == key.device)
        & (received_counters.c.key_id == key.key_id)
        & (received_counters.c.channel == key.channel)
    )
    kept = connection.execute(select(received_counters.c.lowest_acceptable).where(row)).scalar()
    if kept is None:
        connection.execute(insert(received_counters).values(**key._asdict(), lowest_acceptable=lowest))
    elif kept < lowest:
        connection.execute(update(received_counters).where(row).values(lowest_acceptable=lowest))
    return kept is None or kept < lowest
