"""The store: everything that was committed is there after the process has died, at whatever point it was brought into SQLite."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from alembic.script import ScriptDirectory
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sizes import examples

from ami_meter_sim.population.columns import COLUMNS, KNOWN, NAMES, WITHOUT_POWER, Columns
from ami_meter_sim.population.journal import Happened, StateUnusable
from ami_meter_sim.population.row import Row, row_in_memory
from ami_meter_sim.population.store import FILE, MOST_OF_A_RANGE, Store, WantedMeters
from ami_meter_sim.population.tables import SCHEMA
from ami_process.store.migration import upgrade
from ami_process.store.schema import stamp
from ami_process.store.sqlite import sqlite_engine

ONE, LOG, OTHER = [WantedMeters("M1001")], bytes(6), bytes((0, 0, 99, 98, 0, 255))
KEY = (1, OTHER, 2)


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[list[Store]]:
    """What is in it is closed at the end."""
    stores: list[Store] = []
    yield stores
    for store in stores:
        store.abandon()


def open_in(stores: list[Store], directory: Path, wanted: list[WantedMeters] = ONE) -> Store:
    """The store after those before have died."""
    while stores:
        stores.pop().abandon()
    stores.append(Store.open(directory, wanted))
    return stores[0]


def test_a_store_without_meters_can_be_written_too(tmp_path: Path, opened: list[Store]) -> None:
    """As of a simulator whose configuration has no meter so far: it has nothing to note its last moment by."""
    store = open_in(opened, tmp_path, [])
    store.alive_at = 1
    store.bring_in(store.begin_bringing_in())


def brought_in(store: Store) -> None:
    store.bring_in(store.begin_bringing_in())
    store.end_bringing_in(True)


def record(number: int, at: int = 0, kind: int = 1, source: bytes = LOG) -> Happened:
    return Happened(0, kind, 0, at, source, number, b"")


def numbers(store: Store, **more: object) -> list[int]:
    return [one.number for one in store.records(0, 1, **more)]  # type: ignore[arg-type]


EXACT = {
    used + two: reserved + two
    for used, reserved in (("send_next", "send_reserved"), ("receive_lowest", "receive_reserved"))
    for two in ("", "_2")
}
STEPS = st.lists(
    st.tuples(st.just("set"), st.sampled_from(sorted(NAMES.values())), st.integers(0, 200))
    | st.tuples(st.just("keep"), st.integers(1, 3), st.none() | st.binary(max_size=5))
    | st.tuples(st.just("happen"), st.integers(0, 5), st.integers(0, 9))
    | st.sampled_from([("bring in",), ("fail",), ("die",), ("end",)]),
    max_size=12,
)


@given(steps=STEPS)
@settings(max_examples=examples(40), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_was_committed_is_there(steps: list[tuple[object, ...]], tmp_path_factory: pytest.TempPathFactory) -> None:
    directory, stores = tmp_path_factory.mktemp("store"), []
    store = open_in(stores, directory)
    cells: dict[str, int] = {}
    kept: dict[int, bytes] = {}
    happened: list[tuple[int, int, int]] = []
    for step in steps:
        match step:
            case "set", str(name), int(value):
                setattr(store.row(0), name, value)
                cells[name] = value
            case "keep", int(attribute), content:
                store.keep(0, (1, OTHER, attribute), content)
                kept.pop(attribute, None)
                kept |= {} if content is None else {attribute: content}
            case "happen", int(at), int(number):
                happened.append((at, store.happened(0, record(number, at)), number))
                cells["last_record"] = store.row(0).last_record
            case ("bring in",):
                brought_in(store)
            case ("fail",):
                store.begin_bringing_in()
                store.end_bringing_in(False)
            case ("die",):
                store.journal.write()
                store = open_in(stores, directory)
            case ("end",):
                # a clean end gives back what was reserved and not used
                for used, reserved in EXACT.items():
                    if cells.keys() & {used, reserved}:
                        cells[reserved] = getattr(store.row(0), used)
                stores.pop().close()
                assert not list(directory.glob("*.journal"))
                store = open_in(stores, directory)
        if "last_record" in cells and step[0] == "set" and step[1] == "last_record":
            happened = []  # a history that was renumbered by hand says nothing
            break
        assert {name: getattr(store.row(0), name) for name in cells} == cells
        assert store.kept.get(0, {}) == {(1, OTHER, attribute): content for attribute, content in kept.items()}
        assert numbers(store) == [number for _, _, number in sorted(happened)]
    stores[0].abandon()


def test_records_are_narrowed_by_time_and_source_before_and_after_sqlite(tmp_path: Path, opened: list[Store]) -> None:
    store = open_in(opened, tmp_path)
    for at, source in ((30, LOG), (10, OTHER), (20, LOG)):
        store.happened(0, record(at, at, source=source))
    store.happened(0, record(99, kind=2))
    for _ in range(2):
        assert numbers(store) == [10, 20, 30]
        assert numbers(store, since=10, until=30) == [10, 20]
        assert numbers(store, source=LOG) == [20, 30]
        brought_in(store)
    store.forget(0, 1, LOG, 1)
    assert numbers(store) == [10, 20]
    store.journal.write()
    assert numbers(open_in(opened, tmp_path)) == [10, 20]


def test_a_read_while_sqlite_is_written_misses_nothing(tmp_path: Path, opened: list[Store]) -> None:
    store = open_in(opened, tmp_path)
    store.happened(0, record(1))
    ends = store.begin_bringing_in()
    store.happened(0, record(2))
    assert numbers(store) == [1, 2]
    store.bring_in(ends)
    assert numbers(store) == [1, 2]
    store.end_bringing_in(True)
    assert numbers(store) == [1, 2]


def test_meters_keep_their_numbers_whoever_else_there_is(tmp_path: Path, opened: list[Store]) -> None:
    north = WantedMeters("north/1", 1_000, population=True)
    store = open_in(opened, tmp_path, [WantedMeters("M1001"), WantedMeters("M1002"), north])
    store.row(1).event_code, store.row(2 + 999).event_code = 7, 9
    store.journal.write()
    store = open_in(
        opened, tmp_path, [WantedMeters("north/1", 2_000, population=True), WantedMeters("M9"), WantedMeters("M1002")]
    )
    assert store.row(2_001).event_code == 7 and store.row(999).event_code == 9
    assert store.columns["event_code"].sum() == 16
    assert [one.number for one in store.ranges.values()] == [MOST_OF_A_RANGE, 2, 1]


def test_meters_in_operation_were_so_until_their_process_was_last_seen(tmp_path: Path, opened: list[Store]) -> None:
    both = [WantedMeters("M1001"), WantedMeters("M1002"), WantedMeters("M1003")]
    store = open_in(opened, tmp_path, both)
    for index, flags in enumerate((KNOWN, KNOWN | WITHOUT_POWER, 0)):
        store.row(index).flags, store.row(index).captured_until = flags, 100
    store.alive_at = 5_000
    brought_in(store)
    store = open_in(opened, tmp_path, both)
    assert list(store.columns["captured_until"]) == [5_000, 100, 100]


def test_two_processes_share_a_folder_and_no_meter(tmp_path: Path, opened: list[Store]) -> None:
    first, second = Store.open(tmp_path, [WantedMeters("M1001")]), Store.open(tmp_path, [WantedMeters("M1002")])
    opened += [first, second]
    first.row(0).event_code, second.row(0).event_code = 1, 2
    for store in (first, second):
        store.journal.write()
        brought_in(store)
    both = open_in(opened, tmp_path, [WantedMeters("M1001"), WantedMeters("M1002")])
    assert list(both.columns["event_code"]) == [1, 2]


def test_a_store_of_a_newer_version_is_refused_with_both_versions(tmp_path: Path) -> None:
    Store.open(tmp_path, ONE).close()
    with closing(sqlite3.connect(tmp_path / FILE)) as store, store:
        store.execute("UPDATE alembic_version SET version_num = '0099'")
    with pytest.raises(StateUnusable, match=r"meters\.sqlite.* schema 0099.* 0001 to 0002") as refused:
        Store.open(tmp_path, ONE)
    assert str(refused.value).count(FILE) == 1


@pytest.mark.parametrize("content", [b"no database at all, whatever its name says" * 30])
def test_a_file_that_is_no_store_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE).write_bytes(content)
    with pytest.raises(StateUnusable, match=r"meters\.sqlite can't be used"):
        Store.open(tmp_path, ONE)


def test_rows_of_the_first_version_keep_what_is_still_used(tmp_path: Path, opened: list[Store]) -> None:
    migrations = SCHEMA.migrations
    engine = sqlite_engine(tmp_path / FILE)
    with engine.begin() as connection:
        upgrade(connection, ScriptDirectory(migrations, version_locations=[str(migrations)]), "0001")
        stamp(connection, "0001")
        connection.exec_driver_sql("INSERT INTO ranges VALUES ('M1001', 0, 1, 0)")
        connection.exec_driver_sql(
            "INSERT INTO rows (meter, send_reserved, anchor_day, event_code) VALUES (0, 7, 8, 9)"
        )
    engine.dispose()
    row = open_in(opened, tmp_path).row(0)
    assert (row.send_reserved, row.send_next, row.event_code) == (7, 7, 9)
    assert (row.receive_reserved, row.control_mode) == (1, 4), "what was never changed is as it begins"
    with closing(sqlite3.connect(tmp_path / FILE)) as store:
        assert {name for _, name, *_ in store.execute("PRAGMA table_info(rows)")} == {"meter", *NAMES.values()}


@pytest.mark.parametrize(("value", "name"), [(256, "event_code"), (-1, "captured_until"), ("many", "event_code")])
def test_a_row_that_is_none_of_a_meter_is_refused_by_name(tmp_path: Path, value: int | str, name: str) -> None:
    store = Store.open(tmp_path, ONE)
    store.row(0).event_code = 1
    store.close()
    with closing(sqlite3.connect(tmp_path / FILE)) as content, content:
        content.execute(f"UPDATE rows SET {name} = ?", (value,))
    with pytest.raises(StateUnusable, match=rf"{FILE}.*no {name}|{FILE}.*no number"):
        Store.open(tmp_path, ONE)


def test_a_journal_that_is_damaged_is_refused_by_name(tmp_path: Path) -> None:
    store = Store.open(tmp_path, ONE)
    for value in (1, 2):
        store.row(0).event_code = value
        store.journal.write()
    path = store.journal.segments[0].path
    store.abandon()
    octets = bytearray(path.read_bytes())
    octets[12] ^= 1
    path.write_bytes(octets)
    with pytest.raises(StateUnusable, match=rf"{path.name} is damaged"):
        Store.open(tmp_path, ONE)


def test_while_sqlite_takes_nothing_the_journal_is_bounded(tmp_path: Path, opened: list[Store]) -> None:
    store = open_in(opened, tmp_path)
    store.row(0).event_code = 1
    store.begin_bringing_in()
    store.journal.segments[0].end += 2**40
    store.end_bringing_in(False)
    with pytest.raises(StateUnusable, match="wait for"):
        store.row(0).event_code = 2
    assert store.row(0).event_code == 1
    store.journal.segments[0].end -= 2**40
    brought_in(store)
    store.row(0).event_code = 2


def test_old_records_go(tmp_path: Path, opened: list[Store], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ami_meter_sim.population.storing.MOST_RECORDS", 100)
    store = open_in(opened, tmp_path)
    for number in range(1, 1025):
        store.happened(0, record(number))
    brought_in(store)
    assert numbers(store) == list(range(925, 1025))


def test_a_row_has_every_column_and_none_too_much() -> None:
    row, properties = row_in_memory(), {name for name in vars(Row) if name in COLUMNS}
    assert properties == set(COLUMNS)
    assert len(set(NAMES)) == len(NAMES)
    for name, column in COLUMNS.items():
        assert getattr(row, name) == column.initial
    with pytest.raises(OverflowError):
        row.event_code = 256


def test_what_is_due_is_found_in_one_scan() -> None:
    columns = Columns(1_000)
    columns["next_due_at"][[3, 500, 999]] = 10, 20, 30
    assert list(columns.due(20)) == [3, 500]
    assert columns.first_due() == 10
    columns["next_due_at"][:] = 0
    assert columns.first_due() == 0 == Columns(0).first_due()


def test_a_row_is_small() -> None:
    columns = Columns(10_000)
    assert sum(array.nbytes for array in columns.arrays.values()) / 10_000 <= 200
