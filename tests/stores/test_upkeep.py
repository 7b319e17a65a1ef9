"""`store backup`, `restore` and `migrate` as commands: what they leave, what they refuse, and what a restored store assumes."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing, redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import NamedTuple

import pytest

import ami_cis.__main__
import ami_hes.__main__
from ami_cis.store.tables import SCHEMA as CIS
from ami_hes.store import Database, SqlCounters, SqlResults
from ami_hes.store.restored import COUNTERS_SKIPPED
from ami_hes.store.tables import SCHEMA as HES
from ami_process.store.opening import ready_store

HERE = Path(__file__).parent
SCHEMAS = {"hes": HES, "cis": CIS}
MAIN = {"hes": ami_hes.__main__.main, "cis": ami_cis.__main__.main}
HOLDING = """
import sys
from importlib import import_module
from pathlib import Path
from ami_process.store.holding import hold_store
with hold_store(Path(sys.argv[2]), import_module(f"ami_{sys.argv[1]}.store").SCHEMA):
    print("held", flush=True)
    sys.stdin.read()
"""


class Done(NamedTuple):
    returncode: int
    stdout: str
    stderr: str


class Store:
    """A store in a directory, and the command line that looks after it."""

    def __init__(self, role: str, directory: Path) -> None:
        self.role, self.directory = role, directory
        self.path = directory / f"{role}.sqlite"
        self.config = directory / "ami.toml"
        self.config.write_text(f'[{role}]\nstore = "{self.path}"\n')

    def made_of(self, version: str) -> Store:
        shutil.copyfile(HERE / f"{self.role}-{version}.sqlite", self.path)
        return self

    def run(self, command: str, *arguments: str | Path) -> Done:
        out, err = StringIO(), StringIO()
        with redirect_stdout(out), redirect_stderr(err):
            code = MAIN[self.role](["store", command, "--config", str(self.config), *map(str, arguments)])
        return Done(code, out.getvalue(), err.getvalue())


@pytest.fixture(params=list(SCHEMAS))
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return Store(request.param, tmp_path)


def dump(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as connection:
        return list(connection.iterdump())


def test_a_copy_is_complete_and_for_its_owner_alone(store: Store) -> None:
    store.made_of("0002")
    copy = store.directory / "copy.sqlite"
    with closing(sqlite3.connect(store.path)) as connection:  # what is only in the log is copied as well
        connection.execute("CREATE TABLE unfinished (number)")
        connection.commit()
        before = dump(store.path)
        done = store.run("backup", copy)
    assert (done.returncode, done.stderr) == (0, "")
    assert dump(copy) == before
    assert copy.stat().st_mode & 0o777 == 0o600
    again = store.run("backup", copy)
    assert again.returncode == 2 and "is there already" in again.stderr


def test_a_copy_is_put_in_the_place_of_the_store_which_is_kept(store: Store) -> None:
    store.made_of("0002-unversioned")
    copy = Path(shutil.copyfile(HERE / f"{store.role}-0001.sqlite", store.directory / "copy.sqlite"))
    before = dump(store.path)
    done = store.run("restore", copy)
    assert (done.returncode, done.stderr) == (0, "")
    assert dump(store.path.with_name(store.path.name + ".replaced")) == before
    assert dump(copy) == dump(HERE / f"{store.role}-0001.sqlite")
    with closing(sqlite3.connect(store.path)) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [
            (SCHEMAS[store.role].revision,)
        ]
        assert connection.execute("SELECT count(*) FROM replies").fetchone() == (1,)
    mark = {".mark"} if store.role == "hes" else set()
    assert {file.suffix for file in store.directory.iterdir()} == {".sqlite", ".toml", ".replaced", ".lock"} | mark
    assert ready_store(store.path, SCHEMAS[store.role]) is None


def test_a_second_restore_keeps_what_the_first_has_replaced(store: Store) -> None:
    store.made_of("0002")
    before = dump(store.path)
    for copy in ("0001", "0002"):
        assert store.run("restore", HERE / f"{store.role}-{copy}.sqlite").returncode == 0
    kept = store.path.with_name(store.path.name + ".replaced")
    assert dump(kept) == before
    assert kept.with_name(kept.name + "-2").exists()


def test_a_second_upgrade_keeps_what_the_first_has_copied(store: Store) -> None:
    revision = SCHEMAS[store.role].revision
    for number, suffix in enumerate(("", "-2")):
        store.made_of("0001")
        with closing(sqlite3.connect(store.path)) as connection, connection:
            connection.execute(f"UPDATE requests SET correlation_id = 'life {number}'")
        done = store.run("migrate")
        copy = store.path.with_name(f"{store.path.name}.schema-0001{suffix}")
        assert done.stdout.endswith(f"has {revision} now; as it was before, it is in {copy}\n")
    for number, suffix in enumerate(("", "-2")):
        with closing(sqlite3.connect(store.path.with_name(f"{store.path.name}.schema-0001{suffix}"))) as connection:
            assert connection.execute("SELECT DISTINCT correlation_id FROM requests").fetchall() == [
                (f"life {number}",)
            ]


def test_a_copy_takes_the_place_of_a_damaged_store_and_of_none(store: Store) -> None:
    copy = HERE / f"{store.role}-0002.sqlite"
    assert store.run("restore", copy).returncode == 0
    store.path.write_text("this is a shopping list\n" * 100)
    assert store.run("restore", copy).returncode == 0
    assert ready_store(store.path, SCHEMAS[store.role]) is None
    assert store.path.with_name(store.path.name + ".replaced").read_text().startswith("this is a shopping list")


def test_what_is_no_copy_that_this_version_knows_is_refused_and_the_store_stays(store: Store) -> None:
    store.made_of("0002")
    before = dump(store.path)
    newer = Path(shutil.copyfile(store.path, store.directory / "newer.sqlite"))
    with closing(sqlite3.connect(newer)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '0999'")
    damaged = store.directory / "damaged.sqlite"
    octets = bytearray(store.path.read_bytes())
    octets[3 * 4096 : 4 * 4096] = bytes(4096)
    damaged.write_bytes(octets)
    text = store.directory / "list.txt"
    text.write_text("apples and pears\n" * 100)
    for copy, reason in (
        (newer, "schema 0999"),
        (damaged, "amaged|malformed"),
        (text, "not a database"),
        (store.directory / "none", "no file"),
    ):
        refused = store.run("restore", copy)
        assert refused.returncode == 2
        assert any(word in refused.stderr for word in reason.split("|")), refused.stderr
        assert str(copy) in refused.stderr
    assert dump(store.path) == before


def test_an_older_store_is_upgraded_by_a_command(store: Store) -> None:
    store.made_of("0001")
    revision = SCHEMAS[store.role].revision
    done = store.run("migrate")
    assert (done.returncode, done.stderr) == (0, "")
    assert f"had schema 0001 and has {revision} now" in done.stdout
    again = store.run("migrate")
    assert f"has schema {revision} already" in again.stdout


def test_nothing_is_done_while_a_process_has_the_store(store: Store) -> None:
    store.made_of("0001")
    before = dump(store.path)
    copy = HERE / f"{store.role}-0002.sqlite"
    line = [sys.executable, "-c", HOLDING, store.role, store.path]
    with subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == "held\n"
        for command in (("backup", store.directory / "new"), ("restore", copy), ("migrate",)):
            refused = store.run(*command)
            assert refused.returncode == 2
            assert f"in use by another {SCHEMAS[store.role].owner}" in refused.stderr
        holder.communicate()
    assert dump(store.path) == before
    assert not (store.directory / "new").exists()


def test_a_store_that_is_not_there_is_neither_copied_nor_made(store: Store) -> None:
    for command in (("backup", store.directory / "copy"), ("migrate",)):
        refused = store.run(*command)
        assert refused.returncode == 2 and "there is no file" in refused.stderr
    assert not store.path.exists()


async def test_a_restored_store_of_the_hes_assumes_that_commands_were_sent_and_counters_used(tmp_path: Path) -> None:
    store = Store("hes", tmp_path).made_of("0002")
    async with Database(store.path) as database:
        assert await SqlResults(database).unanswered() == ["open"]
    with closing(sqlite3.connect(store.path)) as connection, connection:
        connection.execute("DELETE FROM attempts")
    copy = tmp_path / "copy.sqlite"
    assert store.run("backup", copy).returncode == 0
    done = store.run("restore", copy)
    assert "1 open commands may have been sent" in done.stdout
    async with Database(store.path) as database:
        assert [one.attempted for one in await SqlResults(database).open_commands("open")] == [True]
        counters = SqlCounters(database)
        assert (await counters.reserve_counters("key of two meters", 0, 1)).first == 300 + COUNTERS_SKIPPED
        assert (await counters.reserve_counters("another key", 0, 1)).first == 8 + COUNTERS_SKIPPED
