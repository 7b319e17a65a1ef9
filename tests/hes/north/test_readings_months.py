"""Readings in the months of PostgreSQL: none fails for want of a table, and a month that is over goes with its table."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest
from postgresql_server import Cluster, rows
from sqlalchemy import Connection

from ami_hes.store import SCHEMA, Database, SqlReadings, StoredSeries, readings_copy
from ami_hes.store.readings_copy import COPY_FROM
from ami_process.store.errors import StoreUnavailable
from ami_process.store.holding import hold_store
from ami_process.store.opening import ready_store
from ami_process.store.postgresql import Server

pytestmark = pytest.mark.needs("postgresql")
CODE = "0.0.2.1.1.1.12.0.0.0.0.0.0.0.0.0.72.0"
EVER = 2**62
QUARTER = 900_000
TABLES = "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = 'reading_values'::regclass ORDER BY 1"


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1000


NOW = at("2026-11-20T12:00")


def series(*times: int, received: int = NOW, value: str = "1.50") -> StoredSeries:
    alike = len(times)
    return StoredSeries(
        reading_type=CODE,
        times=times,
        values=(value,) * alike,
        qualities=("1.0.0",) * alike,
        received=(received,) * alike,
        by_meter=(True,) * alike,
    )


def day(end: int, **more: int | str) -> StoredSeries:
    return series(*range(end - COPY_FROM * QUARTER, end, QUARTER), **more)  # type: ignore[arg-type]


@pytest.fixture
def server(postgresql: Cluster) -> Server:
    return postgresql.new_place()


@pytest.fixture
async def readings(server: Server) -> AsyncIterator[SqlReadings]:
    async with Database(server) as database:
        yield SqlReadings(database)


async def found(readings: SqlReadings, mrid: str = "m") -> list[tuple[int, str | None]]:
    return [
        (time, value)
        for one in await readings.find(mrid, [CODE], after=-1, until=EVER)
        for time, value in zip(one.times, one.values, strict=True)
    ]


def tables(server: Server) -> list[str]:
    return [str(name).removeprefix("reading_values_") for (name,) in rows(server, TABLES)]


@contextmanager
def somebody_reads(server: Server) -> Iterator[None]:
    """All tables, in a transaction that does not end, as pg_dump does."""
    engine = server.engine()
    with engine.connect() as connection:
        connection.exec_driver_sql("SELECT count(*) FROM reading_values")
        yield
    engine.dispose()


async def test_a_month_has_its_table_with_its_first_value_and_the_next_one_too(
    server: Server, readings: SqlReadings
) -> None:
    late, wrong = at("2026-08-31T23:45"), at("2099-01-01")
    await readings.keep("m", [series(late, NOW, wrong)])
    assert tables(server) == ["2026_08", "2026_11", "2026_12", "other"]
    assert rows(server, "SELECT time FROM reading_values_other") == [(wrong,)], "a clock that is wrong makes no tables"
    assert rows(server, "SELECT time FROM reading_values_2026_08") == [(late,)]
    await readings.keep("m", [series(late, received=NOW + 1, value="2")])
    assert await found(readings) == [(late, "2"), (NOW, "1.50"), (wrong, "1.50")]


async def test_while_somebody_reads_values_have_somewhere_to_go_and_move_later(
    server: Server, readings: SqlReadings
) -> None:
    with somebody_reads(server):
        await readings.keep("m", [day(NOW)])
        await readings.keep("m", [day(NOW)])
        assert tables(server) == ["other"] and len(await found(readings)) == COPY_FROM
    await readings.keep("m", [series(NOW, received=NOW + 1)])
    assert tables(server) == ["other"], "it is not tried for each value"
    await readings.keep("m", [series(NOW, received=NOW + 60_000)])
    assert tables(server) == ["2026_11", "2026_12", "other"]
    assert rows(server, "SELECT count(*) FROM reading_values_other") == [(0,)]
    assert len(await found(readings)) == COPY_FROM + 1


async def test_months_that_are_over_go_with_their_tables_unless_somebody_reads(
    server: Server, readings: SqlReadings
) -> None:
    old, older = at("2026-09-10"), at("2026-08-10")
    await readings.keep("m", [series(1, older, old, NOW)])
    with somebody_reads(server):
        await readings.forget(at("2026-09-20"))
        assert [time for time, _ in await found(readings)] == [older, old, NOW]
    await readings.forget(at("2026-09-20"))
    assert tables(server) == ["2026_09", "2026_11", "2026_12", "other"]
    assert [time for time, _ in await found(readings)] == [old, NOW], "a month stays whole until it is over"
    await readings.keep("m", [series(older)])
    assert "2026_08" in tables(server)


async def test_two_processes_that_want_the_same_month_both_keep_their_values(server: Server) -> None:
    ready_store(server, SCHEMA)
    with hold_store(server, SCHEMA, shared=True) as one, hold_store(server, SCHEMA, shared=True) as other:
        async with Database(one) as first, Database(other) as second, asyncio.TaskGroup() as group:
            for number in range(20):
                of = SqlReadings((first, second)[number % 2])
                end = at(f"{2020 + number // 4}-0{1 + number // 2 % 2 * 3}-15")
                group.create_task(of.keep(f"m-{number}", [day(end)]))
    assert rows(server, "SELECT count(*), count(DISTINCT series_id) FROM reading_values") == [(20 * COPY_FROM, 20)], (
        "who has waited too long for the other's lock leaves its values in the default partition, from which they move later"
    )


async def test_a_day_that_overlaps_what_is_there_is_merged_and_a_new_one_beside_it_copied(
    server: Server, readings: SqlReadings
) -> None:
    await readings.keep("m", [day(NOW, value="1")])
    later = NOW + 10 * QUARTER
    async with asyncio.TaskGroup() as group:
        for mrid in ("n", "m"):
            group.create_task(readings.keep(mrid, [day(later, received=NOW + 1, value="2")], last=mrid == "m"))
    values = [value for _, value in await found(readings)]
    assert values == ["1"] * 10 + ["2"] * COPY_FROM and len(await found(readings, "n")) == COPY_FROM


async def test_what_another_process_has_brought_meanwhile_is_merged_as_well(
    server: Server, readings: SqlReadings, monkeypatch: pytest.MonkeyPatch
) -> None:
    await readings.keep("m", [day(NOW, value="1")])
    monkeypatch.setattr(readings_copy, "_THERE", readings_copy.text("SELECT 0 WHERE :wanted = ''"))
    await readings.keep("m", [day(NOW + QUARTER, received=NOW + 1, value="2")])
    assert [value for _, value in await found(readings)] == ["1"] + ["2"] * COPY_FROM


async def test_a_connection_that_goes_amid_the_copy_leaves_nothing_and_is_made_again(
    postgresql: Cluster, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    with hold_store(server, SCHEMA) as mine:
        async with Database(mine) as database:
            readings = SqlReadings(database)
            await readings.keep("m", [series(NOW)])
            whole = readings_copy.copy_rows

            def cut(connection: Connection, *arguments: object) -> None:
                postgresql.cut(server)
                whole(connection, *arguments)  # type: ignore[arg-type]

            monkeypatch.setattr(readings_copy, "copy_rows", cut)
            with pytest.raises(StoreUnavailable):
                await readings.keep("m", [day(NOW)])
            monkeypatch.setattr(readings_copy, "copy_rows", whole)
            await readings.keep("m", [day(NOW)])
            assert len(await found(readings)) == COPY_FROM + 1
