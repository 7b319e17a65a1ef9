"""How a SQLite file is opened as a store: write-ahead log, foreign keys, and transactions that begin with the lock on writing.

Commits survive the loss of power (`synchronous=FULL`): what is committed here must not be forgotten afterwards.
"""

from pathlib import Path
from sqlite3 import Connection as SqliteConnection

from sqlalchemy import Connection, Engine, create_engine, event

BUSY_MS = 5_000
"""How long a transaction waits for another program that writes."""


def sqlite_engine(store: Path, *, foreign_keys: bool = True) -> Engine:
    """An engine on the file. Migrations rebuild tables, for which foreign keys have to be off (sqlite.org/lang_altertable.html)."""
    engine = create_engine(f"sqlite:///{store}")
    pragmas = (
        f"busy_timeout={BUSY_MS}",
        "journal_mode=WAL",
        "synchronous=FULL",
        f"foreign_keys={'ON' if foreign_keys else 'OFF'}",
    )

    def prepare(connection: SqliteConnection, _: object) -> None:
        connection.isolation_level = None  # transactions are begun below, not guessed by the driver
        for pragma in pragmas:
            connection.execute(f"PRAGMA {pragma}").close()

    event.listen(engine, "connect", prepare)
    event.listen(engine, "begin", _begin_immediately)
    return engine


def _begin_immediately(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")
