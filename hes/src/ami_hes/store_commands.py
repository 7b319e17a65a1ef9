"""`hes store`: what is done with the store while the process does not run: copies, upgrades, a new master key, readings in a file."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from ami_hes.closed_store import export_readings, mark_restored, rotate_in
from ami_hes.registry import CannotOpen
from ami_hes.settings import Settings
from ami_hes.store import SCHEMA, StoreUnavailable, StoreUnusable, assume_the_worst
from ami_process.commands import explaining
from ami_process.settings import SettingsError
from ami_process.store.commands import store_commands
from ami_process.store.places import Place, place_of


def _store_in(config: Path) -> Place:
    hes = Settings.load(config).hes
    return place_of(hes.store, hes.store_password, "hes.store")


def _mark_restored(config: Path) -> None:
    mark_restored(Settings.load(config))


store = store_commands(SCHEMA, _store_in, assume_the_worst, _mark_restored)


@store.command("rotate-keys")
def rotate_keys(
    config: Annotated[Path, typer.Option(metavar="FILE", help="The TOML file that all processes share.")],
) -> None:
    """Seal all keys of meters in the store by a new master key; older ones stay in its file, for copies of the store."""
    with explaining("hes", SettingsError, CannotOpen, StoreUnusable, StoreUnavailable):
        typer.echo(asyncio.run(rotate_in(Settings.load(config))))


@store.command("readings")
def store_readings(
    config: Annotated[Path, typer.Option(metavar="FILE", help="The TOML file that all processes share.")],
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The new file.")],
    since: Annotated[datetime | None, typer.Option("--from", help="Readings after this moment, in UTC.")] = None,
    until: Annotated[datetime | None, typer.Option("--to", help="Readings up to this moment, in UTC.")] = None,
    parquet: Annotated[bool, typer.Option("--parquet", help="Parquet instead of CSV, by the extra parquet.")] = False,
) -> None:
    """Write the readings of the store to a new file, CSV or Parquet, while the process does not run."""
    with explaining("hes", SettingsError, StoreUnusable, StoreUnavailable, OSError):
        first, last = (one and one.replace(tzinfo=UTC) for one in (since, until))
        written = asyncio.run(export_readings(Settings.load(config), file, first, last, parquet=parquet))
        typer.echo(f"{written} readings are in {file}")
