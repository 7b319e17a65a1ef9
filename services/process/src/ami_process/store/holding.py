"""One process at a time works on a store."""

from pathlib import Path

from ami_process.ownership import Hold, InUse
from ami_process.store.errors import StoreUnusable
from ami_process.store.schema import Schema


def hold_store(store: Path, schema: Schema) -> Hold:
    """This process's alone while the context is entered, by whatever link it comes; StoreUnusable if another has it."""
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
