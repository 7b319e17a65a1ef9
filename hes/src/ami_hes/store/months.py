"""The months that the readings are partitioned by in PostgreSQL: which there are, how one is made, and how it goes.

A value is in the partition of its month (UTC) by its own time, and the values of a month go with its table when they are too old. A month gets
its table with the first value that comes for it, and the month behind the present one at the same time, so that nothing waits at midnight.
What no month is made for is in the default partition: times that are years from now, as of a meter whose clock was never set (else such a
meter could make thousands of tables), and what comes while a table can't be made, for instance because pg_dump reads all of them. So a value
never fails for want of a partition. Values that wait in the default partition move when their month is made.

`reading_values_before` is what was kept before there were months (revision 0024): a partition as well, with everything up to a month.
"""

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import lru_cache, partial
from typing import NamedTuple

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from ami_hes.store.database import Database
from ami_hes.store.readings_port import StoredSeries
from ami_hes.store.tables import NO_MONTH
from ami_process.store.errors import GivenUp

BEFORE = "reading_values_before"
DAY_MS = 86_400_000
OLDEST_MS, NEWEST_MS = 3_660 * DAY_MS, 62 * DAY_MS
"""How long before and after the moment at which it is received a value may be for a month to be made for it."""
SHORT_MS = 28 * DAY_MS
"""In less than a month there are no other months than those of its ends."""
MAKE_WITHIN_MS, DROP_WITHIN_MS = 200, 1_000
"""How long a table is waited for: who comes behind waits as well."""
AGAIN_MS = 60_000
"""How long after a month could not be made it is tried again."""
FEW = 10_000
"""Values that are deleted in one transaction."""
ALREADY_THERE = ("42P07", "42P17", "23505")
"""SQLSTATE: duplicate_table, invalid_object_definition (it would overlap another), unique_violation: another process was first."""
NOT_NOW = ("55P03", "42501")
"""lock_not_available, insufficient_privilege."""
UNSEEN = "23514"
"""check_violation: the default partition has values that this transaction does not see."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_PARTITIONS = text(
    "SELECT c.relname, pg_get_expr(c.relpartbound, c.oid) FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid"
    " WHERE i.inhparent = to_regclass('reading_values') ORDER BY c.relname"
)
_BOUNDS = re.compile(r"FOR VALUES FROM \((?:MINVALUE|'(-?\d+)')\) TO \('(-?\d+)'\)")


class Partition(NamedTuple):
    """A table with the values from one moment on and before another, in milliseconds since 1970."""

    name: str
    first: int | None
    """None: all that are earlier."""
    end: int


def month_of(time: int) -> int:
    """The month of a moment, counted from the year 0; the moment has to be one that `datetime` knows."""
    return _month_of_day(time // DAY_MS)


@lru_cache(4_096)
def _month_of_day(day: int) -> int:
    date = datetime.fromordinal(_EPOCH.toordinal() + day)
    return 12 * date.year + date.month - 1


def partition_of(month: int) -> Partition:
    """The partition that a month gets."""
    year, number = divmod(month, 12)
    return Partition(f"reading_values_{year:04}_{number + 1:02}", _first_of(month), _first_of(month + 1))


def partitions(connection: Connection) -> list[Partition]:
    """Those that there are, but for the default one."""
    found = [(name, _BOUNDS.fullmatch(bounds)) for name, bounds in connection.execute(_PARTITIONS)]
    return [Partition(name, None if at[1] is None else int(at[1]), int(at[2])) for name, at in found if at]


class Months:
    """Which months have a partition, as far as this process knows."""

    def __init__(self) -> None:
        self._known: set[int] = set()
        self._not_before = 0

    def make_for(self, connection: Connection, series: Iterable[StoredSeries]) -> None:
        """What these values need. Has to be the first in its transaction that touches the readings, since it locks a table."""
        values = [one for one in series if one.times]
        if not values:
            return
        latest = max(max(one.received) for one in values)
        wanted = _wanted(values, latest)
        missing = wanted - self._known
        if missing and latest >= self._not_before:
            self._make(connection, missing, latest)

    def forget(self) -> None:
        """Partitions were dropped."""
        self._known.clear()

    def _make(self, connection: Connection, months: set[int], now: int) -> None:
        there = partitions(connection)
        for month in sorted(months):
            wanted = partition_of(month)
            covered = any(
                (one.first is None or one.first < wanted.end) and one.end > (wanted.first or 0) for one in there
            )
            if covered or _made(connection, wanted):
                self._known.add(month)
            else:
                self._not_before = now + AGAIN_MS
                return


def _wanted(series: Iterable[StoredSeries], received: int) -> set[int]:
    """The months of these times, with that of their receipt and the next; not those of times that are too far from it."""
    days = {received // DAY_MS}
    for one in series:
        first, last = min(one.times), max(one.times)
        if last - first < SHORT_MS:
            days.update((first // DAY_MS, last // DAY_MS))
        else:
            days.update({time // DAY_MS for time in one.times})
    least, most = (received - OLDEST_MS) // DAY_MS, (received + NEWEST_MS) // DAY_MS
    return {_month_of_day(day) for day in days if least <= day <= most} | {month_of(received) + 1}


def _made(connection: Connection, wanted: Partition) -> bool:
    """Whether there is such a partition now; what was in the default one is in it."""
    between = f"time >= {wanted.first} AND time < {wanted.end}"
    try:
        with connection.begin_nested():
            for statement in (
                f"SET LOCAL lock_timeout = {MAKE_WITHIN_MS}",
                f"CREATE TABLE {wanted.name} (LIKE reading_values INCLUDING ALL)",
                f"WITH moved AS (DELETE FROM {NO_MONTH} WHERE {between} RETURNING *)"  # noqa: S608 (names and numbers of our own)
                f" INSERT INTO {wanted.name} SELECT * FROM moved",
                f"ALTER TABLE reading_values ATTACH PARTITION {wanted.name} FOR VALUES FROM ({wanted.first}) TO ({wanted.end})",
                "SET LOCAL lock_timeout TO DEFAULT",
            ):
                connection.exec_driver_sql(statement)
    except DBAPIError as problem:
        state = getattr(problem.orig, "sqlstate", None)
        if state == UNSEEN:
            raise GivenUp("another process has kept values of the month meanwhile") from None
        if state not in (*ALREADY_THERE, *NOT_NOW):
            raise
        return state in ALREADY_THERE
    return True


async def drop_months(database: Database, before: int) -> None:
    """Those that are over before this moment, whole; of the default partition the values, some at a time.

    A table that somebody reads is left for the next time.
    """
    for one in await database.transaction(partitions):
        if one.end <= before:
            await database.transaction(partial(_dropped, one.name))
    while await database.transaction(partial(_deleted, before)) == FEW:
        pass


def _dropped(name: str, connection: Connection) -> None:
    try:
        with connection.begin_nested():
            connection.exec_driver_sql(f"SET LOCAL lock_timeout = {DROP_WITHIN_MS}")
            connection.exec_driver_sql(f"DROP TABLE IF EXISTS {name}")
    except DBAPIError as problem:
        if getattr(problem.orig, "sqlstate", None) not in NOT_NOW:
            raise


def _deleted(before: int, connection: Connection) -> int:
    old = f"SELECT series_id, time FROM {NO_MONTH} WHERE time < {before:d} LIMIT {FEW}"  # noqa: S608
    return connection.exec_driver_sql(f"DELETE FROM {NO_MONTH} WHERE (series_id, time) IN ({old})").rowcount  # noqa: S608


def _first_of(month: int) -> int:
    year, number = divmod(month, 12)
    return int(datetime(year, number + 1, 1, tzinfo=UTC).timestamp()) * 1000
