"""Rows per second of the store of readings beside those of a bare executemany into the same table, on the same disk."""

import sqlite3
import statistics
import tempfile
from contextlib import closing
from itertools import repeat
from pathlib import Path
from time import perf_counter

from ami_cli.bench_readings.figures import Ratio
from ami_hes.store import Database, SqlReadings, StoredSeries

METERS, TYPES, ROWS = 50, 4, 96
TABLE = "SELECT sql FROM sqlite_master WHERE name = 'reading_values'"
INSERT = "INSERT INTO reading_values VALUES (?, ?, ?, ?, ?, ?)"


async def store_ratio(runs: int) -> Ratio:
    """In turns, a day of each meter at a time; the first turn warms up."""
    times: list[float] = []
    with tempfile.TemporaryDirectory(prefix="ami-bench-") as name:
        async with Database(Path(name) / "hes.sqlite") as database:
            schema = await database.transaction(lambda connection: connection.exec_driver_sql(TABLE).scalar_one())
            readings = SqlReadings(database)
            with closing(_bare(Path(name) / "bare.sqlite", str(schema))) as bare:
                for run in range(runs + 1):
                    began = perf_counter()
                    for meter in range(METERS):
                        await readings.keep(f"m-{run}-{meter}", _day())
                    kept = perf_counter()
                    for meter in range(METERS):
                        _insert(bare, run * METERS + meter)
                    times.append((kept - began) / (perf_counter() - kept))
    return Ratio("a value kept in the store", "a bare executemany into the same table", statistics.median(times[1:]))


def _day() -> list[StoredSeries]:
    """Of one meter."""
    return [
        StoredSeries(
            reading_type=f"{number}.0.2.1.1.1.12.0.0.0.0.0.0.0.0.0.72.0",
            times=range(900_000, 900_000 * (ROWS + 1), 900_000),
            values=[str(10**6 + row) for row in range(ROWS)],
            qualities=("1.0.0",) * ROWS,
            received=(5,) * ROWS,
            by_meter=(True,) * ROWS,
        )
        for number in range(TYPES)
    ]


def _bare(path: Path, schema: str) -> sqlite3.Connection:
    """As safe as the store is."""
    bare = sqlite3.connect(path)
    bare.execute("PRAGMA journal_mode=WAL")
    bare.execute("PRAGMA synchronous=FULL")
    bare.execute(schema)
    return bare


def _insert(bare: sqlite3.Connection, meter: int) -> None:
    for number, one in enumerate(_day()):
        columns = (one.times, one.values, one.qualities, one.received, one.by_meter)
        bare.executemany(INSERT, zip(repeat(TYPES * meter + number), *columns, strict=False))
    bare.commit()
