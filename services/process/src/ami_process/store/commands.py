"""The commands `store backup`, `restore`, `restored` and `migrate` of a process; they refuse while it runs."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Annotated

import typer

from ami_process.commands import explaining
from ami_process.settings import SettingsError
from ami_process.store.errors import StoreUnavailable, StoreUnusable
from ami_process.store.places import Place
from ami_process.store.schema import Schema
from ami_process.store.upkeep import Assume, backup_store, migrate_store, note_restored, restore_store

Config = Annotated[Path, typer.Option(metavar="FILE", help="The TOML file that all processes share.")]


def _nothing_more(_: Path) -> None:
    pass


def store_commands(
    schema: Schema,
    place_in: Callable[[Path], Place],
    assume: Assume | None = None,
    restored: Callable[[Path], None] = _nothing_more,
) -> typer.Typer:
    """`place_in` says which store a configuration names, `assume` what a restored one has to assume; `restored` is done behind that."""
    commands = typer.Typer(
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode=None,
        help="Copy, restore or upgrade the store, while the process does not run.",
    )

    @commands.command("backup")
    def backup(config: Config, copy: Annotated[Path, typer.Argument(help="The new file.")]) -> None:
        """Write a complete copy of the store to a new file."""
        with _explaining(schema):
            store = place_in(config)
            backup_store(store, schema, copy)
            typer.echo(f"{store} is copied to {copy}")

    @commands.command("restore")
    def restore(config: Config, copy: Annotated[Path, typer.Argument(help="What backup has written.")]) -> None:
        """Put a copy in the place of the store, which is kept beside it as NAME.replaced."""
        with _explaining(schema):
            store = place_in(config)
            aside, assumed = restore_store(store, schema, copy, assume)
            restored(config)
            typer.echo(f"{store} is what {copy} was" + (f"; what it was before is in {aside}" if aside else ""))
            if assumed:
                typer.echo(assumed)

    @commands.command("migrate")
    def migrate(config: Config) -> None:
        """Upgrade the store to the schema of this version; the process does the same when it starts."""
        with _explaining(schema):
            store = place_in(config)
            done = migrate_store(store, schema)
            if done is None:
                typer.echo(f"{store} has schema {schema.revision} already")
            else:
                before = f"; as it was before, it is in {done.copy}" if done.copy else ""
                typer.echo(f"{store} had schema {done.found} and has {done.now} now{before}")

    if assume is not None:
        _add_restored(commands, schema, place_in, assume, restored)
    return commands


def _add_restored(
    commands: typer.Typer,
    schema: Schema,
    place_in: Callable[[Path], Place],
    assume: Assume,
    restored: Callable[[Path], None],
) -> None:
    @commands.command("restored")
    def brought_back(config: Config) -> None:
        """Say that the store was brought back by other means (pg_restore, a snapshot), so that the worst is assumed."""
        with _explaining(schema):
            assumed = note_restored(place_in(config), schema, assume)
            restored(config)
            typer.echo(assumed)


def _explaining(schema: Schema) -> AbstractContextManager[None]:
    return explaining(schema.role, SettingsError, StoreUnusable, StoreUnavailable)
