"""Values per second into the store of readings, beside the barest way of the same database into the same table.

Bare is, in PostgreSQL, one COPY of octets that were made before, and in SQLite one executemany of rows that were made before; each
into a second table with the same keys and partitions, in the same number of transactions. Ours begins with what a session hands over.
"""

import asyncio
import statistics
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import chain, repeat
from pathlib import Path
from time import perf_counter

from sqlalchemy import Connection

from ami_cli.bench_scale.found import Found, Report, Setting, Table
from ami_cli.bench_scale.schemas import empty_schema, version
from ami_hes.store import SCHEMA, Database, SqlReadings, StoredSeries
from ami_process.store.opening import ready_store
from ami_process.store.places import Place

WORDS = """\
Values as meters give them, of many meters at once, until they are committed: the exact decimal, its time, quality and source. **Days**: two
load profiles of 96 quarters for each meter, of which there are values of the day before. **Registers**: four values for each meter, likewise. **Days again**: the same values once more, which changes
nothing. Beside it in turns, into another table with the same keys and partitions: in PostgreSQL one COPY from octets that lie ready, in SQLite one
`executemany` from rows that lie ready, each with one commit. Median of the counted runs, after one that warms up; the ratio is the median of those of
single runs, and 1.00 is as fast as the bare one."""
COLUMNS = ("store", "what", "values", "values/s", "bare, values/s", "ratio")
QUARTER_MS, DAY = 900_000, 96
YESTERDAY = DAY * QUARTER_MS
Meter = tuple[str, list[StoredSeries]]
Row = tuple[int, int, str | None, str, int, bool]
COPY = "COPY reading_values FROM STDIN"
INSERT = "INSERT INTO reading_values VALUES (?, ?, ?, ?, ?, ?)"


@dataclass(frozen=True, slots=True)
class _Kind:
    name: str
    meters: int
    types: int
    values: int
    again: bool = False

    @property
    def count(self) -> int:
        return self.meters * self.types * self.values


async def measure(setting: Setting, tell: Report) -> Found:
    """Both stores, each with files or schemas of their own that are gone at the end."""
    assert setting.store is not None
    kinds = _kinds(10 if setting.small else 300)
    with tempfile.TemporaryDirectory(prefix="ami-bench-") as name:
        rows = await _beside_bare("SQLite", Path(name, "ours.sqlite"), Path(name, "bare.sqlite"), kinds, setting, tell)
    with empty_schema(setting.store) as ours, empty_schema(setting.store) as bare:
        rows += await _beside_bare("PostgreSQL", ours, bare, kinds, setting, tell)
        notes = (version(ours),)
    return Found(WORDS, (Table(COLUMNS, tuple(rows)),), notes)


def _kinds(meters: int) -> list[_Kind]:
    return [
        _Kind("days", meters, 2, DAY),
        _Kind("registers", 10 * meters, 4, 1),
        _Kind("days again", meters, 2, DAY, again=True),
    ]


async def _beside_bare(
    store: str, ours: Place, bare: Place, kinds: Sequence[_Kind], setting: Setting, tell: Report
) -> list[tuple[str, str, int, int, int, float]]:
    ready_store(bare, SCHEMA)
    found = []
    async with Database(ours) as database, Database(bare) as other:
        readings = SqlReadings(database)
        await readings.keep("warm", _series(_Kind("", 1, 1, 1), 0))  # the tables of the months are made by it
        await SqlReadings(other).keep("warm", _series(_Kind("", 1, 1, 1), 0))
        for kind in kinds:
            taken = []
            for run in range(setting.runs + 1):
                tell(f"{store}: {kind.name}, run {run} of {setting.runs}")
                meters = _meters(kind, run)
                await _keep(readings, meters if kind.again else _meters(replace(kind, values=1), run, YESTERDAY))
                first = 10**7 * (1 + kinds.index(kind)) + kind.meters * kind.types * run
                taken.append(
                    (
                        await _timed(_keep(readings, meters)),
                        await _timed(other.transaction(_writer(bare, meters, first))),
                    )
                )
            counted = taken[1:]
            mine, others = (kind.count / statistics.median(column) for column in zip(*counted, strict=True))
            ratio = statistics.median(other_s / mine_s for mine_s, other_s in counted)
            found.append((store, kind.name, kind.count, round(mine), round(others), ratio))
    return found


async def _timed(work: Awaitable[object]) -> float:
    began = perf_counter()
    await work
    return perf_counter() - began


async def _keep(readings: SqlReadings, meters: Sequence[Meter]) -> None:
    """As the sessions of many meters that end together."""
    async with asyncio.TaskGroup() as group:
        for mrid, series in meters:
            group.create_task(readings.keep(mrid, series, last=mrid == meters[-1][0]))


def _meters(kind: _Kind, run: int, before_ms: int = 0) -> list[Meter]:
    return [(f"{kind.name}-{run}-{number}", _series(kind, number, before_ms)) for number in range(kind.meters)]


def _series(kind: _Kind, meter: int, before_ms: int = 0) -> list[StoredSeries]:
    now = int(datetime.now(UTC).timestamp() * 1000) // QUARTER_MS * QUARTER_MS - before_ms
    count = kind.values
    return [
        StoredSeries(
            reading_type=f"0.0.2.1.{number + 1}.1.12.0.0.0.0.0.0.0.0.0.72.0",
            times=range(now - (count - 1) * QUARTER_MS, now + 1, QUARTER_MS),
            values=[f"{1000 * meter + row}.{row:03}" for row in range(count)],
            qualities=("1.0.0",) * count,
            received=(now,) * count,
            by_meter=(True,) * count,
        )
        for number in range(kind.types)
    ]


def _writer(bare: Place, meters: Sequence[Meter], first: int) -> Callable[[Connection], None]:
    series = enumerate(chain.from_iterable(one for _, one in meters))
    rows = [
        row
        for number, one in series
        for row in zip(repeat(first + number), one.times, one.values, one.qualities, one.received, one.by_meter)
    ]
    if isinstance(bare, Path):
        return lambda connection: _execute(connection, rows)
    octets = "".join(
        "\t".join((str(a), str(b), str(c), d, str(e), "t" if f else "f")) + "\n" for a, b, c, d, e, f in rows
    )
    return lambda connection: _copy(connection, octets.encode())


def _execute(connection: Connection, rows: Sequence[Row]) -> None:
    connection.exec_driver_sql(INSERT, list(rows))


def _copy(connection: Connection, octets: bytes) -> None:
    driver = connection.connection.driver_connection
    assert driver is not None
    with driver.cursor() as cursor, cursor.copy(COPY) as copy:
        copy.write(octets)
