"""`meter-sim store`: copy, restore or upgrade what simulated meters keep, while none of them runs."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Annotated

import typer

from ami_meter_sim.population import upkeep
from ami_meter_sim.population.journal import StateUnusable
from ami_meter_sim.population.tables import SCHEMA
from ami_process.commands import explaining
from ami_process.settings import SettingsError
from ami_process.store.commands import Config
from ami_process.store.errors import StoreUnavailable, StoreUnusable


def store_commands(state_in: Callable[[Path], Path]) -> typer.Typer:
    """`state_in` says which folder a configuration names."""

    commands = typer.Typer(
        name="store",
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode=None,
        help="Copy, restore or upgrade what meters keep, while none of them runs.",
    )

    @commands.command("backup")
    def backup(config: Config, copy: Annotated[Path, typer.Argument(help="The new file.")]) -> None:
        """Write all that the meters of the folder keep to a new file."""
        with _explaining():
            state = state_in(config)
            upkeep.backup(state, copy)
            typer.echo(f"what the meters in {state} keep is copied to {copy}")

    @commands.command("restore")
    def restore(config: Config, copy: Annotated[Path, typer.Argument(help="What backup has written.")]) -> None:
        """Put a copy in the place of the store, which is kept beside it as NAME.replaced."""
        with _explaining():
            state = state_in(config)
            aside, assumed = upkeep.restore(state, copy)
            typer.echo(f"the meters in {state} are what {copy} says" + (f"; before, it was {aside}" if aside else ""))
            typer.echo(assumed)

    @commands.command("migrate")
    def migrate(config: Config) -> None:
        """Upgrade the store to the schema of this version; a process does the same when it starts."""
        with _explaining():
            state = state_in(config)
            done = upkeep.migrate(state)
            if done is None:
                typer.echo(f"the store in {state} has schema {SCHEMA.revision} already")
            else:
                typer.echo(
                    f"{done.store} had schema {done.found} and has {done.now} now; as it was, it is in {done.copy}"
                )

    return commands


def _explaining() -> AbstractContextManager[None]:
    return explaining(SCHEMA.role, SettingsError, StateUnusable, StoreUnusable, StoreUnavailable)
