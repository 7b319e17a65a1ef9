"""Which tables a store has, at which revision, and how a database tells its revision.

The revision is kept where Alembic keeps it, in the one row of the table `alembic_version`, so that a store which is up to
date is recognised with one SELECT and without importing Alembic.
"""

from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import (
    Column,
    Connection,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    delete,
    insert,
    inspect,
    select,
)

from ami_process.store.errors import StoreUnusable

versions = Table(
    "alembic_version",
    MetaData(),
    Column("version_num", String(32), nullable=False),
    PrimaryKeyConstraint("version_num", name="alembic_version_pkc"),
)


HOLDER = "store_holder"
"""Who holds a database: a table beside those of the store, of whatever schema they are (`postgresql`)."""


@dataclass(frozen=True, slots=True)
class Schema:
    """The tables of a store as this version of the program knows them."""

    role: str
    """The command that owns such stores, and the section of the configuration that names them: `hes`, `cis`."""
    owner: str
    """What a process that owns one is called."""
    revision: str
    """That of `tables`; revisions are numbered: 0001, 0002, ..."""
    tables: MetaData
    migrations: Path
    """The folder of the Alembic revisions that lead to `revision`."""
    unversioned: tuple[str, str]
    """Stores without a version were written with tables between those of these two revisions."""


def table_names(connection: Connection) -> set[str]:
    """All tables of the store, that of the version included."""
    return set(inspect(connection).get_table_names()) - {HOLDER}


def found_revision(connection: Connection) -> str:
    """What the table of the version says. Raises StoreUnusable if that is not exactly one revision."""
    found = connection.execute(select(versions.c.version_num)).scalars().all()
    if len(found) != 1:
        raise StoreUnusable(f"its table {versions.name} has {len(found)} rows in place of one")
    return str(found[0])


def demand_tables(connection: Connection, schema: Schema) -> None:
    """Raises StoreUnusable if a store of this revision lacks a table that it should have."""
    if missing := sorted(set(schema.tables.tables) - table_names(connection)):
        raise StoreUnusable(
            f"it has schema {schema.revision} but no table {missing[0]}; bring a copy back: {schema.role} store restore COPY"
        )


def stamp(connection: Connection, revision: str) -> None:
    """Note the revision of all tables."""
    versions.create(connection, checkfirst=True)
    connection.execute(delete(versions))
    connection.execute(insert(versions).values(version_num=revision))


def create(connection: Connection, schema: Schema) -> None:
    """All tables in an empty database."""
    schema.tables.create_all(connection, checkfirst=False)
    stamp(connection, schema.revision)
