"""Where a store is: a file of SQLite, or a database of a PostgreSQL server. What differs between them is behind these functions."""

import os
from pathlib import Path
from typing import TypeAlias

from sqlalchemy import Engine, make_url

from ami_process.secret_sources import SecretSources
from ami_process.settings import SettingsError
from ami_process.store.postgresql import Server
from ami_process.store.sqlite import sqlite_engine

Place: TypeAlias = Path | Server
SCHEMES = ("env", "file")


def place_of(store: Path | str, password: str | None, setting: str) -> Place:
    """What a setting says: a path, or a URL whose password is kept elsewhere (`env:NAME`, `file:PATH`). Raises SettingsError."""
    if isinstance(store, Path):
        if password is not None:
            raise SettingsError(f"{setting}_password: a file has no password; it is for a store at postgresql://")
        return store
    return Server(
        make_url(store).set(password=None if password is None else secret_of(password, f"{setting}_password"))
    )


def engine_of(place: Place, *, foreign_keys: bool = True) -> Engine:
    """An engine on it. Migrations of a file need foreign keys off; a server checks them at their end."""
    return sqlite_engine(place, foreign_keys=foreign_keys) if isinstance(place, Path) else place.engine()


def secret_of(reference: str, setting: str) -> str:
    """What `env:NAME` or `file:PATH` names. Raises SettingsError."""
    scheme, _, rest = reference.partition(":")
    if scheme not in SCHEMES or not rest:
        raise SettingsError(f"{setting}: expected env:NAME or file:PATH")
    try:
        return SecretSources(os.environ)(scheme, rest).rstrip("\r\n")
    except ValueError as problem:
        raise SettingsError(f"{setting}: {problem}") from None
