"""What is done to the store of a HES that does not run."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from socket import gethostname

from ami_hes.audit import AuditEntry, What
from ami_hes.configured import store_mark
from ami_hes.registry import master_keys_of, rotate
from ami_hes.settings import Settings
from ami_hes.store import (
    NEEDS_PYARROW,
    SCHEMA,
    Database,
    Extract,
    SqlAudit,
    SqlReadings,
    SqlRegistry,
    go_on,
    parquet_is_possible,
    write_csv,
    write_parquet,
)
from ami_process.environment import Environment
from ami_process.settings import SettingsError
from ami_process.store.holding import hold_store
from ami_process.store.places import place_of


async def rotate_in(settings: Settings) -> str:
    """Seal what the store of these settings holds by a new master key; what was done, for a person."""
    hes = settings.hes
    masters = master_keys_of(hes.master_key, hes.store, os.environ, os.urandom)
    with hold_store(place_of(hes.store, hes.store_password, "hes.store"), SCHEMA) as store:
        async with Database(store) as database:
            sealed = await rotate(SqlRegistry(database), masters, os.urandom)
            reason = f"{sealed} keys of meters were sealed by a new master key"
            environment = Environment(emit=lambda _: None)
            who = f"user {os.getuid()} of {gethostname()}"
            entry = AuditEntry(
                what=What.STORE_CHANGED, at=environment.now(), principal=who[:100], by="command", reason=reason
            )
            await SqlAudit(database).append([entry])
    return f"{sealed} keys of meters are sealed by the master key {masters.current().id} of {masters.place}"


def mark_restored(settings: Settings) -> None:
    """A copy was brought back into the place of the store, and the worst is assumed of it: mark it, for the next start."""
    hes = settings.hes
    with hold_store(place_of(hes.store, hes.store_password, "hes.store"), SCHEMA) as store:
        if (mark := store_mark(settings)) is not None:
            go_on(store, mark, os.urandom)


@asynccontextmanager
async def closed_audit(settings: Settings) -> AsyncIterator[SqlAudit]:
    """The audit log of the store of these settings, which no process has open. Raises StoreUnusable, StoreUnavailable."""
    hes = settings.hes
    with hold_store(place_of(hes.store, hes.store_password, "hes.store"), SCHEMA) as store:
        async with Database(store) as database:
            yield SqlAudit(database)


async def export_readings(
    settings: Settings, path: Path, since: datetime | None, until: datetime | None, *, parquet: bool = False
) -> int:
    """Write the readings of the store of these settings to a new file, CSV or Parquet; how many.

    OSError when there is such a file, SettingsError for Parquet without its extra.
    """
    if parquet and not parquet_is_possible():
        raise SettingsError(NEEDS_PYARROW)
    hes = settings.hes
    wanted = Extract.between(since, until)
    with hold_store(place_of(hes.store, hes.store_password, "hes.store"), SCHEMA) as store:
        async with Database(store) as database:
            readings = SqlReadings(database)
            if not parquet:
                with path.open("x", encoding="utf-8", newline="") as file:
                    return await write_csv(readings, file, wanted)
            with path.open("xb") as octets:
                return await write_parquet(readings, octets, wanted)
