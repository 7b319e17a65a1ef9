"""What a person does to the store of a folder while no process has a meter of it: copy it, put a copy in its place, upgrade it.

Strategy: what processes that are gone have left in their journals is brought into SQLite first, so that one file is all there
is; the rest is what `ami_process.store.upkeep` does with any store.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sqlalchemy import Connection, select

from ami_meter_sim.population.journal import SUFFIX, StateUnusable
from ami_meter_sim.population.store import FILE, LOCK, Store
from ami_meter_sim.population.tables import RANGES, SCHEMA
from ami_process.ownership import InUse, held_whole
from ami_process.store.copies import unused
from ami_process.store.errors import StoreUnusable
from ami_process.store.events import StoreMigrated
from ami_process.store.upkeep import backup_store, migrate_store, restore_store

COUNTERS_SKIPPED = 2**20
"""A million frames under one key."""
LAST_COUNTER = 2**32
_ROWS = """
WITH RECURSIVE numbers (meter) AS (SELECT :first UNION ALL SELECT meter + 1 FROM numbers WHERE meter < :last)
INSERT INTO rows (meter) SELECT meter FROM numbers WHERE true ON CONFLICT DO NOTHING
"""
_SKIP = """
UPDATE rows SET send_reserved = min(coalesce(send_reserved, 1) + :skipped, :last),
    send_reserved_2 = min(coalesce(send_reserved_2, 1) + :skipped, :last)
"""


def backup(directory: Path, copy: Path) -> None:
    """A new file with all that is in the folder. Raises StoreUnusable, StoreUnavailable, StateUnusable."""
    with _alone(directory):
        pass
    _demand(directory / FILE)
    _bring_in(directory)
    with _alone(directory):
        if _journals(directory):
            raise StoreUnusable(f"a process has begun to work in {directory} meanwhile: stop it first")
        backup_store(directory / FILE, SCHEMA, copy)


def restore(directory: Path, copy: Path) -> tuple[Path | None, str]:
    """Where the store that was there is kept, and what was assumed. Raises StoreUnusable, StoreUnavailable."""
    with _alone(directory):
        pass
    if (directory / FILE).exists():
        with suppress(StateUnusable):  # what is damaged may be replaced all the same
            _bring_in(directory)
    with _alone(directory):
        aside, assumed = restore_store(directory / FILE, SCHEMA, copy, assume_the_worst)
        for journal in _journals(directory):  # they are of the store that was there
            journal.rename(unused(journal.with_name(journal.name + ".replaced")))
        return aside, assumed


def migrate(directory: Path) -> StoreMigrated | None:
    """What was upgraded, if anything. Raises StoreUnusable, StoreUnavailable."""
    with _alone(directory):
        return migrate_store(directory / FILE, SCHEMA)


def assume_the_worst(connection: Connection) -> str:
    """The meters of the time since the copy may have sent under each of their keys; what was assumed, in words."""
    meters = 0
    for number, count in connection.execute(select(RANGES.c.number, RANGES.c.count)).all():
        connection.exec_driver_sql(_ROWS, {"first": number, "last": number + count - 1})
        meters += count
    connection.exec_driver_sql(_SKIP, {"skipped": COUNTERS_SKIPPED, "last": LAST_COUNTER})
    return (
        f"the invocation counters of {meters} meters go on {COUNTERS_SKIPPED:,} above the copy. What happened to them since the copy "
        "was made is not known any more: keys that were changed are the old ones again, and requests of that time would be "
        "accepted once more."
    )


@contextmanager
def _alone(directory: Path) -> Iterator[None]:
    try:
        with held_whole(directory / LOCK):
            yield
    except InUse:
        raise StoreUnusable(f"meters run with their state in {directory}: stop them first") from None


def _bring_in(directory: Path) -> None:
    Store.open(directory, []).close()


def _journals(directory: Path) -> list[Path]:
    return sorted(directory.glob(f"*{SUFFIX}"))


def _demand(store: Path) -> None:
    if not store.is_file():
        raise StoreUnusable(f"there is no file {store}")
