"""Load profile, clock and registers: real capture on the meter's clock, and selective access to what was captured."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from bench import CLOCK, EXPORT, IMPORT, PROFILE, RESIDENTIAL, START, Bench, attribute, method, setup

from ami_dlms import data
from ami_dlms.cosem.selection import CaptureObject, EntryDescriptor, RangeDescriptor, SelectiveAccess
from ami_dlms.data import Data
from ami_dlms.datetimes import CosemDateTime
from ami_dlms.enums import ActionResult, DataAccessResult
from ami_dlms.obis import Obis
from ami_packs.model import LoadTable, Model

BY_CLOCK = CaptureObject(8, Obis.parse("0-0:1.0.0"), 2)
BY_IMPORT = CaptureObject(3, Obis.parse("1-0:1.8.0"), 2)


def rows(value: Data) -> list[list[Any]]:
    """A buffer as moments and numbers."""
    out = []
    for row in value.value:  # type: ignore[attr-defined, union-attr]
        cells = [
            CosemDateTime.decode(c.value).to_datetime() if isinstance(c.value, bytes) else c.value for c in row.value
        ]
        out.append(cells)
    return out


def moments(value: Data) -> list[str]:
    return [f"{row[0]:%H:%M}" for row in rows(value)]


def octets(moment: datetime) -> Data:
    return data.octet_string(CosemDateTime.from_datetime(moment).encode())


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    one = Bench(tmp_path)
    one.start()
    return one


def test_every_quarter_of_an_hour_is_captured_at_its_own_moment(bench: Bench) -> None:
    before = bench.value(IMPORT)
    bench.later(hours=1)  # from 10:05 to 11:05, and nobody asked in between
    captured = rows(bench.read(PROFILE))
    assert [row[0] for row in captured] == [
        START.replace(minute=m, hour=h) for h, m in ((10, 15), (10, 30), (10, 45), (11, 0))
    ]
    energies = [row[2] for row in captured]
    assert before < energies[0] < energies[1] < energies[2] < energies[3] < bench.value(IMPORT)
    assert {row[3] for row in captured} == {bench.value(EXPORT)}
    assert {row[1] for row in captured} == {0}
    assert bench.value(PROFILE, 7) == 4


def test_reading_often_or_seldom_captures_the_same(tmp_path: Path) -> None:
    seldom, often = Bench(tmp_path / "a"), Bench(tmp_path / "b")
    for one in (seldom, often):
        one.directory.mkdir()
        one.start()
    for _ in range(120):
        often.later(minutes=1)
        often.value(IMPORT)
    seldom.later(hours=2)
    assert seldom.read(PROFILE) == often.read(PROFILE)


def test_what_the_profile_says_of_itself(bench: Bench) -> None:
    assert bench.value(PROFILE, 4) == 900
    assert (bench.value(PROFILE, 5), bench.value(PROFILE, 7), bench.value(PROFILE, 8)) == (1, 0, 3840)
    columns = [CaptureObject.decode(one) for one in bench.value(PROFILE, 3)]
    assert columns[0] == BY_CLOCK and columns[2] == BY_IMPORT and len(columns) == 4
    assert bench.value(PROFILE, 1) == Obis.parse("1-0:99.1.0")
    assert bench.read(PROFILE) == data.array()


def test_by_range_both_ends_belong_to_it(bench: Bench) -> None:
    bench.later(hours=2)
    selection = RangeDescriptor(
        BY_CLOCK, octets(START.replace(minute=30)), octets(START.replace(hour=11, minute=0))
    ).encode()
    assert moments(bench.read(PROFILE, 2, selection)) == ["10:30", "10:45", "11:00"]


def test_by_range_in_another_time_zone_and_with_chosen_columns(bench: Bench) -> None:
    bench.later(hours=2)
    start = CosemDateTime(2026, 3, 2, None, 11, 31, 0, None, -60, None)
    end = CosemDateTime(2026, 3, 2, None, 11, 0, 59, None, None, None)  # no deviation: the meter's own
    selection = RangeDescriptor(
        BY_CLOCK, data.date_time(start), data.octet_string(end.encode()), (BY_CLOCK, BY_IMPORT)
    ).encode()
    found = rows(bench.read(PROFILE, 2, selection))
    assert [len(row) for row in found] == [2, 2]
    assert [f"{row[0]:%H:%M}" for row in found] == ["10:45", "11:00"]


def test_by_range_of_a_register(bench: Bench) -> None:
    bench.later(hours=2)
    all_rows = rows(bench.read(PROFILE))
    lowest, highest = all_rows[2][2], all_rows[4][2]
    selection = RangeDescriptor(
        BY_IMPORT, data.double_long_unsigned(lowest), data.double_long_unsigned(highest)
    ).encode()
    assert rows(bench.read(PROFILE, 2, selection)) == all_rows[2:5]


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ((1, 0), ["10:15", "10:30", "10:45", "11:00"]),
        ((2, 3), ["10:30", "10:45"]),
        ((4, 4), ["11:00"]),
        ((3, 99), ["10:45", "11:00"]),
        ((5, 9), []),
        ((3, 2), []),
    ],
)
def test_by_entry(bench: Bench, entries: tuple[int, int], expected: list[str]) -> None:
    bench.later(hours=1)
    assert moments(bench.read(PROFILE, 2, EntryDescriptor(*entries).encode())) == expected


def test_by_entry_with_columns(bench: Bench) -> None:
    bench.later(hours=1)
    value = bench.read(PROFILE, 2, EntryDescriptor(1, 1, 2, 3).encode())
    (row,) = rows(value)
    assert row == rows(bench.read(PROFILE))[0][1:3]


def test_selections_that_make_no_sense_are_refused(bench: Bench) -> None:
    bench.later(hours=1)
    wrong: list[tuple[SelectiveAccess, DataAccessResult]] = [
        (SelectiveAccess(3, data.null()), DataAccessResult.SCOPE_OF_ACCESS_VIOLATED),
        (SelectiveAccess(1, data.null()), DataAccessResult.TYPE_UNMATCHED),
        (SelectiveAccess(2, data.array()), DataAccessResult.TYPE_UNMATCHED),
        (EntryDescriptor(0, 1).encode(), DataAccessResult.SCOPE_OF_ACCESS_VIOLATED),
        (EntryDescriptor(1, 1, 0, 1).encode(), DataAccessResult.SCOPE_OF_ACCESS_VIOLATED),
        (RangeDescriptor(BY_CLOCK, data.null(), data.null()).encode(), DataAccessResult.TYPE_UNMATCHED),
        (
            RangeDescriptor(BY_CLOCK, data.octet_string(b"noon"), octets(START)).encode(),
            DataAccessResult.TYPE_UNMATCHED,
        ),
        (RangeDescriptor(BY_IMPORT, data.boolean(True), data.boolean(True)).encode(), DataAccessResult.TYPE_UNMATCHED),
        (
            RangeDescriptor(CaptureObject(3, Obis.parse("1-0:9.9.9"), 2), data.null(), data.null()).encode(),
            DataAccessResult.SCOPE_OF_ACCESS_VIOLATED,
        ),
    ]
    for selection, expected in wrong:
        assert bench.refusal(PROFILE, 2, selection) is expected
    assert bench.refusal(PROFILE, 7, EntryDescriptor(1).encode()) is DataAccessResult.SCOPE_OF_ACCESS_VIOLATED
    assert bench.refusal(IMPORT, 2, EntryDescriptor(1).encode()) is DataAccessResult.SCOPE_OF_ACCESS_VIOLATED


def test_capture_and_reset(bench: Bench) -> None:
    assert bench.meter.act(method(PROFILE, 2), data.integer(0), bench.at).result is ActionResult.SUCCESS
    assert moments(bench.read(PROFILE)) == ["10:05"]
    assert bench.meter.act(method(PROFILE, 1), data.integer(0), bench.at).result is ActionResult.SUCCESS
    assert bench.value(PROFILE, 7) == 0
    assert bench.meter.act(method(PROFILE, 3), None, bench.at).result is ActionResult.OBJECT_UNAVAILABLE


def test_the_oldest_rows_go_first(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    objects = tuple(RESIDENTIAL.objects.values())
    small = [one if one.capture_period == 0 else replace(one, profile_entries=3) for one in objects]
    bench.start(setup(model=Model(tuple(small), load=LoadTable((100,) * 24, (0,) * 24))))
    bench.later(hours=1)
    assert moments(bench.read(PROFILE)) == ["10:30", "10:45", "11:00"]
    for _ in range(30):
        bench.later(minutes=15)
        bench.value(PROFILE, 7)
    assert len(rows(bench.read(PROFILE))) == 3
    bench.store.bring_in(bench.store.begin_bringing_in())
    bench.store.end_bringing_in(True)
    with closing(sqlite3.connect(tmp_path / "meters.sqlite")) as store:
        (kept,) = store.execute("SELECT count(*) FROM history").fetchone()
    assert kept == 1, "that it was emptied at first: rows are computed and not kept"


def test_registers_have_scaler_and_unit(bench: Bench) -> None:
    scaler, unit = bench.value(IMPORT, 3)
    assert (scaler.value, unit.value) == (0, 30)
    assert bench.value(IMPORT) > 0


def test_the_clock_shows_its_deviation(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.start(setup(time_zone_minutes=-60))
    shown = CosemDateTime.decode(bench.value(CLOCK))
    assert (shown.hour, shown.minute, shown.deviation_minutes, shown.day_of_week) == (11, 5, -60, 1)
    assert shown.to_datetime() == START
    assert bench.value(CLOCK, 3) == -60
    assert bench.value(CLOCK, 8) is False
    assert (bench.value(CLOCK, 4), bench.value(CLOCK, 7), bench.value(CLOCK, 9)) == (0, 0, 1)
    assert bench.value(CLOCK, 5) == bench.value(CLOCK, 6) == CosemDateTime().encode()


def test_a_clock_set_forward_leaves_a_gap_and_a_mark(bench: Bench) -> None:
    bench.later(minutes=12)
    bench.value(CLOCK)
    assert (
        bench.meter.set(attribute(CLOCK, 2), octets(START + timedelta(hours=1)), bench.at) is DataAccessResult.SUCCESS
    )
    bench.later(minutes=31)
    assert moments(bench.read(PROFILE)) == ["10:15", "11:15", "11:30"]
    assert [row[1] for row in rows(bench.read(PROFILE))] == [0, 0x20, 0]


def test_a_clock_set_back_captures_the_same_moment_twice(bench: Bench) -> None:
    bench.later(minutes=30)
    assert bench.meter.set(attribute(CLOCK, 2), octets(START), bench.at) is DataAccessResult.SUCCESS
    bench.later(minutes=30)
    assert moments(bench.read(PROFILE)) == ["10:15", "10:30", "10:15", "10:30"]
    assert [row[1] for row in rows(bench.read(PROFILE))] == [0, 0, 0x20, 0]


def test_time_without_deviation_is_the_meters_own(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.start(setup(time_zone_minutes=-120))
    written = CosemDateTime(2026, 5, 1, None, 12, 0, 0, None, None, None)
    assert (
        bench.meter.set(attribute(CLOCK, 2), data.octet_string(written.encode()), bench.at) is DataAccessResult.SUCCESS
    )
    assert CosemDateTime.decode(bench.value(CLOCK)).to_datetime() == datetime(2026, 5, 1, 10, tzinfo=UTC)


@pytest.mark.parametrize(
    "value",
    [data.octet_string(b"noon"), data.null(), data.octet_string(CosemDateTime().encode()), data.unsigned(1)],
)
def test_a_time_that_is_no_moment_is_refused(bench: Bench, value: Data) -> None:
    assert bench.meter.set(attribute(CLOCK, 2), value, bench.at) is DataAccessResult.TYPE_UNMATCHED
    assert CosemDateTime.decode(bench.value(CLOCK)).to_datetime() == START


@pytest.mark.parametrize("year", [1999, 2100, 9999])
def test_a_year_that_the_clock_can_not_show_is_refused(bench: Bench, year: int) -> None:
    value = data.octet_string(CosemDateTime(year, 12, 31, None, 23, 59, 59, None, 0, 0).encode())
    assert bench.meter.set(attribute(CLOCK, 2), value, bench.at) is DataAccessResult.OTHER_REASON
    assert CosemDateTime.decode(bench.value(CLOCK)).to_datetime() == START


def test_time_zone_can_be_written_and_moves_no_moment(bench: Bench) -> None:
    assert bench.meter.set(attribute(CLOCK, 3), data.long(-60), bench.at) is DataAccessResult.SUCCESS
    shown = CosemDateTime.decode(bench.value(CLOCK))
    assert (shown.hour, shown.deviation_minutes, shown.to_datetime()) == (11, -60, START)
    assert bench.meter.set(attribute(CLOCK, 3), data.long(721), bench.at) is DataAccessResult.TYPE_UNMATCHED
    assert bench.meter.set(attribute(CLOCK, 4), data.unsigned(0), bench.at) is DataAccessResult.READ_WRITE_DENIED


@pytest.mark.parametrize(
    ("start", "number", "parameter", "expected"),
    [
        ("10:07:29", 1, data.integer(0), "10:00:00"),
        ("10:07:31", 1, data.integer(0), "10:15:00"),
        ("10:22:29", 2, data.integer(0), "10:15:00"),
        ("10:07:29", 3, data.integer(0), "10:07:00"),
        ("10:07:31", 3, data.integer(0), "10:08:00"),
        ("10:07:30", 6, data.long(-90), "10:06:00"),
        ("10:07:30", 6, data.long(900), "10:22:30"),
    ],
)
def test_adjusting_methods(tmp_path: Path, start: str, number: int, parameter: Data, expected: str) -> None:
    at = datetime.fromisoformat(f"2026-03-02T{start}+00:00")
    bench = Bench(tmp_path, at)
    bench.start()
    assert bench.meter.act(method(CLOCK, number), parameter, at).result is ActionResult.SUCCESS
    assert f"{CosemDateTime.decode(bench.value(CLOCK)).to_datetime():%H:%M:%S}" == expected


def test_preset_time(bench: Bench) -> None:
    preset = method(CLOCK, 5)
    hour = timedelta(hours=1)
    window = data.structure(octets(START + 2 * hour), octets(START + hour), octets(START + 3 * hour))
    assert bench.meter.act(method(CLOCK, 4), data.integer(0), bench.at).result is ActionResult.TEMPORARY_FAILURE
    assert bench.meter.act(preset, window, bench.at).result is ActionResult.SUCCESS
    assert bench.meter.act(method(CLOCK, 4), data.integer(0), bench.at).result is ActionResult.TEMPORARY_FAILURE, (
        "too early"
    )
    bench.later(minutes=61)
    assert bench.meter.act(method(CLOCK, 4), data.integer(0), bench.at).result is ActionResult.SUCCESS
    assert CosemDateTime.decode(bench.value(CLOCK)).to_datetime() == START + 2 * hour


@pytest.mark.parametrize(
    ("number", "parameter"), [(6, data.long(901)), (6, data.integer(1)), (5, data.null()), (5, data.structure())]
)
def test_adjusting_nonsense_is_refused(bench: Bench, number: int, parameter: Data) -> None:
    assert bench.meter.act(method(CLOCK, number), parameter, bench.at).result is ActionResult.TYPE_UNMATCHED
    assert bench.meter.act(method(CLOCK, 7), None, bench.at).result is ActionResult.OBJECT_UNAVAILABLE
    assert CosemDateTime.decode(bench.value(CLOCK)).to_datetime() == START


def test_a_machine_clock_that_goes_back_counts_nothing_twice(bench: Bench) -> None:
    bench.later(hours=1)
    before = bench.value(IMPORT)
    bench.later(minutes=-40)
    assert bench.value(IMPORT) == before
    bench.later(minutes=39)
    assert (bench.value(IMPORT), bench.value(PROFILE, 7)) == (before, 4)
    bench.later(minutes=20)
    assert bench.value(IMPORT) > before and bench.value(PROFILE, 7) == 5
