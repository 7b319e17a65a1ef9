"""What a person does to a store while no process has it: copy it, put a copy in its place, upgrade it.

A restored store does not know what happened after its copy was made. What its owner has to assume of that time (`Assume`) is
written into the copy before it takes the place of the store, in one step.
"""

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from sqlalchemy import Connection

from ami_process.store.copies import settle, sync, unused, write_copy
from ami_process.store.errors import StoreUnusable, problems_of
from ami_process.store.events import StoreMigrated
from ami_process.store.holding import hold_store
from ami_process.store.opening import is_ready, migrate_place, ready_store
from ami_process.store.places import Place, engine_of
from ami_process.store.schema import Schema

Assume = Callable[[Connection], str]
"""Writes into a restored store what may have happened since its copy was made; says in words what that is."""


def backup_store(store: Place, schema: Schema, copy: Path) -> None:
    """A new file. Raises StoreUnavailable, StoreUnusable."""
    if not isinstance(store, Path):
        raise StoreUnusable(
            f"{store} is a database, which PostgreSQL copies itself, also while the process runs: pg_dump --format=custom "
            f"--file={copy} DATABASE"
        )
    with hold_store(store, schema):
        _demand(store)
        if copy.exists():
            raise StoreUnusable(f"{copy} is there already: name another file")
        with problems_of(store):
            write_copy(store, copy)


def migrate_store(store: Place, schema: Schema) -> StoreMigrated | None:
    """What was upgraded, if anything. Raises StoreUnavailable, StoreUnusable."""
    with hold_store(store, schema) as mine:
        if isinstance(mine, Path):
            _demand(mine)
        return ready_store(mine, schema, asked=True)


def note_restored(store: Place, schema: Schema, assume: Assume) -> str:
    """Assume the worst of a store that something else than `restore_store` has brought back; what that is, in words."""
    with hold_store(store, schema) as mine, problems_of(store):
        if isinstance(mine, Path):
            _demand(mine)
        ready_store(mine, schema)
        return _assumed(mine, assume)


def restore_store(store: Place, schema: Schema, copy: Path, assume: Assume | None = None) -> tuple[Path | None, str]:
    """Where the store that was there is kept, and what was assumed, in words. Raises StoreUnavailable, StoreUnusable."""
    if not isinstance(store, Path):
        then = f", and then, before the process starts: {schema.role} store restored" if assume else ""
        raise StoreUnusable(
            f"{store} is a database, which PostgreSQL brings back itself, into an empty one: dropdb DATABASE; createdb DATABASE; "
            f"pg_restore --exit-on-error --dbname=DATABASE {copy}{then}"
        )
    with hold_store(store, schema):
        _demand(copy)
        incoming = store.with_name(store.name + ".restoring")
        with problems_of(copy):
            write_copy(copy, incoming)
            _check(incoming)
            assumed = _bring_up(incoming, schema, assume)
        with problems_of(store):
            aside = _copy_aside(store) if store.exists() else None
            incoming.replace(store)
            sync(store.parent)
        return aside, assumed


def _demand(file: Path) -> None:
    if not file.is_file():
        raise StoreUnusable(f"there is no file {file}")


def _check(file: Path) -> None:
    with closing(sqlite3.connect(file)) as connection:
        (found,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
    if found != "ok":
        raise StoreUnusable(f"it is damaged: {found}")


def _bring_up(file: Path, schema: Schema, assume: Assume | None) -> str:
    """To the schema of this version, with what has to be assumed; without a write-ahead log at the end."""
    if not is_ready(file, schema):
        migrate_place(file, schema, keep_copy=False)
    assumed = "" if assume is None else _assumed(file, assume)
    settle(file)
    return assumed


def _assumed(store: Place, assume: Assume) -> str:
    engine = engine_of(store)
    try:
        with engine.begin() as connection:
            return assume(connection)
    finally:
        engine.dispose()


def _copy_aside(store: Path) -> Path:
    """Until the new file takes its place the store stays as it is, and no log of it may be left for the new one."""
    aside = unused(store.with_name(store.name + ".replaced"))
    try:
        write_copy(store, aside)
        settle(store)
    except sqlite3.OperationalError:  # locked, or no room: not the time to replace it
        raise
    except sqlite3.DatabaseError:  # damaged, which may be why another one is to take its place
        shutil.copyfile(store, aside)
        for log in ("-wal", "-shm"):
            store.with_name(store.name + log).unlink(missing_ok=True)
    return aside
