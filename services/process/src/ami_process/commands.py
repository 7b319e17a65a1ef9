"""What the command lines of all processes share: the exit code as a value, `--version`, and sub-commands that are loaded late."""

from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from typing import Any

import typer
from typer.core import TyperGroup


def exit_code_of(app: typer.Typer, arguments: Sequence[str] | None = None) -> int:
    """Run a command line (None: the arguments of the process) and return its exit code."""
    try:
        app(None if arguments is None else list(arguments))
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 0
    return 0


def version_option(distribution: str) -> Any:
    """The option `--version` of a command line, which says the version of an installed distribution."""

    def show(asked: bool) -> None:
        if asked:
            typer.echo(f"{distribution} {version(distribution)}")
            raise typer.Exit

    return typer.Option("--version", callback=show, is_eager=True, help="Show the version and exit.")


def lazy_group(commands: Mapping[str, Callable[[], typer.Typer]]) -> type[TyperGroup]:
    """A group that has these sub-commands besides its own, by name; one is made only when it is called or listed.

    So what a sub-command alone needs is not loaded by the others.
    """

    class LazyGroup(TyperGroup):  # typer does not export its types of what these take and give
        def list_commands(self, ctx: Any) -> list[str]:
            return [*super().list_commands(ctx), *commands]

        def get_command(self, ctx: Any, cmd_name: str) -> Any:
            if cmd_name not in commands:
                return super().get_command(ctx, cmd_name)
            return typer.main.get_command(commands[cmd_name]())

    return LazyGroup
