"""The store of the HES as a database, whose state goes to the log."""

from dataclasses import asdict
from pathlib import Path
from typing import Self

import structlog

from ami_hes.store.tables import SCHEMA
from ami_process.store import database

log = structlog.get_logger()


class Database(database.Database):
    """Opened with `async with`; says once when the store goes, and once when it is back."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, SCHEMA, changed=self._log)

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        if self.migrated:
            log.info("store_migrated", **asdict(self.migrated))
        return self

    def _log(self, reason: str | None) -> None:
        if reason is None:
            log.info("store_available", store=str(self._path))
        else:
            log.error("store_unavailable", store=str(self._path), reason=reason)
