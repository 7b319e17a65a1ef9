"""A store is made where there is none, taken as it is when its schema is that of this version, and else upgraded or refused."""

import sqlite3
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.exc import DatabaseError, OperationalError

from ami_process.events import Event
from ami_process.ownership import make_private
from ami_process.store.errors import StoreUnavailable, StoreUnusable
from ami_process.store.schema import Schema, create, found_revision, table_names, versions
from ami_process.store.sqlite import sqlite_engine


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreMigrated(Event):
    """A store of an older version was upgraded."""

    severity = "info"

    store: str
    """Its path."""
    found: str
    """The schema that it had."""
    now: str
    """The schema that it has."""
    copy: str
    """Where the store as it was before has been kept."""


def ready_store(store: Path, schema: Schema, *, may_migrate: bool = True) -> StoreMigrated | None:
    """Make the store or bring it to the schema; what was upgraded, if anything. Raises StoreUnavailable, StoreUnusable.

    Whoever may migrate holds the store alone.
    """
    try:
        make_private(store)
        if _is_ready(store, schema):
            return None
        if not may_migrate:
            raise StoreUnusable(f"it has an older schema than {schema.revision}: run {schema.role} store migrate")
        return _migrate(store, schema)
    except OSError as problem:
        raise StoreUnusable(f"the store {store} can't be opened: {problem.strerror}") from None
    except StoreUnusable as problem:
        raise StoreUnusable(f"the store {store} can't be used: {problem}") from None
    except (OperationalError, sqlite3.OperationalError) as problem:
        raise StoreUnavailable(f"the store can't be written now: {_reason(problem)}") from None
    except (DatabaseError, sqlite3.DatabaseError) as problem:
        raise StoreUnusable(f"{store} can't be used as a store: {_reason(problem)}") from None


def _is_ready(store: Path, schema: Schema) -> bool:
    """Whether the schema is the one that is wanted, which an empty database gets here."""
    engine = sqlite_engine(store)
    try:
        with engine.begin() as connection:
            names = table_names(connection)
            if not names:
                create(connection, schema)
                return True
            if versions.name not in names or found_revision(connection) != schema.revision:
                return False
            if missing := sorted(set(schema.tables.tables) - names):
                raise StoreUnusable(
                    f"it has schema {schema.revision} but no table {missing[0]}; bring a copy back: {schema.role} store restore COPY"
                )
            return True
    finally:
        engine.dispose()


def _migrate(store: Path, schema: Schema) -> StoreMigrated | None:
    from ami_process.store.migration import (
        migrate,  # Alembic takes a while to import, and is needed once in a store's life
    )

    done = migrate(store, schema)
    if done is None:
        return None
    found, now, copy = done
    return StoreMigrated(store=str(store), found=found, now=now, copy=str(copy))


def _reason(problem: Exception) -> str:
    return str(getattr(problem, "orig", None) or problem)
