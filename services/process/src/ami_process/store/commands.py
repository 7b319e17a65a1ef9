"""The commands `store backup`, `restore` and `migrate` of a process; they refuse while it runs."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from ami_process.ownership import keep_private
from ami_process.settings import SettingsError
from ami_process.store.errors import StoreUnavailable, StoreUnusable
from ami_process.store.schema import Schema
from ami_process.store.upkeep import Assume, backup_store, migrate_store, restore_store

USAGE = 2

Config = Annotated[Path, typer.Option(metavar="FILE", help="The TOML file that all processes share.")]


def store_commands(schema: Schema, path_in: Callable[[Path], Path], assume: Assume | None = None) -> typer.Typer:
    """`path_in` says which store a configuration names, `assume` what a restored one has to assume."""
    commands = typer.Typer(
        no_args_is_help=True, help="Copy, restore or upgrade the store, while the process does not run."
    )

    @commands.command("backup")
    def backup(config: Config, copy: Annotated[Path, typer.Argument(help="The new file.")]) -> None:
        """Write a complete copy of the store to a new file."""
        with _explaining(schema):
            store = path_in(config)
            backup_store(store, schema, copy)
            typer.echo(f"{store} is copied to {copy}")

    @commands.command("restore")
    def restore(config: Config, copy: Annotated[Path, typer.Argument(help="What backup has written.")]) -> None:
        """Put a copy in the place of the store, which is kept beside it as NAME.replaced."""
        with _explaining(schema):
            store = path_in(config)
            aside, assumed = restore_store(store, schema, copy, assume)
            typer.echo(f"{store} is what {copy} was" + (f"; what it was before is in {aside}" if aside else ""))
            if assumed:
                typer.echo(assumed)

    @commands.command("migrate")
    def migrate(config: Config) -> None:
        """Upgrade the store to the schema of this version; the process does the same when it starts."""
        with _explaining(schema):
            store = path_in(config)
            done = migrate_store(store, schema)
            if done is None:
                typer.echo(f"{store} has schema {schema.revision} already")
            else:
                typer.echo(
                    f"{store} had schema {done.found} and has {done.now} now; as it was before, it is in {done.copy}"
                )

    return commands


@contextmanager
def _explaining(schema: Schema) -> Iterator[None]:
    keep_private()
    try:
        yield
    except (SettingsError, StoreUnusable, StoreUnavailable) as problem:
        sys.stderr.write(f"{schema.role}: {problem}\n")
        raise typer.Exit(USAGE) from None
