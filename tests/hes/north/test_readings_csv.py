"""The CSV of the store of readings: exact values, and no cell that a spreadsheet takes for a formula."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from pathlib import Path

from ami_hes.store import Database, SqlReadings, StoredSeries, write_csv

VALUES = StoredSeries(
    reading_type="0.0.2.1.1.1.12.0.0.0.0.0.0.0.0.0.72.0",
    times=(900_000, 1_800_000, 2_700_000),
    values=("-4711.10", None, "=1+1"),
    qualities=("1.0.0 1.4.16", "2.5.259", ""),
    received=(5, 6, 7),
    by_meter=(True, True, False),
)


async def test_a_text_that_is_a_formula_has_an_apostrophe_and_a_number_has_none(tmp_path: Path) -> None:
    file = io.StringIO()
    async with Database(tmp_path / "hes.sqlite") as database:
        readings = SqlReadings(database)
        await readings.keep('=HYPERLINK("http://127.0.0.1/")', [VALUES])
        await readings.keep(
            "a", [replace(VALUES, times=(1,), values=("1",), qualities=("",), received=(1,), by_meter=(True,))]
        )
        assert await write_csv(readings, file, after=0, until=2**62) == 4
    rows = list(csv.DictReader(io.StringIO(file.getvalue())))
    assert [(row["mrid"], row["value"]) for row in rows] == [
        ('\'=HYPERLINK("http://127.0.0.1/")', "-4711.10"),
        ('\'=HYPERLINK("http://127.0.0.1/")', ""),
        ('\'=HYPERLINK("http://127.0.0.1/")', "'=1+1"),
        ("a", "1"),
    ]
