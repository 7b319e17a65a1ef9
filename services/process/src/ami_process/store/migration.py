"""Older stores become those of this version: Alembic runs the revisions of the store's own package, in one transaction.

Either all of it happens or nothing: SQLite and PostgreSQL both take changes of tables back with their transaction. Before
the first change of a file a copy is made beside it. Imported only when there is something to do.
"""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, inspect

from ami_process.store.copies import unused, write_copy
from ami_process.store.errors import StoreUnusable
from ami_process.store.places import Place, engine_of
from ami_process.store.postgresql import alone
from ami_process.store.schema import Schema, demand_tables, found_revision, stamp, table_names, versions

Shape = set[tuple[str, frozenset[str]]]
"""Tables, each with the names of its columns."""


def migrate(store: Place, schema: Schema, *, keep_copy: bool, asked: bool = True) -> tuple[str, Path | None] | None:
    """From which revision, and where the copy is; None if nothing had to change but a missing version.

    Raises StoreUnusable for a schema that is newer or unknown, or older where it was not `asked` for, and what the database raises.
    """
    scripts = ScriptDirectory(schema.migrations, version_locations=[str(schema.migrations)])
    engine = engine_of(store, foreign_keys=False)
    try:
        with engine.begin() as connection:
            alone(connection, store)
            found = _known_revision(connection, schema, scripts)
            if found == schema.revision:
                return None
            if not asked:
                raise StoreUnusable(
                    f"it has schema {found}, and this {schema.role} needs {schema.revision}: copy the database with pg_dump, and "
                    f"then upgrade it: {schema.role} store migrate"
                )
            _demand_all(connection, schema, scripts, found)
            with _copied(store, found) if keep_copy and isinstance(store, Path) else nullcontext() as copy:
                upgrade(connection, scripts, schema.revision)
                demand_tables(connection, schema)
                _demand_whole(connection)
            return found, copy
    finally:
        engine.dispose()


@contextmanager
def _copied(store: Path, found: str) -> Iterator[Path]:
    """The copy, which goes again when there was nothing to keep it for: tries that fail must not fill the disk."""
    copy = unused(store.with_name(f"{store.name}.schema-{found}"))
    write_copy(store, copy)
    try:
        yield copy
    except Exception:
        copy.unlink()
        raise


def _demand_whole(connection: Connection) -> None:
    """SQLite has not looked at its foreign keys meanwhile; a server has."""
    if connection.dialect.name != "sqlite":
        return
    if broken := connection.exec_driver_sql("PRAGMA foreign_key_check").fetchall():
        raise StoreUnusable(f"rows of it refer to others that are not there, the first in {broken[0][0]}")


def upgrade(connection: Connection, scripts: ScriptDirectory, revision: str) -> None:
    """Run what leads to the revision, inside the caller's transaction."""
    fn = lambda found, _: scripts._upgrade_revs(revision, found)  # noqa: E731 (Alembic's own recipe)
    with EnvironmentContext(Config(), scripts, fn=fn, destination_rev=revision) as environment:
        environment.configure(connection=connection)
        environment.run_migrations()


def _known_revision(connection: Connection, schema: Schema, scripts: ScriptDirectory) -> str:
    """That of the store, stamped if it was written without."""
    known = sorted(script.revision for script in scripts.walk_revisions())
    if versions.name not in table_names(connection):
        found = _recognised(connection, schema, scripts)
        stamp(connection, found)
    else:
        found = found_revision(connection)
    if found not in known:
        raise StoreUnusable(
            f"it has schema {found}, and this {schema.role} knows the schemas {known[0]} to {schema.revision}: start the "
            f"version that wrote it, or bring a copy back that this one knows: {schema.role} store restore COPY"
        )
    return found


def _demand_all(connection: Connection, schema: Schema, scripts: ScriptDirectory, revision: str) -> None:
    """What a revision says of its tables has to be true before the next one builds on it."""
    wanted = {name for name, _ in _shape_of(scripts, revision)}
    if missing := sorted(wanted - table_names(connection)):
        raise StoreUnusable(
            f"it has schema {revision} but no table {missing[0]}; bring a copy back: {schema.role} store restore COPY"
        )


def _recognised(connection: Connection, schema: Schema, scripts: ScriptDirectory) -> str:
    """A store without a version, by its tables. Versions before the first one that was noted added them one by one."""
    found = _shape(connection)
    oldest, newest = (_shape_of(scripts, revision) for revision in schema.unversioned)
    if found == newest:
        return schema.unversioned[1]
    if oldest <= found <= newest:
        return schema.unversioned[0]
    raise StoreUnusable(
        f"it has no schema version, and other tables than the schemas {schema.unversioned[0]} and {schema.unversioned[1]} of "
        f"this {schema.role}, which may have none: set another store, or bring a copy back: {schema.role} store restore COPY"
    )


def _shape_of(scripts: ScriptDirectory, revision: str) -> Shape:
    engine = create_engine("sqlite://")
    try:
        with engine.begin() as connection:
            upgrade(connection, scripts, revision)
            return _shape(connection)
    finally:
        engine.dispose()


def _shape(connection: Connection) -> Shape:
    inspector = inspect(connection)
    names = table_names(connection) - {versions.name}
    return {(name, frozenset(column["name"] for column in inspector.get_columns(name))) for name in names}
