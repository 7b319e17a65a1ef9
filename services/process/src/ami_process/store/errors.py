"""Why a store can't be used: for a while, or at all."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy.exc import DatabaseError, OperationalError


class StoreUnavailable(Exception):
    """The store does not take anything now (locked, disk full); nothing was stored. The text is for a person."""


class StoreUnusable(Exception):
    """The file can't be used as a store; the text says which and why."""


class _Named(StoreUnusable):
    """Its text names the store already."""


@contextmanager
def problems_of(store: Path) -> Iterator[None]:
    """What a disk or a database raises becomes StoreUnavailable or StoreUnusable with a text that names the store."""
    try:
        yield
    except OSError as problem:
        raise _Named(f"the store {store} can't be opened: {problem.strerror}") from None
    except _Named:
        raise
    except StoreUnusable as problem:
        raise _Named(f"the store {store} can't be used: {problem}") from None
    except (OperationalError, sqlite3.OperationalError) as problem:
        raise StoreUnavailable(f"the store can't be written now: {_reason(problem)}") from None
    except (DatabaseError, sqlite3.DatabaseError) as problem:
        raise _Named(f"{store} can't be used as a store: {_reason(problem)}") from None


def _reason(problem: Exception) -> str:
    return str(getattr(problem, "orig", None) or problem)
