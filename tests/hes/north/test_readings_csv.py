"""The CSV of the store of readings: exact values, and no cell that a spreadsheet takes for a formula."""

from __future__ import annotations

import asyncio
import csv
import io
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from north_bench import North, mrid, north

from ami_hes.__main__ import main
from ami_hes.api.readings import _Answers
from ami_hes.store import Database, Extract, SqlReadings, StoredSeries, write_csv
from ami_process.http_connections import HttpLimits

VALUES = StoredSeries(
    reading_type="0.0.2.1.1.1.12.0.0.0.0.0.0.0.0.0.72.0",
    times=(900_000, 1_800_000, 2_700_000),
    values=("-4711.10", None, "=1+1"),
    qualities=("1.0.0 1.4.16", "2.5.259", ""),
    received=(5, 6, 7),
    by_meter=(True, True, False),
)


LEFT = "00000000-0000-4000-8000-0000000000ff"
"""A meter that has left the registry."""


def long(values: int) -> StoredSeries:
    numbers = range(1, values + 1)
    return replace(
        VALUES,
        times=[1_000 * number for number in numbers],
        values=list(map(str, numbers)),
        qualities=["1.0.0"] * values,
        received=[1] * values,
        by_meter=[True] * values,
    )


async def kept(directory: Path, readings: Mapping[str, StoredSeries]) -> None:
    async with Database(directory / "hes.sqlite") as database:
        for meter, series in readings.items():
            await SqlReadings(database).keep(meter, [series])


async def hes(running: North, *arguments: str) -> int:
    """The exit code of the command."""
    return await asyncio.to_thread(main, [*arguments, "--url", running.url])


async def test_a_text_that_is_a_formula_has_an_apostrophe_and_a_number_has_none(tmp_path: Path) -> None:
    file = io.StringIO()
    async with Database(tmp_path / "hes.sqlite") as database:
        readings = SqlReadings(database)
        await readings.keep('=HYPERLINK("http://127.0.0.1/")', [VALUES])
        await readings.keep(
            "a", [replace(VALUES, times=(1,), values=("1",), qualities=("",), received=(1,), by_meter=(True,))]
        )
        assert await write_csv(readings, file, Extract()) == 4
    rows = list(csv.DictReader(io.StringIO(file.getvalue())))
    assert [(row["mrid"], row["value"]) for row in rows] == [
        ('\'=HYPERLINK("http://127.0.0.1/")', "-4711.10"),
        ('\'=HYPERLINK("http://127.0.0.1/")', ""),
        ('\'=HYPERLINK("http://127.0.0.1/")', "'=1+1"),
        ("a", "1"),
    ]


async def test_readings_are_exported_while_the_head_end_works(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "readings.csv"
    await kept(tmp_path, {mrid(1): VALUES, LEFT: VALUES})
    async with north(tmp_path, keep_readings_days=36_500, time_zone="Europe/Berlin") as running:
        assert await hes(running, "readings", "export", str(file)) == 0
        assert capsys.readouterr().err.endswith(f"6 readings are in {file}\n")
        rows = list(csv.DictReader(file.read_text("utf-8").splitlines()))
        assert [(one["mrid"], one["time"]) for one in rows[:2]] == [
            (mrid(1), "1970-01-01T00:15:00Z"),
            (mrid(1), "1970-01-01T00:30:00Z"),
        ]
        assert {one["mrid"] for one in rows} == {mrid(1), LEFT} and len(rows) == 6
        for arguments, number in (
            (["--meter", "M1"], 3),
            (["--meter", mrid(1).upper(), "--meter", LEFT], 6),
            (["--meter", "M2"], 0),
            (["--type", VALUES.reading_type.replace(".0.72.0", ".3.72.0")], 6),
            (["--type", VALUES.reading_type.replace(".0.72.0", ".0.73.0")], 0),
            (["--meter", "M1", "--from", "1970-01-01T00:15Z"], 2),
            (["--meter", "M1", "--from", "1970-01-01T01:15", "--to", "1970-01-01T01:30"], 1),
        ):
            assert await hes(running, "readings", "export", "-", *arguments) == 0
            assert len(capsys.readouterr().out.splitlines()) == 1 + number, arguments
        assert await hes(running, "readings", "export", str(file)) == 2
        assert "File exists" in capsys.readouterr().err and len(file.read_text().splitlines()) == 7
        for arguments, words in (
            (["--meter", "M9"], "there is no meter with the name or mRID M9"),
            (["--type", "9.8"], "type: '9.8' is no ReadingType"),
            (["--from", "yesterday"], "from: 'yesterday' is no time"),
            (["--to", "2026-03-29T02:30"], "to: the clocks of Europe/Berlin never show"),
            (
                ["--from", "2026-03-02", "--to", "2026-03-01"],
                "to: 2026-03-01T00:00:00+01:00 is not after 2026-03-02T00",
            ),
        ):
            assert await hes(running, "readings", "export", str(tmp_path / "other.csv"), *arguments) == 2
            assert words in capsys.readouterr().err
        assert not (tmp_path / "other.csv").exists()


@pytest.mark.ci
async def test_a_large_export_is_all_of_it_and_two_are_written_at_once(tmp_path: Path) -> None:
    """Each of the first two is larger than what sockets hold, so it waits for who reads it."""
    many = 200_000
    await kept(tmp_path, {mrid(1): long(many)})
    async with north(tmp_path, keep_readings_days=36_500) as running:
        url = f"{running.url}/api/v1/readings"
        async with running.client.stream("GET", url) as first, running.client.stream("GET", url) as second:
            third = await running.client.get(url)
            assert third.status_code == 503 and "ask again later" in third.json()["error"]
            lines = [line async for line in first.aiter_lines()]
            assert len(lines) == 1 + many and len(set(lines)) == 1 + many
            assert second.status_code == 200
        async with running.client.stream("GET", url, params={"to": "1970-01-01T00:00:01Z"}) as again:
            assert again.status_code == 200, "one that was not read to its end is over too"


async def test_without_a_store_of_readings_there_is_nothing_to_export(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with north(tmp_path, keep_readings_days=0) as running:
        assert await hes(running, "readings", "export", "-") == 2
        assert "hes.keep_readings_days is 0" in capsys.readouterr().err
    assert await asyncio.to_thread(main, ["readings", "export", "-", "--url", running.url]) == 3


async def test_an_answer_that_breaks_off_leaves_no_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nmrid\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    file = tmp_path / "readings.csv"
    assert await asyncio.to_thread(main, ["readings", "export", str(file), "--url", url]) == 1
    server.close()
    assert "what has come is not all, and is not kept" in capsys.readouterr().err and not file.exists()


async def test_who_asks_for_all_and_reads_nothing_does_not_keep_others_from_asking(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended, end = asyncio.Queue[None](), _Answers._end

    def told(answers: _Answers) -> None:
        end(answers)
        ended.put_nowait(None)

    monkeypatch.setattr(_Answers, "_end", told)
    monkeypatch.setattr("ami_hes.configured.HttpLimits", partial(HttpLimits, unread_s=0.2))
    await kept(tmp_path, {mrid(1): long(200_000)})
    async with north(tmp_path, keep_readings_days=36_500) as running, AsyncExitStack() as stack:
        url = f"{running.url}/api/v1/readings"
        for _ in range(2):
            await stack.enter_async_context(running.client.stream("GET", url))
        for _ in range(2):
            await ended.get()
        assert (await running.client.get(f"{url}?to=1970-01-01T00:00:01Z")).status_code == 200
