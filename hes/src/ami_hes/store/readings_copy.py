"""Many values into PostgreSQL at once, by COPY in its binary format, which takes a third of what an INSERT of them takes.

COPY fails where a row is there already, so it gets only series of which no value is there between their first and their last one, which the
server looks up in one statement. The others are copied into a table of this connection, and inserted from there. If another process has brought a value meanwhile, nothing
of the COPY stays (a savepoint), and all go that way.
"""

from collections.abc import Iterator, Sequence
from itertools import repeat
from json import dumps

from sqlalchemy import Connection, text
from sqlalchemy.exc import IntegrityError

from ami_hes.store.readings_port import StoredSeries
from ami_process.store.postgresql import copy_rows

COPY_FROM = 64
"""Values; fewer are not worth the three further statements."""
Numbered = tuple[int, StoredSeries]
COLUMNS = {
    "series_id": "int4",
    "time": "int8",
    "value": "text",
    "qualities": "text",
    "received": "int8",
    "by_meter": "bool",
}
_THERE = text(
    "SELECT wanted.series_id FROM (SELECT (one->>0)::int AS series_id, (one->>1)::bigint AS first, (one->>2)::bigint AS last"
    " FROM json_array_elements(CAST(:wanted AS json)) AS one) AS wanted, LATERAL (SELECT FROM reading_values AS kept"
    " WHERE kept.series_id = wanted.series_id AND kept.time >= wanted.first AND kept.time <= wanted.last LIMIT 1) AS there"
)
"""LATERAL with a limit: one look into the index for each, whatever the server believes about the size of the table."""
STAGED = "reading_values_staged"
_STAGE = f"CREATE TEMPORARY TABLE IF NOT EXISTS {STAGED} (LIKE reading_values) ON COMMIT DELETE ROWS"


def written(connection: Connection, series: Sequence[Numbered], keep: str) -> set[int]:
    """Writes what it can of series that are different ones; the numbers of those that it has written. `keep`: the INSERT, to be completed."""
    if sum(len(one.times) for _, one in series) < COPY_FROM:
        return set()
    apart = [one for one in series if len(set(one[1].times)) == len(one[1].times) > 0]
    wanted = [(number, min(one.times), max(one.times)) for number, one in apart]
    there = set(connection.execute(_THERE, {"wanted": dumps(wanted)}).scalars())
    new = [one for one in apart if one[0] not in there]
    rest = [one for one in apart if one[0] in there]
    if new and not _copied(connection, new):
        rest = apart
    if rest:
        _merge(connection, rest, keep)
    return {number for number, _ in apart}


def _copied(connection: Connection, new: Sequence[Numbered]) -> bool:
    try:
        with connection.begin_nested():
            copy_rows(connection, "reading_values", COLUMNS, _rows(new))
    except IntegrityError:
        return False
    return True


def _merge(connection: Connection, rest: Sequence[Numbered], keep: str) -> None:
    connection.exec_driver_sql(_STAGE)
    connection.exec_driver_sql(f"TRUNCATE {STAGED}")
    copy_rows(connection, STAGED, COLUMNS, _rows(rest))
    connection.exec_driver_sql(keep.format(f"SELECT * FROM {STAGED}"))  # noqa: S608 (a name of our own)


def _rows(series: Sequence[Numbered]) -> Iterator[tuple[object, ...]]:
    for number, one in series:
        yield from zip(repeat(number), one.times, one.values, one.qualities, one.received, one.by_meter, strict=False)
