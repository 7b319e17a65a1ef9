"""Entries and shipment rows of meters whose keys a test can look for wherever they must not be."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ami_hes.registry import KeptRegistry, MasterKey, Sealer, configured_meters, open_registry
from ami_hes.store import Database, SqlRegistry
from ami_process.events import Event
from ami_process.store.places import Place

MASTER, OTHER_MASTER = MasterKey(bytes(range(32))), MasterKey(bytes(range(1, 33)))


class MasterKeysOf:
    """Master keys in a list."""

    place = "the test"

    def __init__(self, *keys: MasterKey) -> None:
        self.keys = list(keys)

    def current(self) -> MasterKey:
        return self.keys[0]

    def find(self, key_id: str) -> MasterKey | None:
        return next((key for key in self.keys if key.id == key_id), None)

    def renew(self) -> None:
        self.keys.insert(0, OTHER_MASTER)


class Randomly:
    """No nonce comes twice."""

    def __init__(self) -> None:
        self._next = 0

    def __call__(self, count: int) -> bytes:
        self._next += 1
        return self._next.to_bytes(count, "big")


def a_sealer(*keys: MasterKey) -> Sealer:
    return Sealer(MasterKeysOf(*(keys or (MASTER,))), Randomly())


def key(number: int, purpose: int = 0) -> bytes:
    return bytes((number * 16 + purpose * 5 + one * 3) % 256 for one in range(16))


def mrid(number: int) -> str:
    return str(uuid.UUID(int=number))


def entry(number: int, **changes: Any) -> dict[str, Any]:
    return {
        "name": f"M{number}",
        "mrid": mrid(number),
        "usage_points": [f"UP-{number}"],
        "address": f"127.0.0.1:{5000 + number}",
        "encryption_key": key(number).hex(),
        "authentication_key": key(number, 1).hex(),
        "secret": "text:SWORDFISH",
        "system_title": f"414D490000{number:06X}",
        "logical_device_name": f"LDN{number}",
        "device_id": str(number),
        "tags": {"feeder": f"F{number % 2}"},
    } | changes


async def opened(
    database: Database,
    entries: Sequence[object] = (),
    shipments: Sequence[Path] = (),
    *,
    sealer: Sealer | None = None,
    events: list[Event] | None = None,
) -> KeptRegistry:
    """The registry that a head-end with this configuration has."""
    emit = [].append if events is None else events.append
    return await open_registry(
        SqlRegistry(database), sealer or a_sealer(), configured_meters(entries, shipments, None), emit
    )


def octets_of(place: Place) -> bytes:
    """All that a store of SQLite has written."""
    assert isinstance(place, Path)
    return b"".join(path.read_bytes() for path in sorted(place.parent.iterdir()) if path.is_file())
