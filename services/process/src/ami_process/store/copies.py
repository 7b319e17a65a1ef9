"""Whole copies of a SQLite store, made by SQLite itself, so that they are consistent whatever is in the write-ahead log."""

import os
import sqlite3
from contextlib import closing
from itertools import count
from pathlib import Path

from ami_process.ownership import make_private


def write_copy(store: Path, copy: Path) -> None:
    """One file without a log, for its owner alone; there when it is complete and on the disk, else not at all.

    Raises sqlite3.Error and OSError.
    """
    unfinished = copy.with_name(copy.name + ".unfinished")
    unfinished.unlink(missing_ok=True)
    make_private(unfinished)
    read_only = f"{store.resolve().as_uri()}?mode=ro"
    with closing(sqlite3.connect(read_only, uri=True)) as source, closing(sqlite3.connect(unfinished)) as target:
        source.backup(target)
    settle(unfinished)
    sync(unfinished)
    unfinished.replace(copy)
    sync(copy.parent)


def settle(store: Path) -> None:
    """Everything into the file itself, so that it has no log beside it. Raises sqlite3.Error."""
    with closing(sqlite3.connect(store)) as connection:
        (mode,) = connection.execute("PRAGMA journal_mode=DELETE").fetchone()
    if mode != "delete":
        raise sqlite3.OperationalError("the write-ahead log is in use")


def sync(path: Path) -> None:
    """What was written is on the disk when this returns."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def unused(path: Path) -> Path:
    """This name or the first with a number that is not taken: what an earlier command has kept may be the only true store."""
    names = (path if number == 1 else path.with_name(f"{path.name}-{number}") for number in count(1))
    return next(name for name in names if not name.exists())
