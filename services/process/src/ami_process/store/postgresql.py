"""How a database of a PostgreSQL server is opened as a store, and held by one process at a time, or by several that share it.

Strategy: a store has one connection at a time, and the lock on the store (an advisory lock of the session) belongs to that
connection, so nothing is written without it. A connection that is lost takes the lock along. The process that takes the store then leaves
a token in it, by which the process that had it before learns that it has lost it: what it remembers of counters is no longer true.

Processes that share a store hold its lock together, so that none has it for itself meanwhile, and their transactions are
SERIALIZABLE: each is as if it were alone, as in a store of one process (`ami_process.store.database` repeats what the server gives up).

Needs psycopg, which comes with the extra `postgresql`; libpq's own variables and files (PGPASSFILE, PGSSLROOTCERT) hold as well.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Protocol
from uuid import uuid4

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError

from ami_process.store.errors import StoreUnavailable, StoreUnusable, problems_of
from ami_process.store.schema import HOLDER, Schema

LOCK_WITHIN_MS = 2_000
"""A server may need a moment to see that the connection of an earlier life is gone."""
CONNECTING = {
    "connect_timeout": "5",
    "tcp_user_timeout": "10000",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
}
"""libpq's parameters, unless the URL has others: a server that is gone without a word is noticed within half a minute."""
_LASTING = """
SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'
"""
_LOCK = "SELECT pg_advisory_lock(hashtextextended(%s || current_schema(), 0))"
_LOCK_SHARED = _LOCK.replace("lock(", "lock_shared(", 1)
_MAKING = "SELECT pg_advisory_xact_lock(hashtextextended(%s || current_schema(), 1))"
"""Two that make one table at once are not kept apart by IF NOT EXISTS: the second one fails."""
_SHARED = "shared"
"""The token of all processes that share a store."""


class _Cursor(Protocol):
    """As far as psycopg's is used here."""

    def execute(self, query: str, params: tuple[object, ...] = ()) -> Any: ...
    def fetchone(self) -> Any: ...


@dataclass(frozen=True, slots=True)
class Claim:
    """What a process needs to have the store for itself, or with others that share it, on each of its connections."""

    role: str
    owner: str
    token: str
    shared: bool = False

    def take(self, cursor: _Cursor) -> None:
        """For the first time. Raises StoreUnusable where another process has it."""
        try:
            self._lock(cursor)
        except StoreUnavailable:
            reason = f"it is in use by another {self.owner}: stop that one, or set another {self.role}.store"
            raise StoreUnusable(reason) from None
        cursor.execute(_MAKING, (f"ami {self.role} ",))
        cursor.execute(f"CREATE TABLE IF NOT EXISTS {HOLDER} (token text NOT NULL)")
        cursor.execute(f"SELECT token FROM {HOLDER}")  # noqa: S608
        if cursor.fetchone() == (self.token,):
            return
        cursor.execute(f"DELETE FROM {HOLDER}")  # noqa: S608 (a name of our own)
        cursor.execute(f"INSERT INTO {HOLDER} VALUES (%s)", (self.token,))  # noqa: S608

    def keep(self, cursor: _Cursor) -> None:
        """Again. Raises StoreUnusable when another process has had it meanwhile, StoreUnavailable while one has its lock."""
        self._lock(cursor)
        cursor.execute(f"SELECT token FROM {HOLDER}")  # noqa: S608
        if cursor.fetchone() != (self.token,):
            raise StoreUnusable(
                f"another {self.owner} has taken the store while this one had lost its connection to it"
            )

    def _lock(self, cursor: _Cursor) -> None:
        from psycopg.errors import LockNotAvailable

        cursor.execute("SELECT current_schema()")
        if cursor.fetchone() == (None,):
            raise StoreUnusable("no schema of its search_path is there")
        cursor.execute(f"SET LOCAL lock_timeout = {LOCK_WITHIN_MS}")
        try:
            cursor.execute(_LOCK_SHARED if self.shared else _LOCK, (f"ami {self.role} ",))
        except LockNotAvailable:
            raise StoreUnavailable("the store is locked by another connection") from None


@dataclass(frozen=True, slots=True)
class Server:
    """A database; with `claim`, this process's alone (`held`). Its text and its repr hide the password."""

    url: URL
    claim: Claim | None = None

    def __str__(self) -> str:
        return self.url.set(drivername="postgresql", password=None, query={}).render_as_string()

    @property
    def is_shared(self) -> bool:
        """Whether other processes work on it at the same time."""
        return self.claim is not None and self.claim.shared

    def engine(self) -> Engine:
        """One connection at a time, tested before each transaction. Raises StoreUnusable without psycopg."""
        given = {name: value for name, value in CONNECTING.items() if name not in self.url.query}
        url = self.url.set(drivername="postgresql+psycopg")
        try:
            engine = create_engine(
                url,
                connect_args=given,
                hide_parameters=True,
                max_overflow=0,
                pool_pre_ping=True,
                pool_size=1,
                **({"isolation_level": "SERIALIZABLE"} if self.is_shared else {}),
            )
        except ModuleNotFoundError:
            raise StoreUnusable("PostgreSQL needs psycopg, which the extra [postgresql] installs") from None
        event.listen(engine, "connect", self._prepare)
        return engine

    def _prepare(self, connection: Any, _: object) -> None:
        try:
            with connection.cursor() as cursor:
                cursor.execute(_LASTING)
                if self.claim is not None:
                    self.claim.keep(cursor)
            connection.commit()
        except BaseException:
            connection.close()
            raise


def alone(connection: Connection, store: object) -> None:
    """Keep others that share the store away until this transaction ends. It must be its first statement: what it sees begins behind it."""
    if isinstance(store, Server) and store.is_shared:
        connection.exec_driver_sql(f"LOCK TABLE {HOLDER} IN SHARE UPDATE EXCLUSIVE MODE")  # which takes no snapshot


@contextmanager
def held(server: Server, schema: Schema, *, shared: bool = False) -> Iterator[Server]:
    """The database for this process alone, or `shared` with others that say so too. Raises StoreUnusable where another one has it, StoreUnavailable."""
    claim = Claim(schema.role, schema.owner, _SHARED if shared else uuid4().hex, shared)
    with problems_of(server):
        engine = server.engine()
        try:
            with engine.begin() as connection:
                claim.take(connection.connection.cursor())
        finally:
            engine.dispose()
    yield replace(server, claim=claim)


def copy_rows(
    connection: Connection, table: str, columns: Mapping[str, str], rows: Iterable[tuple[object, ...]]
) -> None:
    """COPY them in the binary format; `columns` are names with PostgreSQL's types. Raises what a statement of SQLAlchemy raises."""
    from psycopg import Connection as Driver
    from psycopg import Error

    driver = connection.connection.driver_connection
    assert isinstance(driver, Driver)
    statement = f"COPY {table} ({', '.join(columns)}) FROM STDIN (FORMAT BINARY)"
    try:
        with driver.cursor() as cursor, cursor.copy(statement.encode()) as copy:
            copy.set_types(list(columns.values()))
            for row in rows:
                copy.write_row(row)
    except Error as problem:
        raise DBAPIError.instance(
            statement, None, problem, Error, hide_parameters=True, dialect=connection.dialect
        ) from problem
