"""A store is made where there is none, taken as it is when its schema is that of this version, and else upgraded or refused."""

from pathlib import Path

from ami_process.ownership import make_private
from ami_process.store.errors import problems_of
from ami_process.store.events import StoreMigrated
from ami_process.store.places import Place, engine_of
from ami_process.store.postgresql import alone
from ami_process.store.schema import Schema, create, demand_tables, found_revision, table_names, versions


def ready_store(store: Place, schema: Schema, *, asked: bool = False) -> StoreMigrated | None:
    """Make the store or bring it to the schema; what was upgraded, if anything. Raises StoreUnavailable, StoreUnusable.

    The process holds the store alone, because it may have to upgrade it. A database is upgraded only when that was `asked` for,
    since only its keeper can copy it before.
    """
    with problems_of(store):
        if isinstance(store, Path):
            make_private(store)
        if is_ready(store, schema):
            return None
        is_file = isinstance(store, Path)
        done = migrate_place(store, schema, keep_copy=is_file, asked=asked or is_file)
        if done is None:
            return None
        found, copy = done
        return StoreMigrated(
            store=str(store), found=found, now=schema.revision, copy=None if copy is None else str(copy)
        )


def migrate_place(
    store: Place, schema: Schema, *, keep_copy: bool = True, asked: bool = True
) -> tuple[str, Path | None] | None:
    """The schema that a store had before, and where its copy is; None if its schema was that of this version."""
    from ami_process.store.migration import (
        migrate,  # Alembic takes a while to import, and is needed once in a store's life
    )

    return migrate(store, schema, keep_copy=keep_copy, asked=asked)


def is_ready(store: Place, schema: Schema) -> bool:
    """Whether the schema is the one that is wanted, which an empty database gets here."""
    engine = engine_of(store)
    try:
        with engine.begin() as connection:
            alone(connection, store)
            names = table_names(connection)
            if not names:
                create(connection, schema)
                return True
            if versions.name not in names or found_revision(connection) != schema.revision:
                return False
            demand_tables(connection, schema)
            return True
    finally:
        engine.dispose()
