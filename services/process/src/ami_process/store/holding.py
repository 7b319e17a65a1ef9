"""One process at a time works on a store, unless it is a database that several share."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ami_process.ownership import Hold, InUse
from ami_process.store.errors import StoreUnusable
from ami_process.store.places import Place
from ami_process.store.postgresql import held
from ami_process.store.schema import Schema


@contextmanager
def hold_store(store: Place, schema: Schema, *, shared: bool = False) -> Iterator[Place]:
    """The store for this process alone while the context is entered; StoreUnusable if another has it, StoreUnavailable.

    `shared`: of a database for all processes that hold it so, and for no other.
    """
    if shared and isinstance(store, Path):
        raise StoreUnusable(f"the store {store} is a file, and only a database is shared by several processes")
    with _hold_file(store, schema) if isinstance(store, Path) else held(store, schema, shared=shared) as mine:
        yield store if isinstance(mine, Hold) else mine


def _hold_file(store: Path, schema: Schema) -> Hold:
    """By whatever link it comes."""
    try:
        store = store.resolve()
        if store.exists() and (names := store.stat().st_nlink) > 1:
            reason = f"the store {store} has {names} names (hard links), and a second {schema.owner} could open it by another one: remove all but one"
            raise StoreUnusable(reason)
        return Hold(store.with_name(store.name + ".lock"), store.name)
    except InUse:
        reason = f"the store {store} is in use by another {schema.owner}: stop it, or set another {schema.role}.store"
        raise StoreUnusable(reason) from None
    except OSError as problem:
        raise StoreUnusable(f"the store {store} can't be opened: {problem.strerror}") from None
