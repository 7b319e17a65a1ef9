"""The store of readings in the database: the Readings port.

Rows are narrow, since there are many: the meter and the reading type are in a row of their own, by number. They go to the driver as
they are, without the compilation of a statement for each, and those of meters that are read at once share a transaction. A day of a
series is one step of the database: the event loop works on meanwhile, which it does not where each row is one. What its rows have in
common, as those of one answer do, is handed over once. PostgreSQL gets what is new by COPY (`readings_copy`), into the tables of months (`months`).
"""

from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache, partial
from json import dumps
from pathlib import Path

from sqlalchemy import (
    Connection,
    Delete,
    MetaData,
    Row,
    Select,
    bindparam,
    delete,
    func,
    insert,
    select,
    text,
    tuple_,
)

from ami_hes.store.database import Database
from ami_hes.store.months import BEFORE, Months, drop_months, partitions
from ami_hes.store.readings_copy import written
from ami_hes.store.readings_port import Extract, StoredReading, StoredSeries
from ami_hes.store.tables import reading_series, reading_values
from ami_process.store.group_commit import GroupCommit

AT_ONCE = 10_000
"""Rows of a statement, and of a part of an export."""
ROWS_AT_ONCE, FEW_ROWS = 128, 8
"""Rows of one series that are one step at most; fewer than the other are a step each, since each number of rows is a statement."""
SERIES_AT_ONCE = 100
GATHER_S = 0.05
"""How long a transaction waits for the values of further meters, when many are read: a meter is free already when its values wait."""
_Value = tuple[int, str | None, str, int, bool]
_Kept = tuple[str, Sequence[StoredSeries]]
_Steps = defaultdict[tuple[int, bool], list[tuple[object, ...]]]
"""By their number of rows, and whether these have all but time and value in common, the parameters of steps."""
_COLUMNS, _OWN = 6, 2
_KEEP = (
    "INSERT INTO reading_values (series_id, time, value, qualities, received, by_meter) {}"
    " ON CONFLICT (series_id, time) DO UPDATE SET value = excluded.value, qualities = excluded.qualities,"
    " received = excluded.received, by_meter = excluded.by_meter"
    " WHERE excluded.received >= reading_values.received"
    " AND (excluded.value IS NOT NULL OR reading_values.value IS NULL)"
)
"""The same in SQLite and in PostgreSQL; SQLAlchemy has an insert of its own for each."""
_SERIES = "SELECT series_id, mrid, reading_type FROM reading_series WHERE mrid IN ({})"
_NAMED = {
    "sqlite": text(_SERIES.format("SELECT value FROM json_each(:mrids)")),
    "postgresql": text(_SERIES.format("SELECT json_array_elements_text(CAST(:mrids AS json))")),
}
"""One parameter for all names: a statement with one for each is put together anew for each number of them."""
_OF_ONE = reading_values.c.series_id == reading_series.c.series_id
_VALUES = (
    select(
        reading_series.c.reading_type,
        *(reading_values.c[name] for name in ("time", "value", "qualities", "received", "by_meter")),
    )
    .join_from(reading_values, reading_series, _OF_ONE)
    .where(reading_series.c.mrid == bindparam("of_meter"), reading_values.c.time <= bindparam("until"))
)
_FOUND = _VALUES.where(
    reading_series.c.reading_type.in_(bindparam("of_types", expanding=True)),
    reading_values.c.time > bindparam("behind"),
).order_by(reading_values.c.series_id, reading_values.c.time)
"""Made once: a query that is put together for each meter costs more than what it finds."""


UNDIVIDED = reading_values.to_metadata(MetaData(), name=BEFORE)
"""What a database of PostgreSQL had before there were months."""


class SqlReadings:
    """The Readings port."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._months = Months()
        self._keeping: GroupCommit[_Kept] = GroupCommit(database, self._keep, gather_s=GATHER_S)

    async def keep(self, mrid: str, series: Sequence[StoredSeries], *, last: bool = False) -> None:
        await self._keeping.add((mrid, series), last=last)

    async def find(self, mrid: str, reading_types: Sequence[str], *, after: int, until: int) -> list[StoredSeries]:
        wanted = {"of_meter": mrid, "of_types": list(reading_types), "behind": after, "until": until}
        return await self._database.transaction(lambda connection: _series(connection, _FOUND, wanted))

    async def latest(self, mrid: str, reading_types: Sequence[str], *, until: int) -> list[StoredSeries]:
        earlier = reading_values.alias()
        last = select(func.max(earlier.c.time)).where(
            earlier.c.series_id == reading_series.c.series_id, earlier.c.time <= until, earlier.c.value.is_not(None)
        )
        query = (
            _VALUES.where(reading_values.c.time == last.correlate(reading_series).scalar_subquery())
            .order_by(reading_series.c.reading_type)
            .params(of_meter=mrid, until=until)
        )
        if reading_types:
            query = query.where(reading_series.c.reading_type.in_(reading_types))
        return await self._database.transaction(lambda connection: _series(connection, query))

    async def forget(self, before: int) -> None:
        """Series by series, so that other work comes between; months of PostgreSQL as they are."""
        table = reading_values
        if not isinstance(self._database.place, Path):
            self._months.forget()
            await drop_months(self._database, before)
            if not await self._database.transaction(_has_undivided):
                return
            table = UNDIVIDED
        behind = -1
        while ids := await self._database.transaction(partial(_ids, behind)):
            old = delete(table).where(table.c.series_id.in_(ids), table.c.time < before)
            await self._database.transaction(partial(_delete, old))
            behind = ids[-1]

    async def everything(self, wanted: Extract) -> AsyncIterator[Sequence[StoredReading]]:
        last = ("", "")
        while series := await self._database.transaction(partial(_series_of, wanted, last)):
            for series_id, mrid, reading_type in series:
                behind = wanted.after
                while True:
                    rows = await self._database.transaction(partial(_page, series_id, behind, wanted.until))
                    if rows:
                        yield [StoredReading(mrid, reading_type, *row) for row in rows]
                    if len(rows) < AT_ONCE:
                        break
                    behind = rows[-1][0]
            last = series[-1][1:]

    def _keep(self, connection: Connection, kept: Sequence[_Kept]) -> None:
        if connection.dialect.name == "postgresql":
            self._months.make_for(connection, (one for _, series in kept for one in series))
        numbers = _numbers(connection, kept)
        mark = "?" if connection.dialect.paramstyle == "qmark" else "%s"
        for part in _parts((numbers[mrid, one.reading_type], one) for mrid, series in kept for one in series):
            done = written(connection, part, _KEEP) if connection.dialect.name == "postgresql" else ()
            for (rows, alike), parameters in _steps(one for one in part if one[0] not in done).items():
                connection.exec_driver_sql(_statement(rows, alike, mark), parameters)


def _ids(behind: int, connection: Connection) -> list[int]:
    some = select(reading_series.c.series_id).where(reading_series.c.series_id > behind)
    return list(connection.execute(some.order_by(reading_series.c.series_id).limit(SERIES_AT_ONCE)).scalars())


def _has_undivided(connection: Connection) -> bool:
    return any(one.name == UNDIVIDED.name for one in partitions(connection))


def _delete(old: Delete, connection: Connection) -> None:
    connection.execute(old)


def _series_of(wanted: Extract, behind: tuple[str, str], connection: Connection) -> list[tuple[int, str, str]]:
    """The next ones: a store may have more of them than belong in memory."""
    names = (reading_series.c.series_id, reading_series.c.mrid, reading_series.c.reading_type)
    query = select(*names).order_by(*names[1:]).where(tuple_(*names[1:]) > behind).limit(AT_ONCE)
    if wanted.mrids:
        query = query.where(reading_series.c.mrid.in_(wanted.mrids))
    if wanted.reading_types:
        query = query.where(reading_series.c.reading_type.in_(wanted.reading_types))
    return [tuple(row) for row in connection.execute(query)]


@lru_cache(4 * ROWS_AT_ONCE)
def _statement(rows: int, alike: bool, mark: str) -> str:
    row = f"({', '.join([mark] * (_OWN if alike else _COLUMNS))})"
    values = f"VALUES {', '.join([row] * rows)}"
    if not alike:
        return _KEEP.format(values)
    common = f"SELECT {mark}, column1, column2, {mark}, {mark}, {mark}"
    return _KEEP.format(f"{common} FROM ({values}) AS own WHERE true")  # without WHERE, ON is taken for that of a join


def _numbers(connection: Connection, kept: Sequence[_Kept]) -> dict[tuple[str, str], int]:
    """Of each meter and reading type; a new one gets the next."""
    wanted = {(mrid, one.reading_type) for mrid, series in kept for one in series}
    mrids = sorted({mrid for mrid, _ in wanted})
    found = _known(connection, mrids)
    if missing := sorted(wanted - found.keys()):
        connection.execute(insert(reading_series), [{"mrid": mrid, "reading_type": code} for mrid, code in missing])
        found = _known(connection, mrids)
    return found


def _known(connection: Connection, mrids: Sequence[str]) -> dict[tuple[str, str], int]:
    return {
        (mrid, code): number
        for start in range(0, len(mrids), AT_ONCE)
        for number, mrid, code in connection.execute(
            _NAMED[connection.dialect.name], {"mrids": dumps(mrids[start : start + AT_ONCE])}
        ).all()
    }


def _parts(series: Iterable[tuple[int, StoredSeries]]) -> Iterator[list[tuple[int, StoredSeries]]]:
    """A series comes once in a part, so that what is kept later also comes later."""
    part, count, seen = list[tuple[int, StoredSeries]](), 0, set[int]()
    for number, one in series:
        if number in seen or count >= AT_ONCE:
            yield part
            part, count, seen = [], 0, set()
        part.append((number, one))
        count += len(one.times)
        seen.add(number)
    yield part


def _steps(part: Iterable[tuple[int, StoredSeries]]) -> _Steps:
    steps = _Steps(list)
    for number, one in part:
        for kind, parameters in _steps_of(number, one):
            steps[kind].append(parameters)
    return steps


def _steps_of(number: int, one: StoredSeries) -> Iterator[tuple[tuple[int, bool], tuple[object, ...]]]:
    """The rows of a series, as many at once as a statement may have; PostgreSQL takes no time twice in one."""
    count = len(one.times)
    if count == 1:  # as of registers, which come by the thousand
        yield (1, False), (number, one.times[0], one.values[0], one.qualities[0], one.received[0], one.by_meter[0])
        return
    most = ROWS_AT_ONCE if len(set(one.times)) == count else 1
    alike = max(map(len, map(set, (one.qualities, one.received, one.by_meter)))) == 1
    start = 0
    while start < count:
        rows = min(most, count - start)
        if rows < FEW_ROWS:
            rows = 1
        parameters = (_of_alike if alike else _of_each)(number, one, start, start + rows)
        yield (rows, alike), tuple(parameters)
        start += rows


def _of_alike(number: int, one: StoredSeries, start: int, end: int) -> list[object]:
    own: list[object] = [None] * (_OWN * (end - start))
    own[::_OWN], own[1::_OWN] = one.times[start:end], one.values[start:end]
    return [number, one.qualities[0], one.received[0], one.by_meter[0], *own]


def _of_each(number: int, one: StoredSeries, start: int, end: int) -> list[object]:
    parameters: list[object] = [number] * (_COLUMNS * (end - start))
    for place, column in enumerate((one.times, one.values, one.qualities, one.received, one.by_meter), 1):
        parameters[place::_COLUMNS] = column[start:end]
    return parameters


def _series(
    connection: Connection, query: Select[tuple[object, ...]], wanted: Mapping[str, object] | None = None
) -> list[StoredSeries]:
    found: dict[str, list[Row[tuple[object, ...]]]] = defaultdict(list)
    for row in connection.execute(query, wanted):
        found[row.reading_type].append(row)
    return [_columns(code, rows) for code, rows in found.items()]


def _columns(reading_type: str, rows: Iterable[Row[tuple[object, ...]]]) -> StoredSeries:
    _, times, values, qualities, received, by_meter = zip(*rows, strict=True)
    return StoredSeries(
        reading_type=reading_type,
        times=times,
        values=values,
        qualities=qualities,
        received=received,
        by_meter=by_meter,
    )


def _page(series_id: int, behind: int, until: int, connection: Connection) -> list[_Value]:
    query = (
        select(*(reading_values.c[name] for name in ("time", "value", "qualities", "received", "by_meter")))
        .where(reading_values.c.series_id == series_id, reading_values.c.time > behind, reading_values.c.time <= until)
        .order_by(reading_values.c.time)
        .limit(AT_ONCE)
    )
    return [tuple(row) for row in connection.execute(query)]
