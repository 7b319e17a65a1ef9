"""Parquet of the store of readings: exact decimals, what is no decimal beside them as text, row groups of bounded size."""

from __future__ import annotations

import asyncio
import io
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from north_bench import North, mrid, north

from ami_hes.__main__ import main
from ami_hes.store import Database, Extract, SqlReadings, StoredSeries, parquet_parts
from ami_hes.store.readings_parquet import exact

SERIES = StoredSeries(
    reading_type="0.0.2.1.1.1.12.0.0.0.0.0.0.0.0.0.72.0",
    times=(900_000, 1_800_000, 2_700_000, 3_600_000),
    values=("-4711.10", None, "2026-03-01T12:00:00Z", "0.0000000000001"),
    qualities=("1.0.0 1.4.16", "2.5.259", "", ""),
    received=(5, 6, 7, 8),
    by_meter=(True, True, False, True),
)
LARGEST = "9" * 26 + "." + "9" * 12


def read_back(octets: bytes) -> Any:
    from pyarrow import parquet

    return parquet.ParquetFile(io.BytesIO(octets))


async def kept(directory: Path, series: StoredSeries, meters: int = 1) -> None:
    async with Database(directory / "hes.sqlite") as database:
        for number in range(1, meters + 1):
            await SqlReadings(database).keep(mrid(number), [series])


async def hes(running: North, *arguments: str) -> int:
    return await asyncio.to_thread(main, ["readings", "export", *arguments, "--url", running.url])


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", Decimal(0)),
        ("-4711.10", Decimal("-4711.10")),
        (LARGEST, Decimal(LARGEST)),
        ("1" + "0" * 26, None),
        ("0.0000000000001", None),
        ("NaN", None),
        ("Infinity", None),
        ("2026-03-01T12:00:00Z", None),
        ("=1+1", None),
        ("", None),
        ("0.10", Decimal("0.10")),
        *((text, None) for text in ("1_000", " 7", "7\n", "+7", "1E3", ".5", "5.", "007", "-0", "-0.00", "\u0663")),
    ],
)
def test_a_decimal_is_exact_or_it_is_none(text: str, value: Decimal | None) -> None:
    assert exact(text) == value


@pytest.mark.needs("pyarrow")
async def test_values_are_exact_decimals_and_what_is_none_is_text(tmp_path: Path) -> None:
    await kept(tmp_path, SERIES)
    file = tmp_path / "readings.parquet"
    async with north(tmp_path, keep_readings_days=36_500) as running:
        assert await hes(running, str(file), "--parquet") == 0
        answer = await running.client.get(f"{running.url}/api/v1/readings?format=parquet&meter=M1")
        assert answer.headers["content-type"] == "application/vnd.apache.parquet"
        assert read_back(answer.content).metadata.num_rows == 4
        assert (await running.client.get(f"{running.url}/api/v1/readings?format=xml")).status_code == 422
    rows = read_back(file.read_bytes()).read().to_pylist()
    assert [(row["value"], row["value_text"]) for row in rows] == [
        (Decimal("-4711.100000000000"), None),
        (None, None),
        (None, "2026-03-01T12:00:00Z"),
        (None, "0.0000000000001"),
    ]
    assert [row["time"] for row in rows] == [datetime.fromtimestamp(at / 1000, UTC) for at in SERIES.times]
    assert {(row["mrid"], row["reading_type"]) for row in rows} == {(mrid(1), SERIES.reading_type)}
    assert [(row["qualities"], row["time_of"]) for row in rows] == [
        ("1.0.0 1.4.16", "meter"),
        ("2.5.259", "meter"),
        ("", "head-end"),
        ("", "meter"),
    ]


@pytest.mark.needs("pyarrow")
async def test_row_groups_are_of_bounded_size_and_none_waits_for_the_next(tmp_path: Path) -> None:
    count = 25_000
    many = replace(
        SERIES,
        times=[1_000 * number for number in range(1, count + 1)],
        values=[f"{number}.{number:05d}" for number in range(1, count + 1)],
        qualities=["1.0.0"] * count,
        received=[1] * count,
        by_meter=[True] * count,
    )
    await kept(tmp_path, many, meters=2)
    parts = []
    async with Database(tmp_path / "hes.sqlite") as database:
        async for octets, rows in parquet_parts(SqlReadings(database), Extract(), rows_of_a_group=20_000):
            parts.append((len(octets), rows))
            if len(parts) == 1:
                assert len(octets) > 10_000, "it is handed out when it is written"
    assert sum(rows for _, rows in parts) == 2 * count
    assert max(rows for _, rows in parts) < 20_000 + 10_000


@pytest.mark.needs("pyarrow")
async def test_nothing_kept_is_a_file_without_rows(tmp_path: Path) -> None:
    async with Database(tmp_path / "hes.sqlite") as database:
        parts = [octets async for octets, _ in parquet_parts(SqlReadings(database), Extract())]
    assert read_back(b"".join(parts)).metadata.num_rows == 0


async def test_without_the_extra_it_is_said_what_to_install(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ami_hes.api.readings.parquet_is_possible", lambda: False)
    file = tmp_path / "readings.parquet"
    async with north(tmp_path, keep_readings_days=36_500) as running:
        assert await hes(running, str(file), "--parquet") == 2
        assert "install the extra ami-hes[parquet]" in capsys.readouterr().err and not file.exists()
        assert await hes(running, str(file)) == 0, "CSV needs nothing"
