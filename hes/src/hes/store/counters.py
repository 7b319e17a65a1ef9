"""Invocation counters in the database: one row a meter and key, reserved ahead in ranges."""

from sqlalchemy import Connection, insert, select, update

from hes.store.database import Database
from hes.store.ports import CounterRange, CountersExhausted
from hes.store.tables import counters

_VALUES = 2**32
"""An invocation counter has 32 bits; past them a key must not be used (NIST SP 800-38D: no nonce twice)."""


class SqlCounters:
    """The Counters port."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def reserve_counters(self, meter_name: str, key_id: str, at_least: int, count: int) -> CounterRange:
        if at_least < 0 or count < 1:
            raise ValueError("at_least is not negative, count is positive")
        return await self._database.transaction(lambda c: _reserve(c, meter_name, key_id, at_least, count))


def _reserve(connection: Connection, meter_name: str, key_id: str, at_least: int, count: int) -> CounterRange:
    row = (counters.c.meter_name == meter_name) & (counters.c.key_id == key_id)
    kept = connection.execute(select(counters.c.next_value).where(row).with_for_update()).scalar()
    first = max(kept or 0, at_least)
    limit = min(first + count, _VALUES)
    if first >= limit:
        raise CountersExhausted(f"meter {meter_name}: the key has no invocation counter left")
    if kept is None:
        connection.execute(insert(counters).values(meter_name=meter_name, key_id=key_id, next_value=limit))
    else:
        connection.execute(update(counters).where(row).values(next_value=limit))
    return CounterRange(first, limit)
