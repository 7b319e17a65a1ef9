"""The contract of the store of readings, on each kind of store: exact, idempotent, by meter, reading type and time."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import closing
from itertools import repeat
from pathlib import Path
from time import perf_counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sizes import examples

from ami_hes.store import Database, Extract, SqlReadings, StoredSeries
from ami_process.store.places import Place

IMPORT, EXPORT, VOLTAGE = (
    "0.0.2.1.1.1.12.0.0.0.0.0.0.0.0.0.72.0",
    "0.0.2.1.19.1.12.0.0.0.0.0.0.0.0.0.72.0",
    "0.0.0.12.0.1.54.0.0.0.0.0.0.0.129.0.29.0",
)
EVER = 2**62
Value = tuple[int, str | None, str, int, bool]


def series(reading_type: str, *values: Value) -> StoredSeries:
    columns: Sequence[Sequence[object]] = list(zip(*values, strict=True)) or [()] * 5
    names = ("times", "values", "qualities", "received", "by_meter")
    return StoredSeries(reading_type=reading_type, **dict(zip(names, columns, strict=True)))  # type: ignore[arg-type]


def rows(one: StoredSeries) -> list[Value]:
    return list(zip(one.times, one.values, one.qualities, one.received, one.by_meter, strict=True))


async def kept(readings: SqlReadings, mrid: str = "m-1") -> dict[str, list[Value]]:
    found = await readings.find(mrid, [IMPORT, EXPORT, VOLTAGE], after=-1, until=EVER)
    return {one.reading_type: rows(one) for one in found}


@pytest.fixture
async def readings(place: Place) -> AsyncIterator[SqlReadings]:
    async with Database(place) as database:
        yield SqlReadings(database)


async def test_what_is_kept_is_there_as_it_was_given(readings: SqlReadings) -> None:
    exact = "123456789012345678901234567890.000100"
    given_values = [(900_000, exact, "1.0.0 1.4.16", 5, True), (1_800_000, None, "2.5.259", 5, True)]
    await readings.keep("m-1", [series(IMPORT, *given_values), series(VOLTAGE, (7, "230.1", "", 7, False))])
    await readings.keep("m-2", [series(IMPORT, (900_000, "1", "1.0.0", 5, True))])
    assert await kept(readings) == {IMPORT: given_values, VOLTAGE: [(7, "230.1", "", 7, False)]}
    (part,) = await readings.find("m-1", [IMPORT], after=900_000, until=1_800_000)
    assert rows(part) == given_values[1:], "the one moment is left out, the other is not"
    assert await readings.find("m-3", [IMPORT], after=-1, until=EVER) == []


async def test_a_day_is_kept_alike_whether_or_not_its_rows_have_all_in_common(readings: SqlReadings) -> None:
    for mrid, odd in (("m-1", None), ("m-2", (2, "2.5.259")), ("m-3", (3, 4)), ("m-4", (4, False))):
        given_values: list[list[object]] = [
            [2**41 + 900_000 * at, str(at) if at % 50 else None, "1.0.0", 2**41, True] for at in range(135)
        ]
        if odd is not None:
            column, value = odd
            given_values[77][column] = value
        day: list[Value] = list(map(tuple, given_values))  # type: ignore[arg-type]
        await readings.keep(mrid, [series(IMPORT, *day), series(EXPORT, *day[:8])])
        await readings.keep(mrid, [series(IMPORT, *day[:9])])
        assert await kept(readings, mrid) == {IMPORT: day, EXPORT: day[:8]}


@pytest.mark.parametrize(
    ("first", "second", "stays"),
    [
        ((1, "5", "1.0.0", 10, True), (1, "5", "1.0.0", 10, True), 0),
        ((1, "5", "1.0.0", 10, True), (1, "6", "1.0.0", 11, True), 1),
        ((1, "6", "1.0.0", 11, True), (1, "5", "1.0.0", 10, True), 0),
        ((1, None, "2.5.259", 10, True), (1, "5", "1.0.0", 11, True), 1),
        ((1, "5", "1.0.0", 10, True), (1, None, "2.5.259", 11, True), 0),
    ],
)
async def test_the_same_again_late_and_corrected(
    readings: SqlReadings, first: Value, second: Value, stays: int
) -> None:
    for one in (first, second, second, first):
        await readings.keep("m-1", [series(IMPORT, one)])
    assert await kept(readings) == {IMPORT: [(first, second)[stays]]}


@settings(max_examples=examples(20), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.lists(st.tuples(st.integers(0, 5), st.none() | st.sampled_from("ab"), st.integers(0, 3)), max_size=6),
        max_size=6,
    )
)
async def test_it_is_a_table_by_time(readings: SqlReadings, batches: list[list[tuple[int, str | None, int]]]) -> None:
    await readings.forget(EVER)
    expected: dict[int, tuple[str | None, int]] = {}
    for batch in batches:
        await readings.keep("m-1", [series(IMPORT, *((at, value, "", came, True) for at, value, came in batch))])
        for at, value, came in batch:
            before = expected.get(at)
            if before is None or (came >= before[1] and (value is not None or before[0] is None)):
                expected[at] = (value, came)
    found = (await kept(readings)).get(IMPORT, [])
    assert [(at, value, came) for at, value, _, came, _ in found] == [(at, *expected[at]) for at in sorted(expected)]


async def test_the_latest_values_and_what_is_forgotten(readings: SqlReadings) -> None:
    times = [at * 31 * 86_400_000 for at in range(11)]
    await readings.keep(
        "m-1", [series(IMPORT, *((at, str(at), "", 0, True) for at in times[:10]), (times[10], None, "", 0, True))]
    )
    await readings.keep("m-1", [series(VOLTAGE, (3, "230", "", 0, False))])
    last, fourth = times[9], times[4]
    assert [rows(one)[0][:2] for one in await readings.latest("m-1", [IMPORT], until=EVER)] == [(last, str(last))]
    assert [rows(one)[0][:2] for one in await readings.latest("m-1", [IMPORT], until=fourth)] == [(fourth, str(fourth))]
    assert {one.reading_type for one in await readings.latest("m-1", [], until=EVER)} == {IMPORT, VOLTAGE}
    await readings.forget(times[5])
    assert await kept(readings) == {
        IMPORT: [*((at, str(at), "", 0, True) for at in times[5:10]), (times[10], None, "", 0, True)]
    }


async def test_all_of_it_comes_in_parts_and_in_order(readings: SqlReadings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ami_hes.store.readings.AT_ONCE", 3)
    for mrid in ("m-2", "m-1"):
        await readings.keep(
            mrid, [series(code, *((at, "1", "", 0, True) for at in range(7))) for code in (VOLTAGE, IMPORT)]
        )
    parts = [part async for part in readings.everything(Extract(after=-1, until=5))]
    assert {len(part) for part in parts} == {3}
    found = [(one.mrid, one.reading_type, one.time) for part in parts for one in part]
    assert found == sorted(found) and len(found) == 2 * 2 * 6


async def test_a_third_of_the_rows_per_second_of_a_bare_executemany(tmp_path: Path) -> None:
    meters, types, rows_each = 8, 4, 500
    batch = [
        series(
            f"{number}.0.2.1.1.1.12.0.0.0.0.0.0.0.0.0.72.0",
            *((900_000 * at, str(10**6 + at), "1.0.0", 5, True) for at in range(rows_each)),
        )
        for number in range(types)
    ]
    async with Database(tmp_path / "hes.sqlite") as database:
        readings = SqlReadings(database)
        took_s = []
        for turn in range(3):
            began = perf_counter()
            for meter in range(meters):
                await readings.keep(f"m-{turn}-{meter}", batch)
            took_s.append(perf_counter() - began)
        schema = await database.transaction(
            lambda connection: connection.exec_driver_sql(
                "SELECT sql FROM sqlite_master WHERE name = 'reading_values'"
            ).scalar_one()
        )
    bare_s = []
    with closing(sqlite3.connect(tmp_path / "bare.sqlite")) as bare:
        bare.execute("PRAGMA journal_mode=WAL")
        bare.execute("PRAGMA synchronous=FULL")
        bare.execute(str(schema))
        for turn in range(3):
            began = perf_counter()
            for meter in range(meters):
                numbers = range(1000 * turn + types * meter, 1000 * turn + types * (meter + 1))
                for number, one in zip(numbers, batch, strict=True):
                    bare.executemany(
                        "INSERT INTO reading_values VALUES (?, ?, ?, ?, ?, ?)",
                        zip(repeat(number), *zip(*rows(one), strict=True)),
                    )
                bare.commit()
            bare_s.append(perf_counter() - began)
    assert min(took_s) <= 3 * min(bare_s), (took_s, bare_s)
