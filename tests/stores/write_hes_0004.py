"""Run with the packages of the version that brought schema 0004: the store of 0003, and a registry in it, as `make.py` asks for it."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import write_hes_0003  # it writes its store

from ami_hes.store import Database, RegistryChange, Sealed, SqlRegistry, StoredMeter, StoredSource

KEYS = (Sealed("encryption_key", "a master key", bytes(range(44))), Sealed("secret", "a master key", bytes(range(36))))
METERS = (
    StoredMeter("00000000-0000-4000-8000-000000001001", "M1001", "a.json", '{"name": "M1001"}', KEYS),
    StoredMeter("00000000-0000-4000-8000-000000001002", "M1002", "import", '{"name": "M1002"}', ()),
)


async def write_registry(path: Path) -> None:
    async with Database(path) as database:
        sources = [StoredSource("a.json", Sealed("digest", "a master key", bytes(range(60))))]
        await SqlRegistry(database).change(RegistryChange(meters=METERS, sources=sources))


asyncio.run(write_registry(write_hes_0003.directory / f"hes-{sys.argv[2]}.sqlite"))
