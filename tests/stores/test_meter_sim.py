"""Stores of simulated meters: those of every schema are opened with all that is in them, and `meter-sim store` looks after them."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager, redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import NamedTuple

import pytest
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, inspect

from ami_meter_sim.__main__ import main
from ami_meter_sim.population.journal import SUFFIX, Happened
from ami_meter_sim.population.store import FILE, Store, WantedMeters
from ami_meter_sim.population.tables import SCHEMA
from ami_meter_sim.population.upkeep import COUNTERS_SKIPPED
from ami_process.store.migration import upgrade
from ami_process.store.schema import create

HERE = Path(__file__).parent
VERSIONS = ("0001", "0002")
WANTED = [WantedMeters("M1001"), WantedMeters("population/seed/1", 3, population=True)]
AT = 1_795_000_000
LOG, SWITCH = bytes((0, 0, 99, 98, 0, 255)), (70, bytes((0, 0, 96, 3, 10, 255)), 4)
RUNNING = """
import sys
from pathlib import Path
from ami_meter_sim.population.store import Store, WantedMeters
store = Store.open(Path(sys.argv[1]), [WantedMeters("M1001")])
print("runs", flush=True)
sys.stdin.read()
"""


class Done(NamedTuple):
    code: int
    out: str
    err: str


def run(directory: Path, command: str, *arguments: Path) -> Done:
    config = directory / "ami.toml"
    config.write_text(f'[meter_sim]\nstate = "{directory / "meters"}"\n')
    out, err = StringIO(), StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = main(["store", command, "--config", str(config), *map(str, arguments)])
    return Done(code, out.getvalue(), err.getvalue())


def folder(directory: Path, version: str = "0002") -> Path:
    """The state of meters, as a version has left it."""
    meters = directory / "meters"
    meters.mkdir()
    shutil.copyfile(HERE / f"meter-sim-{version}.sqlite", meters / FILE)
    return meters


@contextmanager
def opened(meters: Path) -> Iterator[Store]:
    store = Store.open(meters, WANTED)
    try:
        yield store
    finally:
        store.abandon()


def dump(store: Path) -> list[str]:
    with closing(sqlite3.connect(store)) as connection:
        return list(connection.iterdump())


@pytest.mark.parametrize("version", VERSIONS)
def test_a_store_is_opened_with_all_that_is_in_it(tmp_path: Path, version: str) -> None:
    before = dump(HERE / f"meter-sim-{version}.sqlite")
    with opened(meters := folder(tmp_path, version)) as store:
        single, third = store.row(0), store.row(3)
        assert (single.send_next, single.receive_lowest, single.control_state) == (300, 40, 0)
        assert (third.clock_offset_s, third.send_next, store.row(1).send_next) == (-7, 1, 1)
        assert store.kept == {3: {SWITCH: b"\x16\x02"}}
        assert store.records(0, 1) == [Happened(0, 1, 1, AT * 1_000_000, LOG, 23, b"opened")]
        assert {one.lived_until for one in store.ranges.values()} == {AT}
    copies = [file for file in meters.iterdir() if ".schema-" in file.name]
    assert [dump(copy) for copy in copies] == ([] if version == SCHEMA.revision else [before])


def test_every_step_of_the_migrations_leads_from_nothing_to_the_tables(tmp_path: Path) -> None:
    scripts = ScriptDirectory(SCHEMA.migrations, version_locations=[str(SCHEMA.migrations)])
    assert scripts.get_heads() == [SCHEMA.revision] == [VERSIONS[-1]]
    shapes = []
    for name in ("migrated", "created"):
        engine = create_engine(f"sqlite:///{tmp_path / name}")
        with engine.begin() as connection:
            if name == "migrated":
                upgrade(connection, scripts, SCHEMA.revision)
            else:
                create(connection, SCHEMA)
            inspector = inspect(connection)
            tables = set(SCHEMA.tables.tables)
            shapes.append(
                {t: {(c["name"], str(c["type"]), c["nullable"]) for c in inspector.get_columns(t)} for t in tables}
            )
        engine.dispose()
    assert shapes[0] == shapes[1]


def test_a_copy_has_also_what_a_process_that_is_gone_has_left_in_its_journal(tmp_path: Path) -> None:
    meters, copy = folder(tmp_path), tmp_path / "copy.sqlite"
    with opened(meters) as store:
        store.row(2).control_state = 0
        store.journal.write()
    assert list(meters.glob(f"*{SUFFIX}"))
    done = run(tmp_path, "backup", copy)
    assert (done.code, done.err) == (0, "") and copy.stat().st_mode & 0o777 == 0o600
    with closing(sqlite3.connect(copy)) as connection:
        rows = connection.execute("SELECT meter, control_state FROM rows WHERE control_state = 0").fetchall()
    assert rows == [(0, 0), (16777217, 0)]
    again = run(tmp_path, "backup", copy)
    assert again.code == 2 and "is there already" in again.err


def test_restored_meters_use_no_counter_again(tmp_path: Path) -> None:
    meters, copy = folder(tmp_path), tmp_path / "copy.sqlite"
    assert run(tmp_path, "backup", copy).code == 0
    with opened(meters) as store:
        store.row(0).send_reserved = 5_000
        store.row(0).control_state = 1
        store.journal.write()
    done = run(tmp_path, "restore", copy)
    assert (done.code, done.err) == (0, "")
    assert f"counters of 4 meters go on {COUNTERS_SKIPPED:,} above the copy" in done.out
    with opened(meters) as store:
        sent = [store.row(index).send_next for index in range(4)]
        assert sent == [300 + COUNTERS_SKIPPED, *[1 + COUNTERS_SKIPPED] * 3]
        assert [store.row(0).send_next_2, store.row(0).receive_lowest] == [1 + COUNTERS_SKIPPED, 40]
        assert store.row(0).control_state == 0
    with closing(sqlite3.connect(meters / f"{FILE}.replaced")) as connection:
        assert connection.execute("SELECT send_reserved FROM rows WHERE meter = 0").fetchone() == (5_000,)


def test_a_copy_takes_the_place_of_a_damaged_store_whose_journals_stay_aside(tmp_path: Path) -> None:
    meters = folder(tmp_path)
    with opened(meters) as store:
        store.row(0).control_state = 1
        store.journal.write()
    (meters / FILE).write_text("this is a shopping list\n" * 100)
    for log in ("-wal", "-shm"):
        (meters / f"{FILE}{log}").unlink(missing_ok=True)
    assert run(tmp_path, "restore", HERE / "meter-sim-0001.sqlite").code == 0
    assert [file.suffix for file in meters.glob(f"*{SUFFIX}*")] == [".replaced"]
    with opened(meters) as store:
        assert store.row(0).control_state == 0


def test_an_older_store_is_upgraded_by_a_command(tmp_path: Path) -> None:
    meters = folder(tmp_path, "0001")
    done = run(tmp_path, "migrate")
    assert (done.code, done.err) == (0, "") and f"had schema 0001 and has {SCHEMA.revision} now" in done.out
    assert f"{FILE}.schema-0001" in {file.name for file in meters.iterdir()}
    assert f"has schema {SCHEMA.revision} already" in run(tmp_path, "migrate").out


def test_nothing_is_done_while_meters_run(tmp_path: Path) -> None:
    meters = folder(tmp_path)
    copy = HERE / "meter-sim-0001.sqlite"
    with subprocess.Popen(
        [sys.executable, "-c", RUNNING, meters], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as running:
        assert running.stdout is not None and running.stdout.readline() == "runs\n"
        for command, *arguments in (("backup", tmp_path / "new"), ("restore", copy), ("migrate",)):
            refused = run(tmp_path, command, *arguments)
            assert refused.code == 2 and f"meters run with their state in {meters}" in refused.err
        running.communicate()
    assert not (tmp_path / "new").exists()


def test_what_is_not_there_is_neither_copied_nor_made(tmp_path: Path) -> None:
    for command, *arguments in (("backup", tmp_path / "new"), ("migrate",)):
        refused = run(tmp_path, command, *arguments)
        assert refused.code == 2 and "there is no file" in refused.err
    assert not (tmp_path / "meters" / FILE).exists() and not (tmp_path / "new").exists()
