"""A store in a database of PostgreSQL: one process has it, a server that goes away is waited for, and no password is shown."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import replace
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import NamedTuple

import pytest
from postgresql_server import PASSWORD, Cluster, location, rows
from sqlalchemy import Connection, make_url, select, update

import ami_cis.__main__
import ami_hes.__main__
from ami_cis.store import SCHEMA as CIS
from ami_hes.commands import Command, CommandJob, Lane, MeterId
from ami_hes.settings import HesSettings
from ami_hes.store import (
    SCHEMA,
    Database,
    KeptMark,
    SqlCounters,
    SqlReadings,
    SqlResults,
    StoredRequest,
    StoredSeries,
    recognise,
)
from ami_hes.store.restored import COUNTERS_SKIPPED
from ami_hes.store.tables import counter_mark, key_counters
from ami_process.settings import SettingsError
from ami_process.store import postgresql as module
from ami_process.store.errors import StoreUnavailable, StoreUnusable
from ami_process.store.holding import hold_store
from ami_process.store.mark import MarkFile
from ami_process.store.opening import ready_store
from ami_process.store.places import place_of
from ami_process.store.postgresql import Server
from ami_process.store.schema import Schema
from ami_process.store.upkeep import migrate_store

pytestmark = pytest.mark.needs("postgresql")
MAIN = {"hes": ami_hes.__main__.main, "cis": ami_cis.__main__.main}
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
REQUEST = StoredRequest(
    request_id="r1",
    digest="d",
    verb="create",
    noun="EndDeviceControls",
    correlation_id="c",
    reply_address=None,
    accepted_at=NOW,
    deadline_at=NOW,
    errors="[]",
)
REVISIONS = Path(__file__).with_name("revisions")


@pytest.fixture
def server(postgresql: Cluster) -> Server:
    """A store that is empty."""
    return postgresql.new_place()


class Done(NamedTuple):
    code: int
    out: str
    err: str


def run(directory: Path, role: str, store: str, *words: str, **more: str) -> Done:
    config = directory / "ami.toml"
    lines = [f'store = "{store}"', *(f'{name} = "{value}"' for name, value in more.items())]
    config.write_text("\n".join((f"[{role}]", *lines, "")))
    out, err = StringIO(), StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = MAIN[role]([*words[:2], "--config", str(config), *words[2:]])
    return Done(code, out.getvalue(), err.getvalue())


# one process at a time


def test_a_store_is_one_process_s_alone(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOCK_WITHIN_MS", 50)
    with hold_store(server, SCHEMA) as mine:
        assert isinstance(mine, Server)
        engine = mine.engine()
        with engine.connect():
            for _ in range(2):
                with pytest.raises(StoreUnusable, match="in use by another head-end system: stop that one"):
                    hold_store(server, SCHEMA).__enter__()
        engine.dispose()
    with hold_store(server, SCHEMA):
        pass


def test_two_stores_of_one_database_are_held_by_themselves(postgresql: Cluster, server: Server) -> None:
    with hold_store(server, SCHEMA) as mine, hold_store(postgresql.new_place(), SCHEMA) as other:
        assert ready_store(mine, SCHEMA) is ready_store(other, SCHEMA) is None


def test_the_store_of_another_role_is_refused(server: Server) -> None:
    assert ready_store(server, SCHEMA) is None
    with pytest.raises(StoreUnusable, match="no table"):
        ready_store(server, replace(CIS, revision=SCHEMA.revision))


def test_without_its_schema_nothing_is_held(postgresql: Cluster) -> None:
    with pytest.raises(StoreUnusable, match="no schema of its search_path"):
        hold_store(Server(make_url(postgresql.url("nowhere"))), SCHEMA).__enter__()


async def test_who_has_lost_the_store_to_another_ends_and_writes_nothing(postgresql: Cluster, server: Server) -> None:
    async def lose_it(database: Database) -> None:
        async with database, database.watched():
            await SqlCounters(database).reserve_counters("k", 0, 5)
            postgresql.cut(server)
            with hold_store(server, SCHEMA):
                pass
            writing = asyncio.create_task(SqlCounters(database).reserve_counters("k", 0, 5))
            await asyncio.wait([writing])
            assert isinstance(writing.exception(), StoreUnusable)
            await asyncio.Event().wait()

    with hold_store(server, SCHEMA) as mine:  # noqa: SIM117 (what is held has to outlive the refusal)
        with pytest.raises(StoreUnusable, match="another head-end system has taken the store"):
            await lose_it(Database(mine))
    assert rows(server, "SELECT next_value FROM key_counters") == [(5,)]


async def test_while_its_lock_is_another_s_the_store_is_unavailable(
    postgresql: Cluster, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As long as it is not known whose: it may be the connection that was lost."""
    monkeypatch.setattr(module, "LOCK_WITHIN_MS", 50)
    with hold_store(server, SCHEMA) as mine:
        async with Database(mine) as database:
            await database.check()
            postgresql.cut(server)
            engine = server.engine()
            with engine.connect() as other:
                other.exec_driver_sql(module._LOCK, ("ami hes ",))
                with pytest.raises(StoreUnavailable, match="locked by another connection"):
                    await database.check()
            engine.dispose()
            await database.check()


async def test_what_a_body_raises_under_watch_is_raised_as_it_is(server: Server) -> None:
    async with Database(server) as database:
        with pytest.raises(KeyError, match="mine"):
            async with database.watched():
                raise KeyError("mine")
        async with database.watched():
            await database.check()


# a server that goes away


async def test_a_server_that_goes_away_is_waited_for(postgresql: Cluster, server: Server) -> None:
    with hold_store(server, SCHEMA) as mine:
        async with Database(mine) as database:
            counters, results = SqlCounters(database), SqlResults(database)
            assert await counters.reserve_counters("k", 0, 5) == (0, 5)
            postgresql.stop()
            try:
                with pytest.raises(StoreUnavailable, match=r"the store can't be written now: [^\n]*$"):
                    await counters.reserve_counters("k", 0, 5)
                recording = asyncio.create_task(database.record(_spend))
                await asyncio.sleep(0.05)
                assert not recording.done()
            finally:
                postgresql.start()
            await recording
            assert await counters.reserve_counters("k", 0, 5) == (1005, 1010)
            assert await results.unanswered() == []


def _spend(connection: Connection) -> None:
    connection.exec_driver_sql("UPDATE key_counters SET next_value = 1005")


def test_a_server_that_is_not_there_is_said_in_a_sentence(tmp_path: Path) -> None:
    done = run(tmp_path, "hes", "postgresql://someone@127.0.0.1:1/ami", "store", "migrate")
    assert done.code == 2 and done.err.count("\n") == 1
    assert done.err.startswith("hes: the store can't be written now: ") and "refused" in done.err


async def test_commits_are_on_the_disk_also_where_the_server_would_not_wait_for_it(server: Server) -> None:
    lax = Server(server.url.update_query_dict({"options": f"{server.url.query['options']} -csynchronous_commit=off"}))
    async with Database(lax) as database:
        shown = await database.transaction(lambda c: c.exec_driver_sql("SHOW synchronous_commit").scalar_one())
    assert shown == "on"


# passwords and other settings


def test_a_password_is_taken_from_a_file_or_the_environment_and_never_shown(
    postgresql: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = postgresql.url_with_password(postgresql.new_schema())
    (tmp_path / "password").write_text(PASSWORD + "\n")
    monkeypatch.setenv("SESAME", PASSWORD)
    for reference in (f"file:{tmp_path / 'password'}", "env:SESAME"):
        place = place_of(url, reference, "hes.store")
        assert ready_store(place, SCHEMA) is None
        assert PASSWORD not in f"{place} {place!r}"
    monkeypatch.setenv("SESAME", "not " + PASSWORD)
    done = run(tmp_path, "hes", url, "store", "migrate", store_password="env:SESAME")
    assert done.code == 2 and "password authentication failed" in done.err and PASSWORD not in done.err


@pytest.mark.parametrize(
    ("store", "said"),
    [
        ("postgresql://me:sesame@db/ami", "hes.store: a password in it could be read in logs: set store_password"),
        ("postgresql://me@db/ami?password=sesame", "hes.store: a password in it"),
        ("postgresql://me:sesame/@db/ami", "hes.store: expected a path, or postgresql://USER@HOST/DATABASE"),
        ("mysql://me:sesame@db/ami", "hes.store: expected a path, or postgresql://USER@HOST/DATABASE"),
        ("postgresql://me@db", "hes.store: expected a path, or postgresql://USER@HOST/DATABASE"),
    ],
)
def test_a_url_that_cannot_be_used_is_refused_and_not_repeated(tmp_path: Path, store: str, said: str) -> None:
    done = run(tmp_path, "hes", store, "store", "migrate")
    assert done.code == 2 and said in done.err and "sesame" not in done.err


@pytest.mark.parametrize(
    ("store", "password", "said"),
    [
        ("var/hes.sqlite", "env:X", "hes.store_password: a file has no password"),
        ("postgresql://db/ami", "sesame", "hes.store_password: expected env:NAME or file:PATH"),
        ("postgresql://db/ami", "env:NO_SUCH_NAME", "hes.store_password: the environment has no variable NO_SUCH_NAME"),
    ],
)
def test_a_password_that_cannot_be_used_is_refused(store: str, password: str, said: str) -> None:
    given = HesSettings(store=store, store_password=password)
    with pytest.raises(SettingsError, match=said):
        place_of(given.store, given.store_password, "hes.store")


def test_without_the_driver_a_sentence_says_what_to_install(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(StoreUnusable, match=r"needs psycopg, which the extra \[postgresql\] installs"):
        ready_store(server, SCHEMA)


# upgrades and upkeep


def schema_of(revision: str, upto: Callable[[Schema], Schema] = lambda one: one) -> Schema:
    """A store of its own with revisions of its own: those of HES and CIS up to 0003 have been on files alone."""
    from sqlalchemy import Column, Integer, MetaData, String, Table

    tables = MetaData()
    columns = [Column("number", Integer, primary_key=True), Column("name", String)]
    Table("meters", tables, *columns[: int(revision)])
    return upto(Schema("hes", "head-end system", revision, tables, REVISIONS, ("0001", "0001")))


def test_an_older_database_is_upgraded_when_that_is_asked_for(server: Server) -> None:
    assert ready_store(server, schema_of("0001")) is None
    with pytest.raises(
        StoreUnusable, match=r"has schema 0001, and this hes needs 0002: copy the .* pg_dump.* hes store"
    ):
        ready_store(server, schema_of("0002"))
    migrated = migrate_store(server, schema_of("0002"))
    assert migrated is not None and (migrated.found, migrated.now, migrated.copy) == ("0001", "0002", None)
    assert rows(server, "SELECT name FROM meters") == [] and ready_store(server, schema_of("0002")) is None


def test_an_upgrade_that_fails_has_not_happened(server: Server) -> None:
    assert ready_store(server, schema_of("0001")) is None
    with pytest.raises(StoreUnusable, match="can't be used"):
        migrate_store(server, schema_of("0003"))
    assert rows(server, "SELECT version_num FROM alembic_version") == [("0001",)]
    assert rows(server, "SELECT * FROM meters") == []


SHAPE = (
    "SELECT c.relname, c.relkind::text, pg_get_indexdef(c.oid), pg_get_partkeydef(c.oid), pg_get_expr(c.relpartbound, c.oid) FROM pg_class c"
    " WHERE relnamespace = current_schema()::regnamespace AND relname !~ '^store_holder|^alembic' ORDER BY 1",
    "SELECT table_name, column_name, data_type, is_nullable, column_default FROM information_schema.columns"
    " WHERE table_schema = current_schema() AND table_name !~ '^store_holder|^alembic' ORDER BY 1, 2",
    "SELECT conrelid::regclass::text, pg_get_constraintdef(oid) FROM pg_constraint WHERE connamespace = current_schema()::regnamespace"
    " AND conrelid::regclass::text !~ 'store_holder|alembic' ORDER BY 1, 2",
)


def test_an_upgraded_database_has_the_tables_of_a_new_one(postgresql: Cluster, server: Server) -> None:
    ready_store(server, SCHEMA)
    upgraded = postgresql.load(Path(__file__).with_name("hes-0003.sql"))
    migrate_store(upgraded, SCHEMA)
    for query in SHAPE:
        new, other = (
            {str(row).replace(f"{one.url.query['options'].split('=')[1]}.", "") for row in rows(one, query)}  # type: ignore[union-attr]
            for one in (server, upgraded)
        )
        assert new == other


async def test_an_older_database_with_readings_keeps_them_all_and_then_has_months(postgresql: Cluster) -> None:
    """Those of a clock that is wrong as well; what was there is forgotten as it was before, and at last as a whole."""
    old = postgresql.load(Path(__file__).with_name("hes-0023.sql"))
    engine, now = old.engine(), 1_795_176_000_000
    with engine.begin() as connection:
        connection.exec_driver_sql(
            f"INSERT INTO reading_values SELECT 1, {now}::bigint - n::bigint * 86400000, n, '1.0.0', {now}, true FROM generate_series(-400, 400) AS n"
        )
    engine.dispose()
    before = rows(old, "SELECT * FROM reading_values ORDER BY 1, 2")
    migrate_store(old, SCHEMA)
    assert rows(old, "SELECT * FROM reading_values ORDER BY 1, 2") == before
    assert rows(old, "SELECT count(*), max(time) < 1796083200000 FROM reading_values_before") == [(802 - 390 + 1, True)]
    async with Database(old) as database:
        readings = SqlReadings(database)
        new = StoredSeries(
            reading_type="0.0.2.1.1.1.12.0.0.0.0.0.0.0.0.0.72.0",
            times=(now, now + 20 * 86_400_000),
            values=("5", "6"),
            qualities=("", ""),
            received=(now + 10**9,) * 2,
            by_meter=(True, True),
        )
        await readings.keep("00000000-0000-4000-8000-000000001001", [new])
        assert rows(old, "SELECT count(*) FROM reading_values_2026_12") == [(31,)], "they moved"
        assert rows(old, f"SELECT value FROM reading_values WHERE time = {now} AND series_id = 1") == [("5",)]
        await readings.forget(now)
        assert rows(old, "SELECT min(time) FROM reading_values") == [(now,)]
        await readings.forget(1_798_761_600_000)
        assert rows(old, "SELECT to_regclass('reading_values_before')") == [(None,)]
        assert rows(old, "SELECT count(*) FROM reading_values") == [(400 - 42 + 1,)]


def test_a_newer_database_is_refused(server: Server) -> None:
    assert ready_store(server, schema_of("0002")) is None
    with pytest.raises(StoreUnusable, match="schema 0002"):
        ready_store(server, SCHEMA)


def test_backup_and_restore_name_the_tools_of_the_server(server: Server, tmp_path: Path) -> None:
    for words in (("backup", "copy.dump"), ("restore", "copy.dump")):
        done = run(tmp_path, "cis", location(server), "store", *words)
        tool = {"backup": "pg_dump --format=custom", "restore": "createdb DATABASE; pg_restore --exit-on-error"}[
            words[0]
        ]
        assert done.code == 2 and tool in done.err and "copy.dump" in done.err
    done = run(tmp_path, "hes", location(server), "store", "restore", "copy.dump")
    assert done.err.endswith("before the process starts: hes store restored\n")
    assert rows(server, "SELECT count(*) FROM pg_tables WHERE schemaname = current_schema()") == [(0,)]


async def test_a_restored_database_assumes_that_commands_were_sent_and_counters_used(
    server: Server, tmp_path: Path
) -> None:
    async with Database(server) as database:
        command = Command("r1", MeterId("M1", "m1"), "disconnect_control", "3.31.0.23")
        await SqlResults(database).accept(REQUEST, [CommandJob(command, Lane.CONTROL, NOW)])
        await SqlCounters(database).reserve_counters("k", 0, 5)
    mark = tmp_path / "elsewhere" / "mark"
    done = run(tmp_path, "hes", location(server), "store", "restored", store_mark=str(mark))
    assert (done.code, done.err) == (0, "") and done.out.startswith("1 open commands may have been sent")
    assert "restored" not in run(tmp_path, "cis", location(server), "store", "--help").out
    async with Database(server) as database:
        assert [one.attempted for one in await SqlResults(database).open_commands(REQUEST.request_id)] == [True]
        assert (await SqlCounters(database).reserve_counters("k", 0, 1)).first == 5 + COUNTERS_SKIPPED
    async with Database(server) as database:
        assert await recognise(database, MarkFile(mark), os.urandom) is None, "it was told"


async def test_an_older_copy_of_a_database_is_recognised(server: Server, tmp_path: Path) -> None:
    """As `pg_restore` brings one back, told to nobody."""
    mark = MarkFile(tmp_path / "mark")
    async with Database(server) as database:
        assert await recognise(database, mark, os.urandom) is None
        counters = SqlCounters(database, KeptMark(mark))
        await counters.reserve_counters("k", 0, 5)
        older = await database.transaction(lambda c: c.execute(select(counter_mark)).one()._asdict())
        used = await counters.reserve_counters("k", 0, 3 * COUNTERS_SKIPPED)
        await database.transaction(lambda c: c.execute(update(counter_mark).values(older)))
        await database.transaction(lambda c: c.execute(update(key_counters).values(next_value=5)))
    async with Database(server) as database:
        found = await recognise(database, mark, os.urandom)
        assert found is not None and "1 reservations" in found.why
        assert (await SqlCounters(database).reserve_counters("k", 0, 1)).first >= used.limit
