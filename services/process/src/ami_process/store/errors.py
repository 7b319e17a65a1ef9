"""Why a store can't be used: for a while, or at all."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DatabaseError, DBAPIError, InternalError, OperationalError


class StoreUnavailable(Exception):
    """The store does not take anything now (locked, disk full); nothing was stored. The text is for a person."""


class StoreInDoubt(StoreUnavailable):
    """The server went away while it committed: it may have been stored all the same."""


class StoreUnusable(Exception):
    """The file or database can't be used as a store, or no longer; the text says which and why."""


class GivenUp(Exception):
    """What a transaction sees is older than what it has to change: it is rolled back, and done again."""


FOR_A_WHILE = (OperationalError, InternalError)
"""What SQLAlchemy raises for a store that takes nothing now; InternalError comes of a server that has become a standby."""


class _Named(StoreUnusable):
    """Its text names the store already."""


@contextmanager
def problems_of(store: object) -> Iterator[None]:
    """What a disk or a database raises becomes StoreUnavailable or StoreUnusable with a text that names the store (its `str`)."""
    try:
        yield
    except OSError as problem:
        raise _Named(f"the store {store} can't be opened: {problem.strerror}") from None
    except _Named:
        raise
    except StoreUnusable as problem:
        raise _Named(f"the store {store} can't be used: {problem}") from None
    except (*FOR_A_WHILE, sqlite3.OperationalError) as problem:
        raise StoreUnavailable(f"the store can't be written now: {reason_of(problem)}") from None
    except (DatabaseError, sqlite3.DatabaseError) as problem:
        raise _Named(f"{store} can't be used as a store: {reason_of(problem)}") from None


GIVEN_UP = ("40001", "40P01")
"""SQLSTATE of a transaction that PostgreSQL has rolled back because of another one: serialization_failure, deadlock_detected."""


def is_given_up(problem: DBAPIError) -> bool:
    """Whether a transaction is rolled back, and may be done again."""
    return getattr(problem.orig, "sqlstate", None) in GIVEN_UP


def reason_of(problem: Exception) -> str:
    """What the database itself says, on one line."""
    return " ".join(str(getattr(problem, "orig", None) or problem).split())
